"""One suite for every part: the conformance check of its kind, on every built-in one and on every template.

Each check is also shown to fail: by a part with one fault, for each violation that it finds. The faults of
tasks, measures and papers are in the tests of these.
"""

import itertools
import os
import runpy
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from pydantic import Field

from grokscope.cli.new import TEMPLATES, write_template
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.interventions import NeuronIntervention, Target
from grokscope.interventions import check as interventions_check
from grokscope.interventions.check import check_intervention
from grokscope.interventions.holding import Freeze
from grokscope.learners import Batch
from grokscope.learners.check import check_learner
from grokscope.learners.gradient import Gradient
from grokscope.losses import CrossEntropy, NeuronNormPenalty, ParameterNormPenalty, Squared, StableMax
from grokscope.losses.check import check_loss, check_penalty
from grokscope.measures.check import check_measure
from grokscope.measures.sparsity import EffectiveSparsity
from grokscope.models.check import check_model
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD, AdamW, Constant, Cosine, Grokfast, Linear, Muon, Steps
from grokscope.optimizers.check import check_optimizer, check_rate_schedule
from grokscope.spec.checking import same_numbers
from grokscope.spec.code import is_own
from grokscope.spec.parts import kinds, part_of
from grokscope.tasks.arrays import Arrays
from grokscope.tasks.check import check_task
from grokscope.tasks.samples import Samples
from grokscope.tasks.sparse_parity import SparseParity
from grokscope.training.intervening import MemberPlan, begin, intervened

CHECKS = {
    "task": check_task,
    "model": check_model,
    "loss": check_loss,
    "penalty": check_penalty,
    "optimizer": check_optimizer,
    "rate_schedule": check_rate_schedule,
    "learner": check_learner,
    "intervention": check_intervention,
    "measure": check_measure,
}
COMPILED_AS_USERS_DO = "--xla_cpu_use_fusion_emitters=false" not in os.environ.get("XLA_FLAGS", "")
SIZES = {"n": 7, "n_train": 40, "n_test": 20, "n_probe": 10}
X = np.random.default_rng(0).normal(size=(20, 3))


def arrays(y, **fields):
    return Arrays.from_numpy(train_x=X, train_y=y, test_x=X[:5], test_y=y[:5], **fields)


def samples(rule):
    x = np.random.default_rng(1).choice([-1.0, 1.0], (20, 7))
    y = x[:, :3].prod(axis=1)
    own = Arrays.from_numpy(train_x=x, train_y=y, test_x=x[:5], test_y=y[:5])
    return Samples(sha256=own.sha256, of=rule)


def several(kind, *tables):
    return [{"kind": kind, **table} for table in tables]


