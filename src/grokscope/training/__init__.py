"""Training of many members in one compiled program: devices, batches, points of the schedule.

Each shape is compiled once; there is no Python loop over steps or members.
"""
