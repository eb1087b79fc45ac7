"""Needs: what an experiment must have so that a measure applies; values, listed in ``Measure.needs``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grokscope.learners import abstract_predictor
from grokscope.models.embedding_mlp import EmbeddingMLP
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.none import NoModel
from grokscope.models.transformer import Transformer
from grokscope.spec.code import is_own
from grokscope.spec.faults import calling
from grokscope.tasks.pairs import Pairs
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    from grokscope.spec.training_spec import TrainingSpec

__all__ = [
    "BATCH",
    "BINARY_INPUTS",
    "CLASSES",
    "CYCLIC",
    "ERROR_TERMS",
    "FEATURE_MATRIX",
    "FINAL_NETWORK",
    "GAUSSIAN_ERRORS",
    "GROUPS",
    "HIDDEN_BITS",
    "HIDDEN_NEURONS",
    "HOMOGENEOUS",
    "INITIAL_NETWORK",
    "IRREPS",
    "KERNEL",
    "KEY_FREQUENCIES",
    "KNOWN_EMBEDDING",
    "MODULAR_SUM",
    "NAMED_MATRICES",
    "NORMALIZED_NEURONS",
    "ONE_HIDDEN_LAYER",
    "OUTPUT_MOMENTS",
    "PAIRS",
    "PAIR_BLOCKS",
    "PARAMETERS",
    "PARITY",
    "POPULATION_ACCURACY",
    "POPULATION_LOSS",
    "PREDICTIONS",
    "PROBE_SPLIT",
    "REAL_LABELS",
    "SIGNS",
    "SUBTASKS",
    "TEST_SPLIT",
    "TRAIN_SPLIT",
    "TRANSFORMER",
    "Need",
]


@dataclass(frozen=True)
class Need:
    """A condition that an experiment must meet.

    Attributes:
        text: the condition, as a noun.
        is_met: whether an experiment has it.
        instead: what an experiment without it has instead, as the end of the message; may contain ``{task}``,
            ``{model}``, ``{learner}`` and ``{loss}``, the kinds of these, and ``{labels}``.

    Example:
        >>> from grokscope import Experiment
        >>> small = Need("at most 9 neurons", lambda spec: spec.model.n_neurons <= 9, "; '{model}' has more")
        >>> small.missing(Experiment(task="sparse_parity", epochs=1))
        "at most 9 neurons; 'fully_connected' has more"
    """

    text: str
    is_met: Callable[[TrainingSpec], bool]
    instead: str

    def missing(self, spec: TrainingSpec) -> str | None:
        """What is needed and what the experiment has instead, in one line; None if the need is met."""
        if self.is_met(spec):
            return None
        return self.text + self.instead.format(
            task=spec.task.kind,
            model=spec.model.kind,
            learner=spec.learner.kind,
            loss=spec.loss.kind,
            labels=_LABELS[spec.task.label_kind],
        )


_LABELS = {"sign": "labels +-1", "class": "classes", "real": "real labels"}


def _split(name: str) -> Need:
    def is_met(spec: TrainingSpec) -> bool:
        return getattr(spec.task, f"n_{name}", 0) > 0

    return Need(f"a {name} split", is_met, "; task '{task}' has none")


def _users_network(spec: TrainingSpec) -> Any:
    """The network of a user's model or learner, without numbers; None if both are built in.

    What a user's model promises (`Model.n_neurons`) is compared with it: a measure that it cannot have is no
    default.
    """
    if is_own(spec.model) and is_own(spec.learner):
        return None
    part = spec.learner if is_own(spec.model) else spec.model
    with calling(part, "making a network"):
        return _predictor(spec)


@functools.lru_cache(maxsize=8)
def _predictor(spec: Any) -> Any:
    return abstract_predictor(spec)


def _predictor_has(name: str, spec: TrainingSpec) -> bool:
    """Whether a predictor that is no network has an attribute."""
    if spec.learner.uses_model:
        return False
    try:
        return hasattr(_predictor(spec), name)
    except NotImplementedError:  # a task without data
        return False


def _has_hidden_neurons(spec: TrainingSpec) -> bool:
    if spec.model.n_neurons == 0 or (network := _users_network(spec)) is None:
        return spec.model.n_neurons > 0
    from grokscope.models.networks.neurons import has_neurons  # imports jax, which specs must not

    return has_neurons(network)


def _has_one_hidden_layer(spec: TrainingSpec) -> bool:
    if not spec.model.has_one_hidden_layer or (network := _users_network(spec)) is None:
        return spec.model.has_one_hidden_layer
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

    return isinstance(network, OneHiddenLayer)


def _is_homogeneous(spec: TrainingSpec) -> bool:
    """Whether the model's network says a degree; only shapes are computed, and no data are needed."""
    import jax

    if not spec.learner.uses_model:
        return False
    model, task = spec.model, spec.task
    with calling(model, "making a network"):
        network = jax.eval_shape(
            lambda: model.network(jax.random.key(0), task.input_shape, task.n_outputs),
        )
    return getattr(network, "homogeneity", None) is not None


