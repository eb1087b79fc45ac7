"""The processor in the fingerprint, on machines of other kinds; what older runs hold is compared with."""

from __future__ import annotations

import subprocess

import pytest

from grokscope.training import numerics
from grokscope.training.numerics import numerics_fingerprint

INTEL = """processor\t: 0
model name\t: Some Processor 9 @ 2.00GHz
flags\t\t: vme tsc avx2 sse4_2 ht avx512f sse4_2
processor\t: 1
model name\t: Another
flags\t\t: amx_tile
"""
GRAVITON = "processor\t: 0\nFeatures\t: fp asimd crc32 sve\nCPU part\t: 0xd0c\n"
# what the command prints, by its arguments
MAC = {
    "-n machdep.cpu.brand_string": "Apple M9\n",
    "hw.optional": "hw.optional.neon: 1\nhw.optional.arm.FEAT_BF16: 1\nhw.optional.amx_version: 0\n"
    "hw.optional.floatingpoint: 1\nhw.optional.ucnormal_mem: 1\n",
}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretend to be another machine: its system, its type, and what it says of its processor."""

    def pretend(system: str, machine: str, cpuinfo: str | None, said: dict[str, str]) -> None:
        monkeypatch.setattr(numerics.platform, "system", lambda: system)
        monkeypatch.setattr(numerics.platform, "machine", lambda: machine)
        if cpuinfo is not None:
            (tmp_path / "cpuinfo").write_text(cpuinfo)
        monkeypatch.setattr(numerics, "Path", lambda name: tmp_path / "cpuinfo")
        cases = "".join(f"'{words}') printf '{text}';;\n" for words, text in said.items())
        script = tmp_path / "sysctl"
        script.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}*) echo unknown oid >&2; exit 1;;\nesac\n')
        script.chmod(0o755)
        run = subprocess.run
        monkeypatch.setattr(
            numerics.subprocess, "run", lambda command, **how: run([str(script), *command[1:]], **how)
        )

    return pretend


@pytest.mark.parametrize(
    ("system", "cpuinfo", "said", "model", "features"),
    [
        ("Linux", INTEL, {}, "Some Processor 9 @ 2.00GHz", ("avx2", "avx512f", "sse4_2")),
        ("Linux", GRAVITON, {}, "0xd0c", ("asimd", "fp", "sve")),
        ("Linux", None, {}, "some-machine", ()),
        ("Darwin", INTEL, MAC, "Apple M9", ("arm.FEAT_BF16", "neon")),
        ("Darwin", INTEL, {}, "some-machine", ()),
    ],
)
def test_the_processor_of_a_machine(machine, system, cpuinfo, said, model, features):
    machine(system, "some-machine", cpuinfo, said)
    # without the cache, which lives as long as the process
    assert numerics.cpu_model.__wrapped__() == model
    assert numerics.cpu_features.__wrapped__() == features


def test_a_machine_without_the_command_has_a_processor_too(machine, monkeypatch):
    machine("Darwin", "arm64", None, {})

    def absent(command: list[str], **how: object) -> None:
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(numerics.subprocess, "run", absent)
    assert numerics.cpu_model.__wrapped__() == "arm64"
    assert numerics.cpu_features.__wrapped__() == ()


def test_the_features_are_spelled_as_in_runs_that_are_there(monkeypatch):
    """`printf 'avx2 fma' | sha256sum`, of which runs hold the first 16 digits."""
    monkeypatch.setattr(numerics, "cpu_features", lambda: ("avx2", "fma"))
    found = numerics_fingerprint(execution="map", block_width=1, precision="float32")
    assert found["cpu_features"] == "340a4556249ec40d"
