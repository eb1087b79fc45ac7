"""Export measures and weights from grokscope, and import networks that were trained elsewhere.

``export.py`` writes tables, netCDF and safetensors; ``torch_out.py`` makes PyTorch modules of our networks;
``importing.py`` makes runs from PyTorch checkpoints, ``recorder.py`` from inside a training loop. To add a
layout of state dicts, see ``_layouts.py``.
"""

from grokscope.interop.export import export_run
from grokscope.interop.importing import from_torch, import_torch
from grokscope.interop.recorder import Recorder
from grokscope.interop.torch_out import to_torch

__all__ = ["Recorder", "export_run", "from_torch", "import_torch", "to_torch"]
