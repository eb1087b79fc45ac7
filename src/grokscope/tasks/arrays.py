"""A user's arrays as a task, from a safetensors or npz file or from memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from grokscope.errors import InputError
from grokscope.spec.parts import find_file
from grokscope.tasks._task import Task
from grokscope.tasks.array_files import CheckedArrays, check, read, remembered, save

if TYPE_CHECKING:
    from typing import Self

    import jax
    import numpy as np

__all__ = ["Arrays"]


class Arrays(Task):
    r"""User-supplied arrays: ``train_x``, ``train_y``, ``test_x``, ``test_y``.

    The test arrays may be left out: measures of the test split do not apply then. Further optional arrays:
    ``probe_x`` and ``probe_y``, a larger held-out set. Inputs are numbers [sample, ...]. Labels are of one of
    three kinds: $\pm 1$ [sample] (one output); classes 0..classes-1 [sample] in an integer type (one output
    per class); real numbers in a floating type, [sample] (one output) or [sample, output] (two outputs or
    more, whatever the numbers are), for the squared loss. If a spec
    gives ``n_train``, ``n_test``, ``n_probe`` or ``sha256``, they must agree with the arrays.

    Attributes:
        path: a ``.safetensors`` or ``.npz`` file, relative to the working folder or to the spec's folder.
        sha256: hash of the arrays' names, types, shapes and bytes. It is part of the identity; the path is
            not.
        train_subset: number of training rows drawn for each data seed, without replacement; all if not given.
        n_train: number of training samples; set from the arrays or ``train_subset``.
        n_test: number of test samples; set from the arrays.
        n_probe: number of probe samples; set from the arrays.

    Raises:
        InputError: if the file cannot be read, an array is missing or has a wrong shape, type or value, or
            the arrays have another hash than ``sha256``.

    Example:
        >>> import numpy as np
        >>> x, y = np.eye(4), np.array([1, -1, 1, -1])
        >>> task = Arrays.from_numpy(train_x=x, train_y=y, test_x=x[:2], test_y=y[:2])
        >>> task.n_train, task.input_shape, task.n_outputs
        (4, (4,), 1)
    """

    kind: Literal["arrays"] = "arrays"
    not_identifying = ("path",)

    path: str = ""
    sha256: str = ""
    train_subset: int | None = Field(default=None, ge=1)
    n_train: int = Field(default=0, ge=0)
    n_test: int = Field(default=0, ge=0)
    n_probe: int = Field(default=0, ge=0)
    # the absolute path, for another process that is given this task
    _file: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.path:
            file = find_file(self.path)
            self._file = str(file.absolute())
            # a run's spec names a file beside itself; if it is not found, its arrays may be in memory
            known = remembered.get(self.sha256) if not file.exists() else None
            samples = known or read(Path(self._file), self.path)
        else:
            samples = self._samples
        if self.sha256 and self.sha256 != samples.sha256:
            raise InputError(
                f"task.sha256: the arrays in '{self.path}' are not those of the spec "
                f"(theirs begins {samples.sha256[:8]}, the spec's {self.sha256[:8]})."
            )
        rows = samples.count("train")
        if self.train_subset is not None and self.train_subset > rows:
            raise InputError(
                f"task.train_subset: at most the {rows} rows of train_x (got {self.train_subset})."
            )
        for name, value in self._found(samples).items():
            given = getattr(self, name)
            if given and given != value:
                raise InputError(f"task.{name}: found from the arrays: {value} (got {given}); leave it out.")
            object.__setattr__(self, name, value)  # frozen, but still being made here
        return self

    def _found(self, samples: CheckedArrays) -> dict[str, Any]:
        """The fields that follow from the arrays."""
        return {
            "sha256": samples.sha256,
            "n_train": self.train_subset or samples.count("train"),
            "n_test": samples.count("test"),
            "n_probe": samples.count("probe"),
        }

    @classmethod
    def from_numpy(cls, *, train_subset: int | None = None, **arrays: np.ndarray) -> Arrays:
        """A task of arrays in memory. A spec file needs them in a file: see `save`.

        Args:
            train_subset: as in the class.
            arrays: ``train_x``, ``train_y``, and if wanted ``test_x``, ``test_y``, ``probe_x``, ``probe_y``.

        Raises:
            InputError: as the class does.
        """
        samples = check(arrays, "from_numpy")
        remembered[samples.sha256] = samples
        return cls(sha256=samples.sha256, train_subset=train_subset)

    def save(self, path: str | Path) -> Arrays:
        """Write the arrays to a ``.safetensors`` or ``.npz`` file; returns the task with that path.

        Raises:
            InputError: if the name ends in neither, or the file exists with other arrays.
        """
        save(self._samples, Path(path))
        return self._at(str(path))

    def _at(self, path: str) -> Arrays:
        """The same task with another path."""
        return Arrays(path=path, sha256=self.sha256, train_subset=self.train_subset)

    def written(self, folder: Path | None) -> Arrays:
        """The task with a path; with a folder the arrays are saved there, under a name from their hash.

        A run keeps its training data this way, also if the file that the spec names is moved or changed.
        """
        if folder is None and self.path:
            return self
        if folder is None:
            raise InputError(
                "task: these arrays exist only in memory, and a spec needs them in a file: "
                "use task.save('data.safetensors'), or to_toml(folder)."
            )
        name = f"arrays-{self.sha256[:16]}.safetensors"
        save(self._samples, folder / name)
        # the name alone: the file lies beside the spec
        return self.model_copy(update={"path": name})

    @property
    def _samples(self) -> CheckedArrays:
        if self.sha256 in remembered:
            return remembered[self.sha256]
        if self.path:
            return read(Path(self._file), self.path)
        if not self.sha256:
            raise InputError("task.path: this key must be given: a .safetensors or .npz file.")
        raise InputError(
            f"task.path: the arrays (sha256 {self.sha256[:8]}...) were in the memory of another process; "
            "save them there with task.save('data.safetensors') and give that path."
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one row of ``train_x``."""
        return self._samples.arrays["train_x"].shape[1:]

    @property
    def n_outputs(self) -> int:
        """1, the number of classes, or the length of real vectors."""
        return self._samples.n_outputs

    @property
    def label_kind(self) -> Literal["sign", "real", "class"]:
        """The kind of the labels."""
        return self._samples.label_kind

    @property
    def has_binary_inputs(self) -> bool:
        """Whether every number in every split is +-1."""
        return self._samples.has_binary_inputs

    def shared_data(self) -> dict[str, jax.Array]:
        """All arrays; with ``train_subset`` all but the training set."""
        found = {
            name: self._array(name)
            for name in self._samples.arrays
            if self.train_subset is None or not name.startswith("train_")
        }
        if not self.n_test:
            found |= {f"test_{part}": self._array(f"train_{part}")[:0] for part in "xy"}
        return found

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """With ``train_subset``, the rows drawn for this data seed; else nothing."""
        import jax

        del noise_key
        if self.train_subset is None:
            return {}
        rows = jax.random.permutation(data_key, self._samples.count("train"))[: self.train_subset]
        return {name: self._array(name)[rows] for name in ("train_x", "train_y")}

    def facts(self) -> dict[str, Any]:
        """``sha256`` of the arrays, and ``rows`` of the whole training set."""
        return {"sha256": self.sha256, "rows": self._samples.count("train")}

    def _array(self, name: str) -> jax.Array:
        import jax.numpy as jnp

        is_class = name.endswith("_y") and self.label_kind == "class"
        return jnp.asarray(self._samples.arrays[name], jnp.int32 if is_class else jnp.result_type(float))
