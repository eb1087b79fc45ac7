"""Models: specs of networks. One file per family.

A model is a spec. It makes a network: an equinox module that maps a batch of inputs to outputs. To add one,
copy ``fully_connected.py`` and check it with `check_model` of ``check.py``.
"""

from grokscope.models._model import Model, ModelField, draw_normal, draw_signs, draw_uniform

__all__ = ["Model", "ModelField", "draw_normal", "draw_signs", "draw_uniform"]
