"""Remarks on a run for readers of its results, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grokscope.optimizers.rate_schedules import Constant
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.spec.code import short
from grokscope.spec.parts import kinds
from grokscope.starts import FromRun

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.measures import Measure
    from grokscope.store.reader import RunReader

__all__ = ["marks", "outdated_measures", "remarks_on"]


def remarks_on(store: RunReader, experiment: Experiment) -> list[str]:
    """The remarks on a run: allowed differences, measures of other code, parts not loaded, schedules.

    Args:
        store: the store of the run.
        experiment: the stored experiment.
    """
    found = marks(store.notes)
    found += [part.reason for part in experiment.missing_parts]
    found += _schedule_goes_on(experiment)
    return [*found, *outdated_measures(store, experiment).values()]


def _schedule_goes_on(experiment: Experiment) -> list[str]:
    """A branch whose steps begin at 0, and whose rate schedule does not."""
    init, schedule = experiment.init, getattr(experiment.optimizer, "schedule", Constant())
    whole = isinstance(init, FromRun) and init.clock == "zero" and init.parameters == "all"
    if not whole or schedule == Constant():
        return []
    return [
        f"the rate schedule '{schedule.kind}' goes on from the source's last update, though steps begin at "
        '0; with init.parameters = ["*"] it begins anew.'
    ]


def marks(notes: dict[str, object]) -> list[str]:
    """The differences that were allowed, from the notes of a run or a sweep.

    Example:
        >>> marks({"other_numerics": ["jax: 1 there, 2 here"]})
        ['continued under other numerics: jax: 1 there, 2 here']
    """
    words = {
        "other_numerics": "continued under other numerics",
        "changed_code": "continued by changed code",
        "other_forward": "imported with another forward pass than its files have logged",
    }
    return [
        f"{text}: {'; '.join(map(str, listed))}"
        for name, text in words.items()
        if isinstance(listed := notes.get(name), list) and listed
    ]


def outdated_measures(store: RunReader, experiment: Experiment) -> dict[str, str]:
    """A remark on each measure that has values of other code than the present one, by name."""
    if not len(store.seeds):
        return {}
    now = {} if experiment.missing_parts else {one.name: one for one in MeasurePlan.of(experiment).all}
    found: dict[str, str] = {}
    for name in sorted({name for names in store.measures.values() for name in names}):
        codes = store.measure_codes(name)
        present = now.get(name) or _by_kind(name, [code.kind for code in codes.values()])
        if present is None:
            continue
        old = [
            one for one in codes if one != present.code_version and (store.measured_to(name, one) >= 0).any()
        ]
        if old:
            was = codes[old[0]].sha256
            then = f" ({short(was)}, now {short(present.code_version)})" if was else ""
            found[name] = (
                f"measure {name}: its values were computed by other code than the present one{then}; the "
                f"command that trained it, given again, or grokscope measure computes it anew."
            )
    return found


def _by_kind(name: str, stored: list[str]) -> Measure | None:
    """A measure of the kind that a stored measure has; None if its kind is not loaded or has no defaults."""
    known = kinds("measure")
    for kind in (*stored, name):
        if kind in known and all(not field.is_required() for field in known[kind].model_fields.values()):
            return known[kind]()  # type: ignore[return-value]
    return None
