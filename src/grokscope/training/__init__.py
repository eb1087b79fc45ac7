"""The compiled loop: members, devices, batches, schedule.

One program per shape; never a Python loop over steps or members.
"""
