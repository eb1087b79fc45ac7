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

A measure is a pure function of a network and its data, in evaluation mode. The same function runs in the
compiled training loop, on stored snapshots and in a replay, with the same results. If a spec lists no
measures, all default measures that apply to the experiment are taken. `grokscope measure RUN NAME` adds a
measure to a finished run.

Notation: $f(x) = \\sum_{j=1}^p u_j\\, \\sigma(W_j \\cdot x + b_j)$ is the output of a network with p hidden
neurons; $z_j = W_j \\cdot x + b_j$ is the pre-activation of neuron j. $f_S$ is the output with only the
neurons of the set S, all others set to 0; $f_m$ is the output with only the m neurons of largest norm.

- **Axes.** Every measure has the axes `seed` (or the axes of crossed random streams) and `step`. Further axes
  are listed with each measure; [neuron] means an axis `neuron`. The axis `split` has the labels `train` and
  `test`.
- **Subnetworks.** The axis `subnetwork` has five labels. `generalizing` is the active subnetwork at the last
  step: the fewest neurons of largest norm that predict as the whole network on the training inputs.
  `complementary` is all other neurons. `memorizing` is the active subnetwork at the first step with training
  accuracy above 0.98. `control` is a random set of the size of the generalizing one, drawn from all neurons.
  `norm_matched` is a set outside the generalizing one with nearly the same norms at that step.
- **Schedule.** *Quick* measures are taken at every point of `schedule.measures` (by default every epoch),
  *slow* measures at `schedule.slow_measures` (by default log-spaced, about 60 points for 300 epochs).
  Measures that *follow* subnetworks need the final network, which determines the subnetworks. They are
  computed at the end of the run, from networks kept in memory or recomputed by replay, for the steps of
  `schedule.follow` (slow ones: for the steps of slow measures).
