"""Engines of sweeps: who does the tasks. This process, or a Ray cluster."""
