"""Data and weights out of grokscope, and (with later work) foreign checkpoints in.

What is here: ``export.py`` (tables, netCDF, safetensors). What goes elsewhere: figures
(`grokscope.plots`), the report (`grokscope.report`).
"""

from grokscope.interop.export import export_run

__all__ = ["export_run"]
