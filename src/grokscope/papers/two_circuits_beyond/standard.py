"""The standard run, the analyses of its trained networks, and the experiments derived from it.

Most experiments start inside the standard run's members. The effect of an intervention is then the difference
between a member of the branch and the member that it starts from: the two share every number up to the moment
of the intervention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grokscope.experiment import Experiment, Recording
from grokscope.losses import Hinge
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD
from grokscope.papers import Analysis, PaperExperiment, Profile, RunExperiment
from grokscope.starts import FromRun
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    from grokscope.progress import Progress

STEPS_PER_EPOCH = 32
# The earlier anchor of branches. Random labels are fitted to 95 % as soon as the true ones, so up to here
# accuracy is memory; at 98 % (the event memorization) part of it is already the circuit's.
FITTED = "train_accuracy > 0.95"
CONFIRMED_ON = "200-299"  # claims that were added or changed after seeds 100-199 had been seen
PROFILES = {"paper": Profile(seeds=100), "quick": Profile(seeds=2)}

# ---------------------------------------------------------------- what is computed of trained networks

_WATCHED = 10  # seeds whose networks are verified at many steps


def _gates(run: Any, progress: Progress) -> None:
    from grokscope.circuits.counting import count_gates

    count_gates(run, progress=progress)


def _proofs_at_the_end(run: Any, progress: Progress) -> None:
    from grokscope.circuits.verification.over_training import certify

    certify(run, steps=[-1], progress=progress)


def _proofs_over_training(run: Any, progress: Progress) -> None:
    from grokscope.circuits.verification.over_training import certify

    certify(run, run.members.seeds[:_WATCHED], "every 20 epochs", budget=5.0, progress=progress)


def _proofs_of_circuits(run: Any, progress: Progress) -> None:
    """Verify the circuit of each member alone: its active neurons at the end, by path norm."""
    from grokscope.circuits import read_circuit
    from grokscope.circuits.target import target_of
    from grokscope.circuits.verification.verify import verify
    from grokscope.runs import add_measures

    def verdict(run: Any, seeds: Any, step: int) -> dict[str, float]:
        reading = read_circuit(run, seeds, step)
        bits, target = target_of(run, run.position(seeds))
        found = verify(reading.network, bits, target=target, neurons=list(reading.circuit.active), budget=2.0)
        proved, refuted = (float(found.verdict == word) for word in ("proved", "counterexample"))
        return dict(zip(_OF_CIRCUITS, (proved, refuted, found.lower), strict=True))

    add_measures(run, _OF_CIRCUITS, verdict, progress=progress)


def _arity(run: Any, progress: Progress) -> None:
    from grokscope.circuits.arity_over_training import measure_arity

    measure_arity(run, run.members.seeds[: 2 * _WATCHED], "every 10 epochs", progress=progress)


def _foresight(run: Any, progress: Progress) -> None:
    from grokscope.circuits.foresight import foresee

    foresee(run, run.members.seeds[: 2 * _WATCHED], "every 5 epochs", progress=progress)


_OF_GATES = ("gates", "and_gates", "support_bits", "circuit_neurons", "merged_proved", "merged_margin")
_OF_PROOFS = ("proved", "refuted", "worst_margin_lower", "worst_margin_upper", "proof_budget")
_OF_FORESIGHT = ("precision_path_norm", "precision_support_norm", "circuit_size")
_OF_CIRCUITS = ("circuit_proved", "circuit_refuted", "circuit_margin_lower")
_OF_ARITY = tuple(
    f"{what}_{name}" for what in ("arity", "needed") for name in ("generalizing", "control", "norm_matched")
)
GATES = Analysis("gates", _gates, seconds=0.5, gives=_OF_GATES)
PROOFS_AT_THE_END = Analysis("proofs at the end", _proofs_at_the_end, seconds=1.4, gives=_OF_PROOFS)
_PROOFS_OVER_TRAINING = Analysis("proofs over training", _proofs_over_training, seconds=1.0, gives=_OF_PROOFS)
_PROOFS_OF_CIRCUITS = Analysis("proofs of circuits", _proofs_of_circuits, seconds=0.5, gives=_OF_CIRCUITS)
_ARITY = Analysis("arity", _arity, seconds=0.3, gives=_OF_ARITY)
_FORESIGHT = Analysis("foresight", _foresight, seconds=0.4, gives=_OF_FORESIGHT)

# ---------------------------------------------------------------- the standard run

FEW_MEASURES = ("train_accuracy", "test_accuracy", "path_norm", "path_norm_total")

STANDARD = Experiment(
    name="standard",
    epochs=300,
    batch_size=32,
    task=SparseParity(n=40, k=3, n_train=1000, n_test=100),
    model=FullyConnected(width=1000),
    loss=Hinge(),
    optimizer=SGD(learning_rate=0.1, weight_decay=0.01),
    measures=(
        *FEW_MEASURES,
        "test_accuracy_large",
        "margin_mean_large",
        "subnetwork_norm",
        "faithfulness",
        "faithfulness_kappa",
        "subnetwork_accuracy",
    ),
    schedule=Recording(
        measures="every 2 epochs", slow_measures="every 10 epochs", follow="every 10 epochs", snapshots="ends"
    ),
)
STANDARD_RUN = RunExperiment(
    "standard",
    "The paper's standard run: parity of 3 of 40 bits, 1,000 samples, 1,000 neurons, SGD.",
    STANDARD,
    PROFILES,
    analyses=(GATES, PROOFS_AT_THE_END, _PROOFS_OVER_TRAINING, _PROOFS_OF_CIRCUITS, _ARITY, _FORESIGHT),
)

# ---------------------------------------------------------------- experiments that derive from it


def changed(name: str, **changes: Any) -> Experiment:
    """The standard experiment with other parts; all measures but accuracies are taken at the ends only."""
    ends = Recording(measures="every 2 epochs", slow_measures="ends", follow="ends")
    table: dict[str, Any] = {
        **dict(STANDARD),
        "name": name,
        "measures": FEW_MEASURES,
        "schedule": ends,
        **changes,
    }
    return Experiment(**table)


def branch(
    name: str,
    sentence: str,
    at: int | str,
    *interventions: dict[str, Any],
    epochs: int | None = None,
    parameters: Any = "all",
    **more: Any,
) -> PaperExperiment:
    """Members of the standard run, continued with interventions from a step or event on.

    Args:
        name: of the experiment.
        sentence: a description.
        at: the step or event at which members branch off.
        interventions: as tables of a spec.
        epochs: length; None: that of the standard run.
        parameters: those that are copied, as for `FromRun`.
        more: further arguments of `PaperExperiment`.
    """
    changes = {} if epochs is None else {"epochs": epochs}
    init = FromRun(run="standard", source=STANDARD.identity, at=at, parameters=parameters)
    experiment = changed(name, init=init, interventions=interventions, **changes)
    return RunExperiment(name, sentence, experiment, PROFILES, **more)


# Sets of neurons, as tables of a spec: the circuit at the end of the standard run, which a branch knows in
# advance ("the future circuit"), and as many other neurons.
CIRCUIT = "generalizing"
CONTROLS: dict[str, Any] = {
    "random": {"kind": "random", "as_many_as": CIRCUIT, "excluding": CIRCUIT},
    "next-best": {"kind": "largest", "as_many_as": CIRCUIT, "excluding": CIRCUIT, "by": "path_norm"},
    "next-signal": {"kind": "largest", "as_many_as": CIRCUIT, "excluding": CIRCUIT, "by": "support_norm"},
    "norm-matched": {"kind": "norm_matched", "to": CIRCUIT, "by": "path_norm"},
}