# The parts of a kind that are checked, where it is not enough to make it with its defaults: tables of a spec.
EXAMPLES = {
    "task": {
        "sparse_parity": several(
            "sparse_parity",
            SIZES,
            {**SIZES, "support": "drawn"},
            {**SIZES, "labels": "random"},
            {**SIZES, "labels": "noisy", "noise": 0.2},
            {**SIZES, "labels": "noisy", "noise": 0.2, "output": "class"},
        ),
        "boolean_function": several(
            "boolean_function",
            {**SIZES, "preset": "majority", "k": 3},
            {**SIZES, "preset": "staircase", "k": 4, "output": "real"},
            {**SIZES, "preset": "staircase", "k": 4, "output": "real", "labels": "noisy", "noise": 3.0},
            {**SIZES, "terms": [{"bits": [0, 6]}, {"bits": [2], "coefficient": -0.5}], "labels": "random"},
        ),
        "arrays": [
            arrays(np.arange(20) % 3),
            arrays(np.sign(X[:, 0])),
            arrays(X[:, 0], train_subset=7),
            arrays(X[:, :3]),
            Arrays.from_numpy(train_x=X, train_y=X[:, 0]),
        ],
        "samples": [samples(SparseParity(**SIZES))],
        "modular_operator": several(
            "modular_operator",
            {"operator": "addition", "p": 5},
            {"operator": "division", "p": 5, "pairs": "unordered", "operator_token": False},
            {"operator": "subtraction", "p": 6, "split": "fixed", "equals_token": False},
            {"operator": "addition", "p": 5, "split": "fixed", "labels": "noisy", "noise": 0.4},
        ),
        "multitask_parity": several(
            "multitask_parity", {"n_tasks": 3, "n": 5, "k": 2, "n_train": 40, "n_test": 20}
        ),
        "digits": several("digits", {"n_train": 40, "n_test": 30}, {"split": "fixed"}),
        "gaussian_teacher": several(
            "gaussian_teacher",
            {"d": 5, "outputs": 3, "n_train": 10, "n_test": 4, "noise": 0.1},
            {"d": 5, "n_train": 10, "n_test": 0, "teacher": "quadratic"},
            {"d": 5, "outputs": 2, "n_train": 10, "n_test": 4, "teacher": "parity", "k": 3},
            {"d": 5, "outputs": 2, "n_train": 10, "n_test": 4, "teacher": "mlp", "teacher_widths": [7]},
        ),
        "constant_label": several("constant_label", {"d": 5, "n_train": 10, "n_test": 4, "flipped": 0.2}),
        "permutation_operator": several(
            "permutation_operator",
            {"operator": "conjugation", "degree": 3},
            {"operator": "composition", "degree": 3, "train_fraction": 1.0},
        ),
    },
    "model": {
        "fully_connected": several(
            "fully_connected",
            {"width": 8},
            {"width": 8, "activation": "quadratic"},
            {"width": 8, "activation": "sine", "init": "kaiming"},
            {"width": 8, "activation": "cubic", "init": "sign"},
            {"width": 8, "init": "sparse", "active_inputs": 3},
        ),
        "linear": several("linear", {}, {"widths": [3, 4], "bias": True}),
        "mean_field": several("mean_field", {"width": 8}),
        "mlp": several("mlp", {"widths": [5, 4]}),
        "embedding_mlp": several(
            "embedding_mlp",
            {"embedding": 4, "width": 6},
            {"embedding": 18, "width": 6, "embedding_init": "binary", "embedding_scale": 0.5},
        ),
        "one_hot_mlp": several(
            "one_hot_mlp",
            {"widths": [6]},
            {"widths": [5, 4, 3], "activation": "relu", "stds": [1.0, 0.5, 0.5, 0.2], "output_factor": 2.0},
        ),
        "committee": several("committee", {"width": 6}),
        "diagonal": several("diagonal", {"init_scale": 0.3}, {"depth": 3}),
        "scaled": several(
            "scaled",
            {"of": {"kind": "committee", "width": 6}, "output_scale": 3.0},
            {"of": {"kind": "mlp", "widths": [5, 4], "batch_norm": True, "dropout": 0.1}, "centered": True},
        ),
        "modular_construction": several("modular_construction", {"p": 5}, {"p": 5, "construction": "pairs"}),
        "modular_waves": several("modular_waves", {"width": 5, "operator": "square_of_sum"}),
        "transformer": several("transformer", {"width": 8, "heads": 2, "mlp_width": 6}),
        "nanda_transformer": several("nanda_transformer", {"width": 8, "heads": 2, "mlp_width": 6}),
        "power_transformer": several(
            "power_transformer", {"layers": 1, "width": 8, "heads": 2, "mlp_width": 6}
        ),
        "none": [],  # the model of learners without a network: it has nothing to check
    },
    "learner": {
        "linear_flow": several("linear_flow", {}, {"time": "discrete"}),
        # without a ridge samples must be different, which those of a small parity are not
        "recursive_features": several("recursive_features", {"kernel": "quadratic", "ridge": 0.1}),
    },
    "loss": {
        "cross_entropy": [
            CrossEntropy(),
            CrossEntropy(precision="float64", temperature=0.5),  # float16 is too coarse for slopes
        ],
        "stablemax": [StableMax(), StableMax(precision="float64", temperature=2.0)],
    },
    "optimizer": {
        "sgd": [
            SGD(momentum=0.9, learning_rate=0.02, schedule=Linear(last=0.5)),
            SGD(momentum=0.5, weight_decay=0.05, decay="decoupled"),
        ],
        "adamw": [AdamW(learning_rate=0.05, schedule=Cosine(warmup=5))],
        "grokfast": [
            Grokfast(weight_decay=0.01),
            Grokfast(weight_decay=0.1, decay="decoupled"),
            Grokfast(window=3, lamb=1.0),
        ],
        "muon": [Muon(weight_decay=0.1, schedule=Constant(warmup=10))],
    },
    "penalty": {
        "neuron_norm": [NeuronNormPenalty(power=nu) for nu in (1.0, 3.0)],
        "parameter_norm": [ParameterNormPenalty(power=q) for q in (1.0, 1.5)],
    },
    "rate_schedule": {
        "constant": [Constant(), Constant(warmup=10)],
        "cosine": [Cosine(warmup=3)],
        "steps": [Steps(at=[3, 7, 20], by=2.0), Steps(at=[5], by=0.1, warmup=4)],
    },
    "intervention": {
        "ablate": several("ablate", {"neurons": [5], "value": "mean"}, {"parameters": ["*_weight"]}),
        "prune": several("prune", {"neurons": "generalizing"}),
        "freeze": several("freeze", {"neurons": [4]}),
        "rate": several("rate", {"factor": 0.1}),
        "clamp": several("clamp", {"bits": "support", "limit": 0.5}),
        "hold_norm": several(
            "hold_norm",
            {"norm": 2.0, "of": "initial", "each": True},
            {"of": "absolute"},
            {"norm": 0.5, "of": "reference", "reference": 3.0},
        ),
        "mask": several("mask", {"keep": 0.3, "by": "random", "parameters": ["hidden_weight"]}),
        "noise": several("noise", {"scale": 0.3, "parameters": ["hidden_weight"]}),
        "boost": several("boost", {"factor": 3.0, "neurons": [1]}),
        "sham": several("sham", {"compensated": True, "neurons": [6]}),
        "stop_gradient": several("stop_gradient", {"groups": [[1, 2]]}),
        "stop_right_logit": several("stop_right_logit", {}, {"value": "zero"}),
        "swap": several("swap", {"neurons": [1], "partners": [2], "what": "scale"}),
        "transplant": several("transplant", {"neurons": [1, 3], "factor": 0.5, "others": 0.5}),
    },
    "measure": {
        "effective_sparsity": [EffectiveSparsity(), EffectiveSparsity(order="path_norm")],
        "logit_scale": several("logit_scale", {}, {"split": "test"}),
        "weight_norm": several("weight_norm", {}, {"parameters": ["hidden_*"]}),
        "subtask_loss": several("subtask_loss", {}, {"split": "train"}),
        "weight_movement": several(
            "weight_movement", {}, {"bits": "others"}, {"bits": "hidden", "size": "rms"}
        ),
        "neuron_participation": several(
            "neuron_participation", *({"convention": name} for name in ("rfft", "fft", "joint"))
        ),
    },
}


