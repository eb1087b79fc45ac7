"""The conformance check for models: call `check_model` on a model of your own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from grokscope.errors import InputError
from grokscope.models._model import Model
from grokscope.spec.checking import Checker, is_one_line, same_numbers

if TYPE_CHECKING:
    import jax

__all__ = ["check_model"]

_check = Checker("check_model")
_INPUT_SHAPES = ((6,), (2, 5))  # bits, and sequences of tokens
_N_OUTPUTS = (1, 3)
_N_SAMPLES = 4


def check_model(model: Model, input_shape: tuple[int, ...] | None = None) -> None:
    """Check that a model keeps the contract of `Model`, on small inputs, for one and for three outputs.

    A model that refuses both is checked with as many outputs as there are kinds of tokens.

    Parameters: arrays of floats of the run's precision (float32 and float64), as many as `Model.n_parameters`
    says; the same for the same key, under ``jit`` and ``vmap``. Outputs: their shape and type; finite,
    with finite gradients; each depends on its own sample only. In training (`Model.in_training`): outputs of
    the same shape and type, and a state that keeps its shapes. Numbers that the model names in ``traced`` may
    be traced values. Inputs and outputs that the model is not for are refused with a line.

    Args:
        model: the model; choose a small one.
        input_shape: of one input. By default 6 bits, or 2 tokens of 5 kinds if the model is not for bits.

    Raises:
        AssertionError: naming the violation, in one line.

    Example:
        >>> from grokscope.models.fully_connected import FullyConnected
        >>> check_model(FullyConnected(width=8))
    """
    _check.part(model, Model)
    shapes = _INPUT_SHAPES if input_shape is None else (input_shape,)
    cases = [(shape, n) for shape in shapes for n in _N_OUTPUTS if _takes(model, shape, n)]
    # some models have as many outputs as there are kinds of tokens
    cases = cases or [(shape, shape[-1]) for shape in shapes if _takes(model, shape, shape[-1])]
    listed = " and ".join(map(str, shapes))
    _check(
        bool(cases),
        f"refuses inputs of shape {listed} with 1, 3 or as many outputs as tokens; pass input_shape",
    )
    taken = [case for case in cases if case[0] == cases[0][0]]
    for shape, n_outputs in taken:
        _check_declarations(model, shape, n_outputs)
        _check_shapes(model, shape, n_outputs)
    _check_numbers(model, *taken[-1])


def _takes(model: Model, shape: tuple[int, ...], n_outputs: int) -> bool:
    """Whether the model is for such inputs and outputs."""
    import jax

    try:
        with _check.calling("check_inputs"):
            model.check_inputs(shape, n_outputs)
        with _check.calling("network"):
            jax.eval_shape(lambda: model.network(jax.random.key(0), shape, n_outputs))
    except AssertionError as error:
        refusal = error.__cause__
        if not isinstance(refusal, InputError):
            raise
        _check(is_one_line(str(refusal)), "refuses inputs with a message that is not one line")
        return False
    return True


def _check_declarations(model: Model, shape: tuple[int, ...], n_outputs: int) -> None:
    with _check.calling("n_parameters"):
        count: Any = model.n_parameters(shape, n_outputs)
    _check(type(count) is int, f"n_parameters must be an int (got {count!r})")
    with _check.calling("flops_per_sample"):
        flops = model.flops_per_sample(shape, n_outputs)
    _check(math.isfinite(flops) and flops > 0, f"flops_per_sample must be a positive number (got {flops!r})")
    neurons: Any = model.n_neurons
    _check(type(neurons) is int and neurons >= 0, f"n_neurons must be an int from 0 on (got {neurons!r})")
    axes: Any = model.axes(shape, n_outputs)
    _check(isinstance(axes, dict), f"axes must be a dictionary (got {type(axes).__name__})")


def _check_shapes(model: Model, shape: tuple[int, ...], n_outputs: int) -> None:
    """Shapes and types of parameters and outputs; nothing is computed."""
    import jax
    import jax.numpy as jnp

    from grokscope.models.networks.parameters import named_leaves

    for precision in ("float32", "float64"):
        with jax.enable_x64(precision == "float64"):
            x = jnp.zeros((_N_SAMPLES, *shape), precision)
            network = jax.eval_shape(lambda: model.network(jax.random.key(0), shape, n_outputs))
            _check(callable(network), "a network must be a function of the inputs")
            with _check.calling("calling a network"):
                outputs: Any = jax.eval_shape(lambda network, x: network(x), network, x)
            _check_training(model, network, x)
        leaves = named_leaves(network)
        _check(bool(leaves), "its networks have no parameters")
        for name, leaf in leaves.items():
            _check(leaf.dtype == precision, f"parameter {name} is {leaf.dtype} in a run of {precision}")
        total, said = sum(leaf.size for leaf in leaves.values()), model.n_parameters(shape, n_outputs)
        _check(said == total, f"n_parameters says {said}, but its networks have {total} numbers")
        wanted = (_N_SAMPLES,) if n_outputs == 1 else (_N_SAMPLES, n_outputs)
        shown = getattr(outputs, "shape", type(outputs).__name__)
        _check(shown == wanted, f"the outputs for {_N_SAMPLES} inputs have shape {shown}, not {wanted}")
        _check(outputs.dtype == precision, f"outputs are {outputs.dtype} in a run of {precision}")


def _check_training(model: Model, network: Any, x: jax.Array) -> None:
    """Shapes and types of outputs in training, and of the state after an update; nothing is computed."""
    import jax
    import jax.numpy as jnp

    from grokscope.models.networks.training import joined, split

    batch = _Batch(x, jnp.zeros(len(x), x.dtype), jnp.ones(len(x), x.dtype))

    def in_training(network: Any, key: jax.Array) -> Any:
        return model.in_training(network, batch, key)(x)

    def next_state(network: Any, key: jax.Array) -> Any:
        return model.next_state(network, batch, key)

    key = jax.eval_shape(lambda: jax.random.key(0))
    with _check.calling("in_training"):
        found = jax.eval_shape(in_training, network, key)
    outputs = jax.eval_shape(lambda network: network(x), network)
    _check.tree(found, outputs, "the outputs in training")
    with _check.calling("split of a network"):
        trained, state = split(network)
        _check.tree(joined(trained, state), network, "a network that is split and joined")
    if not isinstance(state, tuple):
        with _check.calling("next_state"):
            after = jax.eval_shape(next_state, network, key)
        _check.tree(after, state, "the state after an update")


class _Batch(NamedTuple):
    """A batch, as `grokscope.learners.Batch`, which this room does not know."""

    x: Any
    y: Any
    weight: Any


def _check_numbers(model: Model, shape: tuple[int, ...], n_outputs: int) -> None:
    """Parameters, outputs and gradients, in one program: compiling takes longest."""
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(_inputs(shape), jnp.result_type(float))
    keys = jax.random.split(jax.random.key(3), 2)

    @jax.jit
    def program(keys: jax.Array, numbers: dict[str, float]) -> dict[str, Any]:
        def drawn(key: jax.Array) -> Any:
            return model.network(key, shape, n_outputs)

        def loss(network: Any) -> tuple[jax.Array, jax.Array]:
            outputs = network(x)
            return jnp.sum(jnp.square(outputs - 1.0)), outputs

        networks = jax.vmap(drawn)(keys)
        first = jax.tree.map(lambda leaf: leaf[0], networks)
        gradients, outputs = jax.vmap(jax.grad(loss, has_aux=True))(networks)
        return {
            "network": first,
            "traced": model.with_traced(numbers).network(keys[0], shape, n_outputs),
            "outputs": outputs[0],
            "alone": first(x[1:2]),
            "gradients": gradients,
        }

    numbers = _check.traced(model)
    with _check.calling("network, its outputs or its gradient"):
        found = program(keys, numbers)
    network = found["network"]
    _check.finite(network, "an initial parameter")
    again = found["traced"]
    how = f", with {', '.join(sorted(numbers))} as traced values" if numbers else ""
    _check(
        same_numbers(network, again), f"network draws other parameters for the same key, without vmap{how}"
    )
    _check.finite(found["outputs"], "an output")
    _check.finite(found["gradients"], "a gradient")
    alone = same_numbers(found["outputs"][1:2], found["alone"])
    _check(alone, "the output of a sample depends on the other samples, or on vmap")


def _inputs(shape: tuple[int, ...]) -> np.ndarray:
    """Inputs [sample, *shape]: sequences of one-hot tokens, or +-1."""
    rng = np.random.default_rng(0)
    if len(shape) == 2:
        return np.eye(shape[1])[rng.integers(0, shape[1], (_N_SAMPLES, shape[0]))]
    return rng.choice([-1.0, 1.0], (_N_SAMPLES, *shape))
