"""Images of handwritten digits: the data set that scikit-learn ships."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.errors import InputError
from grokscope.tasks._task import Task

if TYPE_CHECKING:
    from typing import Self

    import jax
    import numpy as np

__all__ = ["Digits"]

_ROWS, _PIXELS, _LEVELS, _CLASSES = 1797, 64, 16, 10
# of the pixels and the classes as bytes
_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


class Digits(Task):
    r"""Images of 8 x 8 pixels of the ten handwritten digits, as 64 numbers from 0 to 1; classes 0 to 9.

    The 1,797 images are those of ``sklearn.datasets.load_digits``: nothing is downloaded. They need
    scikit-learn, which ``pip install grokscope[digits]`` installs; a spec can be read without it.

    Attributes:
        n_train: number of training images.
        n_test: number of test images, all others by default; at most 1,797 together with ``n_train``.
        split: ``seed`` (drawn from each member's data stream; for one data seed the test images are the same
            whatever ``n_train`` is) or ``fixed`` (training images are the first of the file, test images the
            last).

    Raises:
        InputError: if there are not as many images; when the data are needed, if scikit-learn is not
            installed or ships other images.

    Source: E. Alpaydin, C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning
        Repository (its test set).

    Example:
        >>> task = Digits(n_train=500)
        >>> task.n_train, task.n_test, task.n_outputs, task.input_shape
        (500, 797, 10, (64,))
    """

    kind: Literal["digits"] = "digits"

    n_train: int = Field(default=1000, ge=1, le=_ROWS)
    n_test: int = Field(default=797, ge=0, le=_ROWS)
    split: Literal["seed", "fixed"] = "seed"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.n_train + self.n_test > _ROWS:
            raise ValueError(f"n_train + n_test must be at most {_ROWS} (got {self.n_train + self.n_test})")
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(64,)``, the pixels row by row."""
        return (_PIXELS,)

    @property
    def n_outputs(self) -> int:
        """Ten classes."""
        return _CLASSES

    @property
    def has_fixed_test(self) -> bool:
        """True only with ``split = "fixed"``."""
        return self.split == "fixed"

    def shared_data(self) -> dict[str, jax.Array]:
        """All arrays, with ``split = "fixed"``; else none."""
        import numpy as np

        return self._rows(np.arange(_ROWS)) if self.split == "fixed" else {}

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """Both splits, with ``split = "seed"``; else nothing."""
        import jax

        del noise_key
        return {} if self.split == "fixed" else self._rows(jax.random.permutation(data_key, _ROWS))

    def _rows(self, order: Any) -> dict[str, jax.Array]:
        """The first rows of an order of all images for training, the last ones for testing."""
        import jax.numpy as jnp

        pixels, classes = _images()
        x, y = jnp.asarray(pixels), jnp.asarray(classes, jnp.int32)
        found: dict[str, jax.Array] = {}
        for split, rows in (("train", order[: self.n_train]), ("test", order[_ROWS - self.n_test :])):
            # sixteenths are exact in float32 and float64
            found[f"{split}_x"] = x[rows].astype(jnp.result_type(float)) / _LEVELS
            found[f"{split}_y"] = y[rows]
        return found


@functools.cache
def _images() -> tuple[np.ndarray, np.ndarray]:
    """Pixels [image, pixel], whole numbers from 0 to 16, and classes [image]."""
    import numpy as np

    try:
        from sklearn.datasets import load_digits  # pyright: ignore
    except ModuleNotFoundError:
        raise InputError(
            "task 'digits': needs scikit-learn, which is not installed: pip install grokscope[digits]"
        ) from None
    pixels, classes = (np.asarray(one).astype(np.uint8) for one in load_digits(return_X_y=True))
    if hashlib.sha256(pixels.tobytes() + classes.tobytes()).hexdigest() != _SHA256:
        raise InputError(
            "task 'digits': scikit-learn's images are other ones than those of its version 1.9; "
            "install that version."
        )
    return pixels, classes