def builtin():
    """Group and part of every built-in kind, from the registry."""
    for group in CHECKS:
        for kind, cls in sorted(kinds(group).items()):
            if is_own(cls):
                for part in EXAMPLES.get(group, {}).get(kind, [{"kind": kind}]):
                    yield group, part_of(group, part)


def optional(group, part):
    """The pair as a parameter of a test, marked if the part needs a package that is not everywhere."""
    return pytest.param(group, part, marks=pytest.mark.digits if part.kind == "digits" else ())


BUILTIN = list(builtin())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "part"), [optional(*one) for one in BUILTIN], ids=lambda value: str(value)[:70]
)
def test_every_built_in_part_conforms(group, part):
    CHECKS[group](part)


def test_no_example_is_of_a_kind_that_is_gone():
    for group, tables in EXAMPLES.items():
        assert tables.keys() <= kinds(group).keys()


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("what", TEMPLATES)
def test_every_template_runs_its_own_check(tmp_path, capsys, what):
    file = write_template(what, f"my_{what}", tmp_path)
    runpy.run_path(str(file), run_name="__main__")
    words = what.replace("_", " ")
    assert capsys.readouterr().out == f"my_{what} is a valid {words}.\n"


def test_every_kind_of_part_has_a_template_and_a_check():
    assert {*CHECKS, "paper"} == set(TEMPLATES)


