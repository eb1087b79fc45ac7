"""The Boolean function that a run's labels compute, and whether circuits can be read from its networks."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.circuits.support import MOST_BITS, settings_of
from grokscope.errors import InputError
from grokscope.spec.schedule import Schedule

if TYPE_CHECKING:
    from grokscope.runs import Run
    from grokscope.spec.streams import Seeds

__all__ = [
    "check_readable",
    "hidden_bits",
    "readable_points",
    "readable_positions",
    "target_of",
    "training_inputs",
]


def check_readable(run: Run) -> None:
    """Check that circuits can be read from a run's networks.

    Raises:
        InputError: with the reason, and what to do.
    """
    task, model = run.experiment.task, run.experiment.model
    if not model.has_one_hidden_layer:
        raise InputError(
            f"{run.path}: circuits are read from networks with one hidden layer, not from this "
            f"'{model.kind}'."
        )
    if task.n_outputs != 1 and task.label_kind == "real":
        raise InputError(
            f"{run.path}: circuits are read from networks with one output; task '{task.kind}' has "
            f"{task.n_outputs}."
        )
    if task.n_outputs != 1:
        raise InputError(
            f"{run.path}: circuits are read from networks with one output; task '{task.kind}' has "
            f"{task.n_outputs} classes. With two classes, label them +-1 and train again."
        )
    if not task.has_binary_inputs:
        raise InputError(
            f"{run.path}: circuits are read over inputs +-1, and those of task '{task.kind}' are not all so. "
            "Write them in bits (+-1 for each) and train again; norms and effective sparsity need no bits."
        )
    if (activation := getattr(model, "activation", "relu")) != "relu":
        raise InputError(
            f"{run.path}: circuits are read from relu networks: a neuron of '{activation}' is never silent, "
            "so it is no gate."
        )


def readable_positions(run: Run, seeds: Iterable[int | Seeds] | None, caller: str) -> list[int]:
    """Positions of the members with given seeds (None: all), in a run whose networks can be read as circuits.

    Raises:
        InputError: if circuits cannot be read, a seed does not exist, or no seeds are given to the caller.
    """
    check_readable(run)
    positions = list(range(len(run.members))) if seeds is None else [run.position(seed) for seed in seeds]
    if not positions:
        raise InputError(f"{caller}: no seeds are given.")
    return positions


def readable_points(run: Run, positions: Sequence[int], steps: Any) -> np.ndarray:
    """The steps of a schedule that all these members have reached, from where the last of them starts."""
    last = int(min(run.steps_done[p] for p in positions))
    points = Schedule.parse(steps).points(run.experiment.steps_per_epoch, last)
    return points[points >= max(run.origins.steps[p] for p in positions)]


def target_of(run: Run, position: int) -> tuple[tuple[int, ...], np.ndarray]:
    """The bits that determine the true labels of a run's member, and the label at each of their settings.

    Args:
        run: of a task whose labels are a Boolean function of few bits.
        position: the member's.

    Returns:
        The bits; and the labels +-1, [setting], in the order of `settings_of`.

    Raises:
        InputError: if the task does not tell the function, its labels are not +-1, or it has too many bits.

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

    task = _sampled_task(run)
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


def hidden_bits(run: Run, position: int) -> tuple[int, ...] | None:
    """The bits whose parity is the label of a run's member; None if the task does not give them.

    Raises:
        InputError: if the task is known not to be a parity.
    """
    from grokscope.tasks.boolean_function import BooleanFunction
    from grokscope.tasks.sparse_parity import SparseParity

    task = _sampled_task(run)
    if isinstance(task, SparseParity):
        bits = _member_data(run, position).get("support") if task.is_drawn else task.facts()["support"]
        return None if bits is None else tuple(int(bit) for bit in bits)
    if isinstance(task, BooleanFunction):
        spectrum = task.facts()["spectrum"]
        if spectrum is None:
            return None
        if len(spectrum) != 1 or spectrum[0]["coefficient"] <= 0 or not spectrum[0]["bits"]:
            raise InputError(
                f"{run.path}: a proof decides whether a network is a parity, and this task's labels are not "
                "one."
            )
        return tuple(spectrum[0]["bits"])
    return None


def training_inputs(run: Run, position: int) -> np.ndarray:
    """The training inputs of a member, [sample, bit], drawn again from its streams."""
    return np.asarray(_member_data(run, position)["train_x"])


def _sampled_task(run: Run) -> Any:
    """The task of a run; of `Samples`, the task that the samples are drawn from."""
    from grokscope.tasks.samples import Samples

    task = run.experiment.task
    return task.of if isinstance(task, Samples) else task


def _member_data(run: Run, position: int) -> dict[str, Any]:
    """The training inputs of a member and, if drawn, its support."""
    from grokscope.training.cache import use_compile_cache
    from grokscope.training.devices import in_precision, prepare_devices

    prepare_devices()
    use_compile_cache()
    task: Any = run.experiment.task
    precision = run.experiment.precision
    with in_precision(precision):
        return _draw_data(task, precision)(np.array(run.members.seeds[position], np.int32))


@functools.lru_cache(maxsize=8)
def _draw_data(task: Any, precision: str) -> Any:
    """The compiled function from a member's seeds to its training inputs and drawn support."""
    import jax

    from grokscope.training.loop import as_precision, member_keys

    @jax.jit
    def draw(seeds: jax.Array) -> dict[str, jax.Array]:
        _, data_key, _, noise = member_keys(seeds)
        own = task.member_data(data_key, noise)
        found = own if "train_x" in own else task.shared_data()
        kept = {"train_x": found["train_x"], **{name: own[name] for name in ("support",) if name in own}}
        return as_precision(kept, precision)

    return draw
