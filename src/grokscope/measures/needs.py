"""Needs: what an experiment must have so that a measure applies; frozen values, listed in ``Measure.needs``.

For a need of your own, write a subclass of `Need` like those below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from grokscope.models.embedding_mlp import EmbeddingMLP
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.transformer import Transformer
from grokscope.tasks.pairs import Pairs

if TYPE_CHECKING:
    from grokscope.spec.training_spec import TrainingSpec

__all__ = [
    "AttentionHeads",
    "BinaryInputs",
    "DataSplits",
    "FinalKeyFrequencies",
    "HiddenNeurons",
    "KnownEmbedding",
    "ModularSum",
    "NamedMatrices",
    "Need",
    "OneHiddenLayerModel",
    "PairsTask",
    "Signs",
]


@dataclass(frozen=True)
class Need:
    """Something that an experiment must have.

    Attributes:
        text: what it is, for the documentation.

    Example:
        >>> from grokscope import Experiment
        >>> addition = {"kind": "modular_operator", "p": 5}
        >>> Signs().missing(Experiment(task=addition, loss="cross_entropy", epochs=1))
        "one output with labels +-1; task 'modular_operator' has classes"
    """

    text: ClassVar[str]

    def __str__(self) -> str:
        return self.text

    def missing(self, spec: TrainingSpec) -> str | None:
        """What is needed and what the experiment has instead (one line, put after "NAME needs "), or None."""
        raise NotImplementedError


class Signs(Need):
    """One output, and labels +-1."""

    text = "one output with labels +-1"

    def missing(self, spec: TrainingSpec) -> str | None:
        """A task with classes does not have it."""
        return None if spec.task.n_outputs == 1 else f"{self}; task '{spec.task.kind}' has classes"


class OneHiddenLayerModel(Need):
    """A model whose networks are `grokscope.models.networks.one_hidden_layer.OneHiddenLayer`."""

    text = "a one-hidden-layer network"

    def missing(self, spec: TrainingSpec) -> str | None:
        """Models with several layers, or other ones, do not have it."""
        return None if spec.model.has_one_hidden_layer else f"{self}, not '{spec.model.kind}'"


class HiddenNeurons(Need):
    """A model of any kind whose networks have hidden neurons."""

    text = "a network with hidden neurons"

    def missing(self, spec: TrainingSpec) -> str | None:
        """Models with ``n_neurons`` 0 do not have them."""
        return None if spec.model.n_neurons else f"{self}, not '{spec.model.kind}'"


class BinaryInputs(Need):
    """Inputs +-1."""

    text = "inputs +-1"

    def missing(self, spec: TrainingSpec) -> str | None:
        """Tasks with other inputs do not have them."""
        return None if spec.task.has_binary_inputs else f"{self}; those of task '{spec.task.kind}' are not"


class ModularSum(Need):
    """A task whose answer is a + b or a - b mod p, over all pairs; it has the axis ``frequency``."""

    text = "addition or subtraction mod p"

    def missing(self, spec: TrainingSpec) -> str | None:
        """All other tasks lack it."""
        return None if "frequency" in spec.task.axes else f"{self}; task '{spec.task.kind}' is not"


class FinalKeyFrequencies(ModularSum):
    """The key frequencies of the final network, in ``point.key_frequencies`` (for pace ``follow``)."""


@dataclass(frozen=True)
class DataSplits(Need):
    """Samples in each of some splits.

    Attributes:
        names: of ``train``, ``test`` and ``probe``.
    """

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' and '.join(self.names)} samples"

    def missing(self, spec: TrainingSpec) -> str | None:
        """Tasks without one of the splits do not have them."""
        lacking = (name for name in self.names if not getattr(spec.task, f"n_{name}", 0))
        return next((f"a {name} split; task '{spec.task.kind}' has none" for name in lacking), None)


class PairsTask(Need):
    """A task on pairs of elements (`grokscope.tasks.pairs.Pairs`)."""

    text = "a task on pairs (a binary operator)"

    def missing(self, spec: TrainingSpec) -> str | None:
        """All other tasks lack it."""
        return None if isinstance(spec.task, Pairs) else f"{self}, not '{spec.task.kind}'"


class AttentionHeads(Need):
    """A transformer."""

    text = "a transformer"

    def missing(self, spec: TrainingSpec) -> str | None:
        """All other models lack it."""
        return None if isinstance(spec.model, Transformer) else f"{self}, not '{spec.model.kind}'"


class KnownEmbedding(Need):
    """A network with known weights from tokens to features, and from neurons to outputs."""

    text = "a network with an embedding and an output map that are known"

    def missing(self, spec: TrainingSpec) -> str | None:
        """Other models than these three do not have them."""
        return None if isinstance(spec.model, EmbeddingMLP | FullyConnected | Transformer) else self.text


class NamedMatrices(Need):
    """A model that names its weight matrices, on the axis ``matrix``."""

    text = "a model that names its matrices"

    def missing(self, spec: TrainingSpec) -> str | None:
        """Models without this axis do not name them."""
        return None if "matrix" in spec.axes else f"{self}; '{spec.model.kind}' does not"