INTERVENTIONS = [part for group, part in BUILTIN if group == "intervention"]


@pytest.mark.slow
@pytest.mark.parametrize("part", INTERVENTIONS, ids=lambda part: part.kind)
def test_an_intervention_acts_only_between_at_and_until(part):
    """In the loop: before ``at``, and from ``until`` on, an update has the bits of one without it."""
    at, until, last = 2, 4, 6
    plain = Experiment(
        task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 12, "n_test": 10, "n_probe": 10},
        model={"kind": "fully_connected", "width": 8},
        batch_size="full",
        steps=last,
    )
    experiment = plain.model_copy(
        update={"interventions": (part.without_member_values().with_traced(vars(part)),)}
    )
    view = interventions_check._View(plain, *interventions_check._drawn_networks(plain), np.arange(3))
    selection = part.select(view)
    mask, bit_mask, more = jax.tree.map(lambda rows: jnp.asarray(rows)[0], tuple(selection))
    plan = MemberPlan(jnp.int32(0), (Target(mask, bit_mask, jnp.int32(at), jnp.int32(until), more),))
    key = jax.random.key(0)
    data = {**plain.task.shared_data(), **plain.task.member_data(key, key)}

    # As in the loop: updates are the body of a `fori_loop` with a number of steps that is not known.
    @jax.jit
    def usual(state, start, stop, data):
        batch = Batch(data["train_x"], data["train_y"])

        def update(step, state):
            return plain.learner.update(plain, state, batch, key, step)[0]

        return jax.lax.fori_loop(start, stop, update, state)

    @jax.jit
    def changed(state, memory, start, stop, data, plan):
        batch = Batch(data["train_x"], data["train_y"])

        def update(step, carry):
            state, _, memory = intervened(experiment, carry[0], batch, key, step, data, plan, carry[1])
            return state, memory

        return jax.lax.fori_loop(start, stop, update, (state, memory))

    state = plain.learner.init(plain, key, data)
    network, memory = begin(experiment.interventions, state.network, data, plan)
    assert bits(network) == bits(state.network)
    early, memory = changed(state, memory, 0, at - 1, data, plan)
    middle, memory = changed(early, memory, at - 1, until, data, plan)
    late, _ = changed(middle, memory, until, last, data, plan)
    for found, wanted in (
        (early, usual(state, 0, at - 1, data)),
        (late, usual(middle, until, last, data)),
    ):
        if isinstance(part, NeuronIntervention) and not COMPILED_AS_USERS_DO:
            assert same_numbers(found, wanted)  # the quick compiler of the tests fuses these with the update
        else:
            assert bits(found) == bits(wanted)
    linear = part.kind == "stop_gradient"  # of the hinge loss below its margin: groups train alike
    assert linear or not same_numbers(middle, usual(state, 0, until, data), atol=0)


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


# ---------------------------------------------------------------- faults


def counted():
    return next(COUNTER)


COUNTER = itertools.count(1)


def bad(base):
    """A part without a fault, into which faults are put; it is registered."""
    if base is FullyConnected:

        class Bad(FullyConnected):
            """A model."""

            kind: Literal["bad"] = "bad"
            width: int = 4
    elif base is Squared:

        class Bad(Squared):
            """A loss."""

            kind: Literal["bad"] = "bad"
            factor: float = 1.0
    elif base is SGD:

        class Bad(SGD):
            """An optimizer."""

            kind: Literal["bad"] = "bad"
    elif base is AdamW:

        class Bad(AdamW):
            """An optimizer."""

            kind: Literal["bad"] = "bad"
    elif base is ParameterNormPenalty:

        class Bad(ParameterNormPenalty):
            """A penalty."""

            kind: Literal["bad"] = "bad"
    elif base is Constant:

        class Bad(Constant):
            """A schedule."""

            kind: Literal["bad"] = "bad"
    elif base is Gradient:

        class Bad(Gradient):
            """A learner."""

            kind: Literal["bad"] = "bad"
    else:

        class Bad(Freeze):
            """An intervention."""

            kind: Literal["bad"] = "bad"
            strength: float = Field(default=2.0)

    return Bad


