"""Record and measure networks from inside a training loop of another program."""

from __future__ import annotations

import atexit
import hashlib
import json
import operator
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.interop._plan import ImportPlan, PartialSpec
from grokscope.interop._steps import MAX_STEP
from grokscope.interop._tensors import Tensors
from grokscope.interop._torch import check_predictions
from grokscope.interop._weight_map import shapes_text
from grokscope.interop.importing import arrays_of, read_map, tensors_of
from grokscope.spec.parts import kinds
from grokscope.store.folder import is_run

if TYPE_CHECKING:
    from grokscope.runs import Run
    from grokscope.runs.recorded import RecordedRun
    from grokscope.store.run_store import RunStore
    from grokscope.tasks import Task

__all__ = ["Recorder"]

_IDENTITY_VERSION = 1
_SOURCE = "recorder"
# names of axes and coordinates of a run's measures
_TAKEN = {"seed", "step", "epoch", "steps_done", "complete", "diverged_step", "neuron", "split", "subnetwork"}


class Recorder:
    """Make a run from inside a training loop: ``recorder(step, model)`` stores and measures the network.

    The run is like one of `import_torch`: it has a snapshot at every call, all measures that apply, and
    cannot be replayed. Networks are stored and measured at the first call, then by the first call after
    ``commit_seconds`` (or if 64 networks or 16 MB wait), by `close`, and at the end of the process; a process
    that is killed loses what came since. Measures of subnetworks, which need the last network, are taken by
    `close`, or at the end of a ``with`` that does not end by an error.

    The layout of the network is recognized at the first call, which also compares the predictions of an
    ``nn.Module`` on the test inputs with those of our network. All later networks must have the same tensors.

    The same script with the same folder goes on with the run. Steps increase. A step that is recorded already
    is skipped if its network is the same to the bit, and refused if it is another one; see `rewind`.

    Args:
        task: see `import_torch`; the spec may also list ``measures``.
        out: the run folder.
        data: the training and test data that the network is trained on, see `from_torch`. Without it the
            network must be trained on the samples of the task, which are in the attribute ``data``.
        map: see `import_torch`.
        seed: the seed of the run's member. It draws the samples of the task.
        commit_seconds: seconds between commits.

    Attributes:
        data: the data: numpy arrays ``train_x``, ``train_y``, ``test_x``, ``test_y`` and others.
        out: the run folder.

    Raises:
        InputError: if the folder holds something else than a recording; at the first call as `import_torch`.
        StoreError: if another process writes the run, or the disk cannot be written.

    Example:
        >>> import tempfile
        >>> spec = {"task": {"kind": "sparse_parity", "n": 6, "k": 1, "n_train": 32, "n_probe": 50},
        ...         "measures": ["train_accuracy"]}
        >>> rng = np.random.default_rng(0)
        >>> w = {"linear1.weight": rng.normal(size=(8, 6)), "linear2.weight": rng.normal(size=(1, 8))}
        >>> with Recorder(spec, tempfile.mkdtemp() + "/run") as recorder:
        ...     for step in range(3):
        ...         recorder(step, w)  # instead of w: a model, between two updates
        ...         w = {name: 0.9 * array for name, array in w.items()}
        >>> recorder.run.measures.train_accuracy.sizes
        Frozen({'seed': 1, 'step': 3})
    """

    def __init__(
        self,
        task: str | Path | Mapping[str, Any] | Experiment | Task | None,
        out: str | Path,
        *,
        data: Mapping[str, Any] | str | Path | None = None,
        map: str | Path | Mapping[str, Any] | None = None,
        seed: int = 0,
        commit_seconds: float = 20.0,
    ) -> None:
        from grokscope.runs.imported import check_target
        from grokscope.runs.prepare import data_of_task
        from grokscope.spec.streams import Members
        from grokscope.store.open import open_store
        from grokscope.store.place import BucketPath, as_place

        if isinstance(as_place(out), BucketPath):
            raise InputError(f"{out}: a recording is written to a folder, not to a bucket.")
        self.out = Path(out).absolute()  # the same folder also after os.chdir
        (member,) = Members.of_seeds([seed]).seeds
        self._spec = PartialSpec.read(task)
        self._map = read_map(map)
        self._given = arrays_of(data)
        self._seed, self._commit_seconds = seed, commit_seconds
        self._plan: ImportPlan | None = None
        self._recorded: RecordedRun | None = None
        self._store: RunStore | None = None
        self._is_closed = False
        rule = self._spec.task
        if rule is None and not self._given:
            raise InputError("Recorder: the task is not known: give a spec with a [task], or data.")
        self.data = dict(self._given)
        if rule is not None and not self._given:
            precision = self._spec.table.get("precision", "float32")
            self.data = data_of_task(rule, member, precision)
        check_target(self.out)
        if is_run(self.out):
            self._store = open_store(self.out, "a")
            if self._origin.get("source") != _SOURCE or self._store.seeds not in ([], [member]):
                self._store.close()
                raise InputError(
                    f"{self.out}: holds an imported run, or a recording of another seed; choose another "
                    "folder."
                )

    def __call__(self, step: int, model: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Record a network.

        Args:
            step: updates done.
            model: an ``nn.Module`` (or what ``torch.compile`` made of it), a state dict, or a table of numpy
                or JAX arrays by name. It is copied.
            metrics: numbers of the training loop to keep at this step, by names that no measure, axis or
                coordinate has. They become measures of the run.

        Raises:
            InputError: if the network is not one that the run can have (another layout than the first one, a
                weight that is not finite), or if the step was recorded before with other weights.
            StoreError: if the disk cannot be written.
        """
        if self._is_closed:
            raise InputError(f"{self.out}: this recorder is closed.")
        at = _checked_step(step)
        logged = _checked_metrics(metrics or {})
        tensors = tensors_of(model, at)
        if self._plan is None or self._recorded is None:
            self._begin(at, model, tensors, logged)
        else:
            self._recorded.add(at, self._plan.leaves(tensors), logged)

    @property
    def last_step(self) -> int | None:
        """The last step that was recorded; None if there is none."""
        if self._recorded is not None:
            return self._recorded.last_step
        steps = self._store.snapshot_steps(0) if self._store is not None and self._store.seeds else []
        return steps[-1] if steps else None

    @property
    def notes(self) -> list[str]:
        """What was assumed of the network and the data, one sentence each; empty before the first call."""
        return [] if self._plan is None else [*self._plan.notes]

    @property
    def run(self) -> Run:
        """The run as of its last commit.

        Raises:
            InputError: if nothing was recorded yet.
        """
        from grokscope.runs import Run

        return Run(self.out)

    def rewind(self, step: int) -> None:
        """Drop what was recorded after a step, for a training that is resumed from that step.

        Args:
            step: updates done. If nothing was recorded after it, nothing is changed.

        Raises:
            InputError: if nothing was recorded at this step or before, but after it.
        """
        if self.last_step is None or self.last_step <= step:
            return
        from grokscope.runs.recorded import rewind

        store = self._store
        if self._recorded is not None:
            self._recorded.rewind(step)
        elif store is not None:
            rewind(store, step)

    def close(self) -> None:
        """Take the measures of subnetworks, and finish the run. Further calls do nothing."""
        from grokscope.runs.recorded import RecordedRun

        store = self._store
        if self._recorded is None and store is not None and store.seeds and not self._is_closed:
            self._recorded = RecordedRun(store, store.experiment, self._seed, self._commit_seconds)
        if self._recorded is not None and not self._is_closed:
            self._recorded.finish()
        self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._leave()

    @property
    def _origin(self) -> dict[str, Any]:
        return dict(self._store.provenance.get("imported", {})) if self._store is not None else {}

    def _leave(self) -> None:
        """Commit what waits, and release the lock; the run is not finished."""
        if self._is_closed:
            return
        self._is_closed = True
        atexit.unregister(self._leave)
        try:
            if self._recorded is not None:
                self._recorded.commit()
        finally:
            if self._store is not None:
                self._store.close()

    def _begin(self, step: int, model: Any, tensors: Tensors, logged: dict[str, float]) -> None:
        """Plan the import by the first network of this process, and create or continue the run."""
        from grokscope.runs.recorded import RecordedRun

        module = model if hasattr(model, "state_dict") else None
        plan = ImportPlan.make(self._spec, self._given, "data", tensors, self._map, module)
        experiment = plan.experiment([0])
        leaves = plan.leaves(tensors)
        if "batch_size" not in self._spec.table:
            plan.notes.append(
                f"an epoch is taken to be {experiment.steps_per_epoch} steps ({plan.task.n_train} training "
                "samples, batch_size 32)."
            )
        if module is not None:
            check_predictions(module, experiment, leaves, tensors.label, reads_tokens=plan.reads_tokens)
        origin = {
            "source": _SOURCE,
            "found": type(model).__name__,
            "layout": plan.layout,
            "arrays": shapes_text(plan.first.shapes),
            "notes": plan.notes,
            "spec": experiment.identity,
        }
        if self._store is None:
            table = [_IDENTITY_VERSION, experiment.identity, uuid.uuid4().hex]
            identity = hashlib.sha256(json.dumps(table).encode()).hexdigest()
            recorded = RecordedRun.begin(
                self.out,
                experiment,
                self._seed,
                self._commit_seconds,
                identity,
                origin,
                (step, leaves, logged),
            )
            self._store = recorded.store
        else:
            self._require_same(origin)
            self._store.require_code(experiment.training_code, to="train")
            recorded = RecordedRun(self._store, experiment, self._seed, self._commit_seconds)
            recorded.add(step, leaves, logged)
        self._plan, self._recorded = plan, recorded
        atexit.register(self._leave)

    def _require_same(self, origin: Mapping[str, Any]) -> None:
        """Check that the run in the folder was recorded with the same spec, data and network shapes."""
        before = self._origin
        if before.get("spec") == origin["spec"]:
            return
        what = "its task, data or settings are others"
        if before.get("arrays") != origin["arrays"]:
            what = f"of {before.get('arrays')}, not {origin['arrays']}"
        raise InputError(f"{self.out}: holds another recording ({what}); choose another folder.")


def _checked_step(step: Any) -> int:
    try:
        at = -1 if isinstance(step, bool) else operator.index(step)
    except TypeError:
        at = -1
    if not 0 <= at <= MAX_STEP:
        raise InputError(f"recorder: {step!r} is not a step: a whole number from 0 to 10^12.")
    return at


def _checked_metrics(metrics: Mapping[Any, Any]) -> dict[str, float]:
    """The numbers as floats, by name."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"metrics: {name!r} is not a name: letters, digits and _.")
        if name in _TAKEN or name in kinds("measure"):
            raise InputError(f"metrics: '{name}' has a meaning in grokscope; choose another name.")
        try:
            found[name] = float(np.asarray(float(value)))
        except (TypeError, ValueError):
            raise InputError(f"metrics: {name} must be a number, not {type(value).__name__}.") from None
    return found
