"""Measures of subnetworks: agreement of their predictions with the whole network's, and their norms.

The subnetworks are found at the end of a run (``_subnetworks.py``). The axis ``split`` has two entries, the
training and the test split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import (
    HIDDEN_NEURONS,
    ONE_HIDDEN_LAYER,
    PREDICTIONS,
    PROBE_SPLIT,
    SIGNS,
    TEST_SPLIT,
    TRAIN_SPLIT,
)
from grokscope.spec.axes import SPLIT_LABELS

if TYPE_CHECKING:
    import jax
    from jaxtyping import Array, Float, Num

    from grokscope.measures._point import Point

__all__ = [
    "Faithfulness",
    "FaithfulnessKappa",
    "FaithfulnessMeanAblation",
    "SubnetworkAccuracy",
    "SubnetworkNorm",
]


def subnetworks_of(point: Point) -> jax.Array:
    """The masks [subnetwork, neuron] of a point as numbers 0 and 1, in the type of the weights.

    Raises:
        ValueError: if the point was made without subnetworks.
    """
    if point.subnetworks is None:
        raise ValueError("this measure needs a point with subnetworks")
    return point.subnetworks.astype(point.neurons.incoming.dtype)


def masked_outputs(output_weight: jax.Array, masks: jax.Array) -> Float[Array, "neuron column"]:
    """The output weights of each subnetwork, as columns; 0 for neurons outside the subnetwork.

    Zero columns pad the result to a multiple of 8: on a CPU a product with 8 columns is faster than with 5.
    """
    import jax.numpy as jnp

    return jnp.pad(masks.T * output_weight[:, None], ((0, 0), (0, -len(masks) % 8)))


def _predictions(point: Point, split: str) -> Num[Array, "sample subnetwork"]:
    """The predictions of each subnetwork, with all other neurons set to 0."""
    from jax import lax

    from grokscope.measures._predictions import predictions
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

    n_outputs = _n_outputs(point, split)
    if isinstance(point.network, OneHiddenLayer) and n_outputs == 1:
        return predictions(_outputs(point, split), 1)
    masks, network, x = subnetworks_of(point), point.neurons, point.split(split).x
    by_subnetwork = lax.map(lambda mask: predictions(network.keeping(mask)(x), n_outputs), masks)
    return by_subnetwork.T


def _n_outputs(point: Point, split: str) -> int:
    f = point.outputs(split)
    return 1 if f.ndim == 1 else f.shape[1]


def _outputs(point: Point, split: str) -> Float[Array, "sample subnetwork"]:
    """The outputs of each subnetwork of a one-hidden-layer network with one output."""
    masks = subnetworks_of(point)
    weights = masked_outputs(point.layer.output_weight, masks)
    hidden = point.hidden(split)
    return point.cached(
        f"subnetwork outputs {split}", lambda: point.layer.shifted((hidden @ weights)[:, : len(masks)])
    )


class _SubnetworkMeasure(Measure):
    dims = ("subnetwork", "split")
    pace = "follow"
    default_with_classes = False  # many forward passes
    needs = (PREDICTIONS, HIDDEN_NEURONS, TRAIN_SPLIT, TEST_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """The value of every subnetwork on every split; NaN for a subnetwork without neurons."""
        import jax.numpy as jnp

        has_neurons = jnp.any(subnetworks_of(point) > 0, axis=1)
        values = [self._on_split(point, split) for split in SPLIT_LABELS]
        return jnp.where(has_neurons[:, None], jnp.stack(values, axis=1), jnp.nan)

    def _on_split(self, point: Point, split: str) -> jax.Array:
        raise NotImplementedError


def _agreement(point: Point, split: str, predicted: jax.Array) -> jax.Array:
    """The share of inputs on which predictions equal the whole network's, where that has a prediction."""
    import jax.numpy as jnp

    from grokscope.measures._predictions import has_prediction, predictions

    f, n_outputs = point.outputs(split), _n_outputs(point, split)
    whole = predictions(f, n_outputs)
    counted = has_prediction(whole, n_outputs)
    agree = jnp.sum((predicted == whole[:, None]) & counted[:, None], axis=0, dtype=f.dtype)
    return _ratio(agree, jnp.sum(counted, dtype=f.dtype))


def _ratio(counts: jax.Array, n: jax.Array) -> jax.Array:
    """Counts / n as one division: 18 / 20 is the float nearest to 0.9.

    Without the barrier the compiler may replace the division by a product with 1 / n, which rounds
    differently.
    """
    import jax.numpy as jnp
    from jax import lax

    return counts / lax.optimization_barrier(jnp.broadcast_to(n, counts.shape))


class Faithfulness(_SubnetworkMeasure):
    r"""The share of inputs on which a subnetwork has the same prediction as the whole network.

    With labels $\pm 1$: $\#\{i: \mathrm{sign} f_S(x_i) = \mathrm{sign} f(x_i)\} / \#\{i: f(x_i) \ne 0\}$ with
    $f_S(x) = \sum_{j \in S} u_j \sigma(z_j)$: all other neurons are set to 0 (zero-ablation); the output bias
    is kept. sign(0) is 0: a subnetwork with output 0 agrees with no prediction. With classes the prediction
    is the class with the largest output (ties go to the lowest class), and no input is left out.
    [subnetwork, split]; NaN for a subnetwork without neurons, or if all outputs are 0.

    Source: Merrill, Tsilivis, Shukla 2023, Section 3.2 and Figure 3 right (there on the test set).

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> network = OneHiddenLayer(jnp.array([[1.0, -1.0]]), jnp.zeros(2), jnp.array([1.0, -1.0]))
        >>> x = jnp.array([[1.0], [-1.0]])  # f(x) = x
        >>> data = {"train_x": x, "train_y": x[:, 0], "test_x": x[:1], "test_y": x[:1, 0]}
        >>> only_first, none = jnp.array([True, False]), jnp.array([False, False])
        >>> point = Point(network, data, Hinge(), jnp.stack([only_first, none]))
        >>> Faithfulness()(point).tolist()
        [[0.5, 1.0], [nan, nan]]
    """

    kind: Literal["faithfulness"] = "faithfulness"

    def _on_split(self, point: Point, split: str) -> jax.Array:
        return _agreement(point, split, _predictions(point, split))


