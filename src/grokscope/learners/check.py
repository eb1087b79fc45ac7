"""The conformance check for learners: call `check_learner` on a learner of your own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError
from grokscope.learners._learner import Batch, Learner, State
from grokscope.losses import Squared
from grokscope.models import Model
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.linear import LinearModel
from grokscope.models.none import NoModel
from grokscope.optimizers import SGD
from grokscope.spec.checking import (
    Checker,
    SmallSpec,
    as_arrays,
    from_arrays,
    is_one_line,
    same_bits,
    same_numbers,
)
from grokscope.tasks.gaussian_teacher import GaussianTeacher
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["check_learner"]

_check = Checker("check_learner")
_N_UPDATES = 4


def check_learner(learner: Learner, experiment: TrainingSpec | None = None) -> None:
    """Check that a learner keeps the contract of `Learner`, over some updates of a small experiment.

    `Learner.init` and `Learner.update` return states of arrays with fixed shapes and types, and the loss of
    the batch as one float; `Learner.predictor` returns a function of the inputs with outputs of the right
    shape. All
    are pure: the same bits again, the same numbers under ``vmap``, and a state that is stored and read again
    continues with the same bits. Samples with weight 0 (padding of the last batch) change nothing. A learner
    that does not train refuses with a line.

    Args:
        learner: the learner.
        experiment: the experiment to learn. By default a small sparse parity with the squared loss, a
            one-hidden-layer network and SGD; where `Learner.missing` refuses that, linear regression on
            Gaussian inputs.

    Raises:
        AssertionError: naming the violation, in one line.

    Example:
        >>> from grokscope.learners.gradient import Gradient
        >>> check_learner(Gradient())
    """
    _check.part(learner, Learner)
    if experiment is None:
        task = SparseParity(n=6, k=2, n_train=12, n_test=10, n_probe=14)
        model: Model = FullyConnected(width=8) if learner.uses_model else NoModel()
        experiment = SmallSpec(task, model, Squared(), SGD(), learner, n_steps=2 * _N_UPDATES)
        if learner.missing(experiment) is not None:
            experiment = replace(
                experiment, task=GaussianTeacher(d=6, n_train=12, n_test=10), model=LinearModel()
            )
    reason: Any = learner.missing(experiment)
    _check(reason is None, f"missing refuses the experiment: {reason}; pass one that it is for")
    if not learner.trains:
        _check_refusal(learner, experiment)
        return
    _check_updates(learner, experiment)


def _check_refusal(learner: Learner, experiment: TrainingSpec) -> None:
    import jax

    said = None
    try:
        with _check.calling("init"):
            learner.init(experiment, jax.random.key(0), {})
    except AssertionError as error:
        said = error.__cause__
    refused = isinstance(said, InputError) and is_one_line(str(said))
    _check(refused, "trains is False, so init must raise InputError with one line")


def _check_updates(learner: Learner, experiment: TrainingSpec) -> None:
    import jax
    import jax.numpy as jnp

    task = experiment.task
    key, other = jax.random.split(jax.random.key(2))
    shared = dict(task.shared_data())
    sets = [{**shared, **task.member_data(one, one)} for one in (key, other)]
    data = sets[0]

    def begun(key: jax.Array, data: dict[str, jax.Array]) -> State:
        return learner.init(experiment, key, data)

    with _check.calling("init"):
        shapes: Any = jax.eval_shape(begun, key, data)
    _check(isinstance(shapes, State), "init must return a State")
    with _check.calling("predictor"):
        predictor: Any = jax.eval_shape(learner.predictor, shapes)
    _check(callable(predictor), "predictor must return a function of the inputs")
    with _check.calling("calling what predictor returns"):
        f: Any = jax.eval_shape(lambda predictor, x: predictor(x), predictor, data["test_x"])
    wanted = data["test_x"].shape[:1] + ((task.n_outputs,) if task.n_outputs > 1 else ())
    shown = getattr(f, "shape", type(f).__name__)
    _check(shown == wanted, f"the outputs for {wanted[0]} inputs have shape {shown}, not {wanted}")
    batch = _batch(data)
    step = jnp.zeros((), jnp.int32)
    with _check.calling("update"):
        result: Any = jax.eval_shape(
            lambda state, batch: learner.update(experiment, state, batch, key, step), shapes, batch
        )
    pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], State)
    _check(pair, "update must return a State and the loss of the batch")
    _check.tree(result[0], shapes, "the state after update")
    loss = result[1]
    scalar = getattr(loss, "shape", None) == () and jnp.issubdtype(loss.dtype, jnp.floating)
    _check(scalar, "the loss that update returns is not a single float")

    # Everything in one program: compiling takes longest.
    @jax.jit
    def program(
        keys: jax.Array, data: list[dict[str, jax.Array]], batches: dict[str, Batch]
    ) -> dict[str, Any]:
        state = begun(keys[0], data[0])
        later = learner.update(experiment, state, batch, keys[0], step)[0]

        def updated(batch: Batch, losses: Any = None) -> tuple[State, jax.Array]:
            return learner.update(experiment, later, batch, keys[1], step + 1, losses)

        def replaced(predictor: Any, batch: Batch) -> jax.Array:
            return experiment.loss.per_sample(predictor(batch.x), batch.y)

        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *data)
        both = jax.vmap(begun)(keys, stacked)
        return {
            "start": state,
            "start again": begun(keys[0], data[0]),
            "start under vmap": jax.tree.map(lambda leaf: leaf[0], both),
            "predictor under vmap": jax.vmap(lambda state: learner.predictor(state)(stacked["test_x"][0]))(
                both
            ),
            "outputs": learner.predictor(state)(data[0]["test_x"]),
            **{name: updated(batch) for name, batch in batches.items()},
            "with losses": updated(batches["plain"], replaced),
        }

    padding = np.ones(len(batch.x), np.float32)
    padding[-2:] = 0
    junk = batch._replace(x=batch.x.at[-2:].set(7.0), y=batch.y.at[-2:].set(batch.y[:2]))
    batches = {
        "plain": batch,
        "weights of one": batch._replace(weight=jnp.ones(len(batch.x))),
        "padded": batch._replace(weight=jnp.asarray(padding)),
        "without padding": Batch(batch.x[:-2], batch.y[:-2]),
    }
    with _check.calling("init or update"):
        found = program(jnp.stack([key, other]), sets, batches)
        # The same program again: bits of two places in one program may differ, for they are compiled apart.
        junk = junk._replace(weight=jnp.asarray(padding))
        refilled = program(jnp.stack([key, other]), sets, {**batches, "padded": junk})
    _check.finite(found["plain"], "the state or the loss after update")
    _check(same_numbers(found["start"], found["start again"]), "init returns another state for the same key")
    _check(same_numbers(found["start"], found["start under vmap"]), "init returns another state under vmap")
    vmapped = found["predictor under vmap"][0]
    _check(same_numbers(found["outputs"], vmapped), "the predictor has other outputs under vmap")
    _check(
        same_bits(found["padded"], refilled["padded"]),
        "samples with weight 0 (padding of the last batch) change the state or the loss",
    )
    _check(
        same_numbers(found["padded"], found["without padding"]),
        "a batch with padding gives another state or loss than the same batch without it",
    )
    _check(same_numbers(found["plain"], found["weights of one"]), "weights of 1 change the state or the loss")
    _check_continuation(learner, experiment, found["start"], batch, key)


def _batch(data: dict[str, Any]) -> Batch:
    return Batch(data["train_x"][:8], data["train_y"][:8])


def _check_continuation(
    learner: Learner, experiment: TrainingSpec, start: State, batch: Batch, key: jax.Array
) -> None:
    """Updates that are interrupted, stored and continued, against those that are not."""
    import jax
    import jax.numpy as jnp

    def program() -> Any:
        def updates(state: State, batch: Batch, first: jax.Array, count: jax.Array) -> State:
            def one(step: jax.Array, state: State) -> State:
                return learner.update(experiment, state, batch, jax.random.fold_in(key, step), step)[0]

            return jax.lax.fori_loop(first, first + count, one, state)

        return jax.jit(updates)

    start = jax.tree.map(jnp.asarray, start)
    zero, some, every = (jnp.asarray(n, jnp.int32) for n in (0, _N_UPDATES, 2 * _N_UPDATES))
    once = program()
    at_once = once(start, batch, zero, every)
    _check(same_bits(at_once, once(start, batch, zero, every)), "update has other bits when it is run again")
    middle = once(start, batch, zero, some)
    # as after a restart: read from plain arrays, by a program that is traced anew
    resumed = program()(from_arrays(as_arrays(middle), middle), batch, some, some)
    _check(same_bits(at_once, resumed), "a run that continues from its stored state has other bits")
