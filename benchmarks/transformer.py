"""The training step of a transformer: grokscope against the same transformer in PyTorch, one sitting.

Three settings: ``quick`` and ``power`` are Figure 4 of the two-circuits paper (in its quick profile, and as
published), ``nanda`` is the one-layer transformer of the progress-measures paper. For each, in turn:

- PyTorch, written plainly and tuned (``rungs/torch_transformer.py`` says what that is): one run at a time
  with one thread and with all, and one process of one thread per core;
- grokscope (``rungs/ours_transformer.py``): two members per core, one program.

A rate is that of all processes of a rung together, from the median block of each; blocks come after one that
compiles or warms up, so no start is in it. Seconds of all threads stand beside those of the clock: where
other programs run, they are the better witness. The goal: the rate of ours is at least that of the fastest
way to run what is written plainly.

    python benchmarks/transformer.py                       # about 4 minutes on two idle cores
    python benchmarks/transformer.py --settings quick --torch-python OTHER/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _machine
from _result import Machine, TransformerFile, TransformerRung, TransformerSetting, today, write

RUNGS = Path(__file__).resolve().parent / "rungs"
TORCH, OURS = "torch_transformer.py", "ours_transformer.py"
STEPS = {"quick": 60, "nanda": 5, "power": 6}  # of a member in a block: about half a second


@dataclass(frozen=True)
class Way:
    """A way to run a setting: how many processes, what each of them does."""

    name: str
    title: str
    script: str
    options: tuple[str, ...]
    processes: int = 1
    threads: int | None = None
    members: int = 1


def ways(cores: int) -> list[Way]:
    """All ways on a machine with so many cores."""
    found: list[Way] = []
    for variant in ("plain", "tuned"):
        options = ("--variant", variant)
        for threads in sorted({1, cores}):
            name = f"torch_{variant}_{threads}"
            title = f"PyTorch, {variant}, one run, {threads} thread{'s' * (threads > 1)}"
            found.append(Way(name, title, TORCH, (*options, "--threads", str(threads)), threads=threads))
        if cores > 1:
            title = f"PyTorch, {variant}, {cores} processes of one thread"
            each = (*options, "--threads", "1")
            found.append(Way(f"torch_{variant}_each", title, TORCH, each, processes=cores, threads=1))
    members = 2 * cores
    title = f"grokscope, {members} members, one program"
    return [*found, Way("ours", title, OURS, ("--members", str(members)), members=members)]


def run_way(way: Way, python: str, setting: str, steps: int, blocks: int) -> list[dict[str, Any]]:
    """What its processes print; they run at the same time.

    Raises:
        RuntimeError: one of them failed.
    """
    argv = [python, str(RUNGS / way.script), "--setting", setting, *way.options]
    argv += ["--steps", str(steps), "--blocks", str(blocks)]
    environment = os.environ | ({} if way.threads is None else {"OMP_NUM_THREADS": str(way.threads)})
    started = [
        subprocess.Popen(argv, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(way.processes)
    ]
    said = [process.communicate() for process in started]
    for process, (_, error) in zip(started, said, strict=True):
        if process.returncode:
            raise RuntimeError(f"{way.name}: exit code {process.returncode}: {error.strip()[-800:]}")
    return [json.loads(out.strip().splitlines()[-1]) for out, _ in said]


def rung(way: Way, steps: int, repeats: list[list[dict[str, Any]]]) -> TransformerRung:
    """The rung of the result file, from what its processes printed at every repeat."""
    done = steps * way.members  # of one process in a block
    rates = [sum(done / statistics.median(one["seconds"]) for one in repeat) for repeat in repeats]
    every = [one for repeat in repeats for one in repeat]
    cpu = statistics.median(seconds for one in every for seconds in one["cpu_seconds"])
    before, after = ([losses for one in every for losses in one["loss"][i]] for i in (0, 1))
    return TransformerRung(
        name=way.name,
        title=way.title,
        processes=way.processes,
        threads=way.threads,
        members=way.processes * way.members,
        steps=steps,
        rates=rates,
        member_steps_per_second=statistics.median(rates),
        cpu_seconds_per_step=cpu / done,
        first_seconds=every[0].get("first_seconds"),
        loss=(statistics.fmean(before), statistics.fmean(after)),
        versions=every[0]["versions"],
    )


def compared(name: str, rungs: list[TransformerRung]) -> TransformerSetting:
    """Ours over the fastest way to run PyTorch, plain and tuned; None where it is absent."""
    ours = next(r for r in rungs if r.name == "ours")

    def ratio(variant: str, rate: Any) -> float | None:
        theirs = [rate(r) for r in rungs if r.name.startswith(f"torch_{variant}")]
        return rate(ours) / max(theirs) if theirs else None

    def per_cpu(r: TransformerRung) -> float:
        return 1 / r.cpu_seconds_per_step

    return TransformerSetting(
        name=name,
        rungs=rungs,
        times_plain=ratio("plain", lambda r: r.member_steps_per_second),
        times_tuned=ratio("tuned", lambda r: r.member_steps_per_second),
        times_plain_by_cpu=ratio("plain", per_cpu),
        times_tuned_by_cpu=ratio("tuned", per_cpu),
    )


def sit(
    settings: list[str], torch_python: str, repeats: int, blocks: int, scale: float, only: list[str] | None
) -> TransformerFile:
    """One sitting: for every setting all ways in turn, the order turned with each repeat."""
    machine = Machine.model_validate(_machine.describe())
    has_torch = not subprocess.run([torch_python, "-c", "import torch"], capture_output=True).returncode
    found: list[TransformerSetting] = []
    for setting in settings:
        steps = max(1, round(STEPS[setting] * scale))
        able = [way for way in ways(_machine.cores()) if has_torch or way.script == OURS]
        chosen = [way for way in able if only is None or way.name in only]
        said: dict[str, list[list[dict[str, Any]]]] = {way.name: [] for way in chosen}
        for repeat in range(repeats):
            for way in chosen if repeat % 2 == 0 else chosen[::-1]:
                python = torch_python if way.script == TORCH else sys.executable
                said[way.name].append(run_way(way, python, setting, steps, blocks))
        found.append(compared(setting, [rung(way, steps, said[way.name]) for way in chosen]))
        print(table(found[-1]), flush=True)
    skipped = None if has_torch else "torch cannot be imported; give an interpreter that has it"
    return TransformerFile(date=today(), machine=machine, repeats=repeats, settings=found, skipped=skipped)


def table(setting: TransformerSetting) -> str:
    """The setting as a Markdown table."""
    lines = [
        f"| {setting.name} | member-steps per s | ms of all threads per step |",
        "|---|---:|---:|",
        *(
            f"| {r.title} | {r.member_steps_per_second:.3g} | {1e3 * r.cpu_seconds_per_step:.3g} |"
            for r in setting.rungs
        ),
    ]
    if setting.times_plain is not None and setting.times_tuned is not None:
        plain, tuned = setting.times_plain, setting.times_tuned
        lines += ["", f"Ours: {plain:.2f} times what is written plainly, {tuned:.2f} times what is tuned."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--settings", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--ways", nargs="+", choices=[way.name for way in ways(_machine.cores())])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the steps of a block")
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter with torch")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.ways and "ours" not in args.ways:
        parser.error("--ways needs 'ours', with which the others are compared")
    found = sit(args.settings, args.torch_python, args.repeats, args.blocks, args.scale, args.ways)
    print(f"written: {write(found, 'transformer', args.out).name}")


if __name__ == "__main__":
    main()
