"""Read the network of a run's member at a step as a circuit, and verify it on all inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.circuits.circuit import Circuit, read_network
from grokscope.circuits.target import check_readable, hidden_bits, training_inputs
from grokscope.circuits.verification.verify import BUDGET, Verdict, verify
from grokscope.spec.streams import Seeds

if TYPE_CHECKING:
    from grokscope.runs import Run

__all__ = ["Proof", "Reading", "read_circuit"]


@dataclass(frozen=True)
class Proof:
    """Verdicts on whether the sign of the output is the parity of some bits, for all inputs.

    Attributes:
        bits: of the parity: the task's hidden bits, or the support if the task does not tell them.
        subnetwork: the verdict on the active neurons.
        whole: the verdict on the whole network.
    """

    bits: tuple[int, ...]
    subnetwork: Verdict
    whole: Verdict


@dataclass(frozen=True, eq=False)
class Reading:
    """A member's network at a step, as a circuit.

    Attributes:
        seed: the member's seed; its four seeds if they differ.
        step: updates done.
        epoch: passes over the training set done.
        circuit: the support, the active neurons and their gates.
        inputs: the member's training inputs, on which the active neurons predict what all neurons do,
            [sample, bit].
        network: the network that was read.
        proof: the verdicts; None without ``prove``, or without bits to prove a parity of.
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

    The active neurons are the fewest that predict, on the member's training inputs, what all neurons do. A
    step without a snapshot is replayed.

    Args:
        run: of a task on inputs +-1 and a one-hidden-layer relu network with one output.
        seed: the member, by its seed, or by its four seeds if they differ.
        step: updates done; -1 is the last.
        prove: also verify, for all inputs, that the network and its active neurons compute the parity of
            the task's hidden bits (of the support, if the task does not tell them).
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


def _proof(network: Any, circuit: Circuit, bits: tuple[int, ...], budget: float) -> Proof:
    part, whole = (
        verify(network, bits, neurons=neurons, budget=budget) for neurons in (circuit.active, None)
    )
    return Proof(bits, part, whole)
