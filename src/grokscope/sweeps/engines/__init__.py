"""Engines: run the work units of a sweep in this process (`local`) or on a Ray cluster (`ray`)."""
