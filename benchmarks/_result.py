"""The result files: their fields, checked when they are written and when they are read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

RESULTS = Path(__file__).resolve().parent / "results"


class Record(BaseModel):
    """Base of all parts: unknown fields and infinite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Machine(Record):
    """Where it was measured."""

    cpu: str
    architecture: str
    cores: PositiveInt
    memory_bytes: PositiveInt
    system: str
    load_before: NonNegativeFloat = Field(description="one-minute load when the sitting began")
    versions: dict[str, str]


class Unit(Record):
    """U: seconds of one plain-numpy SGD step of the standard network at batch 32."""

    seconds: PositiveFloat = Field(description="median of blocks, at the best thread count")
    threads: PositiveInt
    blocks: list[PositiveFloat] = Field(description="seconds per step, at the best thread count")
    by_threads: dict[str, PositiveFloat] = Field(description="the median of a short trial of each count")


class Rate(Record):
    """A rate of single-precision matrix products, all cores together."""

    library: Literal["numpy", "jax"]
    shape: str = Field(description="rows x inner x columns")
    how: str
    gflops: PositiveFloat


class Rung(Record):
    """One rung: fixed work, whole process, from start to exit."""

    name: str
    title: str
    logs: str = Field(description="what it measures besides training")
    epochs: PositiveInt
    seeds: PositiveInt
    threads: PositiveInt | None = Field(description="BLAS or PyTorch threads; null: not ours to set")
    seconds: list[PositiveFloat] = Field(description="one for each repeat")
    median: PositiveFloat
    minimum: PositiveFloat
    units: PositiveFloat = Field(description="median / U")
    extrapolated: bool = Field(description="scaled from short runs; never quote such a number")
    compile_seconds: float | None = Field(description="part of seconds: empty minus filled cache")
    peak_bytes: PositiveInt
    accuracy: dict[str, list[float]] | None = Field(description="final, per seed; null: not kept")
    versions: dict[str, str]


class Skipped(Record):
    """A rung that did not run, and why."""

    name: str
    reason: str


class Ladder(Record):
    """One sitting of the ladder."""

    kind: Literal["ladder"] = "ladder"
    date: str
    quick: bool
    repeats: PositiveInt
    machine: Machine
    unit: Unit
    sgemm: list[Rate]
    rungs: list[Rung]
    skipped: list[Skipped]


class Training(Record):
    """The compiled loop without measures."""

    kind: Literal["training"] = "training"
    date: str
    machine: Machine
    members: PositiveInt
    epochs: tuple[PositiveInt, PositiveInt] = Field(description="the two lengths compared")
    seconds: tuple[list[PositiveFloat], list[PositiveFloat]] = Field(description="warm, of each")
    first_call_seconds: PositiveFloat = Field(description="compilation included")
    member_steps_per_second: PositiveFloat
    gflops: PositiveFloat = Field(description="at 5.25 MFLOP per step")
    sgemm: list[Rate]
    reference_gflops: PositiveFloat
    share: PositiveFloat
    goal: PositiveFloat


class SweepCost(Record):
    """A sweep beside the bare training of as many members in one cohort; whole processes."""

    kind: Literal["sweep"] = "sweep"
    date: str
    machine: Machine
    cells: PositiveInt
    members: PositiveInt
    epochs: PositiveInt
    every: PositiveInt = Field(description="epochs between measured points")
    bare_seconds: list[PositiveFloat]
    sweep_seconds: list[PositiveFloat]
    bare_processor_seconds: list[PositiveFloat] = Field(description="user and system, all threads")
    sweep_processor_seconds: list[PositiveFloat]
    sweep_peak_bytes: PositiveInt
    cost: PositiveFloat = Field(description="sweep over bare, by the clock")
    processor_cost: PositiveFloat = Field(description="the same, by processor time")
    goal: PositiveFloat


class EndToEnd(Record):
    """``grokscope reproduce`` with one number of seeds."""

    seeds: PositiveInt
    seconds: PositiveFloat
    units: PositiveFloat
    goal_units: PositiveFloat | None
    stretch_units: PositiveFloat | None
    peak_bytes: PositiveInt


class EndToEndFile(Record):
    """All numbers of seeds of one sitting."""

    kind: Literal["end_to_end"] = "end_to_end"
    date: str
    machine: Machine
    unit: Unit
    runs: list[EndToEnd]


