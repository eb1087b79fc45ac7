"""Promise 9: nothing loaded runs code, nobody is called, nothing of the environment is kept.

Pins with hashes: tests/test_package.py. What provenance records: tests/runs/test_provenance.py.
"""

from __future__ import annotations

import ast
import re
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from nursery import Nursery
from scripts import script
from torture_commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-that-nobody-may-keep"
# what makes a server, in the standard library and in what we might use
SERVERS = {
    "bind",
    "create_server",
    "start_server",
    "HTTPServer",
    "ThreadingHTTPServer",
    "TCPServer",
    "run_app",
}
READING = (
    ("show", "RUN"),
    ("verify", "RUN"),
    ("runs", "ABOVE"),
    ("report", "RUN"),
    ("compare", "RUN", "RUN"),
    ("export", "RUN", "--to", "ABOVE/a.csv"),
    ("export", "RUN", "--to", "ABOVE/a.safetensors", "--seed", "1"),
    ("doctor",),
    ("papers",),
)
FEW = ("show", "export")


@pytest.mark.slow
def test_no_code_no_network_no_environment(torture, faults, tmp_path):
    """All commands, with an audit of what Python unpickles and connects to, and of library calls below."""
    out, log, ran = tmp_path / "run", tmp_path / "log", 0
    with Nursery(tmp_path, faults, environment={"MY_SETTING": CANARY, "API_TOKEN": CANARY}) as nursery:
        seen = nursery.run(call="watched_work:unpickles")
        assert "FORBIDDEN pickle.find_class" in seen.err, "the watch sees nothing"
        from torture_commands import prepare

        words = [("train", "SPEC", "--seeds", "2", "--out", "RUN", "--set", "epochs=2")]
        words += [COMMANDS["measure"].words, COMMANDS["reproduce"].words] if torture.full else []
        words += [one for one in READING if torture.full or one[0] in FEW]
        prepared = prepare("train", nursery, tmp_path / "prepared") if torture.full else None
        if prepared is None:
            from torture_commands import SPEC

            (tmp_path / "prepared").mkdir()
            (tmp_path / "prepared" / "spec.toml").write_text(SPEC.format(epochs=2))
        for several in words:
            places = {
                "SPEC": str(tmp_path / "prepared" / "spec.toml"),
                "PAPER": str(tmp_path / "prepared" / "my_paper.py"),
                "RUN": str(out),
                "OUT": str(out if several[0] == "measure" else tmp_path / "reproduced"),
                "ABOVE": str(tmp_path),
                "ABOVE/a.csv": str(tmp_path / "a.csv"),
                "ABOVE/a.safetensors": str(tmp_path / "a.safetensors"),
            }
            log.unlink(missing_ok=True)
            ended = nursery.run(*(places.get(w, w) for w in several), call="watched_work:audited", log=log)
            torture.check(ended.code == 0, f"{several}: {ended.err[-300:]}")
            forbidden = [line for line in ended.err.splitlines() if line.startswith("FORBIDDEN")]
            torture.check(not forbidden, f"{several}: {forbidden[:3]}")
            calls = [
                line for line in log.read_text(errors="replace").splitlines() if line[:4] in ("conn", "bind")
            ]
            torture.check(not calls, f"{several}: {calls[:3]}")
            ran += 1
        kept = [
            str(file.relative_to(tmp_path))
            for folder in (out, tmp_path / "reproduced")
            for file in folder.rglob("*")
            if file.is_file() and CANARY.encode() in file.read_bytes()
        ]
        torture.check(not kept, f"an environment variable is in {kept}")
    torture.done(
        ran, "commands, watched", f"{len(torture.failures)} unpickled, connected, or kept the environment"
    )


