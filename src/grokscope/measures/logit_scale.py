"""The scale of the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import CLASSES, TEST_SPLIT, TRAIN_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point
    from grokscope.measures.needs import Need

__all__ = ["LogitScale"]


class LogitScale(Measure):
    r"""Root mean square of the centered logits, $\sqrt{\frac1{NK} \sum_{i,k} (f_k(x_i) - \bar f(x_i))^2}$.

    $\bar f(x)$ is the mean of the K logits of an input, which changes no probability. A temperature T in the
    loss divides the logits that it sees, and so their scale, by T; the measure is of the network's own
    logits.

    Attributes:
        split: ``train`` or ``test``, whose N samples are taken. With ``test`` the name of the stored result
            is ``logit_scale_test``.

    Source: Truong et al. 2026 (arXiv 2606.18465), in words; the mean over classes and samples is ours.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import CrossEntropy
        >>> from grokscope.measures import Point
        >>> data = {"train_x": jnp.array([[1.0, 3.0], [9.0, 9.0]]), "train_y": jnp.array([1, 0])}
        >>> round(float(LogitScale()(Point(lambda x: x, data, CrossEntropy()))), 4)  # 1, 1, 0 and 0
        0.7071
    """

    kind: Literal["logit_scale"] = "logit_scale"
    default = False
    needs = (CLASSES,)

    split: Literal["train", "test"] = "train"

    @property
    def name(self) -> str:
        """The kind; of test samples, followed by ``_test``."""
        return self.kind if self.split == "train" else f"{self.kind}_{self.split}"

    @property
    def needs_of_options(self) -> tuple[Need, ...]:
        """The split that is measured."""
        return (TRAIN_SPLIT if self.split == "train" else TEST_SPLIT,)

    def __call__(self, point: Point) -> jax.Array:
        """The root mean square over samples and classes."""
        import jax.numpy as jnp

        f = point.outputs(self.split)
        return jnp.sqrt(jnp.mean(jnp.square(f - jnp.mean(f, axis=-1, keepdims=True))))
