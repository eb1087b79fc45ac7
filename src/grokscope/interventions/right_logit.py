"""The intervention that takes the right class out of the gradient, as a loss that is rounded to 0 does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from grokscope.interventions._intervention import Intervention, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    import jax

    from grokscope.learners import Batch
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["StopRightLogit"]


class StopRightLogit(Intervention):
    r"""Train on a loss in which the logit of each sample's right class has no gradient.

    Where the cross-entropy of a sample rounds to 0, the gradient of its right class's logit is exactly 0;
    those of the wrong classes are $e^{f_k - f_y}$. This does the same to all samples, at any logits.

    Attributes:
        value: the logit of the right class in the loss: ``kept``, or ``zero`` (it is multiplied by 0).

    Source: Prieto et al. 2025 (arXiv 2501.04697), Figure 8 (there the logit is multiplied by 0).

    Example:
        >>> StopRightLogit(at="memorization").value
        'kept'
    """

    kind: Literal["stop_right_logit"] = "stop_right_logit"
    value: Literal["kept", "zero"] = "kept"

    def missing(self, spec: TrainingSpec) -> str | None:
        """It needs classes."""
        if spec.task.label_kind == "class":
            return None
        return f"'{self.kind}' needs a task with classes, not '{spec.task.kind}'"

    def sample_losses(
        self,
        per_sample: Callable[[jax.Array, jax.Array], jax.Array],
        network: Any,
        batch: Batch,
        target: Target,
    ) -> jax.Array:
        """The loss of outputs whose right logit is a constant."""
        import jax
        import jax.numpy as jnp

        del target
        f = network(batch.x)
        is_right = jnp.arange(f.shape[-1]) == batch.y[:, None]
        constant = jax.lax.stop_gradient(f) if self.value == "kept" else jnp.zeros_like(f)
        return per_sample(jnp.where(is_right, constant, f), batch.y)
