"""Models: specs of networks. One file per family; copy ``fully_connected.py`` when adding one.

A model is a spec. It makes a network: an equinox module that maps a batch of inputs to outputs.
"""

from grokscope.models._model import Model, ModelField

__all__ = ["Model", "ModelField"]
