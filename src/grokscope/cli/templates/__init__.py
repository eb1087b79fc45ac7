"""Templates of files that users write: one task, measure or paper each; ``new.py`` fills them in."""
