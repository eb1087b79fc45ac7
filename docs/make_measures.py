"""Write measures.md: every measure with its formula, axes and special cases, from their docstrings.

    python docs/make_measures.py

A test compares the committed page with what this makes.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _docstrings import attributes_of, markdown, sections

from grokscope.measures import Measure
from grokscope.spec.parts import kinds

PAGE = Path(__file__).parent / "measures.md"
_HEAD = """# Measures

<!-- Made by `python docs/make_measures.py` from the docstrings; change those. -->

A measure is a pure function of a network and its data, in evaluation mode. The same function is used in the
compiled loop, on snapshots and in a replay, with the same results. If a spec lists no measures, all default
measures that apply are taken; `grokscope measure RUN NAME` adds one to a finished run.

Notation: $f(x) = \\sum_{j=1}^p u_j\\, \\sigma(W_j \\cdot x + b_j)$; $z_j$ is the pre-activation of neuron j;
$f_S$ keeps the neurons of the set S; $f_m$ keeps the m neurons of largest norm.

- **Axes.** All measures have `seed` (or the axes of crossed streams) and `step`; further axes are listed
  below. `split` is `train`, `test`. `subnetwork` is `generalizing` (the active subnetwork of the last
  step), `complementary` (all other neurons), `memorizing` (the active subnetwork where train accuracy first
  passes 0.98), `control` (random neurons, as many as in the generalizing set, drawn from all neurons), and
  `norm_matched` (other neurons with nearly the same norms at memorization).
- **When.** *Quick* measures are taken at every point of `schedule.measures` (each epoch), *slow* measures at
  `schedule.slow_measures` (log-spaced, about 60 points for 300 epochs). Measures that *follow* subnetworks
  need the final network. They are taken at the end of the run, from networks kept in memory or by replay, at
  the points of `schedule.follow`; the *slow* ones among them at the points of slow measures.
- **Flavor.** The active subnetwork has the same predictions on all training inputs (the paper's definition).
  With `grokscope measure RUN NAME --flavor accuracy` it has the same training accuracy (the official code's
  definition); results are then stored under the name of the measure with `_accuracy_flavor`.
- **Zero outputs.** The sign of 0 is 0. An input with $f(x) = 0$ has no prediction: it is left out of shares
  and counted by the `zero_outputs` measures. A subnetwork with output 0 agrees with no prediction.
- **Values that were not measured** are absent or NaN, never zero.
"""
_FAMILIES = {
    "accuracy": "Accuracy",
    "loss": "Loss and margin",
    "norms": "Norms",
    "share": "Shares of the output",
    "sparsity": "Effective sparsity",
    "faithfulness": "Faithfulness and norm of subnetworks",
    "sensitivity": "Sensitivity",
    "mirror": "Mirror pairs of binary operators",
    "weight_fourier": "Weights in the Fourier basis of residues",
    "neuron_fourier": "Neurons in the Fourier basis of residues",
    "logit_fourier": "Outputs in the Fourier basis of residues",
    "attention": "Attention",
}
_PACES = {
    "quick": "quick",
    "slow": "slow",
    "follow": "follows subnetworks",
    "follow_slow": "follows subnetworks, slow",
}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    families: dict[str, list[type[Measure]]] = {}
    for cls in kinds("measure").values():
        assert issubclass(cls, Measure)
        # plug-ins that a process has loaded are not ours to describe
        if cls.__module__.startswith("grokscope.measures."):
            families.setdefault(cls.__module__.rpartition(".")[2], []).append(cls)
    assert not set(families) - set(_FAMILIES), f"name these families: {set(families) - set(_FAMILIES)}"
    text = [_HEAD]
    for family, title in _FAMILIES.items():
        text.append(f"## {title}\n")
        text += [_entry(cls) for cls in families.get(family, [])]
    return "\n".join(text).rstrip() + "\n"


def _entry(cls: type[Measure]) -> str:
    kind = cls.model_fields["kind"].default
    found = sections(cls)
    axes = ", ".join(f"`{dim}`" for dim in cls.dims) or "none besides seed and step"
    facts = [f"Axes: {axes}", f"taken: {_PACES[cls.pace]}"]
    if cls.unit:
        facts.append(f"unit: {cls.unit}")
    if cls.needs:
        facts.append(f"needs {', '.join(need.text for need in cls.needs)}")
    if not cls.default:
        facts.append("not a default")
    lines = [f"### `{kind}`\n", _formulas(markdown(found[""])) + "\n", "; ".join(facts) + ".\n"]
    options = {name: text for name, text in attributes_of(cls).items() if name in cls.model_fields}
    lines += [f"Option `{name}`: {_formulas(markdown(text))}\n" for name, text in options.items()]
    if source := found.get("Source"):
        lines.append(f"Source: {markdown(source, one_line=True)}\n")
    return "\n".join(lines)


def _formulas(text: str) -> str:
    """References to classes, as the names of their measures."""
    for name, cls in kinds("measure").items():
        text = text.replace(f"`{cls.__name__}`", f"`{name}`")
    return text


if __name__ == "__main__":
    main()