def _has_population(name: str, spec: TrainingSpec) -> bool:
    """Whether the task gives an expectation, for networks and losses such as these."""
    task = spec.task
    if name not in task.population_names:
        return False
    if task.population_losses is not None and spec.loss.kind not in task.population_losses:
        return False
    if not task.population_is_affine:
        return True
    from grokscope.models.networks.scaled import has_form  # imports jax, which specs must not

    network = _predictor(spec)
    if has_form(network, "affine"):
        return True
    return name in task.population_of_quadratic and has_form(network, "quadratic_form")


TRAIN_SPLIT, TEST_SPLIT, PROBE_SPLIT = _split("train"), _split("test"), _split("probe")
# A prediction is a sign or a class; measures of predictions do not apply to real labels.
PREDICTIONS = Need(
    "labels that are signs or classes",
    lambda spec: spec.task.label_kind != "real",
    "; task '{task}' has {labels}",
)
CLASSES = Need("classes", lambda spec: spec.task.label_kind == "class", "; task '{task}' has {labels}")
SIGNS = Need(
    "one output with labels +-1",
    lambda spec: spec.task.label_kind == "sign",
    "; task '{task}' has {labels}",
)
BINARY_INPUTS = Need(
    "inputs +-1", lambda spec: spec.task.has_binary_inputs, "; those of task '{task}' are not"
)
HIDDEN_BITS = Need(  # ``point.facts["support"]``: their indices, int [k]
    "a task that knows its hidden bits",
    lambda spec: "support" in spec.task.facts(),
    "; task '{task}' does not",
)
PARITY = Need(  # of the bits ``point.facts["support"]``; sums over their settings, or over all of 16 bits
    "a sparse parity of at most 12 hidden bits",
    lambda spec: isinstance(spec.task, SparseParity) and (spec.task.k <= 12 or spec.task.n <= 16),
    "; '{task}' is another task, or has more",
)
PAIRS = Need(
    "a task on pairs (a binary operator)", lambda spec: isinstance(spec.task, Pairs), ", not '{task}'"
)
# In ``point.facts``, of each training sample: true_labels, wrong_labels, and train_group, its group's code.
GROUPS = Need(
    "a task with groups of training samples", lambda spec: "group" in spec.axes, "; task '{task}' has none"
)
MODULAR_SUM = Need(  # over all pairs
    "addition or subtraction mod p", lambda spec: "frequency" in spec.task.axes, "; task '{task}' is not"
)
# In ``point.facts``: frequencies [subtask]. The first coordinates of an input are the one-hot subtask.
SUBTASKS = Need(
    "a task with subtasks",
    lambda spec: "subtask" in spec.axes and "frequencies" in spec.task.facts(),
    "; task '{task}' has none",
)
IRREPS = Need(  # ``point.task.degree``
    "composition of permutations", lambda spec: "irrep" in spec.task.axes, "; task '{task}' is not"
)
CYCLIC = Need(  # ``point.task.cyclic_order``
    "addition, subtraction, or multiplication or division modulo a prime",
    lambda spec: getattr(spec.task, "cyclic_order", None) is not None,
    "; task '{task}' is none of these",
)
# In ``point.population``.
POPULATION_LOSS, POPULATION_ACCURACY = (
    Need(
        f"an exact population {name}",
        functools.partial(_has_population, name),
        "; task '{task}' gives none for model '{model}' and loss '{loss}'",
    )
    for name in ("loss", "accuracy")
)
ERROR_TERMS = Need(  # ``error_terms`` [term], in ``point.population``
    "a squared error whose terms are known",
    functools.partial(_has_population, "error_terms"),
    "; those of model '{model}' on task '{task}' are not",
)
# ``error_variance``, the mean over outputs, and ``error_mean`` [output], in ``point.population``.
GAUSSIAN_ERRORS = Need(
    "errors that are Gaussian over the task's inputs",
    functools.partial(_has_population, "error_variance"),
    "; those of model '{model}' on task '{task}' are not, or are not known",
)
OUTPUT_MOMENTS = Need(  # ``output_mean`` and ``output_std``, in ``point.population``
    "one output with a known mean and spread over the task's inputs",
    functools.partial(_has_population, "output_mean"),
    "; those of model '{model}' on task '{task}' are not known",
)
REAL_LABELS = Need("real labels", lambda spec: spec.task.label_kind == "real", "; task '{task}' has {labels}")
# In ``point.initial``: an imported run has it in a snapshot of step 0.
INITIAL_NETWORK = Need("the network at the member's start", lambda spec: True, "")
# In ``point.final``, for measures of pace follow.
FINAL_NETWORK = Need("the network at the end of the run", lambda spec: True, "")
# In ``point.batch``.
BATCH = Need(
    "batches of training", lambda spec: spec.learner.trains, "; those of learner '{learner}' are not known"
)
# For measures of pace follow, in ``point.key_frequencies`` and ``point.final_spectra``.
KEY_FREQUENCIES = Need("key frequencies of the final network", MODULAR_SUM.is_met, "; task '{task}' has none")
ONE_HIDDEN_LAYER = Need("a one-hidden-layer network", _has_one_hidden_layer, ", not '{model}'")
PARAMETERS = Need(
    "a network with parameters",
    lambda spec: not isinstance(spec.model, NoModel),
    "; learner '{learner}' has none",
)
HIDDEN_NEURONS = Need("a network with hidden neurons", _has_hidden_neurons, ", not '{model}'")
NORMALIZED_NEURONS = Need(  # in ``point.network.scales``
    "batch normalization of one layer of hidden neurons ('one_hot_mlp' with batch_norm = true)",
    lambda spec: spec.model.n_neurons > 0 and getattr(spec.model, "batch_norm", False),
    ", not '{model}' without it",
)
HOMOGENEOUS = Need(  # in ``point.network.homogeneity``, the degree
    "a network that is homogeneous in its parameters (activation relu or a power, no output bias)",
    _is_homogeneous,
    ", not '{model}'",
)
TRANSFORMER = Need("a transformer", lambda spec: isinstance(spec.model, Transformer), ", not '{model}'")
KNOWN_EMBEDDING = Need(
    "a network with an embedding and an output map that are known",
    lambda spec: isinstance(spec.model, EmbeddingMLP | FullyConnected | Transformer),
    "",
)
NAMED_MATRICES = Need(
    "a model that names its matrices", lambda spec: "matrix" in spec.axes, "; '{model}' does not"
)
PAIR_BLOCKS = Need(  # [position, token, neuron] and [neuron, output]: weights over residues
    "one hidden layer on one-hot pairs, without further tokens ('one_hot_mlp')",
    lambda spec: "block" in spec.axes,
    ", not '{model}' on '{task}'",
)
KERNEL = Need("a kernel machine", functools.partial(_predictor_has, "gram"), "; learner '{learner}' has none")


def _has_feature_matrix(spec: TrainingSpec) -> bool:
    if spec.learner.uses_model:
        return PAIR_BLOCKS.is_met(spec) or ONE_HIDDEN_LAYER.is_met(spec)
    return _predictor_has("feature_matrix", spec)


FEATURE_MATRIX = Need(
    "one hidden layer, or a kernel machine that learns features",
    _has_feature_matrix,
    ", not model '{model}' and learner '{learner}'",
)
