"""The experiments of `two_circuits_beyond`: the standard run, what is done to it, and its neighbors.

All but a few start inside the standard run's members: an intervention's effect is then the branch against the
member it comes from, which shares every number with it up to the moment of the intervention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from grokscope.experiment import Experiment, Recording
from grokscope.learners.still import Still
from grokscope.losses import Hinge
from grokscope.models.construction import Construction
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD
from grokscope.papers._paper import Analysis, PaperExperiment, Profile
from grokscope.starts import FromRun
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    from grokscope.progress import Progress

__all__ = ["BLOCKS", "DOSES", "EXPERIMENTS", "MOMENTS", "PRUNES"]

_EPOCH = 32  # steps
_PROFILES = {"paper": Profile(seeds=100), "quick": Profile(seeds=2)}
_ENDS = Recording(measures="every 2 epochs", slow_measures="ends", follow="ends")
_FEW = ("train_accuracy", "test_accuracy", "path_norm", "path_norm_total")

# ---------------------------------------------------------------- what is computed of networks afterwards

_WATCHED = 10  # seeds of which many steps are looked at


def _gates(run: Any, progress: Progress) -> None:
    from grokscope.circuits.counting import count_gates

    count_gates(run, progress=progress)


def _proofs_at_the_end(run: Any, progress: Progress) -> None:
    from grokscope.circuits.verification.over_training import certify

    certify(run, steps=[-1], progress=progress)


def _proofs_over_training(run: Any, progress: Progress) -> None:
    from grokscope.circuits.verification.over_training import certify

    certify(run, run.members.seeds[:_WATCHED], "every 20 epochs", budget=5.0, progress=progress)


def _foresight(run: Any, progress: Progress) -> None:
    from grokscope.circuits.foresight import foresee

    foresee(run, run.members.seeds[: 2 * _WATCHED], "every 5 epochs", progress=progress)


_GATES = Analysis("gates", _gates, seconds=0.5)
_AT_THE_END = Analysis("proofs at the end", _proofs_at_the_end, seconds=1.4)
_OVER_TRAINING = Analysis("proofs over training", _proofs_over_training, seconds=1.0)
_FORESIGHT = Analysis("foresight", _foresight, seconds=0.4)

# ---------------------------------------------------------------- the standard run, and longer, and annealed

_STANDARD = Experiment(
    name="standard",
    epochs=300,
    batch_size=32,
    task=SparseParity(n=40, k=3, n_train=1000, n_test=100),
    model=FullyConnected(width=1000),
    loss=Hinge(),
    optimizer=SGD(learning_rate=0.1, weight_decay=0.01),
    measures=(*_FEW, "test_accuracy_large", "subnetwork_norm"),
    schedule=Recording(
        measures="every 2 epochs", slow_measures="every 10 epochs", follow="every 10 epochs", snapshots="ends"
    ),
)


def _changed(experiment: Experiment, name: str, **changes: Any) -> Experiment:
    """Another experiment, of which only the ends matter but for accuracies."""
    table: dict[str, Any] = {**dict(experiment), "name": name, "measures": _FEW, "schedule": _ENDS, **changes}
    return Experiment(**table)


_MAIN = (
    PaperExperiment(
        "standard",
        "The paper's standard run: parity of 3 of 40 bits, 1,000 samples, 1,000 neurons, SGD.",
        _STANDARD,
        _PROFILES,
        analyses=(_GATES, _AT_THE_END, _OVER_TRAINING, _FORESIGHT),
    ),
    PaperExperiment(
        "annealed",
        "The standard run with the rate taken to 0 over the last third.",
        _changed(
            _STANDARD,
            "annealed",
            optimizer={
                "kind": "sgd",
                "learning_rate": 0.1,
                "weight_decay": 0.01,
                "schedule": {"kind": "linear", "last": 1 / 3},
            },
        ),
        _PROFILES,
        analyses=(_GATES,),
    ),
)

# ---------------------------------------------------------------- interventions (N3, N4)


def _branch(
    name: str, sentence: str, at: int | str, *interventions: dict[str, Any], **more: Any
) -> PaperExperiment:
    """Members of the standard run, to each of which something is done from a moment on."""
    changes = {key: more.pop(key) for key in ("epochs",) if key in more}
    experiment = _changed(
        _STANDARD,
        name,
        init=FromRun(run="standard", source=_STANDARD.identity, at=at),
        interventions=interventions,
        **changes,
    )
    return PaperExperiment(name, sentence, experiment, _PROFILES, **more)


def _boost(name: str, what: str, neurons: Any, factor: float, bits: str = "support") -> PaperExperiment:
    which = "Weights from the hidden bits" if bits == "support" else "All incoming weights"
    return _branch(
        name,
        f"{which} of {what} times {factor:g} at epoch 10.",
        10 * _EPOCH,
        {"kind": "boost", "factor": factor, "neurons": neurons, "bits": bits},
        epochs=240,
        group="boosts",
    )


_FUTURE = "generalizing"  # the standard run's circuit at its end
_OTHERS: dict[str, Any] = {
    "random": {"kind": "random", "as_many_as": _FUTURE, "excluding": _FUTURE},
    "next-best": {"kind": "largest", "as_many_as": _FUTURE, "excluding": _FUTURE, "by": "path_norm"},
    "norm-matched": {"kind": "norm_matched", "to": _FUTURE, "by": "path_norm"},
}
DOSES = {"boost-1.25": 1.25, "boost-1.5": 1.5, "boost-2": 2.0, "boost-4": 4.0}
_BOOSTS = (
    *(_boost(name, "the future circuit", _FUTURE, factor) for name, factor in DOSES.items()),
    _boost("boost-2-next-best", "as many others, the largest of path norm,", _OTHERS["next-best"], 2.0),
    _boost("boost-2-random", "as many random others", _OTHERS["random"], 2.0),
    _boost("boost-2-whole", "the future circuit", _FUTURE, 2.0, bits="all"),
    _branch(
        "sham-2",
        "The future circuit as (2W, 2b, u/2) at epoch 10: other norms, the same function.",
        10 * _EPOCH,
        {"kind": "sham", "factor": 2.0, "neurons": _FUTURE},
        epochs=240,
        group="boosts",
    ),
    _branch(
        "sham-compensated",
        "The same, with all updates in the old coordinates: nothing may change.",
        10 * _EPOCH,
        {"kind": "sham", "factor": 2.0, "neurons": _FUTURE, "compensated": True},
        epochs=240,
        group="boosts",
        most_seeds=10,
    ),
)


def _block(name: str, what: str, neurons: Any) -> PaperExperiment:
    return _branch(
        name,
        f"The weights from the hidden bits of {what} may not grow in norm from memorization on.",
        "memorization",
        {"kind": "clamp", "neurons": neurons, "bits": "support"},
        group="blocks",
    )


BLOCKS = ("block-all", "block-circuit", "block-norm-matched")
_BLOCKS = (
    _block("block-all", "all neurons", "all"),
    _block("block-circuit", "the future circuit", _FUTURE),
    _block("block-norm-matched", "as many others of like path norm", _OTHERS["norm-matched"]),
)


def _prune(name: str, what: str, neurons: Any) -> PaperExperiment:
    return _branch(
        name,
        f"At memorization all is cut but {what}.",
        "memorization",
        {"kind": "prune", "neurons": neurons},
        group="prunes",
    )


PRUNES = ("prune-to-circuit", "prune-to-random", "prune-to-norm-matched", "prune-to-next-best")
_PRUNES = (
    _prune("prune-to-circuit", "the future circuit", _FUTURE),
    _prune("prune-to-random", "as many random others", _OTHERS["random"]),
    _prune("prune-to-norm-matched", "as many others of like path norm", _OTHERS["norm-matched"]),
    _prune("prune-to-next-best", "as many others, the largest of path norm", _OTHERS["next-best"]),
)


def _apart(name: str, what: str, neurons: Any) -> PaperExperiment:
    return _branch(
        name,
        f"From memorization on {what} and all other neurons do not feel each other's hinge loss.",
        "memorization",
        {"kind": "stop_gradient", "groups": [neurons]},
        group="apart",
    )


_APART = (
    _apart("circuit-apart", "the future circuit", _FUTURE),
    _apart("norm-matched-apart", "as many others of like path norm", _OTHERS["norm-matched"]),
)

# ---------------------------------------------------------------- twins and crossed streams (N5, N6)

MOMENTS: dict[str, int | str] = {
    "twins-0": 0,
    "twins-quarter": "0.25 * memorization",
    "twins-half": "0.5 * memorization",
    "twins-memorization": "memorization",
    "twins-grokking": "grokking",
}
_TWINS = tuple(
    _branch(
        name,
        f"Twins: members of the standard run that see their batches in two other orders from {at} on."
        if at
        else "Twins: the standard run's initial networks and data, with two other orders of batches.",
        at,
        streams="order=+1000,+2000",
        most_seeds=30,
        group="twins",
    )
    for name, at in MOMENTS.items()
)
_CROSSED = PaperExperiment(
    "crossed",
    "Each initialization with two data sets crossed with two orders of batches.",
    _changed(_STANDARD, "crossed"),
    _PROFILES,
    streams="data=+0,+1000; order=+0,+1000",
    most_seeds=50,
)

# ---------------------------------------------------------------- other numbers of hidden bits (N7)


def _bits(k: int, n_train: int, epochs: int, most_seeds: int | None = None) -> PaperExperiment:
    task = SparseParity(n=40, k=k, n_train=n_train, n_test=100)
    return PaperExperiment(
        f"{k}-bits",
        f"The standard run with {k} hidden bits, {n_train:,} samples, {epochs} epochs.",
        _changed(_STANDARD, f"{k}-bits", task=task, epochs=epochs),
        _PROFILES,
        group="bits",
        most_seeds=most_seeds,
        analyses=(_GATES,),
    )


_BITS = (_bits(2, 1000, 150, 50), _bits(4, 1000, 500, 50), _bits(5, 5000, 150, 20))

# ---------------------------------------------------------------- the paper's constructions (C10-C12)


def _construction(proposition: Literal[1, 2, 3]) -> PaperExperiment:
    name = f"proposition-{proposition}"
    return PaperExperiment(
        name,
        f"The network of Proposition {proposition} for 3 of 40 bits; nothing is trained.",
        Experiment(
            name=name,
            steps=1,
            batch_size="full",
            task=_STANDARD.task,
            model=Construction(proposition=proposition, k=3),
            learner=Still(),
            measures=("train_accuracy", "test_accuracy"),
            schedule=Recording(measures="ends", slow_measures="ends", follow="ends"),
        ),
        _PROFILES,
        group="constructions",
        most_seeds=1,
        analyses=(_AT_THE_END,),
    )


_CONSTRUCTIONS = (_construction(1), _construction(2), _construction(3))

EXPERIMENTS = (
    *_MAIN,
    *_BOOSTS,
    *_BLOCKS,
    *_PRUNES,
    *_APART,
    *_TWINS,
    _CROSSED,
    *_BITS,
    *_CONSTRUCTIONS,
)
