"""Count the gates of a run's members, and prove the networks made of one neuron for each gate.

The counts are stored as measures of the run, so claims, figures, tables and exports read them. Formula and
picture of one member: ``reading.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.circuits.circuit import Circuit, merged_network, read_network
from grokscope.circuits.relu_network import ReluNetwork, relu_network_at
from grokscope.circuits.target import readable_positions, target_of, training_inputs
from grokscope.circuits.verification.verify import verify
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.given import GivenMeasures, missing_members
from grokscope.spec.streams import Seeds

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.runs import Run

__all__ = ["MEASURES", "count_gates"]

MEASURES = ("gates", "and_gates", "support_bits", "circuit_neurons", "merged_proved", "merged_margin")
_GROUP = "circuits"


def count_gates(
    run: Run,
    seeds: Iterable[int | Seeds] | None = None,
    step: int = -1,
    *,
    budget: float = 2.0,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Read the circuits of a run's members at a step, and store their counts in the run.

    The measures, over seed and step:

    - ``gates``: number of gates of the active neurons, duplicates merged; 0 without a support;
    - ``and_gates``: gates that are ANDs of all bits of the support;
    - ``support_bits``: number of bits of the support;
    - ``circuit_neurons``: number of active neurons (by path norm, on the member's training inputs);
    - ``merged_proved``: 1 if the network with one neuron for each gate (`merged_network`) is proved right on
      all $2^n$ inputs, 0 if it is refuted or undecided within the budget;
    - ``merged_margin``: its proved margin, or $y f(x)$ at the counterexample; NaN without gates.

    Members counted by an earlier call are not read again.

    Args:
        run: of a Boolean function of few bits on inputs +-1, and one hidden layer of relu.
        seeds: of the members; None: all.
        step: updates done; -1 is the last.
        budget: seconds for each proof.
        progress: advanced by one for each network.

    Returns:
        These measures of all members of the run that have been counted, now or before.

    Raises:
        InputError: if the run's networks cannot be read or verified, or it has no such seed or step.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> from grokscope.circuits import construction_experiment
        >>> run = gs.train(construction_experiment(2, n=20, measures=["test_accuracy"]),
        ...                out=tempfile.mkdtemp() + "/run")
        >>> counted = count_gates(run).sel(step=1)
        >>> counted.gates.item(), counted.and_gates.item(), counted.merged_proved.item()
        (6.0, 4.0, 1.0)
    """
    positions = readable_positions(run, seeds, "count_gates")
    shown = progress or SilentProgress()
    with GivenMeasures(run, _GROUP) as given:
        at = {p: step if step >= 0 else int(run.steps_done[p]) + 1 + step for p in positions}
        todo = missing_members(given.read(MEASURES), run, at)
        shown.start(len(todo), "gates")
        for now in sorted({at[p] for p in todo}):
            rows = [p for p in todo if at[p] == now]
            values = {name: np.full((len(rows), 1), np.nan) for name in MEASURES}
            for i, position in enumerate(rows):
                for name, value in _count(run, position, now, budget).items():
                    values[name][i] = value
                shown.advance(1)
            given.write(rows, [now], values)
        shown.finish()
        found = given.read(MEASURES)
    assert found is not None  # at least one member was counted, now or before
    return found


def _count(run: Run, position: int, step: int, budget: float) -> dict[str, float]:
    network = relu_network_at(run.networks([step], [run.members.seeds[position]]), 0, 0)
    circuit = read_network(network, x=training_inputs(run, position))
    bits = len(circuit.support.bits)
    numbers: dict[str, float] = {
        "gates": len(circuit.gates),
        "and_gates": sum(gate.kind == "and" and len(gate.bits) == bits for gate in circuit.gates),
        "support_bits": bits,
        "circuit_neurons": len(circuit.active),
        "merged_proved": 0.0,
    }
    return numbers | (_prove_merged(run, position, network, circuit, budget) if circuit.gates else {})


def _prove_merged(
    run: Run, position: int, network: ReluNetwork, circuit: Circuit, budget: float
) -> dict[str, Any]:
    bits, target = target_of(run, position)
    verdict = verify(merged_network(network, circuit), bits, target=target, budget=budget)
    return {"merged_proved": float(verdict.verdict == "proved"), "merged_margin": verdict.margin}
