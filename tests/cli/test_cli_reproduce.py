from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from grokscope.errors import InputError


@dataclass(frozen=True)
class Plan:
    paper: str
    seeds: str | None
    profile: str | None
    seconds: float = 30.0

    def __str__(self):
        return f"the plan for {self.paper}"


@pytest.fixture
def papers(monkeypatch):
    """A fake `plan` and a fake `reproduce` that record what they were asked for."""
    fake = SimpleNamespace(planned=[], done=[], seconds=30.0)

    def plan(paper, experiments=None, seeds=None, profile=None, rates=None):
        if paper != "two-circuits":
            raise InputError(f"paper '{paper}' is not known. Did you mean 'two-circuits'?")
        fake.planned.append((paper, experiments, seeds, profile))
        return Plan(paper, seeds, profile, fake.seconds)

    @dataclass(frozen=True)
    class Done:
        paper: str
        failures = ()

        def summary(self, *, full=False):
            return "the claims table, in full" if full else "the claims table"

        def to_json(self):
            return {"paper": self.paper}

    def reproduce(planned, *, out=None, progress=None, **options):
        fake.done.append((planned, out, options))
        progress.start(1, "standard")
        progress.advance(1)
        return Done(planned.paper)

    monkeypatch.setattr("grokscope.report.reproduce", reproduce)
    monkeypatch.setattr("grokscope.reproduction.plan", plan)
    return fake


def test_the_plan_comes_first_then_the_work_then_the_claims(cli, papers, tmp_path):
    result = cli(
        *("reproduce", "two-circuits", "standard", "random-labels", "--seeds", "5"),
        *("--profile", "quick", "--out", str(tmp_path)),
    )
    assert result.code == 0, result.err
    assert papers.planned == [("two-circuits", ["standard", "random-labels"], "5", "quick")]
    ((_, out, options),) = papers.done
    assert (out, options) == (tmp_path, {"allow_other_numerics": False, "allow_changed_code": False})
    assert result.out == "the claims table\n"
    assert result.err.splitlines()[:2] == ["the plan for two-circuits", "standard: started"]


def test_the_table_is_printed_in_full_where_it_is_asked_for(cli, papers):
    assert cli("reproduce", "two-circuits", "--full").out == "the claims table, in full\n"


def test_no_experiment_means_the_default_ones(cli, papers):
    cli("reproduce", "two-circuits")
    assert papers.planned == [("two-circuits", None, None, None)]


def test_a_dry_run_only_plans(cli, papers):
    result = cli("reproduce", "two-circuits", "--dry-run")
    assert (result.code, result.out, papers.done) == (0, "the plan for two-circuits\n", [])
    found = json.loads(cli("reproduce", "two-circuits", "--dry-run", "--json").out)
    assert found["seconds"] == 30.0


def test_json_has_the_plan_on_stderr(cli, papers):
    result = cli("reproduce", "two-circuits", "--json")
    assert json.loads(result.out) == {"paper": "two-circuits"}
    assert result.err.startswith("the plan for two-circuits\n")


def test_long_work_wants_a_yes_where_nobody_can_answer(cli, papers):
    papers.seconds = 7200.0
    result = cli("reproduce", "two-circuits")
    assert (result.code, papers.done) == (2, [])
    assert result.err.endswith(
        "grokscope: this takes about 2 h here: add --yes to go on, or --profile quick for less.\n"
    )
    assert cli("reproduce", "two-circuits", "--yes").code == 0
    assert len(papers.done) == 1


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 130), ("", 130)])
def test_a_person_is_asked(cli, papers, monkeypatch, answer, code):
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    papers.seconds = 7200.0
    stdin = Terminal(answer)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    result = cli("reproduce", "two-circuits")
    assert result.code == code
    assert len(papers.done) == (code == 0)
    assert "this takes about 2 h here; go on?" in result.err


def test_an_unknown_paper_gets_a_hint(cli, papers):
    result = cli("reproduce", "two-circiuts")
    assert result.code == 2
    assert result.err == "grokscope: paper 'two-circiuts' is not known. Did you mean 'two-circuits'?\n"
