"""Point: a network and its data, given to measures, with a cache of shared intermediate results."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from grokscope.learners import Batch
from grokscope.losses import Loss
from grokscope.measures._prefixes import CHUNK, in_pieces, outputs_and_marks
from grokscope.models.networks.neurons import HasNeurons, has_neurons
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.spec.axes import SPLIT_LABELS
from grokscope.tasks import Task

__all__ = ["Order", "Point", "Split"]

Order = Literal["incoming_norm", "path_norm"]
T = TypeVar("T")


class Split(NamedTuple):
    """Inputs [sample, *input] and labels [sample]."""

    x: jax.Array
    y: jax.Array


class Point:
    """A network at one step, with its data. Used inside one traced function.

    Intermediate results that several measures need (outputs, neuron norms, the pruning order) are cached, so
    that they are traced once. Request them at the beginning of a measure, not inside a branch of ``lax.cond``
    or a loop body: a value that is cached there cannot be used outside.

    Attributes:
        network: the predictor, with masks applied.
        data: the member's and the shared arrays, ``<split>_x`` and ``<split>_y``.
        loss: the experiment's loss.
        subnetworks: masks [subnetwork, neuron] for measures of pace ``follow`` or ``follow_slow``; else None.
        final_spectra: of the final network, for measures that need key frequencies: the power of the logits
            at each frequency and the number of neurons of each, [2, frequency]; else None.
        task: the experiment's task, for `facts` and `population`.
        used_initial: whether `initial` was asked for.
    """

    def __init__(
        self,
        network: Any,
        data: dict[str, jax.Array],
        loss: Loss,
        subnetworks: Bool[Array, "subnetwork neuron"] | None = None,
        final_spectra: Float[Array, "2 frequency"] | None = None,
        *,
        task: Task | None = None,
        initial: Any = None,
        final: Any = None,
        batch: Callable[[], Batch] | None = None,
    ) -> None:
        self.network = network
        self.data = data
        self.loss = loss
        self.subnetworks = subnetworks
        self.final_spectra = final_spectra
        self.task = task
        self._initial = initial
        self._final = final
        self.used_initial = False
        self._batch = batch
        self._cache: dict[str, Any] = {}

    def cached(self, key: str, make: Callable[[], T]) -> T:
        """The cached value of a key, computed on the first call; for values that several measures share."""
        if key not in self._cache:
            self._cache[key] = make()
        return cast("T", self._cache[key])

    def copied(self) -> Point:
        """A copy with its own cache, which starts with the values cached so far."""
        other = copy.copy(self)
        other._cache = dict(self._cache)
        return other

    def with_network(self, network: Any) -> Point:
        """A point with the same data and another network; nothing is cached."""
        return Point(network, self.data, self.loss, task=self.task)

    def split(self, name: str) -> Split:
        """The samples of ``train``, ``test`` or ``probe``."""
        return Split(self.data[f"{name}_x"], self.data[f"{name}_y"])

    @property
    def initial(self) -> Any:
        """The network at the member's start, for measures with ``INITIAL_NETWORK`` among their needs.

        In a branch it is the network with which the member starts there, and in an imported run that of the
        snapshot of step 0.

        Raises:
            LookupError: if no measure of the program declares the need.
        """
        if self._initial is None:
            raise LookupError("point.initial: a measure that uses it must list INITIAL_NETWORK in its needs")
        self.used_initial = True
        return self._initial

    @property
    def final(self) -> Any:
        """The network at the end of the run, for measures of pace ``follow`` that need ``FINAL_NETWORK``.

        Raises:
            LookupError: if no measure of the program declares the need.
        """
        if self._final is None:
            raise LookupError(
                "point.final: a measure that uses it must have the pace follow and FINAL_NETWORK in its needs"
            )
        return self._final

    @property
    def key_frequencies(self) -> Bool[Array, " frequency"] | None:
        """The key frequencies of the final network by the default rule, for measures that need them."""
        from grokscope.measures._fourier import key_frequencies

        return None if self.final_spectra is None else key_frequencies(self.final_spectra)

    @property
    def facts(self) -> dict[str, jax.Array]:
        """The facts of the member as arrays: `grokscope.tasks.Task.point_facts` of its data."""
        return self.cached("facts", lambda: self._known_task.point_facts(self.data))

    def population(self, name: str) -> jax.Array:
        """An exact expectation of the network over the task's distribution: ``loss`` or ``accuracy``, say.

        Measures with this need list ``POPULATION_LOSS`` or ``POPULATION_ACCURACY``.

        Raises:
            LookupError: if the task does not give it (see `grokscope.tasks.Task.population`).
        """
        task = self._known_task
        if name not in task.population_names:
            raise LookupError(f"point.population: task '{task.kind}' does not give '{name}'")
        return self.cached("population", lambda: task.population(self.network, self.loss, self.data))[name]

    @property
    def batch(self) -> Batch:
        """The batch of the next update, for measures with ``BATCH`` among their needs.

        Raises:
            LookupError: if the point has no batch: at the end of a run subnetworks are followed without one.
        """
        if self._batch is None:
            raise LookupError("point.batch: only quick and slow measures of a training run have a batch")
        return self.cached("batch", self._batch)

    @property
    def batch_outputs(self) -> Float[Array, "sample ..."]:
        """The network's outputs on the batch of the next update."""
        batch = self.batch
        return self.cached("batch outputs", lambda: self.network(batch.x))

    @property
    def _known_task(self) -> Task:
        if self.task is None:
            raise LookupError("this point was made without a task")
        return self.task

    @property
    def filled_splits(self) -> tuple[str, ...]:
        """Of ``train`` and ``test`` those with samples: all equations of a task on pairs, say."""
        return tuple(name for name in SPLIT_LABELS if len(self.data[f"{name}_x"]))

    def hidden(self, split: str) -> Float[Array, "sample neuron"]:
        """The hidden activations on a split."""
        return self.cached(f"hidden {split}", lambda: self.neurons.hidden(self.split(split).x))

    def outputs(self, split: str) -> Float[Array, "sample ..."]:
        """The network's outputs on a split."""

        def make() -> jax.Array:
            if self.has_marks(split):
                return self.outputs_and_marks(split)[0]
            x = self.split(split).x
            if len(x) > CHUNK:
                return in_pieces(self.network, x)
            if isinstance(self.network, OneHiddenLayer):
                return self.network.shifted(self.hidden(split) @ self.network.output_weight)
            return self.network(x)

        return self.cached(f"outputs {split}", make)

    def has_marks(self, split: str) -> bool:
        """Whether prefix sums come with the outputs: for many rows, one hidden layer and one output."""
        network = self.network
        large = len(self.split(split).x) > CHUNK
        return large and isinstance(network, OneHiddenLayer) and network.output_weight.ndim == 1

    def outputs_and_marks(self, split: str) -> tuple[Float[Array, " sample"], Float[Array, "sample mark"]]:
        """Outputs and prefix sums by incoming norm (see `outputs_and_marks` in ``_prefixes.py``)."""
        order = self.order

        def make() -> tuple[jax.Array, jax.Array]:
            return outputs_and_marks(self.layer, order, self.split(split).x)

        return self.cached(f"outputs and marks {split}", make)

    @property
    def layer(self) -> OneHiddenLayer:
        """The network as a one-hidden-layer network; raises TypeError if it is not one."""
        if not isinstance(self.network, OneHiddenLayer):
            raise TypeError(f"{type(self.network).__name__} is not a one-hidden-layer network")
        return self.network

    @property
    def neurons(self) -> HasNeurons:
        """The network as one with hidden neurons; raises TypeError if it has none."""
        if not has_neurons(self.network):
            raise TypeError(f"{type(self.network).__name__} has no hidden neurons that can be told apart")
        return self.network

    @cached_property
    def neuron_norm(self) -> Float[Array, " neuron"]:
        r"""$\lVert W_j \rVert_2$, the norm of each neuron's incoming weights (bias not included)."""
        return jnp.linalg.norm(self.neurons.incoming, axis=0)

    @cached_property
    def path_norm(self) -> Float[Array, " neuron"]:
        r"""$\lVert u_j \rVert_2\, \lVert (W_j, b_j) \rVert_2$ (one output: $|u_j|$)."""
        network = self.neurons
        into = jnp.sqrt(jnp.sum(jnp.square(network.incoming), axis=0) + jnp.square(network.incoming_bias))
        u = network.outgoing
        return into * (jnp.abs(u[:, 0]) if u.shape[1] == 1 else jnp.linalg.norm(u, axis=1))

    @property
    def order(self) -> Int[Array, " neuron"]:
        """Neurons by falling incoming norm; equal norms by index."""
        return self.order_by("incoming_norm")

    def order_by(self, order: Order) -> Int[Array, " neuron"]:
        """Neurons by falling incoming norm (the paper's order) or path norm; equal norms by index."""

        def make() -> jax.Array:
            norm = self.neuron_norm if order == "incoming_norm" else self.path_norm
            # top_k keeps the order of equal values, and on a CPU is several times faster than argsort
            return jax.lax.top_k(norm, len(norm))[1]

        return self.cached(f"order {order}", make)
