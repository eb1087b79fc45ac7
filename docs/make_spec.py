"""Write spec.md: every table and key of a spec, from the classes that read it.

    python docs/make_spec.py

A test compares the committed page with what this makes.
"""

from __future__ import annotations

import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).parent))

from _docstrings import attributes_of, markdown, sections

from grokscope.experiment import Experiment, Recording
from grokscope.spec.code import is_own
from grokscope.spec.parts import Part, kinds
from grokscope.spec.stopping import Stopping

PAGE = Path(__file__).parent / "spec.md"
_HEAD = """# The spec

<!-- Made by `python docs/make_spec.py` from the classes; change those. -->

An experiment is a TOML file. The smallest useful one:

```toml title="smallest.toml"
epochs = 300

[task]
kind = "sparse_parity"
```

Every part (task, model, optimizer, ...) is a table with a `kind`. `task = "sparse_parity"` is the short form
of a table with this kind and no other keys. A key that is not given has the default shown here. An unknown
key, a value of the wrong type or a value out of range is an error; the message names the key, the value and
the allowed values. Values are not converted: `"3"` is not a number, and `1` is not a truth value.

`--set a.b=value` changes one value. The value is parsed as TOML; if that fails, it is a string. Setting a
`kind` resets that table to the defaults of the kind. `grokscope train` writes the resolved spec, every
default included, into the run's folder as `experiment.toml`.

The **identity** of an experiment is a hash of the keys that determine its results. Keys marked * are not part
of it: with more epochs, more measures, another schedule, another stop rule or other events, the same run is
extended. (If the learning-rate schedule depends on the length of the run, the length is part of the
identity.) The **members** of a run are its networks, one per seed; `--seeds` sets them, and they are not part
of the spec.
"""
_EVENTS = """## `[events]`

Conditions on measures, by name. `memorization` and `grokking` are there without this table: accuracy above
0.98 at 5 measured points. Give them other levels, and add more:

```toml title="events.toml"
epochs = 300

[task]
kind = "sparse_parity"

[events]
memorization = "train_accuracy > 0.95 for 5"   # at 5 measured points in a row, which is also the default
grokking = "test_loss < 0.1 for 3"
half = "test_accuracy > 0.5"
```

A condition is `MEASURE > NUMBER`, with `>`, `>=`, `<` or `<=`, on a measure that is taken and has one value
per step; `for N` asks for N measured points in a row. A task may bring its own levels, which this table
replaces. `show`, pages, sweeps, `compare`, `[stop]`, claims and branches use the events of the run. The table
is not part of the identity: see [runs](runs.md#events).
"""
_GROUPS = {
    "task": "The data and the labels: samples, labels, splits.",
    "model": "The network.",
    "loss": "The loss of one sample; the loss of a batch is the mean.",
    "penalty": "A function of the parameters that is added to the loss of every batch.",
    "optimizer": "The algorithm that minimizes the loss.",
    "rate_schedule": "The table `[optimizer.schedule]`: a factor on the learning rate over the run.",
    "learner": "How a network is initialized and updated with data.",
    "init": "The initial state of each member. See [branches](branches.md).",
    "intervention": "Changes to parameters or neurons during training: a list of tables, applied in the "
    "given order. See [branches](branches.md).",
    "neurons": "Sets of neurons, as values of `neurons` and similar keys. See [branches](branches.md).",
}
_TITLES = {
    "rate_schedule": "[optimizer.schedule]",
    "intervention": "[[interventions]]",
    "neurons": "neurons = { kind = ... }",
}
_BOUNDS = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}"}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    text = [_HEAD, "## Top level\n", _table(Experiment, skip=("task", "events", *_parts(Experiment)))]
    text += ["## `[schedule]`\n", markdown(sections(Recording)[""]) + "\n", _table(Recording, stars=False)]
    text += [
        "A schedule is `epochs` (every epoch), `every 10 epochs`, `every 5 steps`, `log` (32 log-spaced "
        "points per decade of epochs), `log 12` (12 per decade), `ends` (the initial and the final state), a "
        "single step (negative steps count from the end; -1 is the final state), or a list of these, which "
        "means their union. Every schedule includes the initial and the final state. `step` is the number of "
        "updates done.\n"
    ]
    text += ["## `[stop]`\n", markdown(sections(Stopping)[""]) + "\n", _table(Stopping, stars=False)]
    text += [_EVENTS]
    for group, sentence in _GROUPS.items():
        title = _TITLES.get(group, f"[{group}]")
        text += [f"## `{title}`\n", f"{sentence}\n"]
        default = Experiment.model_fields[group].default if group in Experiment.model_fields else None
        for kind, cls in sorted(kinds(group).items()):
            if not is_own(cls):  # plug-ins that a process has loaded are not ours to describe
                continue
            usual = ", the default" if isinstance(default, cls) else ""
            text += [f'### `kind = "{kind}"`{usual}\n', markdown(sections(cls)[""]) + "\n"]
            if set(cls.model_fields) - {"kind"}:
                text += [_table(cls, skip=("kind",))]
            if source := sections(cls).get("Source"):
                text += [f"Source: {markdown(source, one_line=True)}\n"]
    return "\n".join(text).rstrip() + "\n"


def _parts(cls: type[Part]) -> list[str]:
    """The fields that hold parts, which have sections of their own."""
    return [
        name
        for name, field in cls.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Part)
    ]


def _table(cls: type[Part], skip: tuple[str, ...] = (), *, stars: bool = True) -> str:
    meaning = attributes_of(cls)
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in cls.model_fields.items():
        if name in skip:
            continue
        star = "\\*" if stars and name in cls.not_identifying else ""
        lines.append(
            f"| `{name}`{star} | {_type(field.annotation, field.metadata)} | {_default(field)} "
            f"| {markdown(meaning[name], one_line=True)} |"
        )
    return "\n".join(lines) + "\n"


def _type(annotation: Any, metadata: Any = ()) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(one, metadata) for one in inner if one is not type(None))
    if annotation == tuple[tuple[str, str], ...]:
        return "table of text"
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if origin is typing.Annotated:
        return _type(inner[0], inner[1:])
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return "table"
    words = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`"}
    bounds = [
        text.format(_number(getattr(bound, key)))
        for bound in metadata
        for key, text in _BOUNDS.items()
        if getattr(bound, key, None) is not None
    ]
    return " ".join([words.get(annotation, "table or name"), *bounds])


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _default(field: Any) -> str:
    if field.is_required():
        return "must be given"
    value = field.default
    if value is None:
        return "-"
    if isinstance(value, Part):
        return f"`{value.model_dump()['kind']}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ("", ()) else "-"


if __name__ == "__main__":
    main()
