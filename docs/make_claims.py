"""Keep the verdicts of a reproduction, and write every table of claims: papers, literature.md, README.

    grokscope reproduce two-circuits --seeds 200:300 --out confirm
    python docs/make_claims.py confirm                   # keep the verdicts and figures of this folder
    python docs/make_claims.py confirm --name two-circuits-operators    # as a further table of the paper
    python docs/make_claims.py                           # write the pages again from what is kept
    python docs/make_claims.py --run literature          # the same after every paper's quick profile (hours)

Verdicts are kept in ``src/grokscope/papers/verdicts/NAME.json`` and written between
``<!-- claims:begin NAME -->`` and ``<!-- claims:end NAME -->`` on whichever page has these markers. A page
shows a figure as ``images/PAPER-FIGURE.png``; those that the folder has are copied, made smaller where they
are over 150 kB. The table of all papers stands between ``<!-- literature:begin -->`` and
``<!-- literature:end -->``.

``--run FOLDER`` reproduces each paper into a folder of its own in FOLDER, under the profile `quick` on seeds
that no region was fixed on; given again it goes on. Verdicts of the profile `paper` that are kept stay; how
the quick ones compare is printed.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from grokscope.claims import NOT_RUN, tally_text
from grokscope.papers import Paper, find_paper, papers
from grokscope.papers.literature import VERDICTS, CheckedPaper, JudgedTable, literature
from grokscope.plots.curves import seeds_argument
from grokscope.runs import Run, open_run
from grokscope.store.folder import run_folders, sweep_folders
from grokscope.sweeps import open_sweep

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 150_000
_PICTURE = re.compile(r"\]\([./\w]*images/([\w.-]+)\.png\)")
_PLACE = re.compile(r"<!-- claims:begin ([\w-]+) -->")
_UNJUDGED = "No claim has been judged on fresh seeds yet."
_HEADER = ("id", "claim", "paper", "ours", "95 % interval", "n", "verdict")


# --- the table of a paper ---


def render(table: JudgedTable) -> str:
    """The table of claims, and what a reader must know below it."""
    claims = table.judged
    elsewhere = [one["id"] for one in table.entries if one.get("note") == NOT_RUN]
    rows = [_HEADER, tuple("---" for _ in _HEADER), *map(_row, claims)]
    lines = [
        f"Made by {' and '.join(f'`{command}`' for command in table.commands)}.",
        "Holds: the interval lies inside the claim's region; fails: outside; undecided: neither, or not "
        "significant over the table.",
        *(
            ["Would decide: so many seeds in all, if all are like these, by the interval alone."]
            if any("would decide" in one.get("words", "") for one in claims)
            else []
        ),
        *(f"Over the table: {text}." for text in _distinct(claims, "control")),
        *_fixed(claims, table.trained),
        *(f"{one['id']}: {one['note']}." for one in claims if one.get("note")),
        *(
            [f"Not shown, for their experiments were not run here: {', '.join(elsewhere)}."]
            if elsewhere
            else []
        ),
    ]
    return _markdown(rows) + "\n\n" + "  \n".join(_escape(line.replace("..", ".")) for line in lines)


def _fixed(claims: Sequence[Mapping[str, Any]], asked: Mapping[str, Any]) -> list[str]:
    """On which seeds the regions were fixed and are confirmed; by claims where it is not the same for all."""
    together: dict[tuple[str, str], list[str]] = {}
    first = min(map(_first, asked.values()), default=0)
    for one in claims:
        together.setdefault((one["fixed_on"], one["confirmed_on"]), []).append(one["id"])
    lines: list[str] = []
    for (fixed, confirmed), ids in together.items():
        of = "Regions" if len(together) == 1 else f"Regions of {', '.join(ids)}"
        how = "beforehand" if fixed.startswith("none") else f"on seeds {fixed}"
        later = " or later ones" if first > _first(confirmed) else ""
        judged = (
            f" and are confirmed on seeds {confirmed}{later}."
            if first >= _first(confirmed)
            else f"; seeds {confirmed} are kept to confirm them."
        )
        lines.append(f"{of} were fixed {how}{judged}")
    return lines


def _first(seeds: str | None) -> int:
    """The first of ``100:200`` or ``100-199``; a number alone is how many, from 0 on."""
    numbers = re.match(r"(\d+)[:,-]", seeds or "")
    return int(numbers[1]) if numbers else 0


def _row(claim: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        claim["id"],
        claim["sentence"],
        _value(claim["paper_value"], claim["unit"]),
        _value(claim["value"], claim["unit"]),
        _interval(claim["interval"]),
        str(claim["seeds"]),
        claim.get("words") or claim["verdict"],
    )


def _value(value: float | str | None, unit: str) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{_number(value)} {unit}".rstrip()


def _interval(ends: Sequence[float | None] | None) -> str:
    """An end that the seeds cannot bound is written as a word."""
    if ends is None:
        return "-"
    low, high = ("no bound" if end is None else _number(end) for end in ends)
    return f"[{low}, {high}]"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _distinct(claims: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(one[name] for one in claims if one.get(name)))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _markdown(rows: Sequence[Sequence[str]], links: bool = False) -> str:
    """Rows as a Markdown table; the cells are escaped unless they hold links."""
    return "\n".join(
        "| " + " | ".join(cell if links else _escape(cell) for cell in row) + " |" for row in rows
    )


# --- the table of all papers ---


def literature_table(checked: Sequence[CheckedPaper], pages: Mapping[str, str]) -> str:
    """A row for each paper.

    Args:
        checked: the papers.
        pages: the page of each paper, by its name.
    """
    rows = [
        ("paper", "arXiv", "experiments", "claims", "settings", "seeds", "time", "made"),
        tuple("---" for _ in range(8)),
    ]
    for one in checked:
        paper, facts = one.paper, one.facts
        title = _escape(paper.title)
        rows.append(
            (
                f"[{title}]({pages[paper.kind]})" if paper.kind in pages else title,
                f"[{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else "own",
                facts["experiments"],
                facts["claims"],
                facts.get("settings", "-"),
                facts.get("seeds", "-"),
                facts.get("time", "-"),
                f"{facts['date']}, version {facts['version']}" if "date" in facts else "-",
            )
        )
    return _markdown(rows, links=True)


def literature_page(checked: Sequence[CheckedPaper], pages: Mapping[str, str]) -> str:
    """literature.md."""
    parts = [
        "# The grokking literature, checked",
        "<!-- Made by `python docs/make_claims.py` from the verdicts that are kept; do not edit. -->",
        "Every paper here is one file with its experiments, claims and figures, and one command. A claim is "
        "a sentence of the paper as a statement about one number; its verdict is computed from runs "
        "([how](claims.md)), on seeds that no region was fixed on unless the paper's page says so. "
        "`grokscope papers --verdicts` prints the same.",
        literature_table(checked, pages),
        "*Experiments*: those run, of those that the paper's file has. *Settings*: `same` is the paper's "
        "own setting, `small` a reduced one, `own` a control or correction that the paper lacks. *Seeds*: "
        "the fewest and the most that a claim was judged on. *Time*: wall time of all runs, on 2 cores "
        "that often had other work.",
        "## Claims that fail",
        "With our number, its 95 % interval and n. The reason is given where one was found.",
    ]
    for one in checked:
        if one.failing:
            lines = [f"### {one.paper.title}", ""]
            for claim in one.failing:
                entry = claim.entry
                ours = f"{_value(entry['value'], entry['unit'])} {_interval(entry['interval'])}"
                told = f"- **{entry['id']}** ({entry['setting']}) {entry['sentence']} Ours: {ours}, "
                told += f"n = {entry['seeds']}."
                reason = claim.reason or "The reason is open."
                lines.append(f"{_escape(told)} *{_escape(reason)}*")
            parts.append("\n".join(lines))
    commands = [
        f"- {one.paper.title}:\n" + "\n".join(f"    - `{command}`" for command in one.commands)
        for one in checked
        if one.tables
    ]
    parts += ["## Commands", "\n".join(commands)]
    return "\n\n".join(parts) + "\n"


# --- pages ---


def replace_block(text: str, block: str, name: str) -> str:
    """Put ``block`` between the markers of this name, as ``claims NAME`` or ``literature``.

    Raises:
        ValueError: The markers are not there, once each and in order.
    """
    word, _, rest = name.partition(" ")
    begin, end = (f"<!-- {word}:{where} {rest}".rstrip() + " -->" for where in ("begin", "end"))
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"the page needs one line {begin} and, below it, one line {end}")
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n{block}\n{end}{after}"


def pages(root: Path = ROOT, verdicts: Path = VERDICTS) -> dict[Path, str]:
    """Every page with a table, as it should be.

    Raises:
        ValueError: A table has no place on a page, or a page has a place for a table that is not kept (the
            place of a paper that was not judged yet may be there already).
    """
    checked = literature(verdicts)
    unjudged = {one.paper.kind for one in checked if not one.tables}
    tables = {table.name: table for one in checked for table in one.tables}
    found: dict[Path, str] = {}
    paper_pages: dict[str, str] = {}
    placed: set[str] = set()
    docs = root / "docs"
    for file in (*sorted((docs / "papers").glob("*.md")), *sorted(docs.glob("*.md"))):
        text = file.read_text(encoding="utf-8")
        places = _PLACE.findall(text)
        if file.parent == docs and not places:
            continue
        address = file.relative_to(docs).as_posix()
        for name in places:
            if name in unjudged:
                text = replace_block(text, _UNJUDGED, f"claims {name}")
                continue
            if name not in tables:
                raise ValueError(f"{file.name} has a place for the table {name}, which is not kept")
            text = replace_block(text, render(tables[name]), f"claims {name}")
            paper_pages.setdefault(tables[name].paper, address)
            placed.add(name)
        paper_pages.setdefault(file.stem, address)
        found[file] = text
    if lost := tables.keys() - placed:
        raise ValueError(f"no page in docs or docs/papers has a line <!-- claims:begin {min(lost)} -->")
    known = {one.paper.kind for one in checked}
    linked = {name: page for name, page in paper_pages.items() if name in known}
    found[docs / "literature.md"] = literature_page(checked, linked)
    for file, folder in ((root / "README.md", "docs/"), (docs / "index.md", "")):
        links = {name: f"{folder}{page}" for name, page in linked.items()}
        found[file] = replace_block(
            file.read_text(encoding="utf-8"), literature_table(checked, links), "literature"
        )
    return found


# --- the folder of a reproduction ---


def table_of(folder: Path, name: str = "") -> JudgedTable:
    """The table of a reproduction's folder.

    Raises:
        ValueError: The folder lacks a file.
    """
    needed = [folder / "claims.json", folder / "reproduction.json"]
    if missing := [str(file) for file in needed if not file.is_file()]:
        raise ValueError(f"{folder}: lacks {', '.join(missing)}; give a folder of `grokscope reproduce`")
    claims, record = (json.loads(file.read_text(encoding="utf-8")) for file in needed)
    finished: dict[str, set[int]] = {}
    seconds: list[float | None] = []
    made: list[tuple[str, str]] = []
    for path, runs, took in _parts(folder):
        # a sweep and a contest are folders of several runs, with the same seeds
        of = finished.setdefault(path.relative_to(folder).parts[0], set())
        seconds.append(took)
        for run in runs:
            of |= {s[0] for s, done in zip(run.members, run.is_done, strict=True) if done}
            made.append((run.provenance["started"][:10], run.provenance["packages"]["grokscope"]))
    trained = {name: seeds_argument(seeds) for name, seeds in sorted(finished.items())}
    asked = {row["name"]: record.get("seeds") for row in record["rows"]}
    date, version = max(made, default=("", ""))
    known = [one for one in seconds if one is not None]
    return JudgedTable(
        name=name or record["paper"],
        paper=record["paper"],
        profile=record["profile"],
        seeds=record.get("seeds"),
        trained=as_asked(trained, record) or asked,
        seconds=round(sum(known), 1) if known and len(known) == len(seconds) else None,
        version=version,
        date=date,
        entries=claims,
    )


def _parts(folder: Path) -> Iterator[tuple[Path, list[Run], float | None]]:
    """The runs and sweeps of a reproduction: the folder, the runs in it, and the wall seconds of all."""
    for path in run_folders(folder):
        run = open_run(path)
        yield path, [run], run.provenance["wall_seconds"]
    for path in sweep_folders(folder):
        sweep = open_sweep(path)
        # cells that are trained together have the same seconds, so those of cells do not add up
        yield path, [run for _, run in sweep.runs()], sweep.provenance["wall_seconds"]


def as_asked(trained: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, str]:
    """The trained seeds, but what was asked for where an experiment takes only the first of the seeds."""
    paper, asked = find_paper(record["paper"]), record.get("seeds")
    known = {one.name: one for one in paper.experiments}
    return {
        name: asked
        if asked and name in known and seeds == seeds_argument({s[0] for s in known[name].members(asked)})
        else seeds
        for name, seeds in trained.items()
    }


def smaller(picture: bytes, most: int = MOST_BYTES) -> bytes:
    """A PNG of at most ``most`` bytes: as it is, else with 256 colors, else of fewer pixels too."""
    from PIL import Image

    if len(picture) <= most:
        return picture
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    width, height = image.size
    for share in (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1):
        size = (max(1, round(width * share)), max(1, round(height * share)))
        shown = image if share == 1.0 else image.resize(size, Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        shown.quantize(256, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
        if len(stream.getvalue()) <= most:
            return stream.getvalue()
    raise ValueError(f"a picture of {len(picture)} bytes cannot be brought below {most}")


def keep(folder: Path, name: str = "", root: Path = ROOT, verdicts: Path = VERDICTS) -> list[Path]:
    """Keep a reproduction's verdicts and the figures that pages show; returns what was written.

    Raises:
        ValueError: The folder lacks a file.
    """
    table = table_of(folder, name)
    shown: set[str] = set()
    for page in (root / "README.md", *(root / "docs").glob("**/*.md")):
        shown |= set(_PICTURE.findall(page.read_text(encoding="utf-8")))
    written = [verdicts / f"{table.name}.json"]
    written[0].write_text(table.text(), encoding="utf-8")
    for picture in sorted((folder / "figures").glob("*.png")):
        if f"{table.paper}-{picture.stem}" in shown:
            written.append(root / "docs" / "images" / f"{table.paper}-{picture.name}")
            written[-1].write_bytes(smaller(picture.read_bytes()))
    return written


def fresh_seeds(paper: Paper) -> dict[str, list[str]]:
    """The experiments by the seeds of their quick profile, moved to where no region was fixed."""
    first = max((_first(claim.confirmed_on) for claim in paper.claims), default=100)
    found: dict[str, list[str]] = {}
    for one in paper.experiments:
        count = one.under("quick")[1]
        if one.default:
            seeds = f"{first}:{first + count}" if isinstance(count, int) else count
            found.setdefault(seeds, []).append(one.name)
    return found


def run_all(out: Path) -> None:
    """Reproduce every paper's quick profile into a folder of `out`, and keep the verdicts."""
    kept = {table.paper: table for one in literature() for table in one.tables if table.profile == "paper"}
    for name, paper in papers().items():
        folder = out / name
        for seeds, experiments in fresh_seeds(paper).items():
            command = ["reproduce", name, *experiments, "--profile", "quick", "--seeds", seeds]
            print(f"== grokscope {shlex.join(command)}", flush=True)
            code = subprocess.run(
                [sys.executable, "-m", "grokscope", *command, "--out", str(folder), "--yes"], check=False
            ).returncode
            if code not in (0, 1):  # 1: parts failed, the rest was judged
                sys.exit(f"make_claims: {name} ended with exit code {code}; the same command goes on")
        if name in kept:
            now, before = tally_text(table_of(folder).judged), tally_text(kept[name].judged)
            print(f"{name}: quick: {now}; kept: {before}")
        else:
            print("\n".join(f"written: {file}" for file in keep(folder)))


def main() -> None:
    """Read the arguments, keep, write."""
    parser = argparse.ArgumentParser(
        description="Keep a reproduction's verdicts, and write the tables of claims."
    )
    parser.add_argument(
        "folder", type=Path, nargs="?", help="what grokscope reproduce wrote; none: write pages only"
    )
    parser.add_argument("--name", default="", help="of the table, where the paper has several")
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER", help="reproduce every paper's quick profile into FOLDER"
    )
    args = parser.parse_args()
    try:
        if args.run is not None:
            run_all(args.run)
        written = [] if args.folder is None else keep(args.folder, args.name)
        for file, text in pages().items():
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                file.write_text(text, encoding="utf-8")
                written.append(file)
    except ValueError as error:
        sys.exit(f"make_claims: {error}")
    print("\n".join(f"written: {file}" for file in written) or "all pages are current")


if __name__ == "__main__":
    main()