class Centered(eqx.Module):
    """A network whose outputs depend on the other samples."""

    weight: jax.Array

    def __call__(self, x):
        f = x.reshape(len(x), -1) @ self.weight
        return f - jnp.mean(f, axis=0)


class Rough(eqx.Module):
    """A network whose gradient is not finite."""

    weight: jax.Array

    def __call__(self, x):
        return jnp.sqrt(jnp.square(x.reshape(len(x), -1) @ (0 * self.weight)))


def linear(kind, make=lambda key, shape: jax.random.normal(key, shape)):
    def network(self, key, input_shape, n_outputs):
        n = int(np.prod(input_shape))
        return kind(make(key, (n,) if n_outputs == 1 else (n, n_outputs)))

    return network


LINEAR = {"n_parameters": lambda self, input_shape, n_outputs: int(np.prod(input_shape)) * n_outputs}


def drawn(self, key, shape, n):
    return FullyConnected.network(self, key, shape, n)


def changed_leaves(function):
    return lambda self, key, shape, n: jax.tree.map(function, drawn(self, key, shape, n))


def two_lines(*_):
    raise InputError("no.\nNever.")


def fails(*_):
    raise ValueError("five is not six\nand so on")


def with_transform(change):
    """A method ``transform`` whose update is changed: change(updates, state, params) -> updates, state."""

    def transform(self, n_steps):
        inner = SGD.transform(self, n_steps)

        def update(updates, state, params=None):
            return change(*inner.update(updates, state, params), params)

        return optax.GradientTransformation(inner.init, update)

    return transform


def normalized(updates, state, params):
    return jax.tree.map(lambda g: 0.1 * g / jnp.linalg.norm(g), updates), state


def without_bias(updates, state, params):
    return {**updates, "bias": 0 * updates["bias"]}, state


def counting(self, n_steps):
    return optax.scale(-0.1 - 1e-3 * counted())


def steps(change):
    """A method ``update`` of a learner: change(state, loss, batch) -> state, loss."""

    def update(self, spec, state, batch, key, step, losses=None):
        return change(*Gradient.update(self, spec, state, batch, key, step, losses), batch)

    return update


def deaf(self, spec, state, batch, key, step, losses=None):
    return Gradient.update(self, spec, state, batch._replace(weight=None), key, step, losses)


def selecting(change):
    def select(self, members):
        return change(Freeze.select(self, members), members)

    return select


def overwriting(selection, members):
    from grokscope.spec.moments import parse_moment

    members.parameters(parse_moment("start"))["hidden_weight"][:] = 0
    return selection


def after(change):
    def after_update(self, before, network, target, recorded):
        return change(self, network, target)

    return after_update


def scaled(factor):
    return after(lambda self, network, target: jax.tree.map(lambda leaf: factor(self) * leaf, network))


