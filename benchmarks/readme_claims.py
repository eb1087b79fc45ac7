"""Put a reproduction's claims table and figures into the README, or into another page.

    grokscope reproduce two-circuits --seeds 100:200 --out confirm
    python benchmarks/readme_claims.py confirm
    grokscope reproduce two-circuits-beyond --seeds 100:200 --out beyond
    python benchmarks/readme_claims.py beyond --page docs/papers/two-circuits-beyond.md

Rewrites the page between ``<!-- claims:begin -->`` and ``<!-- claims:end -->`` from ``claims.json``, one
row per claim, and copies the pictures that the page shows to ``docs/images``, made smaller where they
are over 150 kB. A page may put the paper's name before that of a figure (``grokking-figure-1-2.png``). On a
page of several papers the markers name theirs (``<!-- claims:begin width -->``). A page with several tables
of one paper, from several folders, names them in the markers; ``--block NAME`` chooses one, and copies the
pictures that the folder has.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"
MOST_BYTES = 150_000
_PICTURE = re.compile(r"\]\((?:docs|\.\.)/images/([\w.-]+\.png)\)")
_NOT_RUN = "its experiment was not run"
_HEADER = ("id", "claim", "paper", "ours", "95 % interval", "n", "verdict")


def render(
    claims: list[dict[str, Any]], record: dict[str, Any], trained: dict[str, str] | None = None
) -> str:
    """The table, and what a reader must know below it.

    Args:
        claims: the contents of ``claims.json``.
        record: the contents of ``reproduction.json``: what was asked for last.
        trained: the seeds that each experiment has, where experiments were added one by one.
    """
    elsewhere = [one["id"] for one in claims if one.get("note") == _NOT_RUN]
    claims = [one for one in claims if one["id"] not in elsewhere]
    rows = [_HEADER, tuple("---" for _ in _HEADER), *map(_row, claims)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    asked = {row["name"]: record.get("seeds") for row in record["rows"]} if trained is None else trained
    together: dict[str | None, list[str]] = {}
    for name, which in asked.items():
        together.setdefault(which, []).append(name)
    commands = [
        shlex.join(
            ["grokscope", "reproduce", record["paper"], *([] if len(names) == len(asked) > 9 else names)]
        )
        + (f" --seeds {which}" if which else "")
        + f" --profile {record['profile']}"
        for which, names in together.items()
    ]
    lines = [
        f"Made by {' and '.join(f'`{command}`' for command in commands)}.",
        "Holds: the interval lies inside the claim's region; fails: outside; undecided: neither, or not "
        "significant over the table.",
        *(
            ["Would decide: so many seeds in all, if all are like these, by the interval alone."]
            if any("would decide" in one.get("words", "") for one in claims)
            else []
        ),
        *(f"Over the table: {text}." for text in _distinct(claims, "control")),
        *_fixed(claims, asked),
        *(f"{one['id']}: {one['note']}." for one in claims if one.get("note")),
        *(
            [f"Not shown, for their experiments were not run here: {', '.join(elsewhere)}."]
            if elsewhere
            else []
        ),
    ]
    return f"{table}\n\n" + "  \n".join(_escape(line.replace("..", ".")) for line in lines)


def _fixed(claims: list[dict[str, Any]], asked: dict[str, Any]) -> list[str]:
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


def seeds_of(folder: Path) -> dict[str, str]:
    """The seeds that are done in each run of a reproduction's folder, as ``--seeds`` takes them."""
    from grokscope.plots.curves import seeds_argument
    from grokscope.runs import open_run
    from grokscope.runs.folders import run_folders

    found: dict[str, str] = {}
    for path in run_folders(folder):
        run = open_run(path)
        # a contest is a folder of several, with the same seeds
        found[path.relative_to(folder).parts[0]] = seeds_argument(
            {s[0] for s, done in zip(run.members, run.is_done, strict=True) if done}
        )
    return found


def as_asked(trained: dict[str, str], record: dict[str, Any]) -> dict[str, str]:
    """The same, but what was asked for where an experiment takes only the first of the seeds."""
    from grokscope.papers import find_paper
    from grokscope.plots.curves import seeds_argument

    paper, asked = find_paper(record["paper"]), record.get("seeds")
    known = {one.name: one for one in paper.experiments}
    return {
        name: asked
        if asked and name in known and seeds == seeds_argument({s[0] for s in known[name].members(asked)})
        else seeds
        for name, seeds in trained.items()
    }


