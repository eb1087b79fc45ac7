"""The neural tangent kernel of a network: its alignment with the labels, and how far it has turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from grokscope.measures._matrices import matrix_cosine
from grokscope.measures._measure import Measure
from grokscope.measures.needs import INITIAL_NETWORK, PARAMETERS, TEST_SPLIT, TRAIN_SPLIT

if TYPE_CHECKING:
    from typing import Any

    import jax

    from grokscope.measures._point import Point
    from grokscope.measures.needs import Need

__all__ = ["KernelAlignment", "KernelDistance"]


class _OfKernel(Measure):
    """The base of measures of the tangent kernel on the first inputs of a split."""

    kind: str
    pace = "slow"
    default = False
    needs = (PARAMETERS,)

    split: Literal["test", "train"] = "test"
    inputs: int = Field(default=256, ge=2, le=256)

    @property
    def name(self) -> str:
        """The kind, with the options that are not the first ones."""
        some = "" if self.inputs == 256 else f"_{self.inputs}"
        return self.kind + ("" if self.split == "test" else "_train") + some

    @property
    def needs_of_options(self) -> tuple[Need, ...]:
        """The split that is measured."""
        return (TRAIN_SPLIT if self.split == "train" else TEST_SPLIT,)

    def kernel(self, point: Point, network: Any = None) -> jax.Array:
        """The kernel of the point's network, which measures share, or of another one."""
        from grokscope.models.networks.tangent_kernel import tangent_kernel

        x = point.split(self.split).x[: self.inputs]
        if network is not None:
            return tangent_kernel(network, x)
        key = f"tangent kernel {self.split} {self.inputs}"
        return point.cached(key, lambda: tangent_kernel(point.network, x))


class KernelAlignment(_OfKernel):
    r"""Alignment of the tangent kernel K with the labels Y: the cosine of K and $Y Y^T$, 0 to 1.

    $\cos(A, B) = \langle A, B \rangle / (\lVert A \rVert_F \lVert B \rVert_F)$; with one output
    $y^T K y / (\lVert K \rVert_F \lVert y \rVert^2)$. Nothing is centered. Y are the labels
    [sample, output], of classes one-hot; K is `grokscope.models.networks.tangent_kernel.tangent_kernel`,
    summed over outputs. NaN if the kernel or all labels are 0.

    Attributes:
        split: ``test`` or ``train``.
        inputs: the first so many inputs of the split, at most 256 (all of it if it has fewer). Options other
            than the first ones are added to the name of the stored result: ``kernel_alignment_train_64``.

    Source: Kumar et al. 2023 (arXiv 2310.06110), Section 5 ("CKA"), there on test inputs at the start.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.linear_network import LinearNetwork
        >>> x = jnp.array([[3.0, 0.0], [0.0, 4.0]])
        >>> point = Point(LinearNetwork((jnp.zeros(2),)), {"test_x": x, "test_y": jnp.ones(2)}, Squared())
        >>> round(float(KernelAlignment()(point)), 4)  # K = diag(9, 16): 25 / (sqrt(337) 2)
        0.6809
    """

    kind: Literal["kernel_alignment"] = "kernel_alignment"

    def __call__(self, point: Point) -> jax.Array:
        """The cosine of K and Y Y^T."""
        import jax
        import jax.numpy as jnp

        kernel = self.kernel(point)
        y = point.split(self.split).y[: self.inputs]
        if jnp.issubdtype(y.dtype, jnp.integer):
            n_outputs = jax.eval_shape(point.network, point.split(self.split).x[:1]).shape[-1]
            y = jax.nn.one_hot(y, n_outputs, dtype=kernel.dtype)
        labels = y.reshape(len(y), -1)
        return matrix_cosine(kernel, labels @ labels.T)


class KernelDistance(_OfKernel):
    r"""How far the tangent kernel has turned from that at the start: $1 - \cos(K_t, K_0)$, 0 to 1.

    $\cos(A, B) = \langle A, B \rangle / (\lVert A \rVert_F \lVert B \rVert_F)$. It is 0 as long as the
    network learns as a kernel machine (lazy training). NaN if a kernel is 0.

    Attributes:
        split: as of `KernelAlignment`.
        inputs: as of `KernelAlignment`.

    Source: Fort et al. 2020 (arXiv 2010.15110), Section 3; Kumar et al. 2023 (arXiv 2310.06110), Section 5.
    """

    kind: Literal["kernel_distance"] = "kernel_distance"

    needs = (PARAMETERS, INITIAL_NETWORK)

    def __call__(self, point: Point) -> jax.Array:
        """One less the cosine."""
        return 1 - matrix_cosine(self.kernel(point), self.kernel(point, point.initial))
