"""The competition of neurons on the page: norm and share of the output of each neuron over snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import GrokscopeError
from grokscope.report._arrays import Table, log_code, log_spaced, packed
from grokscope.report._circuits import CircuitView, Proofs, circuit_of, proofs_of, support_of
from grokscope.report._curves import member_labels
from grokscope.report._networks import WeightHeatMap, networks_of, weight_map
from grokscope.spec.streams import on_members
from grokscope.statistics import format_number

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["GROUPS", "Competition", "competition_of", "competition_tables"]

GROUPS = ("generalizing", "memorizing", "other")
# What all neurons of one run may take in the page, before they are written in base 64.
_MOST_BYTES = 1_800_000
_MOST_SNAPSHOTS = 240
_DECADES = 5.0
_NEURONS = 12  # of a table


@dataclass(frozen=True, eq=False)
class Competition:
    """The neurons of some members of a run, at the steps at which they were measured.

    Attributes:
        name: of the experiment.
        labels: of the members.
        steps: [snapshot].
        norm: the norm of each neuron's incoming weights, [member, snapshot, neuron].
        share: each neuron's share of the output, [member, snapshot, neuron].
        share_is: what the share is, in words.
        group: of each neuron, a position in `GROUPS`, [member, neuron].
        weights: of the members whose networks are known, by position.
        circuits: of those among them that can be read as gates.
        proofs: of those whose labels are a function of a few known bits.
        note: the reason why weights of some members are missing.
    """

    name: str
    labels: list[str]
    steps: np.ndarray
    norm: np.ndarray
    share: np.ndarray
    share_is: str
    group: np.ndarray
    weights: dict[int, WeightHeatMap]
    circuits: dict[int, CircuitView]
    proofs: dict[int, Proofs]
    note: str = ""

    @property
    def group_share(self) -> np.ndarray:
        """Share of the output of each group of neurons, [member, snapshot, group]."""
        parts = [
            np.where(np.equal(self.group[:, None], g), self.share, 0.0).sum(axis=-1)
            for g in range(len(GROUPS))
        ]
        lost = np.asarray(np.isnan(self.share).all(axis=-1))
        return np.where(lost[..., None], np.nan, np.stack(parts, axis=-1))

    def data(self) -> dict[str, Any]:
        """The numbers for the page's script."""
        return {
            "name": self.name,
            "members": self.labels,
            "steps": packed(self.steps, "f8"),
            "neurons": int(self.norm.shape[-1]),
            "norm": log_code(self.norm, _DECADES).data(self.norm),
            "share": log_code(self.share, _DECADES).data(self.share),
            "shareIs": self.share_is,
            "groups": list(GROUPS),
            "group": packed(self.group, "u1"),
            "groupShare": packed(self.group_share, "f4"),
            "weights": {str(i): one.data() for i, one in self.weights.items()},
            "circuits": {str(i): one.data() for i, one in self.circuits.items()},
            "proofs": {str(i): one.data() for i, one in self.proofs.items()},
            "note": self.note,
        }


def competition_of(run: Any, name: str, *, with_networks: bool = True) -> Competition | None:
    """The neurons of a run; None if their norms were not measured.

    Args:
        run: anything with ``experiment``, ``measures``, ``members`` and ``subnetworks``.
        name: of the experiment.
        with_networks: whether to read the networks themselves, by replay where that is quick.
    """
    measures = on_members(run.measures_so_far, run.members)
    share_name = next((one for one in ("output_share", "path_norm") if one in measures), None)
    if "neuron_norm" not in measures or share_name is None:
        return None
    norms, shares = measures["neuron_norm"], measures[share_name]
    taken = _measured(norms) & _measured(shares)
    if not taken.any():
        return None
    rows = np.flatnonzero(taken)
    if len(rows) > _MOST_SNAPSHOTS:
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, _MOST_SNAPSHOTS).astype(int))]
    width = norms.sizes["neuron"]
    shown = max(1, min(len(run.members), _MOST_BYTES // (4 * len(rows) * width)))
    norm, share = (_numbers(values.isel(step=rows, seed=slice(shown))) for values in (norms, shares))
    if share_name == "path_norm":
        with np.errstate(invalid="ignore", divide="ignore"):
            share = share / share.sum(axis=-1, keepdims=True)
    steps = measures["step"].to_numpy()[rows].astype(np.int64)
    group = _groups(run, shown, width)
    networks, note = networks_of(run, steps, shown) if with_networks else ({}, "")
    weights = {i: weight_map(one, group[i], share[i], support_of(run, i)) for i, one in networks.items()}
    circuits = {i: read for i, one in networks.items() if (read := circuit_of(run, i, one)) is not None}
    return Competition(
        name,
        member_labels(run.members)[:shown],
        steps,
        norm,
        share,
        "share of the output on test inputs" if share_name == "output_share" else "share of the path norm",
        group,
        weights,
        circuits,
        proofs_of(run, steps, networks),
        note,
    )


def _numbers(values: xr.DataArray) -> np.ndarray:
    return values.transpose("seed", "step", "neuron").to_numpy().astype(np.float64)


def _measured(values: xr.DataArray) -> np.ndarray:
    """The steps at which a measure of neurons was taken of some member: bool [step]."""
    first = values.isel(neuron=0).transpose("seed", "step").to_numpy()
    return np.asarray(np.isfinite(first).any(axis=0))


def _groups(run: Any, shown: int, width: int) -> np.ndarray:
    """The group of each neuron, [member, neuron]: generalizing before memorizing; other where not known."""
    import xarray as xr

    group = np.full((shown, width), GROUPS.index("other"), np.uint8)
    try:
        found = xr.Dataset({"sets": run.subnetworks})
    except GrokscopeError:
        return group
    labels = [str(one) for one in found["subnetwork"].to_numpy()]
    members = list(run.members)[:shown]
    try:
        sets = on_members(found, members)["sets"].transpose("seed", "subnetwork", "neuron").to_numpy()
    except KeyError:  # not found for every member yet
        return group
    for name in ("memorizing", "generalizing"):
        if name in labels:
            group[sets[:, labels.index(name)].astype(bool)] = GROUPS.index(name)
    return group


def competition_tables(competitions: Sequence[Competition]) -> list[Table]:
    """Each group's share of the output over time, and the largest neurons at the end."""
    tables: list[Table] = []
    for one in competitions:
        for i, label in enumerate(one.labels[:5]):
            name = f"{one.name}, seed {label}"
            shares = one.group_share[i]
            rows = [
                [str(int(one.steps[k])), *(format_number(float(share)) for share in shares[k])]
                for k in log_spaced(one.steps)
            ]
            tables.append(Table(f"{name}: {one.share_is}, by group", ["step", *GROUPS], rows))
            last = np.nan_to_num(one.share[i, -1])
            rows = [
                [
                    str(int(j)),
                    GROUPS[one.group[i, j]],
                    format_number(float(one.norm[i, -1, j])),
                    format_number(float(one.share[i, -1, j])),
                ]
                for j in np.argsort(-last, kind="stable")[:_NEURONS]
            ]
            title = f"{name}: the {len(rows)} neurons with the largest share at the end"
            tables.append(Table(title, ["neuron", "group", "norm", "share"], rows))
    return tables
