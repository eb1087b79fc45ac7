"""Promise 6: no spec, store or file of weights brings a traceback, much memory or a file elsewhere.

Specs go through the command line in this process, up to where work would begin; stores and arrays
through copies of the program whose memory is watched, and of which everything that they write, make or
remove is listed.
"""

from __future__ import annotations

import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings

from grokscope.cli import main
from grokscope.errors import GrokscopeError
from grokscope.runs import trainer as _trainer
from hostile_files import FIELDS, array_files, mutated, mutated_arrays, spec_text, specs
from nursery import Ended

MOST = 256 * 2**20  # bytes, above twice the size of what is read
TOO_LONG = 60.0
PROGRESS = re.compile(r"^\w+: (started|\d+ %)")
# in the temporary folder: the system's own look whether it can be written, and a folder of ours for a while
ELSEWHERE = re.compile(re.escape(tempfile.gettempdir()) + r"/(\w{8}|grokscope-\w+(/.*)?)")


class Accepted(GrokscopeError):
    """A spec that is fine."""

    exit_code = 99


@pytest.fixture
def stop_before_work(monkeypatch):
    """What is accepted is not trained: the real checks run, to where a folder would be made."""

    def checked(folder, experiment, members, *_, **__):
        _trainer.refuse_too_large(experiment, len(members))
        experiment.to_toml()
        raise Accepted("accepted")

    monkeypatch.setattr(_trainer, "train_into", checked)


def faults_of(code: int, err: str, allowed: tuple[int, ...], names: tuple[str, ...]) -> list[str]:
    """What is wrong with an ending."""
    lines = [line for line in err.splitlines() if line.startswith("grokscope: ")]
    wrong = []
    if code not in allowed:
        wrong.append(f"exit code {code}")
    if "Traceback" in err or "internal error" in err or "panicked" in err:
        wrong.append("not a clean error")
    if code not in (0, 99):
        said = [line for line in err.splitlines() if not PROGRESS.match(line)]
        if len(lines) != 1 or len(said) > 2:
            wrong.append(f"{len(said)} lines")
        if len(err) > 2000:
            wrong.append(f"{len(err)} characters")
        if not any(name in err for name in names):
            wrong.append("names neither field nor file")
    return [f"{', '.join(wrong)}: {err[:300]!r}"] if wrong else []


NAMES = tuple(
    {name.partition(".")[0] for name in FIELDS if name} | {"--set", "memory", "--seeds", "experiment"}
)


def test_bad_specs(torture, stop_before_work, tmp_path, capsys):
    """Hypothesis: wrong types, NaN, huge, unicode, deep nesting, duplicate keys, no TOML at all."""
    file, out = tmp_path / "spec.toml", tmp_path / "out"
    seen = {"refused": 0, "accepted": 0}
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    accepted: list[bytes] = []

    @hypothesis.seed(torture.seed)
    @settings(
        max_examples=torture.count(150, 2000),
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(content=specs())
    def refuses(content: bytes) -> None:
        file.write_bytes(content)
        code, err = main(["train", str(file), "--out", str(out)]), capsys.readouterr().err
        seen["accepted" if code == 99 else "refused"] += 1
        if code == 99:
            accepted.append(content)
        torture.failures += [
            f"{content[:200]!r}: {text}" for text in faults_of(code, err, (2, 99), (*NAMES, str(file)))
        ]
        torture.check(not out.exists(), f"{content[:200]!r}: a folder was made")

    refuses()
    rose = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most) * (
        1 if sys.platform == "darwin" else 1024
    )
    torture.check(rose < MOST, f"memory rose by {rose >> 20} MB")
    tried = sum(seen.values())
    torture.done(
        tried, "generated specs", f"{len(torture.failures)} faults", **seen, memory_rose_mb=rose >> 20
    )


