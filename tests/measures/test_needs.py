"""What each measure needs of an experiment: all measures, on experiments that lack one thing or another."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

import grokscope as gs
from grokscope.learners import Learner
from grokscope.measures import Measure
from grokscope.measures.needs import PROBE_SPLIT, SIGNS, Need
from grokscope.spec.parts import kinds
from grokscope.tasks.arrays import Arrays

# measure -> what it cannot do without; a split is read by the measures that are taken on it
NEEDS: dict[str, set[str]] = {
    "agop_alignment": {"features"},
    "attention_pattern": {"transformer"},
    "batch_accuracy": {"predictions"},
    "batch_loss": set(),
    "batch_norm_scale": {"normalized"},
    "circulant_deviation": {"features", "cyclic"},
    "correct_class_loss": {"classes", "test"},
    "effective_sparsity": {"predictions", "neurons"},
    "effective_sparsity_99": {"predictions", "neurons", "probe"},
    "effective_sparsity_accuracy": {"predictions", "neurons"},
    "effective_sparsity_probe": {"predictions", "neurons", "probe"},
    "embedding_fourier": {"frequencies", "embedding"},
    "embedding_gini": {"frequencies", "embedding"},
    "embedding_participation": {"frequencies", "embedding"},
    "excluded_loss": {"frequencies", "neurons"},
    "excluded_loss_by_frequency": {"frequencies"},
    "faithfulness": {"predictions", "neurons", "test"},
    "faithfulness_kappa": {"predictions", "neurons", "test"},
    "faithfulness_mean_ablation": {"signs", "one hidden layer", "test"},
    "feature_alignment": {"features"},
    "fourier_gap": {"one hidden layer", "parity"},
    "group_accuracy": {"groups"},  # all tasks on pairs have predictions
    "group_true_accuracy": {"groups"},
    "group_wrong_share": {"groups"},
    "head_faithfulness": {"predictions", "transformer", "test"},
    "hidden_bit_share": {"hidden bits", "one hidden layer"},
    "hidden_bit_spread": {"hidden bits", "one hidden layer"},
    "kernel_condition": {"kernel"},
    "kernel_alignment": {"parameters", "test"},
    "kernel_distance": {"parameters", "test"},
    "key_frequencies": {"frequencies"},
    "logit_cosines": {"frequencies"},
    "logit_fourier": {"frequencies"},
    "logit_scale": {"classes"},
    "matrix_norm": {"matrices"},
    "mirror_share": {"pairs", "test"},
    "margin_mean_large": {"signs", "probe"},
    "moment_error": {"error terms"},
    "movement_alignment": {"one hidden layer", "parity"},
    "neural_feature_matrix": {"features"},
    "neuron_frequency": {"frequencies", "neurons"},
    "neuron_frequency_power": {"pair blocks"},
    "neuron_frequency_share": {"frequencies", "neurons"},
    "neuron_irrep_power": {"pair blocks", "irreps"},
    "neuron_norm": {"neurons"},
    "neuron_participation": {"pair blocks"},
    "neuron_phase": {"pair blocks"},
    "neurons_per_frequency": {"pair blocks", "frequencies"},
    "neurons_per_irrep": {"pair blocks", "irreps"},
    "normalized_margin": {"predictions", "neurons", "homogeneous"},
    "one_frequency_neurons": {"frequencies", "neurons"},
    "output_fourier": {"frequencies", "embedding"},
    "output_gini": {"frequencies", "embedding"},
    "output_participation": {"frequencies", "embedding"},
    "output_share": {"one hidden layer", "test"},
    "parity_coefficient": {"one hidden layer", "parity"},
    "participation": {"pair blocks"},
    "path_norm": {"neurons"},
    "path_norm_total": {"neurons"},
    "phase_alignment": {"pair blocks", "frequencies"},
    "phase_defect": {"pair blocks", "frequencies"},
    "population_accuracy": {"population", "signs"},
    "population_loss": {"population"},
    "population_output_mean": {"moments"},
    "population_output_std": {"moments"},
    "population_tolerance_accuracy": {"gaussian errors"},
    "pruned_accuracy": {"predictions", "neurons", "test"},
    "relevant_order": {"one hidden layer", "hidden bits"},
    "restricted_loss": {"frequencies", "neurons", "test"},
    "sensitivity": {"signs", "one hidden layer", "binary inputs", "test"},
    "sensitivity_full": {"signs", "one hidden layer", "binary inputs", "test"},
    "start_distance": {"parameters"},
    "subtask_accuracy": {"subtasks"},
    "subtask_loss": {"subtasks"},
    "subtask_mean_loss": {"subtasks"},
    "subnetwork_accuracy": {"predictions", "neurons", "probe"},
    "subnetwork_norm": {"predictions", "neurons"},
    "test_accuracy": {"predictions", "test"},
    "test_accuracy_large": {"predictions", "probe"},
    "test_accuracy_mirrored": {"pairs", "test"},
    "test_accuracy_unmirrored": {"pairs", "test"},
    "test_loss": {"test"},
    "test_tolerance_accuracy": {"real", "test"},
    "test_zero_outputs": {"signs", "test"},
    "test_zero_outputs_large": {"signs", "probe"},
    "train_accuracy": {"predictions"},
    "train_loss": set(),
    "train_margin_below_1": {"signs"},
    "train_margin_least": {"signs"},
    "train_tolerance_accuracy": {"real"},
    "train_zero_outputs": {"signs"},
    "weight_alignment": {"matrices"},
    "weight_movement": {"one hidden layer", "hidden bits"},
    "weight_norm": {"parameters"},
    "zero_loss_share": set(),
}
# taken only where a spec asks for them; and with classes only then
ASKED_FOR = {
    name
    for name in NEEDS
    if NEEDS[name] & {"frequencies", "transformer", "population", "pair blocks", "hidden bits", "parity"}
    or NEEDS[name] & {"features", "kernel", "classes"}
}
ASKED_FOR |= {name for name in NEEDS if NEEDS[name] & {"gaussian errors", "moments", "real", "error terms"}}
ASKED_FOR |= {
    "batch_norm_scale",
    "kernel_alignment",
    "kernel_distance",
    "weight_alignment",
    "zero_loss_share",
}
ASKED_FOR |= {"batch_accuracy", "batch_loss", "start_distance"}
ASKED_FOR |= {"group_accuracy", "group_true_accuracy", "group_wrong_share", "pruned_accuracy"}
ASKED_FOR |= {"margin_mean_large", "subnetwork_accuracy", "train_margin_least"}
ASKED_FOR |= {"hidden_bit_share", "hidden_bit_spread", "normalized_margin"}
NOT_WITH_CLASSES = {
    *("effective_sparsity", "effective_sparsity_99", "effective_sparsity_accuracy"),
    *("effective_sparsity_probe", "faithfulness", "faithfulness_kappa", "faithfulness_mean_ablation"),
    "subnetwork_norm",
}

PARITY = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 20, "n_test": 10, "n_probe": 10}
ADDITION = {"kind": "modular_operator", "p": 5}
DIVISION = {"kind": "modular_operator", "operator": "division", "p": 5}
NO_TOKENS = {"operator_token": False, "equals_token": False}
OPERATORS = {
    *("frequencies", "pairs", "groups", "transformer", "matrices", "embedding", "pair blocks", "irreps"),
}
NO_PARITY = {"hidden bits", "parity"}
NO_SIGNS = {
    *("signs", "one hidden layer", "binary inputs", "probe", "population", "pair blocks", "irreps"),
    *NO_PARITY,
}


LINEAR = OPERATORS | NO_PARITY
LINEAR |= {"binary inputs", "probe", "neurons", "one hidden layer", "homogeneous"}


class NoNetwork(Learner):
    """A learner without a network."""

    kind: Literal["no_network"] = "no_network"
    uses_model = False


def arrays_task(*, classes: bool = False, vectors: bool = False) -> Arrays:
    """Real inputs with labels +-1, or inputs +-1 with classes: a training and a test split only.

    Or with real vectors as labels, and a training split only.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)), np.array([1.0, -1.0] * 4)
    if vectors:
        return Arrays.from_numpy(train_x=x, train_y=x[:, :2])
    if classes:
        x, y = np.sign(x), np.array([0, 1, 2, 1] * 2)
    return Arrays.from_numpy(train_x=x, train_y=y, test_x=x[:4], test_y=y[:4])


