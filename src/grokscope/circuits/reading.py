"""Circuits of runs: the network of a member at a step, read and, if asked, proved or refuted."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.circuits.circuit import Circuit, read_network
from grokscope.errors import InputError
from grokscope.spec.streams import Seeds

if TYPE_CHECKING:
    from grokscope.circuits.verification import Verdict
    from grokscope.runs import Run

__all__ = ["Proof", "Reading", "read_circuit"]

BUDGET = 10.0


@dataclass(frozen=True)
class Proof:
    """Whether the sign of the output is the parity of some bits, for all inputs.

    Attributes:
        bits: the parity's: the task's hidden bits where the task tells them, else the support.
        subnetwork, whole: the verdict on the active neurons and on the whole network.
    """

    bits: tuple[int, ...]
    subnetwork: Verdict
    whole: Verdict


@dataclass(frozen=True, eq=False)
class Reading:
    """A member's network at a step, as a circuit.

    Attributes:
        seed: the member's seed; all four where its streams differ.
        step: updates done.
        epoch: passes over the training set done.
        circuit: what was read.
        inputs: the training inputs on which the active neurons predict what all do, [sample, bit].
        network: what was read from.
        proof: with ``prove`` and where there is something to prove, the verdicts.
    """

    seed: int | Seeds
    step: int
    epoch: float
    circuit: Circuit
    inputs: np.ndarray
    network: Any
    proof: Proof | None = None

    def as_json(self) -> dict[str, Any]:
        """The reading as plain values, as ``grokscope circuits --json`` prints it."""
        proof = self.proof
        return {
            "seed": self.seed if isinstance(self.seed, int) else list(self.seed),
            "step": self.step,
            "support": list(self.circuit.support.bits),
            "gates": [gate.as_json() for gate in self.circuit.gates],
            "subnetwork": None if proof is None else proof.subnetwork.as_json(),
            "whole": None if proof is None else proof.whole.as_json(),
        }


def read_circuit(
    run: Run,
    seed: int | Seeds = 0,
    step: int = -1,
    *,
    prove: bool = False,
    budget: float = BUDGET,
    **options: Any,
) -> Reading:
    """Read the network of a run's member at a step as a circuit.

    The active neurons are those that predict what all do on the member's training inputs. Where the run has
    no snapshot of the step, the member is trained again up to it.

    Args:
        run: of a task on inputs +-1 and a one-hidden-layer relu network with one output.
        seed: the member, by its seed, or by its four seeds where they differ.
        step: updates done; -1 is the last.
        prove: also decide, for all inputs, whether the network and its active neurons compute the parity of
            the task's hidden bits (of the support, where the task does not tell).
        budget: seconds for each of these two verdicts.
        options: ``order`` and ``tolerance``, as in `read_network`.

    Raises:
        InputError: if the run is not of that kind, has no such seed or step, or cannot be replayed here; and
            with ``prove``, if the task is known not to be a parity.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> from grokscope.circuits import construction_experiment
        >>> experiment = construction_experiment(2, n=10, measures=["test_accuracy"])
        >>> run = gs.train(experiment, out=tempfile.mkdtemp() + "/run")
        >>> reading = read_circuit(run)
        >>> reading.circuit.support.bits, len(reading.circuit.gates), reading.step
        ((0, 1, 2), 6, 1)
    """
    check_readable(run)
    position = run.position(seed)
    target = hidden_bits(run, position) if prove else None
    network = run.model(seed=seed, step=step)
    inputs = training_inputs(run, position)
    circuit = read_network(network, x=inputs, **options)
    at = step if step >= 0 else int(run.steps_done[position]) + 1 + step
    seeds = run.members.seeds[position]
    bits = target or circuit.support.bits
    return Reading(
        seed=seeds.label,
        step=at,
        epoch=at / run.experiment.steps_per_epoch,
        circuit=circuit,
        inputs=inputs,
        network=network,
        proof=_proof(network, circuit, bits, budget) if prove and bits else None,
    )


def check_readable(run: Run) -> None:
    """Check that circuits can be read of a run's networks.

    Raises:
        InputError: saying what is in the way, and what can be done.
    """
    task, model = run.experiment.task, run.experiment.model
    if not model.has_one_hidden_layer:
        raise InputError(
            f"{run.path}: circuits are read from networks with one hidden layer, not from this "
            f"'{model.kind}'."
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


def training_inputs(run: Run, position: int) -> np.ndarray:
    """The training inputs of a member, [sample, bit], drawn again from its streams."""
    return np.asarray(_member_data(run, position)["train_x"])


def hidden_bits(run: Run, position: int) -> tuple[int, ...] | None:
    """The bits whose parity a run's task is, for one member; None where the task does not tell.

    Raises:
        InputError: if the task is known not to be a parity.
    """
    from grokscope.tasks.boolean_function import BooleanFunction
    from grokscope.tasks.samples import Samples
    from grokscope.tasks.sparse_parity import SparseParity

    task = run.experiment.task
    if isinstance(task, Samples):
        task = task.of
    if isinstance(task, SparseParity):
        bits = _member_data(run, position).get("support") if task.is_drawn else task.facts()["support"]
        return None if bits is None else tuple(int(bit) for bit in bits)
    if isinstance(task, BooleanFunction):
        spectrum = task.facts()["spectrum"]
        if spectrum is None:
            return None
        if len(spectrum) != 1 or spectrum[0]["coefficient"] <= 0 or not spectrum[0]["bits"]:
            raise InputError(
                f"{run.path}: --prove decides whether a network is a parity, and this task's labels are not "
                "one."
            )
        return tuple(spectrum[0]["bits"])
    return None


def _member_data(run: Run, position: int) -> dict[str, Any]:
    from grokscope.training.cache import use_compile_cache
    from grokscope.training.devices import in_precision, prepare_devices

    prepare_devices()
    use_compile_cache()
    task: Any = run.experiment.task
    precision = run.experiment.precision
    with in_precision(precision):
        return _data_of(task, precision)(np.array(run.members.seeds[position], np.int32))


@functools.lru_cache(maxsize=8)
def _data_of(task: Any, precision: str) -> Any:
    """The compiled function from a member's seeds to its training inputs and drawn support."""
    import jax

    from grokscope.training.loop import as_precision, member_keys

    @jax.jit
    def make(seeds: jax.Array) -> dict[str, jax.Array]:
        _, data_key, _, noise = member_keys(seeds)
        own = task.member_data(data_key, noise)
        found = own if "train_x" in own else task.shared_data()
        kept = {"train_x": found["train_x"], **{name: own[name] for name in ("support",) if name in own}}
        return as_precision(kept, precision)

    return make


def _proof(network: Any, circuit: Circuit, bits: tuple[int, ...], budget: float) -> Proof:
    from grokscope.circuits.verification import verify

    part, whole = (
        verify(network, bits, neurons=neurons, budget=budget) for neurons in (circuit.active, None)
    )
    return Proof(bits, part, whole)
