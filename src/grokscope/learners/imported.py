"""The learner of imported runs: it holds networks that were trained elsewhere, and trains nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from grokscope.errors import InputError
from grokscope.learners._learner import Batch, Learner, State

if TYPE_CHECKING:
    import jax

    from grokscope.experiment import Experiment

__all__ = ["Imported"]


class Imported(Learner):
    """Networks that were trained elsewhere, as ``grokscope import`` writes them into specs.

    There is nothing to train or to replay: snapshots are all there is. The table ``[optimizer]`` is a remark,
    and is left out of a spec that does not name one.

    Example:
        >>> Imported().trains
        False
    """

    kind: Literal["imported"] = "imported"
    trains: ClassVar[bool] = False

    def init(self, experiment: Experiment, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """Refuse."""
        del experiment, key, data
        self._refuse()

    def update(
        self,
        experiment: Experiment,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """Refuse."""
        del experiment, state, batch, key, step, losses
        self._refuse()

    def predictor(self, state: State) -> Any:
        """The network."""
        return state.network

    def _refuse(self) -> NoReturn:
        raise InputError("learner 'imported': these networks were trained elsewhere; nothing can be trained.")