# what an experiment is called -> its parts, and what it lacks
EXPERIMENTS: dict[str, tuple[dict[str, object], set[str]]] = {
    "parity": ({"task": PARITY}, OPERATORS),
    "parity, two hidden layers": (
        {"task": PARITY, "model": {"kind": "mlp", "widths": (6, 4)}},
        OPERATORS | {"neurons", "one hidden layer", "homogeneous"},
    ),
    "arrays": ({"task": arrays_task()}, OPERATORS | NO_PARITY | {"binary inputs", "probe", "population"}),
    "arrays, classes": (
        {"task": arrays_task(classes=True), "loss": "cross_entropy"},
        OPERATORS | NO_PARITY | {"signs", "probe", "population"},
    ),
    "addition, a transformer": (
        {"task": ADDITION, "model": "nanda_transformer", "loss": "cross_entropy"},
        NO_SIGNS | {"homogeneous"},
    ),
    "division, a transformer": (
        {"task": DIVISION, "model": "nanda_transformer", "loss": "cross_entropy"},
        NO_SIGNS | {"frequencies", "homogeneous"},
    ),
    "addition, an embedding": (
        {"task": ADDITION, "model": "embedding_mlp", "loss": "cross_entropy"},
        NO_SIGNS | {"transformer", "homogeneous"},
    ),
    "addition, one hidden layer": (
        {"task": ADDITION, "model": {"kind": "mlp", "widths": (6,)}, "loss": "cross_entropy"},
        (NO_SIGNS | {"transformer", "matrices", "embedding", "homogeneous"}) - {"one hidden layer"},
    ),
    "addition, one-hot pairs": (
        {"task": ADDITION | NO_TOKENS, "model": "one_hot_mlp", "loss": "squared"},
        (NO_SIGNS | {"transformer", "embedding"}) - {"pair blocks"},
    ),
    "permutations, one-hot pairs": (
        {
            "task": {"kind": "permutation_operator", "degree": 3} | NO_TOKENS,
            "model": "one_hot_mlp",
            "loss": "squared",
        },
        (NO_SIGNS | {"transformer", "embedding", "frequencies", "groups"}) - {"pair blocks", "irreps"},
    ),
    "one-hot pairs with further tokens": (
        {"task": ADDITION, "model": "one_hot_mlp", "loss": "squared"},
        NO_SIGNS | {"transformer", "embedding"},
    ),
    "one-hot pairs, normalized": (
        {
            "task": ADDITION | NO_TOKENS,
            "model": {"kind": "one_hot_mlp", "batch_norm": True},
            "loss": "squared",
        },
        (NO_SIGNS | {"transformer", "embedding", "homogeneous"}) - {"pair blocks"},
    ),
    "subtasks": (
        {"task": {"kind": "multitask_parity", "n_tasks": 3, "n": 5, "k": 2}, "loss": "cross_entropy"},
        OPERATORS | NO_PARITY | {"signs", "population"},
    ),
    "all of addition is learned": (
        {"task": ADDITION | {"train_fraction": 1.0}, "model": "embedding_mlp", "loss": "cross_entropy"},
        NO_SIGNS | {"transformer", "test", "homogeneous"},
    ),
    "real labels": (
        {
            "task": PARITY | {"kind": "boolean_function", "preset": "staircase", "output": "real"},
            "loss": "squared",
        },
        OPERATORS | {"signs", "predictions", "parity"},
    ),
    "real vectors, no test set": (
        {"task": arrays_task(vectors=True), "loss": "squared"},
        OPERATORS | NO_PARITY | {"signs", "predictions", "binary inputs", "probe", "population", "test"},
    ),
    "addition, a kernel machine": (
        {"task": ADDITION | NO_TOKENS, "learner": "recursive_features", "loss": "squared"},
        NO_SIGNS | {"transformer", "embedding", "matrices", "neurons", "parameters", "homogeneous"},
    ),
    "no network": (
        {"task": PARITY, "learner": "no_network"},
        OPERATORS | {"neurons", "one hidden layer", "parameters", "homogeneous"},
    ),
    "a teacher, a linear model": (
        {"task": {"kind": "gaussian_teacher", "d": 4, "n_test": 3}, "model": "linear", "loss": "squared"},
        LINEAR | {"signs", "predictions"},
    ),
    "a quadratic teacher, a committee": (
        {
            "task": {"kind": "gaussian_teacher", "d": 4, "n_test": 3, "teacher": "quadratic"},
            "model": {"kind": "scaled", "of": {"kind": "committee", "width": 5}},
            "loss": "squared",
        },
        LINEAR | {"signs", "predictions"},
    ),
    "one label, a linear model": ({"task": {"kind": "constant_label", "d": 4}, "model": "linear"}, LINEAR),
    "a teacher, a network": (
        {"task": {"kind": "gaussian_teacher", "d": 4, "n_test": 3}, "loss": "squared"},
        OPERATORS | NO_PARITY | {"signs", "predictions", "binary inputs", "probe", "population"},
    ),
}
# needs that few have: the experiments that have them
FEW = {
    "real": {
        *("real labels", "real vectors, no test set", "a teacher, a linear model", "a teacher, a network"),
        "a quadratic teacher, a committee",
    },
    "gaussian errors": {"a teacher, a linear model"},
    "moments": {"one label, a linear model"},
    "error terms": {"a quadratic teacher, a committee"},
    "normalized": {"one-hot pairs, normalized"},
    "subtasks": {"subtasks"},
}
# measures that are asked for elsewhere, and defaults where the events of the task are on them
OF_EVENTS = {
    name: {"train_tolerance_accuracy", "test_tolerance_accuracy"}
    for name in ("a teacher, a linear model", "a teacher, a network", "a quadratic teacher, a committee")
}