FAULTS = [
    # --- models
    (FullyConnected, "__doc__", None, "Bad has no docstring"),
    (FullyConnected, "__doc__", "One\ntwo.", "docstring of Bad does not begin with a line of its own"),
    (FullyConnected, "traced", ("speed",), "traced names 'speed', which is no field"),
    (FullyConnected, "traced", ("activation",), "traced names 'activation', which is not a number"),
    (FullyConnected, "check_inputs", two_lines, "message that is not one line"),
    (FullyConnected, "check_inputs", fails, "check_inputs failed: ValueError: five is not six."),
    (FullyConnected, "network", fails, "network failed: ValueError: five is not six."),
    (FullyConnected, "n_parameters", lambda *_: 17, "n_parameters says 17, but its networks have 32 numbers"),
    (FullyConnected, "n_parameters", lambda *_: 32.0, r"n_parameters must be an int \(got 32.0\)"),
    (FullyConnected, "flops_per_sample", lambda *_: 0.0, "flops_per_sample must be a positive number"),
    (FullyConnected, "n_neurons", None, "n_neurons must be an int"),
    (
        FullyConnected,
        "network",
        changed_leaves(lambda leaf: leaf.astype("float32")),
        "parameter hidden_weight is float32 in a run of float64",
    ),
    (
        FullyConnected,
        "network",
        lambda self, key, shape, n: drawn(self, key, shape, 1),
        r"the outputs for 4 inputs have shape \(4,\), not \(4, 3\)|n_parameters says 40, but",
    ),
    (
        FullyConnected,
        "network",
        changed_leaves(lambda leaf: leaf / 0),
        "initial parameter: .* not finite",
    ),
    (
        FullyConnected,
        "network",
        changed_leaves(lambda leaf: leaf * counted()),
        "other parameters for the same key",
    ),
    (
        FullyConnected,
        "network",
        lambda self, key, shape, n: drawn(
            self.model_copy(update={"init_scale": float(self.init_scale)}), key, shape, n
        ),
        "network, its outputs or its gradient failed: Concretization",
    ),
    (
        FullyConnected,
        LINEAR | {"network": linear(Centered)},
        None,
        "the output of a sample depends on the other samples",
    ),
    (
        FullyConnected,
        LINEAR | {"network": linear(Rough)},
        None,
        "a gradient: weight is not finite",
    ),
    # --- losses
    (Squared, "labels", "signs", "labels must be one of sign, class, real, any"),
    (Squared, "per_sample", fails, "per_sample on signs failed: ValueError"),
    (Squared, "per_sample", lambda self, f, y: jnp.mean(f), r"gives shape \(\), not \(8,\)"),
    (Squared, "per_sample", lambda self, f, y: (f[:, None] - y[:, None]) ** 2, r"gives shape \(8, 1\)"),
    (
        Squared,
        "per_sample",
        lambda self, f, y: jnp.square(f - y).astype("float32"),
        "per_sample on signs gives float32 for outputs of float64",
    ),
    (Squared, "per_sample", lambda self, f, y: (f - y) ** 2 - jnp.mean(f), "depends on other samples"),
    (
        Squared,
        "per_sample",
        lambda self, f, y: f * jax.lax.stop_gradient(f - y),
        r"the gradient differs from finite differences \(signs\)",
    ),
    (
        Squared,
        "per_sample",
        lambda self, f, y: jnp.exp(-y * f),
        "the loss of outputs of size 10000",
    ),
    (
        Squared,
        "per_sample",
        lambda self, f, y: jnp.log1p(jnp.exp(jnp.minimum(-y * f, 80.0))) * jnp.where(y * f > 1e3, f / 0, 1),
        "of outputs of size 10000",
    ),
    (Squared, "per_sample", lambda self, f, y: (f - y) ** 2 * counted(), "under jit, or with traced numbers"),
    # --- optimizers
    (SGD, "traced", ("learning_rate",), "traced lacks weight_decay"),
    (SGD, "transform", lambda self, n: None, "must return an optax transformation, not NoneType"),
    (SGD, "transform", fails, "transform failed: ValueError: five"),
    (
        SGD,
        "transform",
        with_transform(lambda u, s, p: (jax.tree.map(lambda x: x.astype("float32"), u), s)),
        r"the updates in float64: bias is float32\[3\], not float64\[3\]",
    ),
    (
        SGD,
        "transform",
        with_transform(lambda u, s, p: (u, (s, 1))),
        "its state after an update in float32 has another structure",
    ),
    (
        SGD,
        "transform",
        with_transform(lambda u, s, p: (jax.tree.map(lambda x: -x, u), s)),
        "does not converge on a quadratic",
    ),
    (
        SGD,
        "transform",
        with_transform(without_bias),
        "does not train the parameter 'bias'",
    ),
    (SGD, "transform", counting, "has other bits|where its numbers are traced values"),
    (SGD, "transform", with_transform(normalized), r"whose gradient is zero \(masked\): .* is not finite"),
    (
        SGD,
        "transform",
        lambda self, n: optax.sgd(self.learning_rate),
        "weight_decay = 0.25 does not pull 'bias' towards zero",
    ),
    (
        SGD,
        "transform",
        lambda self, n: optax.sgd(float(self.learning_rate)),
        "a run with traced numbers failed: Concretization",
    ),
    (
        AdamW,
        "decay",
        property(lambda self: "coupled"),
        "decay = 'coupled', but weight decay does not act as a gradient",
    ),
    # --- rate schedules
    (
        ParameterNormPenalty,
        "__call__",
        lambda self, network: jnp.ones(2),
        r"the penalty has shape \(2,\), not \(\)",
    ),
    (
        ParameterNormPenalty,
        "__call__",
        lambda self, network: jax.lax.stop_gradient(jnp.sum(network.hidden_weight)),
        "the gradient differs from finite differences",
    ),
    (
        ParameterNormPenalty,
        "__call__",
        lambda self, network: jnp.sqrt(jnp.sum(network.hidden_weight**2)),
        "the gradient where all parameters are 0: hidden_weight is not finite",
    ),
    (
        ParameterNormPenalty,
        "__call__",
        lambda self, network: jnp.zeros_like(network.hidden_bias[0]),
        "it does not depend on the parameters",
    ),
    (Constant, "factor", lambda self, step, n: -1.0, "the factor at step 0 is negative"),
    (Constant, "factor", lambda self, step, n: 0.0, "the factor is 0 at every step"),
    (
        Constant,
        "factor",
        lambda self, step, n: jnp.where(step > 4, jnp.nan, 1.0),
        "at step 5 is not finite",
    ),
    (Constant, "factor", lambda self, step, n: 1.0 / n, "the factor depends on n_steps"),
    (Constant, "factor", lambda self, step, n: jnp.ones(2), "the factor must be a number"),
    (Constant, "factor", lambda self, step, n: 1.0 if step < 3 else 0.5, "the factor failed: "),
    # --- learners
    (Gradient, "init", fails, "init failed: ValueError: five"),
    (Gradient, "init", lambda *_: 3, "init must return a State"),
    (Gradient, "predictor", lambda self, state: 1.0, "predictor must return a function of the inputs"),
    (
        Gradient,
        "predictor",
        lambda self, state: jax.tree_util.Partial(lambda x: x),
        r"the outputs for 10 inputs have shape \(10, 6\), not \(10,\)",
    ),
    (Gradient, "update", lambda *_: 3, "update must return a State and the loss of the batch"),
    (
        Gradient,
        "update",
        steps(lambda state, loss, batch: (state, loss * jnp.ones(2))),
        "the loss that update returns is not a single float",
    ),
    (
        Gradient,
        "update",
        steps(lambda state, loss, batch: (state._replace(model_state=loss), loss)),
        "the state after update has another structure",
    ),
    (
        Gradient,
        "update",
        steps(lambda state, loss, batch: (state, loss / 0)),
        "the state or the loss after update: 1 is not finite",
    ),
    (Gradient, "update", deaf, "samples with weight 0 .* change the state or the loss"),
    (
        Gradient,
        "update",
        steps(lambda state, loss, batch: (state, loss if batch.weight is None else 2 * loss)),
        "than the same batch without it",
    ),
    (
        Gradient,
        "update",
        steps(lambda state, loss, batch: (jax.tree.map(lambda x: x * (1 + 1e-3 * counted()), state), loss)),
        "other bits|another state|change the state",
    ),
    (
        Gradient,
        "init",
        lambda *given: jax.tree.map(lambda leaf: leaf * counted(), Gradient.init(*given)),
        "init returns another state for the same key",
    ),
    (Gradient, "trains", False, "trains is False, so init must raise InputError with one line"),
    # --- interventions
    (Freeze, "stages", frozenset(), "has no stages"),
    (Freeze, "stages", frozenset({"afterwards"}), "stages names 'afterwards'; allowed: begin"),
    (Freeze, "per_member", ("name", "at", "until", "dose"), "per_member names 'dose', which is no field"),
    (
        Freeze,
        "per_member",
        ("name",),
        "per_member lacks 'at, until'; begin it with",
    ),
    (Freeze, "missing", lambda self, spec: "two\nlines", "in place of one line, or None"),
    (
        Freeze,
        "missing",
        lambda self, spec: "not today",
        r"small experiments \(not today\)",
    ),
    (
        Freeze,
        "select",
        lambda self, members: None,
        "select gives no Selection",
    ),
    (
        Freeze,
        "select",
        selecting(lambda s, m: s._replace(mask=s.mask[:, :3])),
        r"select: mask is bool\[3, 3\], not bool\[3, 8\]",
    ),
    (
        Freeze,
        "select",
        selecting(lambda s, m: s._replace(bits=s.bits.astype(int))),
        r"select: bits is int64\[3, 6\], not bool",
    ),
    (
        Freeze,
        "select",
        selecting(lambda s, m: s._replace(more={"seed": np.arange(2)})),
        r"select: more\['seed'\] must be numbers with one row per member",
    ),
    (
        Freeze,
        "select",
        selecting(lambda s, m: s._replace(more={"seed": counted() + np.arange(len(s.mask))})),
        "select finds other things when it is called again",
    ),
    (
        Freeze,
        "select",
        selecting(lambda s, m: s._replace(more={"rank": np.arange(len(s.mask))})),
        "what select finds in a member depends on the other members",
    ),
    (
        Freeze,
        "select",
        selecting(overwriting),
        "destination is read-only",
    ),
    (Freeze, "after_update", fails, "after_update on model 'fully_connected' failed: ValueError: five"),
    (
        Freeze,
        "after_update",
        after(lambda self, network, target: jax.tree.map(lambda leaf: leaf.astype("float16"), network)),
        r"what after_update returns: hidden_weight is float16\[6, 8\], not float32",
    ),
    (
        Freeze,
        "after_update",
        after(lambda self, network, target: 1.0),
        "has another structure",
    ),
    (Freeze, "after_update", scaled(lambda self: jnp.nan), "what after_update returns: .* is not finite"),
    (Freeze, "after_update", after(lambda self, network, target: network), "changes nothing"),
    (
        Freeze,
        "after_update",
        scaled(lambda self: 3.0 if self.at == 7 else 2.0),
        "other numbers in the compiled program",
    ),
    (Freeze, "after_update", scaled(lambda self: counted()), "gives other numbers in the compiled program"),
    (
        Freeze,
        "sample_losses",
        lambda self, per_sample, network, batch, target: jnp.mean(per_sample(network(batch.x), batch.y)),
        r"sample_losses must give one float per sample, not float32\[\]",
    ),
]

