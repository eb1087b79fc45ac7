"""Norms of the whole network and of each neuron."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.errors import InputError
from grokscope.measures._measure import Measure
from grokscope.measures.needs import (
    HIDDEN_NEURONS,
    INITIAL_NETWORK,
    NAMED_MATRICES,
    NORMALIZED_NEURONS,
    PARAMETERS,
)

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point
    from grokscope.spec.training_spec import TrainingSpec

__all__ = [
    "BatchNormScale",
    "MatrixNorm",
    "NeuronNorm",
    "PathNorm",
    "PathNormTotal",
    "StartDistance",
    "WeightNorm",
]


def _floats(network: Any) -> Any:
    """The network's parameters: its arrays of floats, without its state."""
    import equinox as eqx

    from grokscope.models.networks.training import split

    return eqx.filter(split(network)[0], eqx.is_inexact_array)


def _norm(arrays: Any) -> jax.Array:
    import jax
    import jax.numpy as jnp

    return jnp.sqrt(jnp.sum(jnp.stack([jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(arrays)])))


class NeuronNorm(Measure):
    r"""Incoming norm $\lVert W_j \rVert_2$ of each neuron: the L2 norm without the bias; [neuron].

    Source: Merrill, Tsilivis, Shukla 2023, Section 3.2 and Figure 5.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> network = OneHiddenLayer(jnp.array([[3.0], [4.0]]), jnp.array([12.0]), jnp.array([-2.0]))
        >>> point = Point(network, {}, Hinge())
        >>> NeuronNorm()(point).tolist(), PathNorm()(point).tolist()
        ([5.0], [26.0])
    """

    kind: Literal["neuron_norm"] = "neuron_norm"
    dims = ("neuron",)
    pace = "slow"
    needs = (HIDDEN_NEURONS,)

    def __call__(self, point: Point) -> jax.Array:
        """The norms of the columns of W."""
        return point.neuron_norm


class BatchNormScale(Measure):
    r"""The size $|\gamma_j|$ of each neuron's scale of batch normalization; [neuron].

    The activations of a normalized neuron have a standard deviation of $|\gamma_j|$ over the batch.

    Source: Doshi et al. 2023 (arXiv 2310.13061), Figure 5.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> from grokscope.models.one_hot_mlp import OneHotMLP
        >>> network = OneHotMLP(widths=[2], batch_norm=True).network(jax.random.key(0), (2, 3), 3)
        >>> BatchNormScale()(Point(network, {}, Squared())).tolist()
        [1.0, 1.0]
    """

    kind: Literal["batch_norm_scale"] = "batch_norm_scale"
    dims = ("neuron",)
    default = False
    needs = (NORMALIZED_NEURONS,)

    def __call__(self, point: Point) -> jax.Array:
        """The absolute scales of the hidden layer."""
        import jax.numpy as jnp

        return jnp.abs(point.network.scales[0])


class PathNorm(Measure):
    r"""Path norm of each neuron, $|u_j|\, \lVert (W_j, b_j) \rVert_2$; [neuron].

    With several outputs the first factor is $\lVert u_j \rVert_2$. Unlike the incoming norm it is
    invariant under the rescaling $(c W_j, c b_j, u_j / c)$ of a relu neuron, which keeps the outputs.
    """

    kind: Literal["path_norm"] = "path_norm"
    dims = ("neuron",)
    pace = "slow"
    needs = (HIDDEN_NEURONS,)

    def __call__(self, point: Point) -> jax.Array:
        """The path norm of every neuron."""
        return point.path_norm


class PathNormTotal(Measure):
    r"""Path norm of the network, $\sum_j |u_j|\, \lVert (W_j, b_j) \rVert_2$ (see `PathNorm`)."""

    kind: Literal["path_norm_total"] = "path_norm_total"
    needs = (HIDDEN_NEURONS,)

    def __call__(self, point: Point) -> jax.Array:
        """The sum over neurons."""
        return point.path_norm.sum()


class WeightNorm(Measure):
    r"""L2 norm of the parameters of the network, $\lVert \theta \rVert_2$.

    Attributes:
        parameters: names of parameters, as in ``Run.networks``, or patterns such as ``blocks.*``; by default
            all. Names, with ``all`` for ``*``, are added to the name of the stored result:
            ``weight_norm_embedding_all_weight`` for ``["embedding", "*_weight"]``.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> point = Point({"bias": jnp.array([12.0]), "weight": jnp.array([3.0, 4.0])}, {}, Hinge())
        >>> float(WeightNorm()(point)), float(WeightNorm(parameters=["weight"])(point))
        (13.0, 5.0)
    """

    kind: Literal["weight_norm"] = "weight_norm"
    needs = (PARAMETERS,)
    younger = ("parameters",)

    parameters: tuple[str, ...] | None = Field(default=None, min_length=1)

    @property
    def name(self) -> str:
        """The kind, with the names of parameters."""
        named = (name.replace("*", "all") for name in self.parameters or ())
        return "_".join([self.kind, *(re.sub(r"\W+", "_", name) for name in named)])

    def missing(self, spec: TrainingSpec) -> str | None:
        """As in the base; the named parameters must also exist."""
        reason = super().missing(spec)
        if reason is None and self.parameters is not None:
            from grokscope.models.networks.parameters import matching_names, parameter_shapes

            names = parameter_shapes(spec.model, spec.task.input_shape, spec.task.n_outputs)
            try:
                matching_names(self.parameters, names)
            except InputError as error:
                return f"{self.kind}: parameters: {str(error).removesuffix('.')}"
        return reason

    def __call__(self, point: Point) -> jax.Array:
        """The square root of the sum of squares over these arrays."""
        floats = _floats(point.network)
        if self.parameters is None:
            return _norm(floats)
        from grokscope.models.networks.parameters import matching_names, named_leaves

        leaves = named_leaves(floats)
        return _norm([leaves[name] for name in matching_names(self.parameters, leaves)])


class StartDistance(Measure):
    r"""L2 distance of all parameters from those at the member's start, $\lVert \theta - \theta_0 \rVert_2$.

    In a branch the start is the state with which the member begins there.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> now, before = {"w": jnp.array([3.0, 4.0])}, {"w": jnp.zeros(2)}
        >>> float(StartDistance()(Point(now, {}, Hinge(), initial=before)))
        5.0
    """

    kind: Literal["start_distance"] = "start_distance"
    default = False
    needs = (PARAMETERS, INITIAL_NETWORK)

    def __call__(self, point: Point) -> jax.Array:
        """The square root of the sum of squared differences."""
        import jax

        return _norm(
            jax.tree.map(lambda now, before: now - before, _floats(point.network), _floats(point.initial))
        )


class MatrixNorm(Measure):
    r"""Frobenius norm $\lVert W \rVert_F$ of each weight matrix; [matrix].

    For transformers and embedding networks. The labels of the axis are the names of the matrices.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 5.1 (there their sum).
    """

    kind: Literal["matrix_norm"] = "matrix_norm"
    dims = ("matrix",)
    pace = "slow"
    needs = (NAMED_MATRICES,)

    def __call__(self, point: Point) -> jax.Array:
        """The norm of every matrix, in the order of the model's axis."""
        import jax
        import jax.numpy as jnp

        # weights are matrices or stacks of them; biases and norms have one axis
        paths, _ = jax.tree_util.tree_flatten_with_path(point.network)
        return jnp.stack([jnp.linalg.norm(leaf.ravel()) for _, leaf in paths if leaf.ndim > 1])
