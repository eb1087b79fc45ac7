"""``grokscope circuits``: read networks as circuits of gates."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import InputError

if TYPE_CHECKING:
    from grokscope.circuits import Reading

_MOST_NEURONS = 6  # listed in a cell of a table


def circuits(
    path: options.RunPath,
    seed: Annotated[
        str | None,
        typer.Option(
            "--seed", metavar="S", help="Only this member (I,D,O,N if its four streams differ). Default: all."
        ),
    ] = None,
    step: Annotated[int, typer.Option("--step", metavar="T", help="The step; -1 is the final state.")] = -1,
    prove: Annotated[
        bool, typer.Option("--prove", help="Decide whether the network computes the parity on ALL inputs.")
    ] = False,
    order: Annotated[
        Literal["path_norm", "incoming_norm"],
        typer.Option("--order", help="The norm that ranks neurons when the active ones are found."),
    ] = "path_norm",
    budget: Annotated[
        float, typer.Option("--budget", metavar="SECONDS", help="Time limit of each proof.")
    ] = 10.0,
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write a diagram (SVG) of each circuit.")
    ] = None,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Read networks as circuits: their input bits and gates.

    Finds from the weights alone which bits a network uses and which gates over them its active neurons
    compute. A step without a snapshot is replayed.
    """
    with out.json_only(json):
        run = options.load_run(path, plugin)
        from grokscope.circuits import read_circuit
        from grokscope.circuits.target import check_readable
        from grokscope.progress import RichProgress, SilentProgress

        check_readable(run)
        if folder is not None and folder.exists() and not folder.is_dir():
            raise InputError(f"--out {folder}: is a file, not a folder.")
        members = [member.label for member in sorted(run.members)] if seed is None else [_parse_seed(seed)]
        readings: list[Reading] = []
        with RichProgress() as bar:
            progress = bar if len(members) > 1 else SilentProgress()
            progress.start(len(members), "circuits")
            for member in members:
                readings.append(read_circuit(run, member, step, prove=prove, budget=budget, order=order))
                progress.advance(1)
            progress.finish()
        files = [] if folder is None else _write_diagrams(readings, folder)
        if json:
            documents = [reading.as_json() for reading in readings]
            out.document(documents if seed is None else documents[0])
            return
        if len(readings) == 1:
            _print_one(readings[0])
        else:
            _print_all(readings)
        for file in files:
            out.note(f"grokscope: {file}: written")


def _parse_seed(text: str) -> Any:
    """Parse ``3``, or ``0,3,0,0`` for the four streams."""
    try:
        numbers = [int(piece) for piece in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 4):
        raise InputError(
            f"--seed {text}: allowed: one seed, like 3, or those of the four streams, like 0,3,0,0."
        )
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _write_diagrams(readings: list[Reading], folder: Path) -> list[Path]:
    """Write a diagram of every circuit that was found; return the files."""
    from grokscope.circuits import draw
    from grokscope.files import atomic_write

    files: list[Path] = []
    for reading in readings:
        seed = _seed_text(reading, "-")
        if not reading.circuit.gates:
            out.note(f"grokscope: seed {seed}: no circuit, so no diagram ({reading.circuit.support.why})")
            continue
        file = folder / f"circuit-seed-{seed}-step-{reading.step}.svg"
        atomic_write(
            file, draw(reading.circuit, f"seed {_seed_text(reading)}, step {reading.step}"), parents=True
        )
        files.append(file)
    return files


def _print_one(reading: Reading) -> None:
    from grokscope.circuits import arity
    from grokscope.circuits.formula import gate_formula

    circuit = reading.circuit
    support = circuit.support
    facts = [
        ("seed", f"{_seed_text(reading)}, step {reading.step} (epoch {reading.epoch:g})"),
        ("support", ", ".join(map(str, support.bits)) or "none"),
        ("", support.why),
    ]
    if support.bits:
        product = "·".join(f"x{bit}" for bit in support.bits)
        exact = "exactly" if support.error == 0 else f"± {support.error:.1g}"
        facts.append(("", f"correlation of sign f(x) with {product}: {support.parity:.3g} ({exact})"))
    counted = f"{len(circuit.active)} active of {circuit.n_neurons}"
    if circuit.silent:
        counted += f"; {len(circuit.silent)} of them silent at every setting of the support"
    facts.append(("neurons", counted))
    for name, text in facts:
        out.line(out.encodable(f"{name.ljust(10)}  {text}"))
    if circuit.gates:
        out.line()
        mirrors = dict(circuit.pairs) | {b: a for a, b in circuit.pairs}
        rows: list[tuple[Any, ...]] = []
        for i, gate in enumerate(circuit.gates):
            arities = sorted(
                {arity(reading.network, j, reading.inputs) for j in gate.neurons[:_MOST_NEURONS]}
            )
            rows.append(
                (
                    i + 1,
                    out.encodable(gate_formula(gate, support.bits)),
                    gate.kind,
                    "+" if gate.output_sign > 0 else "-",
                    f"{gate.strength:.3g}",
                    mirrors[i] + 1 if i in mirrors else "",
                    ", ".join(map(str, arities)),
                    _neurons_text(gate.neurons),
                )
            )
        out.table(("gate", "formula", "kind", "output", "strength", "opposite", "arity", "neurons"), rows)
        out.line()
        out.line(out.encodable(circuit.formula))
        out.line(circuit.arithmetic)
        total = 2 ** len(support.bits)
        out.line(f"the gates' sum has the sign of the parity at {circuit.n_parity} of {total} settings")
    _print_proof(reading)


def _print_proof(reading: Reading) -> None:
    proof = reading.proof
    if proof is None:
        return
    out.line()
    product = "·".join(f"x{bit}" for bit in proof.bits)
    out.line(out.encodable(f"is sign f(x) = {product} for all inputs?"))
    for name, verdict in (("subnetwork", proof.subnetwork), ("whole", proof.whole)):
        out.line(f"{name.ljust(10)}  {_verdict(verdict)}, {verdict.seconds:.2g} s")
        if verdict.input is not None:
            out.line(f"{'':10}  x = {' '.join(f'{value:+d}' for value in verdict.input)}")


def _print_all(readings: list[Reading]) -> None:
    rows: list[tuple[Any, ...]] = []
    proved = any(reading.proof is not None for reading in readings)
    for reading in readings:
        circuit = reading.circuit
        kinds = Counter(gate.kind for gate in circuit.gates)
        row: tuple[Any, ...] = (
            _seed_text(reading),
            reading.step,
            ", ".join(map(str, circuit.support.bits)) or "none",
            len(circuit.active),
            len(circuit.gates),
            ", ".join(f"{kinds[kind]} {kind}" for kind in ("and", "or", "other") if kinds[kind]),
        )
        if proved:
            proof = reading.proof
            row += ("", "") if proof is None else (_verdict(proof.subnetwork), _verdict(proof.whole))
        rows.append(row)
    headers = ("seed", "step", "support", "neurons", "gates", "kinds")
    out.table((*headers, "subnetwork", "whole") if proved else headers, rows)


def _verdict(verdict: Any) -> str:
    return verdict.verdict if verdict.margin is None else f"{verdict.verdict} (margin {verdict.margin:.3g})"


def _neurons_text(neurons: tuple[int, ...]) -> str:
    listed = ", ".join(map(str, neurons[:_MOST_NEURONS]))
    more = len(neurons) - _MOST_NEURONS
    return f"{listed} and {more} more" if more > 0 else listed


def _seed_text(reading: Reading, between: str = ",") -> str:
    return str(reading.seed) if isinstance(reading.seed, int) else between.join(map(str, reading.seed))