FIELDS = {Freeze: {"neurons": [0, 1], "at": 7}}
CHECK_OF = {
    FullyConnected: check_model,
    Squared: check_loss,
    ParameterNormPenalty: check_penalty,
    SGD: check_optimizer,
    AdamW: check_optimizer,
    Constant: check_rate_schedule,
    Gradient: check_learner,
    Freeze: check_intervention,
}


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("base", CHECK_OF, ids=lambda base: base.__name__)
def test_a_part_without_a_fault_passes(base):
    CHECK_OF[base](bad(base)(**FIELDS.get(base, {})))


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(("base", "name", "value", "message"), FAULTS)
def test_each_fault_is_found(monkeypatch, base, name, value, message):
    cls, check = bad(base), CHECK_OF[base]
    for attribute, changed in (name if isinstance(name, dict) else {name: value}).items():
        monkeypatch.setattr(cls, attribute, changed, raising=False)
    with pytest.raises(AssertionError, match=message) as error:
        check(cls(**FIELDS.get(base, {})))
    assert str(error.value).startswith(f"{check.__name__}: ")
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.usefixtures("registry")
def test_a_kind_of_another_class_is_found():
    first = bad(Squared)(factor=2.0)
    bad(Squared)  # registered in its place
    with pytest.raises(AssertionError, match=r"^check_loss: kind 'bad' is registered for another class\.$"):
        check_loss(first)