- **Flavor.** There are two definitions of the active subnetwork. By default it has the same prediction as the
  whole network on every training input (the paper's definition). With
  `grokscope measure RUN NAME --flavor accuracy` it has the same training accuracy (the official code's
  definition); the results are then stored under the measure's name followed by `_accuracy_flavor`.
- **Zero outputs.** The sign of 0 is 0. An input with $f(x) = 0$ has no prediction: it is left out of
  accuracies and other shares, and counted by the `zero_outputs` measures. A subnetwork with output 0 agrees
  with no prediction.
- **Real labels.** A task's labels may be real numbers or real vectors. They have no right predictions, so
  accuracies and other measures of predictions do not apply; losses and norms do.
- **Online training.** Every update has new samples. The training split is a fixed set of `n_train` samples of
  each member that is only measured, so `train_accuracy` and `train_loss` are held-out values there.
  `batch_loss` and `batch_accuracy` are those of the samples that are learned from.
  `schedule.measures = "epochs"`, the default, is 64 log-spaced points per decade of steps.
- **No test set.** If a task has none (`train_fraction = 1`, or arrays without `test_x`), measures of the test
  split do not apply.
- **Values that were not measured** are absent or NaN, never zero.
"""
_CONSTANTS = """## Constants of ours

Numbers below which, or from which on, we count something, and that a paper leaves open or sets otherwise. A
paper's own network may lie on the other side of one: move it before you believe what hangs on it.
The regions and smallest effects of claims are numbers of ours as well; each claim states its own
([claims](claims.md)).
"""
_CONSTANT_ROWS = (
    ("constant", "where", "moved by", "what changes when it moves"),
    ("---",) * 4,
    (
        "accuracy above 0.98",
        "the events `memorization` and `grokking`; with them stops, delays, the subnetwork "
        "`memorizing` and all claims about times",
        "`[events]` in the spec",
        "With label noise, few test samples or many classes an accuracy may stay below 0.98 for "
        "ever: nothing groks. With 100 test samples 0.98 is two errors. At 0.95 memorization "
        "comes before generalization helps the last training samples (claims use 0.95 where they "
        "say so). Papers use 0.95 to 1; steps to 99 % are claims of their own",
    ),
    (
        "5 measured points in a row",
        "the same events, and crossings in claims",
        "`for N` in `[events]`; `schedule.measures`",
        "Points are of the schedule: 5 epochs, or 500 steps with a point every 100. A sparse "
        "schedule misses short plateaus and delays the end of a run that groks in its last 5 "
        "points (then it is censored). With `for 1` a spike (slingshot) counts as grokking",
    ),
    (
        "a gap of 5, from 0.001 of the power",
        "`key_frequencies`, `restricted_loss`, `excluded_loss`",
        "`gap`, `rule`, `share` of each measure",
        "A smaller gap takes more frequencies, down to steps within the noise; a larger one "
        "fewer, until there is none and all from 0.001 on are taken. Of a published network (.814"
        " .074 .039 .031 .021, then .0004) every gap takes five; a share of 0.05 takes two, and "
        "its restricted loss is then .225 instead of 2e-9. `neurons` takes every frequency of any"
        " neuron, also of one stray neuron",
    ),
    (
        "0.85 of a neuron's variance",
        "`one_frequency_neurons`",
        "`above`",
        "The paper's number. A neuron that mixes frequencies lies below it; a lower number "
        "counts more of them",
    ),
    (
        "participation of 0.5, from 5 neurons on",
        "`phase_alignment`, `phase_defect`",
        '`neurons = "all"` counts every neuron',
        "Which neurons count as one wave; fewer than 5 give NaN",
    ),
    (
        "a tenth of the largest activation",
        "gates of `grokscope circuits`, and counts of gates",
        "`tolerance` in Python ([decision 13](decisions/0013-gates-with-a-tolerance.md))",
        "At 0 two copies of a gate read as two gates; at 0.4 gates of settled networks change. "
        "Before a circuit has settled there is no gap, and readings depend on the number. "
        "`--prove` does not use it",
    ),
    (
        "a bit twice as strong as the others; half of the variance",
        "the support that `grokscope circuits` finds",
        "a task that tells its hidden bits",
        "Below 80 % test accuracy no bit stands out, and no support is found. A network that uses"
        " bits unequally loses the weakest",
    ),
    (
        "all predictions; all but 1 %",
        "`effective_sparsity`, `effective_sparsity_accuracy`, `effective_sparsity_probe`, "
        "`effective_sparsity_99`",
        "the measure that is taken; `--flavor`",
        'One training sample decides "all predictions": the sparsity may be many neurons larger '
        "than that for 99 %",
    ),
    (
        "neurons in the order of incoming norm",
        "subnetworks and effective sparsity",
        "`order`",
        "Rescaling a neuron (cW, cb, u / c) changes its place; `path_norm` is invariant",
    ),
    (
        "100 training and 100 test samples",
        "`sensitivity`",
        "`sensitivity_full` takes all",
        "The sensitivity of one network is the mean over 100 samples, with their noise",
    ),
    (
        "10,000 probe samples",
        "`test_accuracy_large` and others on the probe",
        "`task.n_probe`",
        "The resolution: an accuracy of 0.99 is known to 0.002",
    ),
    (
        "agreement (kappa) of 0.9; the last 50 epochs",
        "claims of `two-circuits` on when a subnetwork has formed, and on final values",
        "the claim's estimand",
        "See the estimands, which say their number",
    ),
    (
        "half of chance, log p / 2",
        "the times of P7 and P8 of `progress-measures`",
        "the claim's estimand",
        "The order of events at other levels is not claimed",
    ),
    (
        "95 % intervals, false-discovery rate 0.05",
        "every verdict",
        "the constants of the field",
        "A claim near its region's end becomes undecided with a stricter one",
    ),
)
_FAMILIES = {
    "accuracy": "Accuracy",
    "groups": "Groups of training samples",
    "subtasks": "Subtasks",
    "tolerance": "Accuracy of regression",
    "loss": "Loss and margin",
    "logit_scale": "The scale of the logits",
    "gradient": "Gradient by the weights",
    "tangent_kernel": "The tangent kernel",
    "batch": "The batch of the next update",
    "population": "Exact expectations",
    "norms": "Norms",
    "movement": "Movement from the start, on the hidden bits and elsewhere",
    "fourier_gap": "A parity in output, gradient and weights",
    "share": "Shares of the output",
    "sparsity": "Effective sparsity",
    "faithfulness": "Faithfulness and norm of subnetworks",
    "sensitivity": "Sensitivity",
    "pruning": "Pruning",
    "hidden_bits": "Incoming weights on the hidden bits",
    "mirror": "Mirror pairs of binary operators",
    "weight_fourier": "Weights in the Fourier basis of residues",
    "neuron_fourier": "Neurons in the Fourier basis of residues",
    "feature_matrix": "Feature matrices and gradients by the input",
    "neuron_waves": "Weights of neurons on one-hot pairs",
    "neuron_irreps": "Weights of neurons on one-hot pairs of permutations",
    "logit_fourier": "Outputs in the Fourier basis of residues",
    "attention": "Attention",
}
_PACES = {
    "quick": "quick",
    "slow": "slow",
    "follow": "after training, with the final network known",
    "follow_slow": "after training, with the final network known, at the steps of slow measures",
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
    rows = [f"| {' | '.join(row)} |" for row in _CONSTANT_ROWS]
    return "\n".join([*text, _CONSTANTS, *rows]).rstrip() + "\n"


def _entry(cls: type[Measure]) -> str:
    kind = cls.model_fields["kind"].default
    found = sections(cls)
    axes = ", ".join(f"`{dim}`" for dim in cls.dims) or "none besides seed and step"
    facts = [f"Axes: {axes}", f"schedule: {_PACES[cls.pace]}"]
    if cls.unit:
        facts.append(f"unit: {cls.unit}")
    needs = cls().needs  # with some measures they depend on an option
    if needs:
        facts.append(f"needs {', '.join(need.text for need in needs)}")
    if not cls.default:
        facts.append(
            f"taken {'by default only online' if cls.default_online else 'only if the spec lists it'}"
        )
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
