"""What the learners of linear models with one matrix share: what they need, and their inputs and start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from grokscope.models.linear import LinearModel

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["first_missing", "inputs_and_start"]


def first_missing(spec: TrainingSpec, further: Mapping[str, bool]) -> str | None:
    """The first need that an experiment does not meet, as ``needs batch_size 'full'``, or None.

    Args:
        spec: the experiment.
        further: needs of the learner besides one matrix, the full batch and no interventions: a name, and
            whether the experiment meets it.
    """
    model, batch_size = spec.model, getattr(spec, "batch_size", "full")
    needed = {
        "model 'linear' without widths": isinstance(model, LinearModel) and not model.widths,
        "batch_size 'full'": not spec.online and (batch_size == "full" or batch_size >= spec.task.n_train),
        **further,
        "no interventions": not getattr(spec, "interventions", ()),
    }
    return next((f"needs {what}" for what, is_met in needed.items() if not is_met), None)


def inputs_and_start(
    spec: TrainingSpec, key: jax.Array, data: dict[str, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """The training inputs [sample, input] and the initial weights [input, output].

    A bias is the weight of a further input, the last one, that is always 1.
    """
    import jax.numpy as jnp

    task = spec.task
    weight, bias = spec.model.network(key, task.input_shape, task.n_outputs).affine
    x = data["train_x"]
    x = x.reshape(len(x), -1).astype(weight.dtype)
    if spec.model.bias:
        x = jnp.concatenate([x, jnp.ones((len(x), 1), x.dtype)], axis=1)
        weight = jnp.concatenate([weight, bias[None]])
    return x, weight