def _first(seeds: str | None) -> int:
    """The first of ``100:200`` or ``100-199``; a number alone is how many, from 0 on."""
    numbers = re.match(r"(\d+)[:,-]", seeds or "")
    return int(numbers[1]) if numbers else 0


def _row(claim: dict[str, Any]) -> tuple[str, ...]:
    unit = claim["unit"]
    interval = "-" if claim["interval"] is None else _interval(claim["interval"])
    cells = (
        claim["id"],
        claim["sentence"],
        _value(claim["paper_value"], unit),
        _value(claim["value"], unit),
        interval,
        str(claim["seeds"]),
        claim.get("words") or claim["verdict"],
    )
    return tuple(_escape(cell) for cell in cells)


def _value(value: float | str | None, unit: str) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{_number(value)} {unit}".rstrip()


def _interval(ends: list[float | None]) -> str:
    """An end that the seeds cannot bound is written as a word."""
    low, high = ("no bound" if end is None else _number(end) for end in ends)
    return f"[{low}, {high}]"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _distinct(claims: list[dict[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(one[name] for one in claims if one.get(name)))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def markers(text: str, paper: str) -> tuple[str, str]:
    """The markers around the block of this paper: with its name where a page has several blocks."""
    begin, end = (f"<!-- claims:{word} {paper} -->" for word in ("begin", "end"))
    return (begin, end) if begin in text else (BEGIN, END)


def replace_block(text: str, block: str, between: tuple[str, str] = (BEGIN, END)) -> str:
    """Put ``block`` between the two markers.

    Raises:
        ValueError: The markers are not there, once each and in order.
    """
    begin, end = between
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"the page needs one line {begin} and, below it, one line {end}")
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n{block}\n{end}{after}"


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


def update(folder: Path, root: Path = ROOT, page: str = "README.md", block: str = "") -> list[Path]:
    """Rewrite a page's block and copy its pictures; returns what was written.

    Raises:
        ValueError: The page has no place for the block, or the folder lacks a file.
    """
    readme = root / page
    text = readme.read_text(encoding="utf-8")
    names = list(dict.fromkeys(_PICTURE.findall(text)))
    needed = [folder / "claims.json", folder / "reproduction.json"]
    prefix = ""
    if page != "README.md" and needed[1].is_file():
        prefix = json.loads(needed[1].read_text(encoding="utf-8"))["paper"] + "-"
    between = markers(text, prefix.removesuffix("-"))
    if block:
        between = f"<!-- claims:begin {block} -->", f"<!-- claims:end {block} -->"
        names = [name for name in names if (folder / "figures" / name.removeprefix(prefix)).is_file()]
    elif between[0] != BEGIN:  # the other pictures are those of other papers
        names = [name for name in names if name.startswith(prefix)]
    needed += [folder / "figures" / name.removeprefix(prefix) for name in names]
    missing = [str(file) for file in needed if not file.is_file()]
    if missing:
        raise ValueError(f"{folder}: lacks {', '.join(missing)}; give a folder of `grokscope reproduce`")
    claims, record = (json.loads(file.read_text(encoding="utf-8")) for file in needed[:2])
    changed = replace_block(text, render(claims, record, as_asked(seeds_of(folder), record) or None), between)
    images = root / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name in names:
        picture = folder / "figures" / name.removeprefix(prefix)
        (images / name).write_bytes(smaller(picture.read_bytes()))
    temporary = readme.with_suffix(".md.new")
    temporary.write_text(changed, encoding="utf-8")
    shutil.move(temporary, readme)
    return [readme, *(images / name for name in names)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Put a reproduction's claims and figures into a page.")
    parser.add_argument("folder", type=Path, help="what grokscope reproduce wrote")
    parser.add_argument(
        "--page", default="README.md", help="which page to rewrite, from the project's folder"
    )
    parser.add_argument("--block", default="", help="which table of the page, by the name in its markers")
    args = parser.parse_args()
    try:
        written = update(args.folder, page=args.page, block=args.block)
    except ValueError as error:
        sys.exit(f"readme_claims: {error}")
    print("\n".join(f"written: {file.relative_to(ROOT)}" for file in written))


if __name__ == "__main__":
    main()
