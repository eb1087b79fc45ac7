"""Specs of every kind of part, for the test that identities stay the same (`tests/test_stability.py`)."""

from __future__ import annotations

from typing import Any

import grokscope as gs

PARITY: dict[str, Any] = {"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64}
SMALL: dict[str, Any] = {"kind": "fully_connected", "width": 16}
SOURCE = "ab" * 32


def _on_addition(**more: Any) -> dict[str, Any]:
    task = {"kind": "modular_operator", "operator": "addition", "p": 7}
    return {"task": task, "loss": "cross_entropy", "epochs": 3, **more}


def _with(*interventions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"task": PARITY, "model": SMALL, "epochs": 9, "interventions": interventions, **more}


def _from(**init: Any) -> dict[str, Any]:
    init = {"kind": "from_run", "run": "elsewhere", "source": SOURCE, "at": 5} | init
    return {"task": PARITY, "model": SMALL, "epochs": 9, "init": init}


SPECS: dict[str, dict[str, Any]] = {
    "defaults": {"task": "sparse_parity", "epochs": 300},
    "small": {"task": PARITY, "model": SMALL, "epochs": 4, "batch_size": 16},
    "full-batch": {"task": PARITY, "model": SMALL, "steps": 50, "batch_size": "full"},
    "online": {"task": PARITY, "model": SMALL, "steps": 50, "online": True},
    "float64": {"task": PARITY, "model": SMALL, "epochs": 4, "precision": "float64"},
    "noisy-labels": {"task": PARITY | {"labels": "noisy", "noise": 0.1}, "model": SMALL, "epochs": 4},
    "random-labels": {"task": PARITY | {"labels": "random"}, "model": SMALL, "epochs": 4},
    "boolean-function": {
        "task": {
            "kind": "boolean_function",
            "n": 8,
            "terms": [{"bits": [0, 1]}, {"bits": [2], "coefficient": 2.0}],
        },
        "model": SMALL,
        "epochs": 4,
    },
    "majority": {"task": {"kind": "boolean_function", "n": 9, "preset": "majority", "k": 3}, "epochs": 4},
    "real-labels": {
        "task": {"kind": "boolean_function", "n": 8, "preset": "staircase", "k": 3, "output": "real"},
        "loss": "squared",
        "epochs": 4,
    },
    "logistic": {
        "task": PARITY,
        "model": {"kind": "mlp", "widths": [16, 8]},
        "loss": "logistic",
        "epochs": 4,
    },
    "mean-field": {"task": PARITY, "model": {"kind": "mean_field", "width": 16}, "epochs": 4},
    "construction": {
        "task": PARITY,
        "model": {"kind": "construction", "proposition": 1, "k": 2},
        "learner": "still",
        "epochs": 1,
    },
    "embedding-mlp": _on_addition(model="embedding_mlp", optimizer="adamw", batch_size="full"),
    "transformer": _on_addition(model="transformer", optimizer={"kind": "adam", "weight_decay": 0.1}),
    "nanda": _on_addition(model="nanda_transformer", optimizer={"kind": "adamw", "weight_decay": 1.0}),
    "power": _on_addition(model="power_transformer", optimizer="muon"),
    "permutations": {
        "task": {"kind": "permutation_operator", "degree": 4},
        "model": "embedding_mlp",
        "loss": "cross_entropy",
        "optimizer": {"kind": "grokfast", "lamb": 3.0},
        "epochs": 3,
    },
    "cosine": {"task": PARITY, "epochs": 4, "optimizer": {"kind": "sgd", "schedule": "cosine"}},
    "linear": {"task": PARITY, "epochs": 4, "optimizer": {"kind": "sgd", "schedule": {"kind": "linear"}}},
    "momentum": {"task": PARITY, "epochs": 4, "optimizer": {"kind": "sgd", "momentum": 0.9}},
    "ablate": _with({"kind": "ablate", "neurons": {"kind": "listed", "neurons": [0, 3]}, "at": 5}),
    "prune": _with({"kind": "prune", "neurons": {"kind": "largest", "count": 4}}),
    "boost-and-sham": _with(
        {"kind": "boost", "factor": 2.0, "neurons": {"kind": "random", "count": 3}},
        {
            "kind": "sham",
            "factor": 2.0,
            "neurons": {"kind": "complement", "of": {"kind": "listed", "neurons": [1]}},
        },
    ),
    "hold": _with(
        {"kind": "freeze", "neurons": {"kind": "listed", "neurons": [1]}, "until": 7},
        {"kind": "rate", "factor": 0.5, "bits": "support"},
        {"kind": "clamp", "neurons": {"kind": "listed", "neurons": [2, 4]}, "limit": 1.5},
    ),
    "stop-gradient": _with({"kind": "stop_gradient", "groups": [{"kind": "listed", "neurons": [0, 1]}]}),
    "swap": _with(
        {
            "kind": "swap",
            "what": "direction",
            "neurons": {"kind": "listed", "neurons": [0]},
            "partners": {"kind": "listed", "neurons": [1]},
        }
    ),
    "by-seed": _with(
        {"kind": "ablate", "neurons": {"kind": "by_seed", "seeds": [0, 1], "sets": [[0], [1, 2]]}}
    ),
    "branch": _from(),
    "branch-at-an-event": _from(at="memorization", clock="zero"),
    "transplant": _from(parameters=["hidden_weight"], neurons={"kind": "subnetwork", "name": "generalizing"}),
    "branch-with-an-intervention": _from()
    | {"interventions": [{"kind": "prune", "neurons": {"kind": "active", "at": "end"}}]},
    "branch-from-matched-neurons": _from()
    | {
        "interventions": [
            {
                "kind": "ablate",
                "neurons": {"kind": "norm_matched", "to": {"kind": "subnetwork", "name": "control"}},
            }
        ]
    },
    "imported": {"task": PARITY, "model": SMALL, "learner": "imported", "epochs": 4},
    "with-options-that-do-not-identify": {
        "task": PARITY,
        "model": SMALL,
        "epochs": 77,
        "name": "a label",
        "measures": ["train_accuracy", "effective_sparsity"],
        "schedule": {"measures": "log", "snapshots": [3, 5]},
        "stop": {"grokked_for": 3, "diverged": True},
    },
}


def experiment(name: str) -> gs.Experiment:
    """The experiment of a name in `SPECS`."""
    return gs.Experiment(**SPECS[name])
