"""Models: specs of networks. One file per family; copy ``fully_connected.py`` when adding one, and check it with
`check_model` of ``check.py``.

A model is a spec. It makes a network: an equinox module that maps a batch of inputs to outputs.
"""

from grokscope.models._model import Model, ModelField, draw_normal, draw_uniform

__all__ = ["Model", "ModelField", "draw_normal", "draw_uniform"]