class HelpTime(Record):
    """``grokscope --help``."""

    kind: Literal["help_time"] = "help_time"
    date: str
    machine: Machine
    seconds: list[PositiveFloat]
    median: PositiveFloat
    goal: PositiveFloat


class Listing(Record):
    """``grokscope runs`` on a folder of finished runs."""

    kind: Literal["listing"] = "listing"
    date: str
    machine: Machine
    runs: PositiveInt
    seconds: PositiveFloat
    cpu_seconds: PositiveFloat
    goal: PositiveFloat


class Work(Record):
    """A command from a new process to its end."""

    name: str
    seconds: list[PositiveFloat] = Field(description="by the clock, one for each repeat")
    processor_seconds: list[PositiveFloat] = Field(description="user and system, all threads")
    units: PositiveFloat = Field(description="median of seconds / U")
    goal_units: PositiveFloat
    stretch_units: PositiveFloat | None


class Latency(Record):
    """Tiny work, whole processes."""

    kind: Literal["latency"] = "latency"
    date: str
    machine: Machine
    unit: Unit
    works: list[Work]


class Verified(Record):
    """Networks that were verified one after another, each in one thread."""

    name: Literal["final", "transition"]
    networks: PositiveInt
    proved: NonNegativeInt
    refuted: NonNegativeInt
    undecided: NonNegativeInt
    share_undecided: NonNegativeFloat
    median_seconds: PositiveFloat
    p95_seconds: PositiveFloat
    most_seconds: PositiveFloat


class Verification(Record):
    """Exact verification of whole networks of the standard run."""

    kind: Literal["verification"] = "verification"
    date: str
    machine: Machine
    seeds: PositiveInt
    budget_seconds: PositiveFloat = Field(description="for each network")
    goal_seconds: PositiveFloat = Field(description="median at the last epoch")
    goal_undecided: PositiveFloat = Field(description="share at the last epoch")
    groups: list[Verified]


class TransformerRung(Record):
    """One way to run a setting."""

    name: str
    title: str
    processes: PositiveInt
    threads: PositiveInt | None = Field(description="of each process; null: not ours to set")
    members: PositiveInt = Field(description="of all processes together")
    steps: PositiveInt = Field(description="of each member in a block")
    rates: list[PositiveFloat] = Field(description="member-steps per second at each repeat")
    member_steps_per_second: PositiveFloat = Field(description="the median")
    cpu_seconds_per_step: PositiveFloat = Field(description="of all threads, for one step of one member")
    first_seconds: PositiveFloat | None = Field(description="the block that compiles")
    loss: tuple[float, float] = Field(description="on the training set, before and after; mean over members")
    versions: dict[str, str]


class TransformerSetting(Record):
    """A transformer, and every way to run it."""

    name: str
    rungs: list[TransformerRung]
    times_plain: PositiveFloat | None = Field(description="our rate over the best of plain PyTorch")
    times_tuned: PositiveFloat | None = Field(description="likewise of the tuned one")
    times_plain_by_cpu: PositiveFloat | None = Field(description="the same in steps per second of a thread")
    times_tuned_by_cpu: PositiveFloat | None


class TransformerFile(Record):
    """The training step of transformers on a CPU."""

    kind: Literal["transformer"] = "transformer"
    date: str
    machine: Machine
    repeats: PositiveInt
    settings: list[TransformerSetting]
    skipped: str | None = Field(description="why PyTorch did not run")


class ReportPage(Record):
    """A run's page in a browser."""

    kind: Literal["report_page"] = "report_page"
    date: str
    machine: Machine
    browser: str
    neurons: PositiveInt
    snapshots: PositiveInt
    bytes: PositiveInt
    ready_seconds: list[PositiveFloat] = Field(description="until the page's script is done")
    play_frames: list[PositiveFloat] = Field(description="a second, while it plays")
    slide_frames: list[PositiveFloat] = Field(description="a second, with a snapshot in each frame")
    play_milliseconds: list[PositiveFloat] = Field(description="processor time of a frame, main thread")
    slide_milliseconds: list[PositiveFloat]
    goal_bytes: PositiveInt
    goal_seconds: PositiveFloat
    goal_frames: PositiveFloat


