"""Storage of runs: labeled arrays in a folder or bucket, with transactions, checksums and a writer lock."""
