from __future__ import annotations

import subprocess
import sys

import pytest

import grokscope
from grokscope.cli.app import COMMANDS

NAMES = [command.__name__.rstrip("_") for command in COMMANDS]  # import is a keyword of Python


def test_the_commands_are_those_of_the_contract():
    wanted = (
        "papers reproduce train sweep branch measure circuits compare runs show verify report import export "
        "doctor new"
    )
    assert sorted(NAMES) == sorted(wanted.split())


def test_help_lists_every_command_in_a_whole_sentence(cli):
    result = cli("--help")
    assert result.code == 0
    for name in NAMES:
        (line,) = [line for line in result.out.splitlines() if line.startswith(f"  {name} ")]
        assert line.endswith(".")
        assert not line.endswith("...")
    assert "grokscope reproduce two-circuits standard" in result.out


@pytest.mark.parametrize("name", NAMES)
def test_every_help_shows_an_example_of_the_command(cli, name):
    result = cli(name, "--help")
    assert result.code == 0
    assert result.err == ""
    _, _, examples = result.out.partition("Example:\n")
    assert examples.strip().startswith(f"grokscope {name}")


def test_no_words_show_the_help(cli):
    assert cli().out == cli("--help").out


def test_version(cli):
    assert cli("--version").out == f"grokscope {grokscope.__version__}\n"


HEAVY = "jax numpy pydantic xarray pandas matplotlib icechunk zarr scipy rich psutil equinox"


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["reproduce", "-h"]])
def test_help_imports_nothing_heavy(words):
    code = (
        f"import sys; from grokscope.cli import main; code = main({words});"
        f"print(code, [name for name in '{HEAVY}'.split() if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_help_behind_two_dashes_is_a_word_like_any_other(cli):
    assert "Usage" not in cli("train", "--", "--help").out


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "grokscope", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("grokscope ")
