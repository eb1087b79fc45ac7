"""What is proved and refuted of a member's networks, for all inputs: the certificate beside the circuit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import GrokscopeError

if TYPE_CHECKING:
    from grokscope.circuits.relu_network import ReluNetwork
    from grokscope.report._networks import MemberNetworks

__all__ = ["Found", "Proofs", "proofs_of"]

_SECONDS = 1.5  # of this process, for the proofs of one run's networks besides the last ones
_BUDGET, _LAST_BUDGET = 2.0, 10.0  # of one proof; of that of a member's last network, which is always tried
_INPUTS = 256  # drawn once; a network that is wrong at one of them is refuted by it
_CLEAR = 1e-6  # a wrong output must be that much of the largest possible one: no question of rounding


@dataclass(frozen=True)
class Found:
    """A verdict on one network.

    Attributes:
        verdict: ``proved``, ``counterexample`` or ``undecided``.
        margin: proved: $y f(x)$ is at least this for all x; counterexample: it is this at the input (or at
            some input, where that was not kept).
        input: the counterexample, [bit].
    """

    verdict: str
    margin: float | None = None
    input: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Proofs:
    """The verdicts on one member's networks.

    Attributes:
        bits: those that the task's labels are a function of.
        is_parity: whether they are its parity.
        n: bits of the input.
        found: by position in the competition's steps.
    """

    bits: tuple[int, ...]
    is_parity: bool
    n: int
    found: dict[int, Found] = field(default_factory=dict[int, Found])

    def data(self) -> dict[str, Any]:
        """What the page's script is given; inputs as texts of + and -."""
        return {
            "bits": list(self.bits),
            "parity": self.is_parity,
            "n": self.n,
            "found": {str(k): _plain(one) for k, one in sorted(self.found.items())},
        }


def proofs_of(run: Any, steps: np.ndarray, networks: dict[int, MemberNetworks]) -> dict[int, Proofs]:
    """Verdicts on the networks of a page, by member: what the run has, and what a few seconds decide.

    First what `certify` left in the run. Then every network is tried at some hundred inputs drawn at random;
    one that is wrong is refuted. What is left is verified: the last networks, then backward in time until
    the seconds are over.

    Args:
        run: as in `circuit_of`.
        steps: [snapshot].
        networks: by position of the member.

    Returns:
        None of a member whose task does not tell what the labels are a function of, or whose networks cannot
        be read.
    """
    from grokscope.circuits.target import check_readable, target_of

    found: dict[int, Proofs] = {}
    todo: list[tuple[int, int]] = []  # snapshot, counted from the last, and member
    tables: dict[int, np.ndarray] = {}
    for position, member in networks.items():
        try:
            check_readable(run)
            bits, tables[position] = target_of(run, position)
        except GrokscopeError:
            continue
        one = Proofs(bits, _is_parity(tables[position]), int(member.leaves["hidden_weight"].shape[1]))
        one.found.update(_kept(run, position, steps))
        x, wanted = _drawn(one.n, bits, tables[position])
        for k, snapshot in enumerate(map(int, member.snapshots)):
            weights = _weights(run, member, k)
            if snapshot in one.found or not weights.are_finite:
                continue
            if (refuted := _wrong(weights, x, wanted)) is not None:
                one.found[snapshot] = refuted
            else:
                todo.append((k - len(member.snapshots), position))
        found[position] = one
    deadline = time.process_time() + _SECONDS
    for back, position in sorted(todo, key=lambda item: (-item[0], item[1])):
        is_last = back == -1
        if not is_last and time.process_time() > deadline:
            break
        member, one = networks[position], found[position]
        one.found[int(member.snapshots[back])] = _verified(
            _weights(run, member, back), one.bits, tables[position], _LAST_BUDGET if is_last else _BUDGET
        )
    return found


def _plain(one: Found) -> dict[str, Any]:
    signs = None if one.input is None else "".join("+" if value > 0 else "-" for value in one.input)
    return {"verdict": one.verdict, "margin": one.margin, "input": signs}


def _is_parity(table: np.ndarray) -> bool:
    from grokscope.circuits.support import settings_of

    return bool((table == settings_of(len(table).bit_length() - 1).prod(axis=1)).all())


def _weights(run: Any, member: MemberNetworks, k: int) -> ReluNetwork:
    from grokscope.circuits.relu_network import as_relu_network
    from grokscope.runs.networks import network_of

    return as_relu_network(
        network_of(run.experiment, {name: leaf[k] for name, leaf in member.leaves.items()})
    )


def _kept(run: Any, position: int, steps: np.ndarray) -> dict[int, Found]:
    """What `certify` found of a member, where it was decided."""
    from grokscope.spec.streams import on_members

    names = ("proved", "refuted", "worst_margin_lower", "worst_margin_upper")
    if not set(names) <= set(run.measures):
        return {}
    measures = on_members(run.measures[list(names)], run.members).isel(seed=position)
    measures = measures.reindex(step=steps)
    proved, refuted, lower, upper = (measures[name].to_numpy() for name in names)
    return {
        int(k): Found("proved", float(lower[k]))
        if proved[k] > 0
        else Found("counterexample", float(upper[k]))
        for k in np.flatnonzero((proved > 0) | (refuted > 0))
    }


def _drawn(n: int, bits: tuple[int, ...], table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and the labels that are wanted there."""
    x = np.where(np.random.default_rng(0).random((_INPUTS, n)) < 0.5, -1.0, 1.0)
    powers = 2 ** np.arange(len(bits))[::-1]  # all +1 first, the last bit changing fastest
    return x, table[(x[:, list(bits)] < 0) @ powers]


def _wrong(weights: ReluNetwork, x: np.ndarray, wanted: np.ndarray) -> Found | None:
    """The input at which a network is most wrong; None if it is right at all, or nearly so."""
    W, b, u = weights
    margins = wanted * weights.outputs(x)
    worst = int(np.argmin(margins))
    largest = np.abs(u) @ (np.abs(W).sum(axis=0) + np.abs(b))
    if margins[worst] > -_CLEAR * largest:
        return None
    return Found("counterexample", float(margins[worst]), tuple(int(value) for value in x[worst]))


def _verified(weights: ReluNetwork, bits: tuple[int, ...], table: np.ndarray, budget: float) -> Found:
    from grokscope.circuits.verification import verify

    verdict = verify(weights, bits, target=table, budget=budget)
    if verdict.verdict == "undecided":
        return Found("undecided")
    return Found(verdict.verdict, verdict.margin, tuple(verdict.input) if verdict.input else None)