def lacks_of(name: str) -> set[str]:
    return EXPERIMENTS[name][1] | {need for need, having in FEW.items() if name not in having}


HAVE_FEATURES = {
    *("parity", "arrays", "arrays, classes", "real labels", "real vectors, no test set"),
    *("addition, one hidden layer", "addition, one-hot pairs", "permutations, one-hot pairs"),
    *("one-hot pairs, normalized", "subtasks"),
    "addition, a kernel machine",
    "a teacher, a network",
}
for _name, (_parts, _lacks) in EXPERIMENTS.items():
    _table = _parts["task"] if isinstance(_parts["task"], dict) else {}
    _kind = str(_table.get("kind", ""))
    _has = {
        "features": _name in HAVE_FEATURES,
        "kernel": _name == "addition, a kernel machine",
        "cyclic": _kind == "modular_operator",
        "classes": _kind.endswith("_operator") or _name in ("arrays, classes", "subtasks"),
    }
    EXPERIMENTS[_name] = (_parts, _lacks | {what for what, has in _has.items() if not has})


def experiment(name: str) -> gs.Experiment:
    return gs.Experiment(epochs=1, **EXPERIMENTS[name][0])


def test_the_table_has_all_measures():
    here = {name for name, kind in kinds("measure").items() if kind.__module__.startswith("grokscope.")}
    assert here == set(NEEDS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_measure_is_missing_what_it_needs_and_the_experiment_lacks(name):
    made, lacks = experiment(name), lacks_of(name)
    for kind, needs in NEEDS.items():
        measure = kinds("measure")[kind]()
        said = measure.missing(made)
        assert (said is not None) == bool(needs & lacks), (kind, said)
        if said is not None:
            assert said.startswith(f"{measure.name} needs ")
            assert "\n" not in said


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_measure_is_a_default_where_it_can_be_taken_and_is_not_dear(name):
    made, lacks = experiment(name), lacks_of(name)
    for kind, needs in NEEDS.items():
        asked = kind in ASKED_FOR - OF_EVENTS.get(name, set())
        left_out = asked or (kind in NOT_WITH_CLASSES and "signs" in lacks)
        assert kinds("measure")[kind]().is_default(made) == (not needs & lacks and not left_out), kind


def test_a_need_of_ones_own_is_checked_in_its_place():
    few = Need(
        "at most 9 neurons", lambda spec: spec.model.n_neurons <= 9, "; '{model}' of '{task}' has more"
    )

    class Own(Measure):
        needs = (SIGNS, few, PROBE_SPLIT)
        kind: Literal["own"]  # without a default it is not registered

    own = Own(kind="own")
    assert own.missing(experiment("parity")) == (
        "own needs at most 9 neurons; 'fully_connected' of 'sparse_parity' has more"
    )
    assert own.missing(experiment("parity, two hidden layers")) is None
    assert own.missing(experiment("addition, an embedding")) == (
        "own needs one output with labels +-1; task 'modular_operator' has classes"
    )
