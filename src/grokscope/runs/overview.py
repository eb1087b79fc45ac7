"""The overview of a run, as values and as text; `grokscope.analysis.overview` collects it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grokscope.cards import BARS, plain_table, sparkline
from grokscope.progress import duration
from grokscope.statistics import Estimate, format_number

__all__ = [
    "CLAIM_HEADERS",
    "CURVE_HEADERS",
    "CircuitSeen",
    "EventSeen",
    "Overview",
    "claim_rows",
    "early_stopping",
    "printable",
]

CLAIM_HEADERS = ("claim", "verdict", "ours", "interval", "paper", "n", "setting", "sentence")
CURVE_HEADERS = ("measure (mean)", "first", "curve", "last")


@dataclass(frozen=True)
class EventSeen:
    """An event over the members of a run.

    Attributes:
        name: ``memorization``, ``grokking``, or another event of the run.
        definition: the event in words.
        share: share of members in which it was seen.
        step: median step over members; members in which it was not seen count as later than all others.
    """

    name: str
    definition: str
    share: Estimate
    step: Estimate


@dataclass(frozen=True)
class CircuitSeen:
    """The last network of a member, read as a circuit.

    Attributes:
        seed: of the member; a list of four where they differ.
        support: the bits that it uses; empty if none was found.
        neurons: number of active neurons.
        formula: the sign of a sum of gates; empty if there are none.
        right, settings: number of settings of the support at which the gates' sum has the sign of the
            parity, and of all settings.
        why: one line on how the support was found.
    """

    seed: Any
    support: list[int]
    neurons: int
    formula: str
    right: int
    settings: int
    why: str


@dataclass(frozen=True, repr=False)
class Overview:
    """A run at a glance; its text is what ``grokscope show`` prints.

    Attributes:
        path, identity: of the run.
        kinds: part of the experiment -> its kind; the optimizer of an imported run may be ``unknown``, and
            that of a learner without one is ``none``.
        seeds: of the members; for crossed streams one (init, data, order, noise) each.
        steps_done: updates done by all members.
        n_steps: updates to be done.
        complete: whether all members have done them.
        steps_saved: member-steps that early stopping left out.
        events: those whose measure is in the run.
        curves: scalar measure -> its mean over members at each measured step, [step]; and the same of norm
            and faithfulness of some subnetworks, as ``faithfulness generalizing``.
        claims: the entries of ``claims.json`` that are about this run, where it is part of a reproduction.
        circuits: of the first members, where networks can be read as circuits.
        measures: names of all measures.
        provenance: as recorded.
        start: the start of members inside another run, in words; empty for other runs.
        interventions: their labels.
        stop: the condition of early stopping in words; empty if no member is stopped.
        remarks: what a reader should know, one line each.
    """

    path: str
    identity: str
    kinds: dict[str, str]
    seeds: list[Any]
    steps_done: int
    n_steps: int
    complete: bool
    measures: list[str]
    steps_saved: int = 0
    events: list[EventSeen] = field(default_factory=list[EventSeen])
    curves: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    provenance: dict[str, Any] = field(default_factory=dict[str, Any])
    start: str = ""
    interventions: list[str] = field(default_factory=list[str])
    claims: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    circuits: list[CircuitSeen] = field(default_factory=list[CircuitSeen])
    stop: str = ""
    remarks: list[str] = field(default_factory=list[str])

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        facts = self.facts()
        width = max(len(name) for name, _ in facts)
        lines = [f"{name:{width}}  {text}" for name, text in facts]
        if self.claims:
            lines += ["", *plain_table(CLAIM_HEADERS, claim_rows(self.claims))]
        if rows := self.curve_rows():
            lines += ["", *plain_table(CURVE_HEADERS, rows)]
        return "\n".join([*lines, *self.circuit_lines()])

    def facts(self) -> list[tuple[str, str]]:
        """State and events of the run, as names and texts."""
        kinds = self.kinds
        seeds = [str(seed) for seed in self.seeds]
        listed = ", ".join(seeds if len(seeds) <= 10 else [*seeds[:5], "...", seeds[-1]])
        state = "complete" if self.complete else "unfinished"
        penalty = f", {kinds['penalty']} penalty" if "penalty" in kinds else ""
        if kinds["learner"] == "imported":
            state = "imported: no replay" if self.complete else "imported: unfinished, no replay"
        learned = f"learner {kinds['learner']}" if kinds["model"] == "none" else kinds["model"]
        optimizer = {"unknown": ", optimizer not known", "none": ""}.get(
            kinds["optimizer"], f", {kinds['optimizer']}"
        )
        facts = [
            ("run", self.path),
            ("identity", self.identity[:16]),
            ("experiment", f"{kinds['task']}, {learned}, {kinds['loss']} loss{penalty}{optimizer}"),
            ("members", f"{len(seeds)} (seeds {listed})"),
            ("steps", f"{self.steps_done} of {self.n_steps}, {state}"),
        ]
        if self.stop:
            facts.append(("stops", self.stop))
        if self.steps_saved:
            planned = self.n_steps * len(self.seeds)
            facts.append(("stopped", early_stopping(self.steps_saved, planned, self.provenance)))
        if self.start:
            facts.insert(3, ("starts", self.start))
        if self.interventions:
            facts.append(("interventions", ", ".join(self.interventions)))
        for event in self.events:
            seen = f"seen in {round(event.share.value * event.share.n)} of {event.share.n}"
            facts.append((event.name, f"{seen}; median step {_median(event.step)}; {event.definition}"))
        return facts + [("note", remark) for remark in self.remarks]

    def curve_rows(self, width: int = 40, bars: str = BARS) -> list[tuple[str, str, str, str]]:
        """Rows of the table of curves: measure, first value, curve of at most ``width`` signs, last value."""
        return [
            (name, format_number(values[0]), sparkline(values, width, bars), format_number(values[-1]))
            for name, values in self.curves.items()
            if any(values)
        ]

    def circuit_lines(self) -> list[str]:
        """Lines on the circuits, each circuit after an empty line."""
        lines: list[str] = []
        for circuit in self.circuits:
            if not circuit.formula:
                lines += ["", f"circuit of seed {circuit.seed}: none ({circuit.why})"]
                continue
            bits = ", ".join(map(str, circuit.support))
            text = f"circuit of seed {circuit.seed}: {circuit.neurons} neurons on bits {bits}, the parity at "
            lines += ["", f"{text}{circuit.right} of {circuit.settings} settings", f"  {circuit.formula}"]
        return lines


def claim_rows(claims: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Rows of a table of claims: verdict, our number with its interval, the paper's number, the sentence."""
    rows = [
        (
            claim["id"],
            claim.get("words") or claim["verdict"],
            _number(claim.get("value")),
            _interval(claim.get("interval")),
            _number(claim.get("paper_value")),
            claim.get("seeds", ""),
            claim.get("setting", ""),
            claim["sentence"],
        )
        for claim in claims
    ]
    return [tuple(printable(str(cell)) for cell in row) for row in rows]


def early_stopping(saved: int, planned: int, provenance: Mapping[str, Any]) -> str:
    """Text: the member-steps that early stopping saved, and the estimated time."""
    text = f"early stopping left out {saved:,} of {planned:,} member-steps ({saved / planned:.0%})"
    spent = float(provenance.get("wall_seconds") or 0.0)
    if not spent or planned <= saved:
        return text
    return f"{text}, about {duration(spent * saved / (planned - saved))}"


def _number(value: Any) -> str:
    if isinstance(value, int | float):
        return format_number(float(value))
    return "-" if value is None else str(value)


def _interval(ends: Any) -> str:
    if not isinstance(ends, list) or len(ends) != 2:
        return "-"
    low, high = ends
    return f"{'-inf' if low is None else _number(low)} to {'inf' if high is None else _number(high)}"


def printable(text: str) -> str:
    """Replace control characters: the text is read from a file and must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _median(step: Estimate) -> str:
    if math.isinf(step.value):
        return "not reached"
    if math.isinf(step.high) or math.isinf(step.low):
        return format_number(step.value)
    return f"{format_number(step.value)} [{format_number(step.low)}, {format_number(step.high)}]"
