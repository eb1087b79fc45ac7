"""Effective sparsity: the number of neurons, largest norm first, that predict as the whole network does.

The search is in ``_prefixes.py`` and ``_search.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import HIDDEN_NEURONS, PREDICTIONS, PROBE_SPLIT, TRAIN_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Order, Point
    from grokscope.measures._prefixes import Test

__all__ = [
    "EffectiveSparsity",
    "EffectiveSparsity99",
    "EffectiveSparsityAccuracy",
    "EffectiveSparsityProbe",
]

# The tests of all measures of a split, which share one search; and the number of hard rows (chosen for
# speed; it does not change the result).
_TESTS: dict[str, tuple[Test, ...]] = {
    "train": ("predictions", "accuracy"),
    "probe": ("predictions", "predictions_99"),
}
_N_HARD = {"train": 96, "probe": 512}


def search(point: Point, split: str, order: Order) -> dict[Test, jax.Array]:
    """The smallest m of each test of a split, computed once per point."""
    import jax.numpy as jnp

    from grokscope.measures._prefixes import smallest_prefixes
    from grokscope.measures._search import search_prefixes
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

    f = point.outputs(split)
    neurons = point.order_by(order)
    fast = isinstance(point.network, OneHiddenLayer) and f.ndim == 1

    def make() -> dict[Test, jax.Array]:
        x, y = point.split(split)
        if not fast:
            found = search_prefixes(point.neurons, neurons, x, f, y, _TESTS[split])
            return dict(zip(_TESTS[split], found, strict=True))
        right = f * y > 0 if "accuracy" in _TESTS[split] else jnp.ones(f.shape, bool)
        hidden = marks = None
        if not point.has_marks(split):
            hidden = point.hidden(split)
        elif order == "incoming_norm":
            marks = point.outputs_and_marks(split)[1]
        found = smallest_prefixes(
            point.layer, neurons, x, f, right, _TESTS[split], _N_HARD[split], hidden, marks
        )
        return dict(zip(_TESTS[split], found, strict=True))

    return point.cached(f"smallest prefixes {split} {order}", make)


class _Sparsity(Measure):
    order: Literal["incoming_norm", "path_norm"] = "incoming_norm"

    unit = "neurons"
    default_with_classes = False  # many forward passes
    split: ClassVar[str]
    test: ClassVar[Test]

    @property
    def name(self) -> str:
        """The kind; with the order by path norm, the kind and ``_by_path_norm``."""
        return self.kind if self.order == "incoming_norm" else f"{self.kind}_by_{self.order}"

    def __call__(self, point: Point) -> jax.Array:
        """The smallest m, int32."""
        return search(point, self.split, self.order)[self.test]


class EffectiveSparsity(_Sparsity):
    r"""The smallest m such that $f_m$ has the same prediction as $f$ on every training input.

    $\min\{m \in 1..p : \mathrm{sign} f_m(x_i) = \mathrm{sign} f(x_i)\ \forall i\}$, where $f_m$ keeps the m
    neurons of largest norm. The search is exact (agreement need not be monotone in m), and m = p always
    agrees. sign(0) is 0: an output $f_m(x_i) = 0$ agrees with no sign, and an input with $f(x_i) = 0$ is left
    out (if all are left out, the result is 1).

    Attributes:
        order: the norm by which neurons are ranked: ``incoming_norm`` $\lVert W_j \rVert$ (the paper's), or
            ``path_norm`` $|u_j| \lVert (W_j, b_j) \rVert$, which does not change when a neuron is rescaled.
            Neurons of equal norm are ranked by index.

    Source: Merrill, Tsilivis, Shukla 2023, Section 3.1 and Figure 2 right.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> network = OneHiddenLayer(jnp.array([[1.0, -3.0, 2.0]]), jnp.zeros(3), jnp.array([0.1, 1.0, 1.0]))
        >>> data = {"train_x": jnp.array([[1.0], [-1.0]]), "train_y": jnp.array([1.0, 1.0])}
        >>> int(EffectiveSparsity()(Point(network, data, Hinge())))  # -3 fires on one input, 2 on the other
        2
    """

    kind: Literal["effective_sparsity"] = "effective_sparsity"
    needs = (PREDICTIONS, HIDDEN_NEURONS, TRAIN_SPLIT)
    split = "train"
    test = "predictions"


class EffectiveSparsityAccuracy(_Sparsity):
    r"""The smallest m such that $f_m$ has as many correct predictions on the training inputs as $f$.

    This is the definition of the official code. It is at most `EffectiveSparsity`, because $f_m$ and $f$ may
    be correct on different inputs. Inputs with $f(x) = 0$ are left out; m = p always passes.

    Attributes:
        order: as for `EffectiveSparsity`.

    Source: the official code of Merrill, Tsilivis, Shukla 2023.
    """

    kind: Literal["effective_sparsity_accuracy"] = "effective_sparsity_accuracy"
    needs = (PREDICTIONS, HIDDEN_NEURONS, TRAIN_SPLIT)
    split = "train"
    test = "accuracy"


class EffectiveSparsityProbe(_Sparsity):
    """`EffectiveSparsity` on the probe (10,000 held-out inputs by default) instead of the training inputs.

    It is usually much larger than `EffectiveSparsity`, because $f_m$ has to agree on many more inputs.

    Attributes:
        order: as for `EffectiveSparsity`.
    """

    kind: Literal["effective_sparsity_probe"] = "effective_sparsity_probe"
    pace = "slow"
    needs = (PREDICTIONS, HIDDEN_NEURONS, PROBE_SPLIT)
    split = "probe"
    test = "predictions"


class EffectiveSparsity99(_Sparsity):
    """The smallest m such that f_m has the same prediction as f on at least 99 % of the probe.

    Inputs with f(x) = 0 are left out; m = p always passes.

    Attributes:
        order: as for `EffectiveSparsity`.
    """

    kind: Literal["effective_sparsity_99"] = "effective_sparsity_99"
    pace = "slow"
    needs = (PREDICTIONS, HIDDEN_NEURONS, PROBE_SPLIT)
    split = "probe"
    test = "predictions_99"
