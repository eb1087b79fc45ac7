"""The base of tasks on pairs of elements: tokens, the split of a finite table, mirror pairs, noisy labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from grokscope.tasks._task import Task

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["GROUP_LABELS", "OperatorTable", "Pairs"]

#: Groups of training samples, by their code: the label is the task's, or was drawn.
GROUP_LABELS = ("clean", "corrupted")
# The key of ``split = "fixed"``: one draw, the same for every member and every run.
_SPLIT_KEY = 1_000_003
# Folded into the key of the data or the noise stream for labels that are drawn.
_LABELS = 0x6C6162


class OperatorTable(NamedTuple):
    """All equations of a task.

    Attributes:
        rows: (a, b, c), sorted by a, then b; int64 [equation, 3].
        mirror: for every row (a, b) the row of (b, a), or -1 if the table has none; int [equation].
    """

    rows: np.ndarray
    mirror: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> OperatorTable:
        """Make the table of some equations.

        Example:
            >>> OperatorTable.of(np.array([[0, 1, 0], [1, 0, 1], [0, 2, 1]])).mirror.tolist()
            [1, 0, -1]
        """
        n = 1 + int(rows[:, :2].max())
        row = np.full((n, n), -1)
        row[rows[:, 0], rows[:, 1]] = np.arange(len(rows))
        return cls(rows, row[rows[:, 1], rows[:, 0]])


class Pairs(Task):
    r"""All equations $a \circ b = c$ over a finite set, split into training and test equations.

    The base of operators on residues and on permutations; a subclass defines `table` and `elements`. An
    input is the sequence of tokens ``a [operator] b [=]``, each one-hot: [position, token]. The label is the
    class c.

    Attributes:
        train_fraction: share of the equations in the training split; all others are in the test split, which
            is empty if the share is 1.
        operator_token: whether the input has a token for the operator between a and b.
        equals_token: whether the input has a token for the equals sign after b.
        split: ``seed`` (drawn from each member's data stream) or ``fixed`` (the same split for all members).
        pairs: ``ordered``: (a, b) and (b, a) are split independently. ``unordered``: both go into the same
            split, so that commutativity does not help on the test split; the training fraction is the same
            for pairs of equations and for equations without a mirror (such as a = b).
        labels: training labels: ``true``, ``random`` (all are drawn uniformly from all elements, from the
            data stream: a null model), or ``noisy``. Test labels are always true.
        noise: with ``labels = "noisy"``, the share of the training labels that are drawn anew, uniformly from
            all elements, so that a drawn label is the true one with probability 1 / ``elements``. Their
            number is this share of the training set, rounded; which they are, and their labels, is drawn from
            the noise stream.
        n_train: number of training equations; set from ``train_fraction``, do not give it.
        n_test: number of test equations; set from ``train_fraction``, do not give it.
    """

    traced = ("noise",)
    younger = ("labels", "noise")

    train_fraction: float = Field(default=0.5, gt=0.0, le=1.0)
    operator_token: bool = True
    equals_token: bool = True
    split: Literal["seed", "fixed"] = "seed"
    pairs: Literal["ordered", "unordered"] = "ordered"
    labels: Literal["true", "random", "noisy"] = "true"
    noise: float = Field(default=0.0, ge=0.0, le=1.0)
    # follow from the table; not written to specs
    n_train: int = Field(default=0, exclude=True, repr=False)
    n_test: int = Field(default=0, exclude=True, repr=False)

    @property
    def elements(self) -> int:
        """The number of elements, which are numbered from 0."""
        raise NotImplementedError

    @property
    def table(self) -> OperatorTable:
        """The equations."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _count(self) -> Self:
        found = {"n_train": self._n_twins * 2 + self._n_singles}
        count = len(self.table.rows)
        found["n_test"] = count - found["n_train"]
        for name, value in found.items():
            given = getattr(self, name)
            if given and given != value:
                raise ValueError(f"{name} follows from train_fraction: {value} (got {given}); leave it out")
            if value < 1 and not (name == "n_test" and self.train_fraction == 1.0):
                split = {"n_train": "training", "n_test": "test"}[name]
                raise ValueError(
                    f"train_fraction = {self.train_fraction:g} leaves the {split} split empty: "
                    f"there are {count} equations"
                )
            object.__setattr__(self, name, value)  # frozen, but still being made here
        return self

    @model_validator(mode="after")
    def _check_noise(self) -> Self:
        if self.noise and self.labels != "noisy":
            raise ValueError("noise needs labels = 'noisy'")
        return self

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """``group``: groups of training samples, ``clean`` and ``corrupted``."""
        return {"group": GROUP_LABELS}

    @property
    def vocabulary(self) -> int:
        """Number of tokens: the elements, then the operator and the equals sign, if they are used."""
        return self.elements + self.operator_token + self.equals_token

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Positions and tokens."""
        return (2 + self.operator_token + self.equals_token, self.vocabulary)

    @property
    def n_outputs(self) -> int:
        """One output per element."""
        return self.elements

    @property
    def has_fixed_test(self) -> bool:
        """True only with ``split = "fixed"``."""
        return self.split == "fixed"

    def shared_data(self) -> dict[str, jax.Array]:
        """All arrays, with ``split = "fixed"``, but for training labels that are drawn; else none."""
        import jax

        data = self._data(jax.random.key(_SPLIT_KEY)) if self.split == "fixed" else {}
        if self.labels != "true":
            data.pop("train_y", None)
        return data

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """The split of one data seed, and the labels that are drawn.

        Besides inputs and labels: ``<split>_operands`` [sample, 2], and ``test_mirrored`` [sample]: 1 where
        the mirror (b, a) of a held-out (a, b) is a training equation, else 0. With random or noisy labels
        ``train_group`` [sample]: 1 where the label was drawn, else 0.
        """
        import jax

        data = self._data(data_key) if self.split == "seed" else {}
        if self.labels == "true":
            return data
        true = data["train_y"] if data else self._data(jax.random.key(_SPLIT_KEY))["train_y"]
        return {**data, **self._relabeled(true, data_key if self.labels == "random" else noise_key)}

    def point_facts(self, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The facts, and of each training sample: ``true_labels``, ``wrong_labels``, ``train_group``.

        A label is wrong if it is not the true one. Where the data have no groups, samples with a wrong label
        are group 1.
        """
        import jax.numpy as jnp

        facts = super().point_facts(data)
        if "train_x" not in data:
            return facts
        answers = np.zeros((self.elements, self.elements), np.int32)
        answers[tuple(self.table.rows[:, :2].T)] = self.table.rows[:, 2]
        tokens = jnp.argmax(data["train_x"], axis=-1)
        true = jnp.asarray(answers)[tokens[:, 0], tokens[:, 1 + self.operator_token]]
        wrong = data["train_y"] != true
        facts |= {"true_labels": true, "wrong_labels": wrong}
        facts["train_group"] = data.get("train_group", wrong.astype(jnp.int32))
        return facts

    def facts(self) -> dict[str, Any]:
        """Sizes, and how much commutativity helps on the test split.

        ``elements``, ``equations``, ``vocabulary``; ``commutative``; ``symmetric_share``: of the pairs a != b
        whose mirror is in the table, the share with the same answer; ``expected_mirror_share``: the expected
        share of test equations whose mirror is in the training split.
        """
        table, mirror = self.table
        paired = (mirror >= 0) & (table[:, 0] != table[:, 1])
        same = table[paired, 2] == table[mirror[paired], 2]
        chance = 0.0
        if self.pairs == "ordered":
            chance = float(paired.mean()) * self.n_train / (len(table) - 1)
        return {
            "elements": self.elements,
            "equations": len(table),
            "vocabulary": self.vocabulary,
            "commutative": bool(same.all()) and bool(paired.any()),
            "symmetric_share": float(same.mean()) if len(same) else 0.0,
            "expected_mirror_share": chance,
        }

    @property
    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows that go into the same split: mirror pairs [pair, 2], and single rows [row]."""
        mirror = self.table.mirror
        rows = np.arange(len(mirror))
        if self.pairs == "ordered":
            return np.zeros((0, 2), np.int64), rows
        first = rows[mirror > rows]
        return np.stack([first, mirror[first]], axis=1), rows[(mirror < 0) | (mirror == rows)]

    @property
    def _n_twins(self) -> int:
        return round(self.train_fraction * len(self._parts[0]))

    @property
    def _n_singles(self) -> int:
        return round(self.train_fraction * len(self._parts[1]))

    def _data(self, key: jax.Array) -> dict[str, jax.Array]:
        import jax
        import jax.numpy as jnp

        twins, singles = (jnp.asarray(part, jnp.int32) for part in self._parts)
        twin_key, single_key = jax.random.split(key)
        twins = jax.random.permutation(twin_key, twins)
        singles = jax.random.permutation(single_key, singles)
        rows = {
            "train": [twins[: self._n_twins].ravel(), singles[: self._n_singles]],
            "test": [twins[self._n_twins :].ravel(), singles[self._n_singles :]],
        }
        table = jnp.asarray(self.table.rows, jnp.int32)
        data: dict[str, jax.Array] = {}
        for split, parts in rows.items():
            own = table[jnp.concatenate(parts)]
            data[f"{split}_x"] = self._one_hot(own[:, 0], own[:, 1])
            data[f"{split}_y"] = own[:, 2]
            data[f"{split}_operands"] = own[:, :2]
        learned = jnp.zeros((self.elements, self.elements), jnp.int32)
        a, b = data["train_operands"].T
        learned = learned.at[a, b].set(1)
        a, b = data["test_operands"].T
        data["test_mirrored"] = learned[b, a]
        return data

    def _relabeled(self, true: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        """The training labels, and whether each was drawn."""
        import jax
        import jax.numpy as jnp

        n = len(true)
        which, label = jax.random.split(jax.random.fold_in(key, _LABELS))
        drawn = jnp.ones(n, bool)
        if self.labels == "noisy":
            # in float32 in both precisions, so that they learn from the same data
            count = jnp.round(jnp.asarray(self.noise, jnp.float32) * n)
            drawn = jax.random.permutation(which, jnp.arange(n, dtype=jnp.int32)) < count
        others = jax.random.randint(label, (n,), 0, self.elements, jnp.int32)
        return {"train_y": jnp.where(drawn, others, true), "train_group": drawn.astype(jnp.int32)}

    def _one_hot(self, a: jax.Array, b: jax.Array) -> jax.Array:
        import jax
        import jax.numpy as jnp

        tokens = [a, b]
        if self.operator_token:
            tokens.insert(1, jnp.full_like(a, self.elements))
        if self.equals_token:
            tokens.append(jnp.full_like(a, self.elements + self.operator_token))
        return jax.nn.one_hot(jnp.stack(tokens, axis=1), self.vocabulary, dtype=jnp.result_type(float))