def servers(tree: ast.AST) -> list[tuple[int, str]]:
    """Calls that make a server which is not said to be on 127.0.0.1."""
    found = []
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    here = {ast.unparse(a.targets[0]) for a in assigned if ast.unparse(a.value) == "'127.0.0.1'"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in SERVERS:
            text = ast.unparse(node)
            names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            if "'127.0.0.1'" not in text and not names & here:
                found.append((node.lineno, text))
    return found


@pytest.mark.slow
def test_servers_listen_on_this_machine_only():
    assert servers(
        ast.parse("HTTPServer(('', 80), H)\ns.bind(('127.0.0.1', 0))\nA = '127.0.0.1'\ns.bind((A, 0))")
    ) == [(1, "HTTPServer(('', 80), H)")]
    found = {
        str(file.relative_to(ROOT)): lines
        for file in sorted((ROOT / "src").rglob("*.py"))
        if (lines := servers(ast.parse(file.read_text(encoding="utf-8"))))
    }
    assert found == {}


# --- what we stand on ---

# permissive, or weak copyleft that asks nothing of who only uses it
FREE = re.compile(
    r"\b(MIT|BSD|Apache|PSF|Python Software|ISC|MPL|Mozilla|HPND|Zlib|zlib|0BSD|Unlicense|CC0|LGPL)\b",
    re.I,
)


dependencies = script(ROOT / "docs" / "make_dependencies.py")


def license_of(package: str) -> str:
    texts = [file.read_text() for file in metadata.files(package) or [] if "LICENSE" in file.name.upper()]
    return dependencies.license_of(metadata.metadata(package), texts)


def test_licenses(torture):
    """Of everything that is installed with grokscope; vulnerabilities need a database that is not here."""
    found: dict[str, str] = {}
    for package in dependencies.pins():
        try:
            found[package] = license_of(package)
        except metadata.PackageNotFoundError:
            continue  # of another platform
    unknown = {package: text for package, text in found.items() if not FREE.search(text)}
    torture.check(not unknown, f"look at these: {unknown}")
    torture.done(len(found), "licenses of pinned packages", f"{len(unknown)} unknown", licenses=found)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_page_lists_what_is_pinned_with_its_licenses():
    """The dates are those in the wheels, which are not at hand here."""
    text = dependencies.PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (.+) \| (-|\d{4}-\d\d-\d\d) \|$", text, re.MULTILINE)
    listed = {normal(name): (version, terms) for name, version, terms, _ in rows}
    assert {name: version for name, (version, _) in listed.items()} == {
        normal(name): version for name, version in dependencies.pins().items()
    }, "run docs/make_dependencies.py"
    for package in metadata.distributions():
        name = normal(package.metadata["Name"])
        if name in listed and listed[name][0] == package.version:
            assert listed[name][1] == license_of(name), name
    assert sum(day != "-" for *_, day in rows) > len(rows) / 2


def test_the_date_of_a_wheel_is_that_of_its_newest_file_unless_it_is_made_up(tmp_path):
    for days, expected in (
        (((2020, 2, 2), (2024, 5, 1), (2024, 4, 30)), "2024-05-01"),
        (((2020, 2, 2), (1980, 1, 1), (2016, 1, 1)), "-"),
    ):
        with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
            for i, day in enumerate(days):
                wheel.writestr(zipfile.ZipInfo(f"{i}", (*day, 0, 0, 0)), "")
        with zipfile.ZipFile(tmp_path / "a.whl") as wheel:
            assert dependencies.made_on(wheel) == expected


@pytest.mark.torture
def test_known_vulnerabilities(torture, tmp_path):
    """pip-audit over all pins, where its database can be reached."""
    import shutil
    import subprocess

    if shutil.which("pip-audit") is None:
        pytest.skip("pip-audit is not installed")
    names = [str(ROOT / "requirements" / name) for name in ("core.txt", "dev.txt")]
    command = ["pip-audit", "--require-hashes", "--disable-pip", *(word for n in names for word in ("-r", n))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    if "ConnectionError" in done.stderr or "failed to resolve" in done.stderr.lower():
        pytest.skip("pip-audit's database cannot be reached")
    torture.check(done.returncode == 0, done.stdout[-2000:] + done.stderr[-500:])
    torture.done(len(dependencies.pins()), "pins, audited", f"{len(torture.failures)} vulnerable")
