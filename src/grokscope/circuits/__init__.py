"""Circuits: subnetworks, how they are found, followed and read. Measures of them are in ``measures/``."""

from grokscope.circuits.lottery import lottery_ticket
from grokscope.circuits.subnetwork import Subnetwork
from grokscope.measures._subnetworks import active_subnetwork, find_subnetworks, norm_matched

__all__ = ["Subnetwork", "active_subnetwork", "find_subnetworks", "lottery_ticket", "norm_matched"]
