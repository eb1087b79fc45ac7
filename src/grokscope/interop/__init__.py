"""Data and weights out of grokscope, and networks that were trained elsewhere in.

What is here: ``export.py`` (tables, netCDF, safetensors), ``importing.py`` (checkpoints and state dicts
become runs), ``torch_out.py`` (PyTorch modules of our networks). To make another layout of state dicts known,
see ``_layouts.py``. What goes elsewhere: figures (`grokscope.plots`), the report (`grokscope.report`).
"""

from grokscope.interop.export import export_run
from grokscope.interop.importing import from_torch, import_torch
from grokscope.interop.torch_out import to_torch

__all__ = ["export_run", "from_torch", "import_torch", "to_torch"]
