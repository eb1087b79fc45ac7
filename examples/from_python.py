"""Everything from Python: a task, a measure, a claim and a paper of one's own, runs, sweeps, figures.

python examples/from_python.py FOLDER      trains a few tiny networks into a new folder; takes half a minute
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import xarray as xr
from matplotlib.figure import Figure

import grokscope as gs


class AllEqual(gs.Task):
    """Whether all bits of an input are the same."""

    kind: Literal["all_equal"] = "all_equal"
    n: int = 5
    n_train: int = 24
    n_test: int = 16

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return (self.n,)

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """Random inputs with their labels +-1."""
        del noise_key
        x = jax.random.rademacher(data_key, (self.n_train + self.n_test, self.n), dtype=jnp.float32)
        y = jnp.where(jnp.abs(x.sum(axis=1)) == self.n, 1.0, -1.0)
        k = self.n_train
        return {"train_x": x[:k], "train_y": y[:k], "test_x": x[k:], "test_y": y[k:]}


class MeanOutput(gs.Measure):
    """The mean output on the training inputs."""

    kind: Literal["mean_output"] = "mean_output"
    default: ClassVar[bool] = False

    def __call__(self, point: gs.Point) -> jax.Array:
        """The mean."""
        return point.outputs("train").mean()


def largest_weight(point: gs.Point) -> jax.Array:
    """The largest weight of the first layer."""
    return jnp.abs(point.layer.hidden_weight).max()


def learned(measures: xr.Dataset) -> xr.DataArray:
    """Whether training accuracy ends above 0.9, per seed; NaN where it was not measured."""
    final = measures["train_accuracy"].isel(step=-1)
    return (final > 0.9).where(final.notnull())


@dataclass(frozen=True, kw_only=True)
class MainClaim(gs.Claim):
    """A claim on the main experiment."""

    experiment: str = "main"
    source: str = "Table 1"


experiment = gs.Experiment(
    task=AllEqual(n=4),
    model={"kind": "fully_connected", "width": 8},
    epochs=4,
    batch_size=8,
    measures=["train_accuracy", "test_accuracy", "train_loss"],
)


class EqualityPaper(gs.Paper):
    """A paper with one experiment and one claim."""

    kind: Literal["equality"] = "equality"
    title: ClassVar[str] = "Equality is learned"
    authors: ClassVar[str] = "A. Author"
    year: ClassVar[int] = 2026
    experiments: ClassVar = (
        gs.RunExperiment(
            "main",
            "All bits equal.",
            experiment,
            {"paper": gs.Profile(seeds=2), "quick": gs.Profile(seeds=2)},
        ),
    )
    claims: ClassVar = (
        MainClaim(
            id="A1",
            sentence="The training set is learned.",
            paper_value="yes",
            estimand="the share of seeds whose training accuracy ends above 0.9",
            region=gs.Region.at_least(0.9),
            smallest_effect=gs.Effect(0.1, "one seed in ten"),
            kind="share",
            evidence=learned,
        ),
    )


def main(folder: Path) -> None:
    """Use everything once."""
    run: gs.Run = gs.train(experiment, seeds=2, out=folder / "run")
    stronger = experiment.with_(optimizer={"weight_decay": 0.1}, epochs=2)
    print(run, stronger, run.summary(), sep="\n")
    times = run.times("train_accuracy > 0.6 for 2")
    print(times, times.share(), run.times(gs.Event("low", "train_loss", "<", 0.9)).observed)
    measured: xr.Dataset = run.measure(["mean_output", largest_weight], steps="log")
    run.measure(MeanOutput())
    print(measured.largest_weight.mean().item())
    figure: Figure = run.plot("train_accuracy", "test_accuracy", "largest_weight")
    figure.savefig(folder / "curves.png")
    print(run.report(folder / "run.html"), run.export(folder / "run.csv"), run.data(0)["train_x"].shape)
    branch: gs.Run = run.branch(2, "epochs=4", out=folder / "branch")
    print(branch.plot())
    grid: gs.Sweep = gs.sweep(
        experiment, {"optimizer.weight_decay": [0.0, 0.1]}, seeds=2, out=folder / "sweep"
    )
    pairs = gs.sweep(
        experiment,
        {("model.width", "optimizer.learning_rate"): [(4, 0.1), (8, 0.05)]},
        out=folder / "pairs",
    )
    grid.plot().savefig(folder / "grid.png")
    print(grid, grid.summary(), grid.times(weight_decay=0.1), pairs.measures.sizes, sep="\n")
    done = gs.reproduce("equality", seeds=2, out=folder / "paper")
    print(done, done.claims[0]["verdict"], gs.papers()["equality"].title, sep="\n")
    for one in gs.list_runs(folder):
        print(one.path, one.task, one.members, one.complete)


if __name__ == "__main__":
    import sys

    main(Path(sys.argv[1]))
