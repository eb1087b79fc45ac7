"""Building blocks of specs: parts, overrides, schedules, events, stopping rules, streams of seeds, moments.

Below every part that a spec names; `grokscope.experiment` puts the parts together, above them.
"""
