"""Write docs/dependencies.md from the pinned packages' own files: ``python docs/make_dependencies.py``.

The files are downloaded from wherever pip is set up to look, their hashes are checked, and nothing of them
is run. With a folder as argument those that are there already are not downloaded again.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from email.message import Message
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "requirements" / "core.txt"
PAGE = ROOT / "docs" / "dependencies.md"
# what tools that build reproducibly write in place of a date: the first day of zip, flit's and hatchling's
NO_DATE = {(1980, 1, 1), (2016, 1, 1), (2020, 2, 2)}
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)

HEAD = """# What is installed with grokscope

The versions in `requirements/core.txt`, which `make install` takes: the file names the hashes of all their
wheels. Only these are tested together.

| package | version | license | wheel made on |
|---|---|---|---|
"""
TAIL = """
Read out of the wheels themselves by `python docs/make_dependencies.py`. A date is that of the newest file in
the wheel (Linux, x86_64); {unknown} of {n} say none, for their tools write a fixed one. The newest was made
on {newest}, the oldest on {oldest}. That a package is old is no fault by itself: `mdurl` is finished.

Known vulnerabilities are looked up by `make torture ARGS="-k vulnerabilities"`, where pip-audit is installed
and can reach its database. `pip list --outdated` says what has newer versions;
`requirements/renew` takes them.
"""


def pins() -> dict[str, str]:
    """Name -> version."""
    return dict(_PIN.findall(PINS.read_text(encoding="utf-8")))


def license_of(facts: Message, texts: Sequence[str] = ()) -> str:
    """The license that a package's metadata states, in a line; with the text only, how that begins."""
    classifiers = [
        c.rpartition(":: ")[2] for c in facts.get_all("Classifier") or [] if c.startswith("License")
    ]
    stated = [facts.get("License-Expression") or "", *classifiers, (facts.get("License") or "")[:200], *texts]
    whole = next((text for text in stated if text.strip()), "")
    line = " ".join(whole.split()[:4]) if whole in texts else whole.strip().partition("\n")[0]
    return line.rstrip(",")


def made_on(wheel: zipfile.ZipFile) -> str:
    """The date of the newest file in it, or ``-``."""
    known = [day for item in wheel.infolist() if (day := item.date_time[:3]) not in NO_DATE]
    return datetime.date(*max(known)).isoformat() if known else "-"


def row(file: Path) -> tuple[str, str, str, str]:
    """Name, version, license and date of a wheel."""
    with zipfile.ZipFile(file) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" in name]
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        facts = Parser().parsestr(wheel.read(metadata).decode())
        texts = [wheel.read(name).decode() for name in names if "LICENSE" in Path(name).name.upper()]
        return facts["Name"], facts["Version"], license_of(facts, texts), made_on(wheel)


def page(folder: Path) -> str:
    """The page, from the wheels in a folder; those that are lacking are downloaded into it."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--find-links", str(folder)]
    subprocess.run([*pip, *options, "-r", str(PINS), "-d", str(folder)], check=True)
    rows = sorted((row(file) for file in folder.glob("*.whl")), key=lambda one: one[0].lower())
    days = sorted(day for *_, day in rows if day != "-")
    table = "".join(f"| {' | '.join(one)} |\n" for one in rows)
    end = TAIL.format(n=len(rows), unknown=len(rows) - len(days), newest=days[-1], oldest=days[0])
    return HEAD + table + end


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        PAGE.write_text(page(Path(sys.argv[1] if len(sys.argv) > 1 else made)), encoding="utf-8")
