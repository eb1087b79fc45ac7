from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from grokscope.cli.doctor import compile_cache, examine, expected_times
from grokscope.experiment import Experiment
from grokscope.papers import Cost
from grokscope.training.rates import Rates, predict_seconds

RATES = Rates(device="cpu", cores=2, large=220.0, at_shape=158.0, free=1.0, seconds=0.0)


@dataclass(frozen=True)
class OneOfPaper:
    name: str
    experiment: Experiment
    needs_gpu: bool = False
    sentence: str = "what it is"

    def cost(self, profile, seeds, rates):
        assert (profile, seeds) == ("paper", None)
        return Cost(7, predict_seconds(self.experiment, 7, rates), 0)


@pytest.fixture
def paper(monkeypatch):
    import grokscope.papers

    experiments = (
        OneOfPaper("standard", Experiment(task="sparse_parity", epochs=300)),
        OneOfPaper("huge", Experiment(task="sparse_parity", epochs=300), needs_gpu=True),
    )
    claims = (SimpleNamespace(id="C1", experiment="standard"),)
    known = SimpleNamespace(
        title="A Tale", authors="M.", year=2023, arxiv="2303.11873", experiments=experiments, claims=claims
    )
    monkeypatch.setattr(grokscope.papers, "papers", lambda: {"two-circuits": known})
    return known


def test_expected_times_are_those_of_the_paper_at_full_size(paper):
    standard, huge = expected_times(RATES)
    assert (standard.paper, standard.experiment, standard.members) == ("two-circuits", "standard", 7)
    assert standard.seconds == predict_seconds(paper.experiments[0].experiment, 7, RATES)
    assert huge.seconds is None
    gpu = Rates(device="gpu", cores=2, large=5e4, at_shape=1e4, free=1.0, seconds=0.0)
    assert expected_times(gpu)[1].seconds is not None


def test_what_the_machine_has_can_be_written_as_json():
    found = json.loads(json.dumps(examine()))
    import jax

    assert len(found["devices"]) == len(jax.devices())
    assert found["versions"]["jax"] == jax.__version__
    assert 0 < found["memory"]["available"] <= found["memory"]["total"]


@pytest.fixture
def cache_on(monkeypatch, tmp_path):
    import jax

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("GROKSCOPE_COMPILE_CACHE", raising=False)
    before = jax.config.jax_enable_compilation_cache, jax.config.jax_compilation_cache_dir
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", None)
    yield tmp_path
    jax.config.update("jax_enable_compilation_cache", before[0])
    jax.config.update("jax_compilation_cache_dir", before[1])


def test_a_compile_cache_that_can_be_written_is_usable(cache_on):
    found = compile_cache()
    assert found["usable"] is True
    assert found["path"].startswith(str(cache_on))


def test_a_compile_cache_that_is_a_file_is_not(cache_on):
    (cache_on / "grokscope").write_text("")
    found = compile_cache()
    assert found["usable"] is False
    assert found["why"].startswith("cannot be written: ")


def test_a_compile_cache_that_is_switched_off_says_by_what(cache_on, monkeypatch):
    import jax

    monkeypatch.setenv("GROKSCOPE_COMPILE_CACHE", "off")
    assert compile_cache()["why"] == "switched off by GROKSCOPE_COMPILE_CACHE"
    jax.config.update("jax_enable_compilation_cache", False)
    assert compile_cache()["why"] == "switched off by JAX_ENABLE_COMPILATION_CACHE"


def test_the_doctor_and_the_list_of_papers_show_the_times(paper, capsys, monkeypatch):
    from grokscope.cli import main

    monkeypatch.setattr("grokscope.training.rates.measure_rates", lambda budget=2.0: RATES)
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "158 GFLOP/s" in shown
    (row,) = [line for line in shown.splitlines() if line.startswith("two-circuits  huge")]
    assert row.endswith("needs a GPU")

    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rates"]["at_shape"] == 158.0
    assert [item["experiment"] for item in found["expected"]] == ["standard", "huge"]

    assert main(["papers", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert {key: listed[key] for key in ("name", "title", "arxiv", "experiments", "claims")} == {
        "name": "two-circuits",
        "title": "A Tale",
        "arxiv": "2303.11873",
        "experiments": ["standard", "huge"],
        "claims": ["C1"],
    }
    assert listed["cost"]["huge"] is None

    assert main(["papers"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == "two-circuits: A Tale (M., 2023; arXiv 2303.11873)"
    assert "C1" in shown
