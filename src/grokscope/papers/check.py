"""Conformance check of a paper, for papers outside the package too: ``check_paper(MyPaper())``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from grokscope.claims import Claim, NotTestable, gather, judge
from grokscope.errors import InputError
from grokscope.papers._experiments import ContestExperiment, SweepExperiment
from grokscope.papers._paper import Paper, RunLike
from grokscope.papers.made_up import made_up_runs
from grokscope.spec.checking import Checker

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = ["check_paper"]

_want = Checker("check_paper")
_TRIED = 3  # runs on which it is tried whether a claim can be judged by the measures that are taken


def check_paper(paper: Paper, examples: Iterable[Mapping[str, RunLike]] = ()) -> None:
    """Check that a paper is complete and valid (`Paper`), and that each of its claims can fail.

    Every claim is judged alone on made-up runs: nothing measured; curves that are flat, rise, fall, jump
    early or late; noise. It must never raise, must be "not testable" where nothing was measured, and must
    fail at least once. Claims that fail only on particular curves are given them as ``examples``
    (`grokscope.papers.made_up_run`), which are judged by the claims that have not failed before. The measures
    that its evidence needs must be among those that its experiments take, under each profile, with what their
    analyses give.

    Args:
        paper: the paper.
        examples: further runs by experiment name, on some of which the remaining claims fail.

    Raises:
        AssertionError: with what is wrong and what is required.
    """
    _check_texts(paper)
    _check_experiments(paper)
    _check_references(paper)
    _check_claims(paper, examples)


def _check_texts(paper: Paper) -> None:
    cls = type(paper)
    _want(
        bool((cls.__doc__ or "").strip()) and cls.__doc__ != Paper.__doc__, f"{cls.__name__} has no docstring"
    )
    for name in ("title", "authors", "bibtex"):
        _want(bool(getattr(paper, name).strip()), f"{paper.kind} has no {name}")
    _want(paper.year > 1900, f"{paper.kind} has no year")
    _want(not paper.arxiv or paper.arxiv in paper.bibtex, "bibtex does not contain the arXiv number")
    _want(bool(paper.experiments), "there are no experiments")
    _want(bool(paper.claims), "there are no claims")
    for kind, ids in (
        ("experiment", [one.name for one in paper.experiments] + list(paper.groups)),
        ("claim", [one.id for one in paper.claims]),
        ("figure", [one.id for one in paper.figures]),
    ):
        twice = sorted({one for one in ids if ids.count(one) > 1})
        _want(not twice, f"{kind} {twice[:1]} comes twice")


def _check_experiments(paper: Paper) -> None:
    for one in paper.experiments:
        _want(bool(one.sentence.strip()), f"experiment {one.name} has no sentence")
        for profile in ("paper", "quick"):
            _want(profile in one.profiles, f"experiment {one.name} has no profile '{profile}'")
            try:
                spec, seeds = one.under(profile)
            except InputError as error:
                where = f"experiment {one.name}, profile '{profile}'"
                raise AssertionError(f"check_paper: {where}: {error}") from error
            full = one.experiment
            changed = (spec.identity, spec.n_steps) != (full.identity, full.n_steps)
            _want(
                not changed or bool(one.profile(profile).reduced.strip()),
                f"experiment {one.name}: profile '{profile}' changes what is trained or how long, "
                'and does not say how: give it reduced="p = 53 instead of 97"',
            )
            if isinstance(one, ContestExperiment):
                one.contest(profile)  # raises where it is not fair
            if isinstance(one, SweepExperiment):
                cells = len(list(one.grid(profile).cells()))  # raises for invalid specs, and for equal ones
                _want(cells > 1, f"experiment {one.name} is a sweep of one cell under '{profile}'")
            _want(len(one.members(seeds)) >= 1, f"experiment {one.name} has no seeds under '{profile}'")
            try:
                paper.chosen(one.name)  # raises for a circle, and for a source that the paper does not have
                paper.check_values(one, profile)
            except InputError as error:
                raise AssertionError(f"check_paper: {error}") from error
            same = type(spec).from_table(_table(spec)) == spec
            _want(same, f"experiment {one.name}: the spec made again from its own table differs")


def _table(spec: Experiment) -> dict[str, Any]:
    from grokscope.spec.toml import parse_toml

    return parse_toml(spec.to_toml())


def _check_references(paper: Paper) -> None:
    names = {one.name for one in paper.experiments}
    for claim in paper.claims:
        missing = [name for name in claim.experiments if name not in names]
        _want(not missing, f"claim {claim.id} is on no experiment of the paper: {', '.join(missing)}")
        _want(
            claim.sentence.strip().endswith("."), f"claim {claim.id}: its sentence must end with a full stop"
        )
        _want(bool(claim.source.strip()), f"claim {claim.id} has no source (figure, section, table)")
        _want(bool(claim.estimand.strip()), f"claim {claim.id} has no estimand")
        _want(bool(claim.fixed_on and claim.confirmed_on), f"claim {claim.id} does not say on which seeds")
    strange = sorted(set(paper.reasons) - {claim.id for claim in paper.claims})
    _want(not strange, f"reasons names {strange[:1]}, which is no claim of the paper")
    for figure in paper.figures:
        _want(bool(figure.needs), f"figure {figure.id} needs no experiment")
        for name in figure.needs:
            known = ", ".join(sorted(names))
            _want(name in names, f"figure {figure.id}: no experiment '{name}'; the paper has {known}")
        _want(bool(figure.title.strip()), f"figure {figure.id} has no title")


def _check_claims(paper: Paper, examples: Iterable[Mapping[str, RunLike]]) -> None:
    each = zip(*(made_up_runs(one) for one in paper.experiments), strict=True)
    names = [one.name for one in paper.experiments]
    made_up: list[tuple[str, Mapping[str, RunLike]]] = [
        (runs[0][0], dict(zip(names, (run for _, run in runs), strict=True))) for runs in each
    ]
    given = [(f"example {i}", runs) for i, runs in enumerate(examples)]
    seen: dict[str, set[str]] = {claim.id: set() for claim in paper.claims}
    tried: dict[str, int] = dict.fromkeys(seen, 0)
    notes = dict.fromkeys(seen, "")
    for name, runs in [*made_up, *given]:
        for claim in paper.claims:
            failed = name.startswith("example") and "fails" in seen[claim.id]
            if failed or not set(claim.experiments) <= runs.keys():
                continue
            try:
                evidence = gather(claim, *(runs[name].measures for name in claim.experiments))
                verdict = judge([(claim, evidence)])[0]
                json.dumps(verdict.to_json(), allow_nan=False)
            except Exception as error:
                message = f"claim {claim.id} on {name}: {type(error).__name__}: {error}"
                raise AssertionError(f"check_paper: {message}") from error
            seen[claim.id].add(verdict.verdict)
            if name != "nothing measured":
                about = f"{name}: {verdict.verdict}" + (f", {verdict.note}" if verdict.note else "")
                notes[claim.id] = about
            if name == "nothing measured" and claim.kind != "deterministic":
                right = verdict.verdict == "not testable"
                _want(right, f"claim {claim.id} is '{verdict.verdict}' although nothing was measured")
            if not isinstance(evidence, NotTestable) and tried[claim.id] < _TRIED:
                tried[claim.id] += 1
                _check_measures(paper, claim, runs)
    for claim in paper.claims:
        _want(
            "fails" in seen[claim.id],
            f"claim {claim.id} came out as {sorted(seen[claim.id])}, never as fails; give examples on which "
            f"it does{f' ({notes[claim.id]})' if notes[claim.id] else ''}",
        )


def _check_measures(paper: Paper, claim: Claim, runs: Mapping[str, RunLike]) -> None:
    """Check that a claim's experiments take all measures that its evidence needs, under each profile."""
    every = {name: runs[name].measures for name in claim.experiments}

    def is_enough(kept: Mapping[str, set[str]]) -> bool:
        """Whether the evidence can be computed from these measures."""
        parts = [measures[sorted(kept[name] & set(measures.data_vars))] for name, measures in every.items()]
        try:
            return not isinstance(gather(claim, *parts), NotTestable)
        except Exception:
            return False

    whole = {name: set(map(str, measures.data_vars)) for name, measures in every.items()}
    enough: list[dict[str, set[str]]] = []
    for profile in ("paper", "quick"):
        taken = {name: paper.experiment(name).measures_taken(profile) for name in every}
        if taken in enough or is_enough(taken):
            enough.append(taken)
            continue
        for name in every:
            for measure in sorted(whole[name] - taken[name]):
                _want(
                    is_enough({**whole, name: whole[name] - {measure}}),
                    f"claim {claim.id} needs the measure '{measure}', which experiment {name} does not take "
                    f"under '{profile}'; add it to its measures, or to what one of its analyses gives",
                )
        _want(
            False,
            f"claim {claim.id} cannot be judged by the measures that its experiments take ('{profile}')",
        )
