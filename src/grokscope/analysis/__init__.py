"""Analysis of finished runs: comparing two, and an overview of one."""
