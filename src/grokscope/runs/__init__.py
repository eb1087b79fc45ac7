"""Runs: training to a folder and back.

The store, identity, provenance, commit and resume, replay, checksums.
"""
