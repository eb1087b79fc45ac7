"""The store of a run: a tree of arrays on disk or in a bucket, with transactions, checksums and a lock."""
