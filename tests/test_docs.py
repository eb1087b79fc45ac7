"""What the README and docs/ show really runs, and the generated pages are current.

Fenced blocks, each page in a folder of its own, in order: ``python`` is run (``python torch`` by itself,
where PyTorch is); ``toml NAME`` and ``python NAME`` are written as the files they are; ``console run`` is run
by the command line in this process; ``console`` is read by its parser. Long runs are made short
by `SHORTER`.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from grokscope.cli import main
from grokscope.spec.parts import kinds
from scripts import script

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
# `title="..."` is the name of a file; the comments above a block say that it is run, or needs PyTorch
FENCE = re.compile(r"^(?:<!-- (run|torch) -->\n)?```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]*)"')
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
# The same code on less: every text here is on some page, else it is out of date.
SHORTER = {
    "epochs = 300": 'epochs = 2\nmeasures = ["train_accuracy", "test_accuracy"]',
    "epochs=300,": 'epochs=2, measures=["test_accuracy", "effective_sparsity", "subnetwork_norm"],',
    '"effective_sparsity", "faithfulness"]': '"faithfulness"]',
    '{"kind": "sparse_parity", "n": 10, "k": 2}, out': (
        '{"task": {"kind": "sparse_parity", "n": 10, "k": 2}, "measures": ["test_accuracy"]}, out'
    ),
    '"memorization",\n    i': "\"memorization\", \"measures=['train_accuracy', 'test_accuracy']\",\n    i",
    'run.branch(60, seeds="i': 'run.branch(60, "measures=[\'test_accuracy\']", seeds="i',
    "duel = run.branch(\n    0,": "duel = run.branch(\n    0, \"measures=['test_accuracy']\",",
    "    60, seeds=[0, 1]": "    60, \"measures=['test_accuracy']\", seeds=[0, 1]",
    "n = 40": "n = 10",
}


class Block(NamedTuple):
    """A fenced block: the words behind the fence, the text, the line of the fence."""

    words: list[str]
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            [*TITLE.sub(r"\1", match[2]).split(), *([match[1]] if match[1] else [])],
            match[3],
            text.count("\n", 0, match.start(2)) + 1,
        )
        for match in FENCE.finditer(text)
    ]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(block: Block) -> list[list[str]]:
    lines = block.text.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("grokscope ")]


with_code = [
    page for page in PAGES if any(b.words[:1] == ["python"] or "run" in b.words for b in blocks(page))
]
with_commands = [page for page in PAGES if any(b.words[:1] == ["console"] for b in blocks(page))]


def shorter(text: str) -> str:
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return text


@pytest.mark.slow
@pytest.mark.parametrize("page", with_code, ids=name)
@pytest.mark.usefixtures("registry", "tmp_cwd")
def test_code_of_a_page_runs_in_order(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks(page):
        kind, *rest = block.words or [""]
        where = f"{page}:{block.line}"
        if rest == ["torch"]:
            continue  # in a test of its own
        if rest and rest != ["run"]:
            Path(rest[0]).write_text(shorter(block.text), encoding="utf-8")
        elif kind == "python":
            exec(compile("\n" * block.line + shorter(block.text), where, "exec"), names)
        elif kind == "console" and rest == ["run"]:
            for words in commands(block):
                code = main(shlex.split(shorter(shlex.join(words))))
                assert code == 0, f"{where}: grokscope {shlex.join(words)}: {capsys.readouterr().err}"


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.usefixtures("tmp_cwd")
def test_code_that_needs_pytorch_runs() -> None:
    of_pages = [
        (page, block) for page in PAGES for block in blocks(page) if block.words == ["python", "torch"]
    ]
    assert of_pages
    for page, block in of_pages:
        exec(
            compile("\n" * block.line + block.text, f"{page}:{block.line}", "exec"), {"__name__": "__page__"}
        )
    assert len(list(Path("checkpoints").glob("*.pt"))) == 51


def test_every_block_is_of_a_kind_that_is_run() -> None:
    kinds_of = {block.words[0] if block.words else "" for page in PAGES for block in blocks(page)}
    assert kinds_of <= {"", "console", "ini", "python", "toml"}


@pytest.mark.parametrize("page", with_commands, ids=name)
def test_commands_of_a_page_can_be_parsed(page: Path) -> None:
    import typer

    from grokscope.cli.app import app

    group = typer.main.get_command(app)
    context = group.make_context("grokscope", ["doctor"])
    for block in blocks(page):
        if block.words[:1] != ["console"]:
            continue
        found = commands(block)
        assert found, f"{page}:{block.line}: no command"
        for name_of, *arguments in found:
            if name_of.startswith("-"):
                continue
            # raises a usage error that names what it does not understand
            group.commands[name_of].make_context(name_of, arguments, parent=context)


def test_pages_show_specs_that_are_valid(tmp_path: Path) -> None:
    from grokscope import Experiment
    from grokscope.sweeps import ContestSpec, SweepSpec, is_contest_file

    for page in PAGES:
        for block in blocks(page):
            if block.words[:1] == ["toml"] and not page.stem.startswith("own-"):  # those need plug-ins
                file = tmp_path / block.words[1]
                file.write_text(block.text, encoding="utf-8")
                if "[sweep]" not in block.text:
                    base = Experiment.from_toml(file)
                elif is_contest_file(file):
                    base = ContestSpec.from_toml(file).base
                else:
                    base = SweepSpec.from_toml(file).base
                assert base.n_steps > 0, f"{page}:{block.line}"


def test_what_is_shortened_is_there() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [long for long in SHORTER if long not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    inside = [target for target in targets if "://" not in target]
    # pictures are put there by the benchmarks, from 100 seeds
    missing = [t for t in inside if not t.endswith(".png") and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("name_of", ["make_spec", "make_measures", "make_promises"])
def test_generated_pages_are_current(name_of: str) -> None:
    made = script(ROOT / "docs" / f"{name_of}.py")
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), f"run: python docs/{name_of}.py"


def test_what_several_seeds_saw_is_added_up() -> None:
    made = script(ROOT / "docs" / "make_promises.py")
    days = [{"name": "a", "date": "2026-01-02"}, {"name": "a", "date": "2026-01-01"}]
    assert made.newest_days(days) == {"a": "2026-01-02"}
    one, two = (
        {"name": "a", "seed": seed, "count": count, "result": result, "failures": failures}
        for seed, count, result, failures in ((1, 30, "1 wrong", ["x"]), (0, 20, "0 wrong", []))
    )
    assert made.added([one, two]) == one | {
        "count": 50, "result": "0 wrong; 1 wrong", "seed": "0, 1"
    }  # fmt: skip
    assert made.added([two, two])["result"] == "0 wrong"


def test_every_measure_and_kind_is_on_its_page() -> None:
    measures = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    for kind, cls in kinds("measure").items():
        if cls.__module__.startswith("grokscope."):
            assert f"### `{kind}`\n" in measures
    spec = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    groups = (
        "task",
        "model",
        "loss",
        "penalty",
        "optimizer",
        "rate_schedule",
        "learner",
        "init",
        "intervention",
        "neurons",
    )
    for group in groups:
        for kind, cls in kinds(group).items():
            if cls.__module__.startswith("grokscope."):
                assert f'### `kind = "{kind}"`' in spec