class GpuSize(Record):
    """Whole standard runs on a GPU at one cohort size."""

    members: PositiveInt
    seconds: list[PositiveFloat] = Field(description="warm")
    first_call_seconds: PositiveFloat
    runs_per_second: PositiveFloat = Field(description="of 300 epochs")
    compute_share: PositiveFloat = Field(description="of the device's nominal float32 rate, 6 P B")
    needed_compute_share: PositiveFloat = Field(description="the same, the needed products only")
    bandwidth_share: PositiveFloat = Field(description="of the nominal bandwidth, 8 P bytes a step")
    peak_bytes: int | None = Field(description="on the device, this size and those before it")


class Gpu(Record):
    """One sitting on a GPU."""

    kind: Literal["gpu"] = "gpu"
    date: str
    machine: Machine
    device: str
    epochs: PositiveInt
    nominal_tflops: PositiveFloat
    nominal_bytes_per_second: PositiveFloat
    nominal_source: str
    measured: dict[str, PositiveFloat]
    sizes: list[GpuSize]


class GpuTransformer(Record):
    """Transformers on a GPU, many members at once."""

    kind: Literal["gpu_transformer"] = "gpu_transformer"
    date: str
    machine: Machine
    device: str
    setting: str
    members: PositiveInt
    member_steps_per_second: PositiveFloat
    torch_steps_per_second: dict[str, PositiveFloat] = Field(description="one run at a time, by variant")
    times_plain: PositiveFloat
    times_tuned: PositiveFloat
    goal: PositiveFloat
    figure_4_seconds: PositiveFloat | None = Field(description="the paper profile of Figure 4; null: not run")


class Torture(Record):
    """One part of ``make torture``: how often a promise was tested, and what was seen."""

    kind: Literal["torture"] = "torture"
    date: str
    name: str
    test: str = Field(description="file of the test")
    seed: int
    count: PositiveInt = Field(description="how often it was done, not how often it was meant to be")
    what: str = Field(description="what is counted")
    result: str
    failures: list[str]
    seconds: PositiveFloat
    facts: dict[str, JsonValue]
    commit: str
    machine: Machine


class Cells(Record):
    """Cells of a sweep, each trained by itself on one core."""

    what: str = Field(description="the experiment and what is measured")
    members: PositiveInt = Field(description="of each cell")
    steps: PositiveInt = Field(description="of each member")
    cpu_seconds: list[PositiveFloat] = Field(description="of each cell but the first, all of the process")
    first_cpu_seconds: PositiveFloat = Field(description="of the first, compilation included")
    wall_seconds: list[PositiveFloat]
    member_steps_per_second: PositiveFloat = Field(description="on one core, from the median cell")
    bytes_per_cell: PositiveInt = Field(description="of its folder")
    commits_per_cell: PositiveInt


class Case(Record):
    """One simulated sweep."""

    name: str
    members: PositiveInt
    member_steps: PositiveInt = Field(description="updates of each member")
    tasks: PositiveInt
    deaths_per_worker_hour: NonNegativeFloat
    deaths: NonNegativeFloat = Field(description="mean over the simulations, like all that follows")
    hours: PositiveFloat
    share_of_ideal: PositiveFloat = Field(description="work / (workers x hours)")
    lost_share: NonNegativeFloat = Field(description="work that was done again, as a share of all")
    lost_share_without_commits: NonNegativeFloat = Field(description="if a lost task began anew")


class Scheduler(Record):
    """The scheduling of the engine of many machines, simulated from recorded times of cells."""

    kind: Literal["scheduler"] = "scheduler"
    date: str
    machine: Machine
    workers: PositiveInt
    simulations: PositiveInt
    commit_seconds: PositiveFloat
    start_seconds: PositiveFloat = Field(description="of a worker that has just started, before it trains")
    replaced_after_seconds: PositiveFloat = Field(description="until there is another worker for a dead one")
    cells: Cells
    cases: list[Case]


def today() -> str:
    """The date, in UTC."""
    return datetime.now(UTC).date().isoformat()


def write(record: Record, name: str, out: Path | None = None) -> Path:
    """Write a record as ``results/<name>-<date>.json``, or to ``out``."""
    path = out or RESULTS / f"{name}-{today()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.model_dump_json(indent=1) + "\n")
    return path
