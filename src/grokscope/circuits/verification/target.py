"""The function that a run's task wants, as bits and a truth table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grokscope.circuits.reading import hidden_bits
from grokscope.circuits.support import MOST_BITS, settings_of
from grokscope.errors import InputError

if TYPE_CHECKING:
    from grokscope.runs import Run

__all__ = ["target_of"]


def target_of(run: Run, position: int) -> tuple[tuple[int, ...], np.ndarray]:
    """The bits that the true labels of a run's member are a function of, and the label at each setting.

    Args:
        run: of a task whose labels are a Boolean function of few bits.
        position: the member's.

    Returns:
        The bits, and values +-1 in the order of `settings_of`.

    Raises:
        InputError: if the task does not tell its function, or that has too many bits or is not +-1.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> task = {"kind": "boolean_function", "n": 6, "preset": "majority", "k": 3, "n_train": 32}
        >>> experiment = gs.Experiment(task=task, model={"kind": "fully_connected", "width": 8}, epochs=1)
        >>> run = gs.train(experiment, out=tempfile.mkdtemp() + "/run")
        >>> bits, table = target_of(run, 0)
        >>> bits, table.tolist()
        ((0, 1, 2), [1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0, -1.0])
    """
    from grokscope.tasks.boolean_function import BooleanFunction
    from grokscope.tasks.samples import Samples

    task = run.experiment.task
    if isinstance(task, Samples):
        task = task.of
    if not isinstance(task, BooleanFunction):
        bits = hidden_bits(run, position)
        if bits is None:
            raise InputError(
                f"{run.path}: task '{task.kind}' does not tell the function that its labels are, so there is "
                "nothing to prove."
            )
        return bits, settings_of(len(bits)).prod(axis=1)
    if task.output != "sign":
        raise InputError(f"{run.path}: the labels are real numbers; a sign is proved of labels +-1 only.")
    if len(task.support) > MOST_BITS:
        raise InputError(
            f"{run.path}: the labels are a function of {len(task.support)} bits; proofs go up to {MOST_BITS}."
        )
    settings = settings_of(len(task.support))
    x = np.ones((len(settings), task.n), np.float32)
    x[:, list(task.support)] = settings
    import jax.numpy as jnp

    return task.support, np.asarray(task.value(jnp.asarray(x), None), np.float64)
