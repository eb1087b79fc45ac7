"""The learner of imported runs, whose networks were trained elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from grokscope.errors import InputError
from grokscope.learners._learner import Batch, Learner, State

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["Imported"]


class Imported(Learner):
    """Networks trained by another program; ``grokscope import`` writes this learner into the spec.

    The run has snapshots only: it cannot be trained or replayed. The table ``[optimizer]`` is optional and
    only documents how they were trained.

    Example:
        >>> Imported().trains
        False
    """

    kind: Literal["imported"] = "imported"
    trains = False

    def init(self, spec: TrainingSpec, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """Raise `InputError`: imported networks cannot be trained."""
        del spec, key, data
        self._refuse()

    def update(
        self,
        spec: TrainingSpec,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """Raise `InputError`: imported networks cannot be trained."""
        del spec, state, batch, key, step, losses
        self._refuse()

    def predictor(self, state: State) -> Any:
        """The network."""
        return state.network

    def _refuse(self) -> NoReturn:
        raise InputError("learner 'imported': these networks were trained elsewhere; nothing can be trained.")