class FaithfulnessMeanAblation(_SubnetworkMeasure):
    r"""`Faithfulness` with mean-ablation: other neurons are set to their mean activation on training inputs.

    $f_S(x) = \sum_{j \in S} u_j \sigma(z_j(x)) + \sum_{j \notin S} u_j \overline{\sigma(z_j)}$. Unlike
    zero-ablation it keeps the mean contribution of the other neurons. [subnetwork, split]; NaN for a
    subnetwork without neurons, or if all outputs of the whole network are 0.
    """

    kind: Literal["faithfulness_mean_ablation"] = "faithfulness_mean_ablation"
    needs = (SIGNS, ONE_HIDDEN_LAYER, TRAIN_SPLIT, TEST_SPLIT)

    def _on_split(self, point: Point, split: str) -> jax.Array:
        import jax.numpy as jnp

        hidden = point.hidden("train")
        u = point.layer.output_weight
        mean = point.cached("mean contribution", lambda: jnp.mean(hidden, axis=0) * u)
        replaced = (1 - subnetworks_of(point)) @ mean
        return _agreement(point, split, jnp.sign(_outputs(point, split) + replaced))


class FaithfulnessKappa(_SubnetworkMeasure):
    r"""Faithfulness corrected for chance: Cohen's kappa of the two predictions.

    $\kappa = (p_o - p_e) / (1 - p_e)$. $p_o$ is the `Faithfulness`.
    $p_e = \sum_{s = \pm 1} P(\mathrm{sign} f_S = s)\, P(\mathrm{sign} f = s)$ is the agreement expected by
    chance: that of two independent predictions with the same frequency of each sign (with classes: of each
    class). Only inputs with $f(x) \ne 0$ are counted. 1 is full agreement, 0 is agreement by chance.
    [subnetwork, split]; NaN for a subnetwork without neurons, if all outputs are 0, or if $p_e = 1$ (both
    networks predict the same class for all inputs).

    Source: Cohen 1960, "A coefficient of agreement for nominal scales".
    """

    kind: Literal["faithfulness_kappa"] = "faithfulness_kappa"

    def _on_split(self, point: Point, split: str) -> jax.Array:
        import jax.numpy as jnp

        from grokscope.measures._predictions import has_prediction, predictions

        f, n_outputs = point.outputs(split), _n_outputs(point, split)
        whole, predicted = predictions(f, n_outputs), _predictions(point, split)
        counted = has_prediction(whole, n_outputs)
        n = jnp.sum(counted, dtype=f.dtype)
        classes = jnp.array([1, -1] if n_outputs == 1 else range(n_outputs), predicted.dtype)

        def class_shares(given: jax.Array) -> jax.Array:
            return _ratio(jnp.sum((given[..., None] == classes) & counted[:, None], axis=0, dtype=f.dtype), n)

        whole_shares = class_shares(whole)
        chance = jnp.stack([jnp.sum(class_shares(part) * whole_shares) for part in predicted.T])
        kappa = (_agreement(point, split, predicted) - chance) / (1 - chance)
        return jnp.where(chance < 1, kappa, jnp.nan)


class SubnetworkAccuracy(Measure):
    r"""Accuracy of a subnetwork alone on the probe (10,000 held-out samples by default); [subnetwork].

    The share of inputs whose label the subnetwork predicts, all other neurons set to 0. Unlike `Faithfulness`
    it compares with the labels, and an output of 0 counts as wrong. NaN for a subnetwork without neurons.
    """

    kind: Literal["subnetwork_accuracy"] = "subnetwork_accuracy"
    dims = ("subnetwork",)
    pace = "follow_slow"
    default = False
    default_with_classes = False
    needs = (PREDICTIONS, HIDDEN_NEURONS, PROBE_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """The share of right predictions of each subnetwork."""
        import jax.numpy as jnp

        right = _predictions(point, "probe") == point.split("probe").y[:, None]
        has_neurons = jnp.any(subnetworks_of(point) > 0, axis=1)
        return jnp.where(has_neurons, jnp.mean(right, axis=0, dtype=point.neuron_norm.dtype), jnp.nan)


class SubnetworkNorm(Measure):
    r"""The mean of the incoming norm $\lVert W_j \rVert_2$ over the neurons of a subnetwork; [subnetwork].

    NaN for a subnetwork without neurons.

    Source: Merrill, Tsilivis, Shukla 2023, Section 3.2 and Figure 3 left.
    """

    kind: Literal["subnetwork_norm"] = "subnetwork_norm"
    dims = ("subnetwork",)
    pace = "follow"
    needs = (PREDICTIONS, HIDDEN_NEURONS)
    default_with_classes = False

    def __call__(self, point: Point) -> jax.Array:
        """The mean over the neurons of each subnetwork."""
        masks = subnetworks_of(point)
        return masks @ point.neuron_norm / masks.sum(axis=1)