def test_bad_overrides(torture, stop_before_work, tmp_path, capsys):
    """The same values by `--set`."""
    file = tmp_path / "spec.toml"
    file.write_text(spec_text([]))
    seen = {"refused": 0, "accepted": 0}

    @hypothesis.seed(torture.seed)
    @settings(
        max_examples=torture.count(60, 500),
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(pair=hypothesis.strategies.tuples(hypothesis.strategies.sampled_from(FIELDS), texts_of()))
    def refuses(pair: tuple[str, str]) -> None:
        words = ["train", str(file), "--out", str(tmp_path / "out"), "--set", "=".join(pair)]
        code, err = main(words), capsys.readouterr().err
        seen["accepted" if code == 99 else "refused"] += 1
        torture.failures += [f"{pair!r}"[:200] + text for text in faults_of(code, err, (2, 99), NAMES)]

    refuses()
    torture.done(sum(seen.values()), "generated overrides", f"{len(torture.failures)} faults", **seen)


def texts_of():
    from hostile_files import texts

    return texts()


NEAR = {
    "batch_size": ("1", "3", "31", "32", "33", "1000", "'full'"),
    "precision": ("'float64'",),
    "online": ("true",),
    "steps": ("1", "2", "7"),
    "task.n": ("2", "3", "64"),
    "task.k": ("1", "2", "3"),
    "task.n_train": ("1", "2", "33"),
    "task.n_test": ("1", "2"),
    "task.n_probe": ("1", "7"),
    "model.width": ("1", "2", "65"),
    "optimizer.kind": ("'adam'", "'adamw'", "'sgd'"),
    "optimizer.learning_rate": ("0.0", "1e-30", "100.0", "1e10"),
    "optimizer.weight_decay": ("0.0", "0.9", "2.0"),
    "loss.kind": ("'hinge'", "'logistic'", "'squared'"),
    "measures": ("[]", "['faithfulness']", "['sensitivity', 'test_loss']", "['effective_sparsity_probe']"),
    "schedule.measures": ("'log'", "1", "'ends'", "[0, 3]"),
    "schedule.snapshots": ("'epochs'", "'log'"),
    "schedule.follow": ("'ends'", "'log'"),
}


@pytest.mark.slow
def test_unusual_specs_that_are_accepted_can_be_trained(torture, nursery, tmp_path):
    """The corners of what is allowed: a run, or one clear line."""
    rng, total, seen = torture.rng(), torture.count(1, 100), {"trained": 0, "refused": 0}
    tried = 0
    while tried < total and torture.in_time:
        tried += 1
        changes = [(key, rng.choice(NEAR[key])) for key in rng.sample(sorted(NEAR), rng.randint(1, 4))]
        text = spec_text(changes)
        if "steps = " in text or "online" in text:
            text = text.replace("epochs = 2\n", "" if "steps = " in text else "steps = 5\n")
        file, out = tmp_path / "spec.toml", tmp_path / "out"
        file.write_text(text)
        shutil.rmtree(out, ignore_errors=True)
        ended = nursery.run("train", str(file), "--seeds", "2", "--out", str(out))
        seen["trained" if ended.code == 0 else "refused"] += 1
        torture.failures += [f"{changes}: {text}" for text in faults_of(ended.code, ended.err, (0, 2), NAMES)]
        if ended.code == 0:
            for words in (["show", str(out)], ["verify", str(out)]):
                after = nursery.run(*words)
                torture.check(after.code == 0, f"{changes}: {words}: {after.err[-300:]}")
    torture.done(tried, "unusual specs, trained and shown", f"{len(torture.failures)} faults", **seen)


# --- what is read by a process that is watched ---


def watched(nursery, tmp_path: Path, *words: str) -> tuple[Ended, list[str]]:
    """Run a command in a copy; returns how it ended and what it touched outside the folder ``allowed``."""
    log = tmp_path / "log"
    log.unlink(missing_ok=True)
    pid = nursery.start(*words, log=log, cwd=tmp_path / "allowed")
    began = time.monotonic()
    watch = _alarm(nursery, pid)
    ended = nursery.wait(pid)
    watch.cancel()
    assert time.monotonic() - began < TOO_LONG + 30
    touched = log.read_text(errors="replace").splitlines() if log.exists() else []
    ours = (tmp_path / "allowed", nursery.folder, nursery.programs)
    allowed = (*map(str, ours), "/dev/", "/proc/self/")
    places = {line: line.partition(" ")[2] for line in touched}
    return ended, [k for k, v in places.items() if not (v.startswith(allowed) or ELSEWHERE.fullmatch(v))]


def _alarm(nursery, pid: int):
    import threading

    def late() -> None:
        nursery.stop(pid, signal.SIGKILL)

    timer = threading.Timer(TOO_LONG, late)
    timer.start()
    return timer


COMMANDS = (
    ("verify", "RUN"),
    ("show", "RUN"),
    ("runs", "ABOVE"),
    ("export", "RUN", "--to", "ABOVE/out.csv", "--force"),
    ("export", "RUN", "--to", "ABOVE/out.safetensors", "--seed", "1", "--force"),
    ("compare", "RUN", "SOUND"),
    ("report", "RUN"),
    ("measure", "RUN", "path_norm_total"),
    ("train", "SPEC", "--seeds", "2", "--out", "RUN"),
)


@pytest.mark.slow
def test_mutated_stores(torture, nursery, tmp_path, monkeypatch):
    """Flipped, cut, replaced and linked files; and stores forged by the library itself, checksums and all."""
    spec = tmp_path / "spec.toml"
    spec.write_text(
        spec_text(
            [("measures", '["train_accuracy", "test_accuracy", "faithfulness"]'), ("model.width", "40")]
        )
    )
    sound, allowed = tmp_path / "sound", tmp_path / "allowed"
    allowed.mkdir()
    ended = nursery.run("train", str(spec), "--seeds", "2", "--out", str(sound))
    assert ended.code == 0, ended.err
    size = sum(file.stat().st_size for file in sound.rglob("*") if file.is_file())
    rng, total, tried = torture.rng(), torture.count(8, 500), 0
    outside = allowed / "outside"
    kinds: dict[str, int] = {}
    usual: dict[int, int] = {}
    while tried < total and torture.in_time:
        case = rng.randrange(len(COMMANDS)) if torture.full else rng.randrange(6)
        places = {"RUN": allowed / "run", "ABOVE": allowed, "SOUND": sound, "SPEC": spec}
        words = [_filled(word, places) for word in COMMANDS[case]]
        if case not in usual:  # what the command takes on a sound run
            shutil.rmtree(allowed / "run", ignore_errors=True)
            shutil.copytree(sound, allowed / "run")
            usual[case] = watched(nursery, tmp_path, *words)[0].rose
        shutil.rmtree(outside, ignore_errors=True)
        outside.mkdir()
        (outside / "precious#1").write_text("precious")
        how = mutated(sound, allowed / "run", rng)
        before = _state(outside)
        ended, touched = watched(nursery, tmp_path, *words)
        kinds[how] = kinds.get(how, 0) + 1
        where = f"{tried}: {how}, {' '.join(COMMANDS[case])}"
        wrong = faults_of(ended.code, ended.err, (0, 1, 2), (str(allowed), str(sound), "a replay", *NAMES))
        if ended.code == -signal.SIGKILL:
            wrong = [f"took more than {TOO_LONG} s"]
        if ended.rose > 2 * size + MOST + usual[case]:
            wrong.append(f"memory rose by {ended.rose >> 20} MB")
        wrong += [f"touched {line}" for line in touched[:3]]
        if _state(outside) != before:
            wrong.append(
                f"changed files outside the run: {sorted(before.items() ^ _state(outside).items())[:3]}"
            )
        torture.failures += [f"{where}: {text}" for text in wrong]
        tried += 1
    torture.done(tried, "mutated stores", f"{len(torture.failures)} faults", **kinds)


def _filled(word: str, places: dict[str, Path]) -> str:
    for name, place in places.items():
        if word == name or word.startswith(f"{name}/"):
            return word.replace(name, str(place), 1)
    return word


def _state(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.mark.slow
def test_hostile_arrays(torture, nursery, tmp_path, capsys):
    """The fixed list of attacks on files of arrays, then mutated ones."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    spec = allowed / "spec.toml"
    rng = torture.rng()
    files = array_files()
    names = list(files) if torture.full else ["bomb.npz", "pickle.npz", "header-of-10-GB.safetensors"]
    cases = [(name, files[name]) for name in names]
    for i in range(torture.count(3, 200)):
        suffix = (".npz", ".safetensors")[i % 2]
        cases.append((f"mutated-{i}{suffix}", mutated_arrays(rng, suffix)))
    seen = {"refused": 0, "trained": 0}
    for name, content in cases:
        if not torture.in_time:
            break
        file = allowed / name
        file.write_bytes(content)
        spec.write_text(
            f"epochs = 1\nmeasures = ['train_accuracy']\n[task]\nkind = 'arrays'\npath = '{file}'\n"
        )
        out = allowed / "run"
        shutil.rmtree(out, ignore_errors=True)
        ended, touched = watched(nursery, tmp_path, "train", str(spec), "--out", str(out))
        allowed_codes = (0, 2) if name.startswith("mutated") else (2,)
        wrong = faults_of(ended.code, ended.err, allowed_codes, (name, "task"))
        # training itself takes some; what is refused must not
        if ended.code and ended.rose > 2 * len(content) + MOST:
            wrong.append(f"memory rose by {ended.rose >> 20} MB")
        torture.check("code was run" not in ended.out + ended.err, f"{name}: code was run")
        torture.failures += [
            f"{name}: {text}" for text in [*wrong, *(f"touched {line}" for line in touched[:3])]
        ]
        torture.check(not ended.code or not out.exists(), f"{name}: a run was begun")
        seen["trained" if ended.code == 0 else "refused"] += 1
    torture.done(sum(seen.values()), "hostile files of arrays", f"{len(torture.failures)} faults", **seen)


def test_a_model_that_is_too_large_takes_no_memory(torture, nursery, tmp_path):
    """10^12 neurons: refused, with what it would take, before anything is allocated."""
    (tmp_path / "allowed").mkdir()
    spec = tmp_path / "spec.toml"
    huge = (("model.width", 10**12), ("task.n_train", 10**12), ("task.n_test", 10**12), ("task.n", 10**12))
    for key, value in huge:
        spec.write_text(spec_text([(key, str(value))]))
        ended, touched = watched(
            nursery, tmp_path, "train", str(spec), "--out", str(tmp_path / "allowed" / "run")
        )
        wrong = faults_of(ended.code, ended.err, (2,), (key, "memory", "task"))
        if ended.rose > MOST:
            wrong.append(f"memory rose by {ended.rose >> 20} MB")
        torture.failures += [f"{key}: {text}" for text in [*wrong, *touched[:3]]]
        if key == "model.width":
            torture.check("would take" in ended.err and "TB" in ended.err, f"{key}: {ended.err}")
    torture.done(len(huge), "experiments of impossible size", f"{len(torture.failures)} faults")
