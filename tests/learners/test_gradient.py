"""The gradient learner: 300 steps against PyTorch, padded batches, masks."""

from fnmatch import fnmatch

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope import Experiment
from grokscope.errors import InputError
from grokscope.learners._learner import Batch, State
from grokscope.learners.gradient import Gradient
from grokscope.optimizers import SGD, Adam, AdamW
from grokscope.tasks.arrays import Arrays

N_BITS, WIDTH, N_TRAIN, BATCH, N_STEPS, N_CLASSES = 10, 20, 29, 8, 300, 5
OPTIMIZERS = [
    SGD(learning_rate=0.1),
    SGD(learning_rate=0.05, momentum=0.9),
    SGD(learning_rate=0.1, weight_decay=0.01),
    SGD(learning_rate=0.05, momentum=0.9, weight_decay=0.01),
    Adam(learning_rate=0.01, weight_decay=0.01),
    AdamW(learning_rate=0.01, weight_decay=0.1, beta2=0.98),
]
CLIPPED = [
    SGD(learning_rate=0.05, momentum=0.9, weight_decay=0.1, no_decay=["*bias"], clip_norm=0.2),
    Adam(learning_rate=0.01, weight_decay=0.1, no_decay=["hidden_*"]),
    AdamW(learning_rate=0.01, weight_decay=0.5, no_decay=["output_weight", "hidden_bias"], clip_norm=1.0),
]


def made(loss, optimizer):
    """An experiment on random data, and the data as numpy arrays."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(N_TRAIN, N_BITS))
    y = rng.integers(0, N_CLASSES, N_TRAIN) if loss == "cross_entropy" else rng.choice([-1.0, 1.0], N_TRAIN)
    if loss == "cross_entropy":
        y[:N_CLASSES] = range(N_CLASSES)
    task = Arrays.from_numpy(train_x=x, train_y=y, test_x=x, test_y=y)
    experiment = Experiment(
        task=task,
        model={"kind": "fully_connected", "width": WIDTH},
        loss=loss,
        optimizer=optimizer,
        batch_size=BATCH,
        steps=N_STEPS,
        precision="float64",
    )
    return experiment, x, y


def batches():
    """Rows of every batch: N_STEPS of them, each epoch shuffled, its last batch smaller."""
    rng = np.random.default_rng(6)
    rows = []
    while len(rows) < N_STEPS:
        order = rng.permutation(N_TRAIN)
        rows += [order[start : start + BATCH] for start in range(0, N_TRAIN, BATCH)]
    assert len(rows[3]) == N_TRAIN % BATCH
    return rows[:N_STEPS]


def train_ours(experiment, x, y):
    """Final state and the loss at every step; smaller batches are padded with other samples."""
    rows = batches()
    padded = np.stack([np.concatenate([r, np.arange(BATCH - len(r))]) for r in rows])
    weight = np.stack([np.arange(BATCH) < len(r) for r in rows]).astype(np.float64)
    learner = experiment.learner
    state = learner.init(experiment, jax.random.key(0), {})
    y = jnp.asarray(y, jnp.int32 if y.dtype.kind == "i" else jnp.float64)
    x = jnp.asarray(x)

    @jax.jit
    def run(state):
        def advance(state, item):
            rows, weight, step = item
            batch = Batch(x[rows], y[rows], weight)
            return learner.update(experiment, state, batch, jax.random.key(1), step)

        return jax.lax.scan(advance, state, (padded, weight, jnp.arange(N_STEPS)))

    return state, *run(state)


def train_torch(experiment, start, x, y):
    import torch

    torch.set_num_threads(1)  # for matrices this small more of them only wait for each other
    network = torch.nn.Sequential(
        torch.nn.Linear(N_BITS, WIDTH),
        torch.nn.ReLU(),
        torch.nn.Linear(WIDTH, experiment.task.n_outputs, bias=False),
    ).double()
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor(np.asarray(start.hidden_weight).T))
        network[0].bias.copy_(torch.tensor(np.asarray(start.hidden_bias)))
        network[2].weight.copy_(torch.tensor(np.asarray(start.output_weight).reshape(WIDTH, -1).T))
    loss_of = {
        "hinge": lambda f, y: torch.clamp(1 - y * f[:, 0], min=0).mean(),
        "logistic": lambda f, y: torch.nn.functional.softplus(-y * f[:, 0]).mean(),
        "squared": lambda f, y: torch.nn.functional.mse_loss(f[:, 0], y),
        "cross_entropy": torch.nn.functional.cross_entropy,
    }[experiment.loss.kind]
    spec = experiment.optimizer
    rates = {"lr": spec.learning_rate, "weight_decay": spec.weight_decay}
    names = ["hidden_weight", "hidden_bias", "output_weight"]
    listed = [any(fnmatch(name, pattern) for pattern in spec.no_decay) for name in names]
    groups = [
        {"params": [parameter], **({"weight_decay": 0.0} if is_listed else {})}
        for parameter, is_listed in zip(network.parameters(), listed, strict=True)
    ]
    if isinstance(spec, SGD):
        optimizer = torch.optim.SGD(groups, momentum=spec.momentum or 0.0, **rates)
    else:
        cls = torch.optim.Adam if isinstance(spec, Adam) else torch.optim.AdamW
        optimizer = cls(groups, betas=(spec.beta1, spec.beta2), eps=spec.epsilon, **rates)
    x, y, losses = torch.tensor(x), torch.tensor(y), []
    for rows in batches():
        optimizer.zero_grad()
        loss = loss_of(network(x[rows]), y[rows])
        loss.backward()
        if spec.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(network.parameters(), spec.clip_norm)
        optimizer.step()
        losses.append(loss.item())
    weights = [parameter.detach().numpy() for parameter in network.parameters()]
    return weights[0].T, weights[1], weights[2].T.reshape(np.shape(start.output_weight)), losses


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("loss", ["hinge", "logistic", "squared", "cross_entropy"])
def test_300_steps_agree_with_pytorch(loss, optimizer):
    with jax.enable_x64(True):
        experiment, x, y = made(loss, optimizer)
        start, end, losses = train_ours(experiment, x, y)
        *weights, torch_losses = train_torch(experiment, start.network, x, y)
        network = end.network
        for ours, theirs in zip(
            (network.hidden_weight, network.hidden_bias, network.output_weight), weights, strict=True
        ):
            assert ours.dtype == jnp.float64
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(losses, torch_losses, rtol=1e-10, atol=1e-10)
        # they did move
        assert np.abs(network.hidden_weight - start.network.hidden_weight).max() > 0.05


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("optimizer", CLIPPED, ids=str)
def test_decay_mask_and_clipping_agree_with_pytorch(optimizer):
    with jax.enable_x64(True):
        experiment, x, y = made("hinge", optimizer)
        start, end, losses = train_ours(experiment, x, y)
        *weights, torch_losses = train_torch(experiment, start.network, x, y)
        network = end.network
        for ours, theirs in zip(
            (network.hidden_weight, network.hidden_bias, network.output_weight), weights, strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(losses, torch_losses, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["hinge", "cross_entropy"])
def test_padding_counts_for_nothing(loss):
    with jax.enable_x64(True):
        experiment, x, y = made(loss, SGD(weight_decay=0.01))
        learner = experiment.learner
        state = learner.init(experiment, jax.random.key(0), {})
        key, step = jax.random.key(1), jnp.int32(0)
        small = Batch(jnp.asarray(x[:3]), jnp.asarray(y[:3]))
        padded = Batch(jnp.asarray(x[:8]), jnp.asarray(y[:8]), jnp.asarray([1.0] * 3 + [0.0] * 5))
        one, loss_one = learner.update(experiment, state, small, key, step)
        two, loss_two = learner.update(experiment, state, padded, key, step)
        np.testing.assert_allclose(loss_one, loss_two, rtol=1e-12)
        for a, b in zip(jax.tree.leaves(one.network), jax.tree.leaves(two.network), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
        full, _ = learner.update(experiment, state, padded._replace(weight=None), key, step)
        assert not np.allclose(full.network.hidden_weight, two.network.hidden_weight, atol=1e-6)


def test_update_is_the_gradient_step_by_finite_differences():
    with jax.enable_x64(True):
        experiment, x, y = made("logistic", SGD(learning_rate=0.5))
        learner = experiment.learner
        state = learner.init(experiment, jax.random.key(0), {})
        batch = Batch(jnp.asarray(x), jnp.asarray(y))
        moved, loss = learner.update(experiment, state, batch, jax.random.key(1), jnp.int32(0))

        def mean_loss(u):
            hidden = np.maximum(x @ np.asarray(state.network.hidden_weight) + state.network.hidden_bias, 0)
            return np.mean(np.log1p(np.exp(-y * (hidden @ u))))

        u = np.asarray(state.network.output_weight)
        assert float(loss) == pytest.approx(mean_loss(u), rel=1e-12)
        for j in range(3):
            shift = np.eye(WIDTH)[j] * 1e-6
            slope = (mean_loss(u + shift) - mean_loss(u - shift)) / 2e-6
            assert float(moved.network.output_weight[j]) == pytest.approx(u[j] - 0.5 * slope, abs=1e-8)


def test_masked_parameters_act_and_learn_as_zero():
    experiment, x, y = made("hinge", SGD())
    learner = experiment.learner
    state = learner.init(experiment, jax.random.key(0), {})
    kept = np.arange(WIDTH) % 2 == 0
    masks = jax.tree.map(jnp.ones_like, state.network)
    masks = type(masks)(
        masks.hidden_weight * kept, masks.hidden_bias * kept, masks.output_weight * kept, "relu"
    )
    masked = state._replace(masks=masks)
    hidden = np.maximum(x @ np.asarray(state.network.hidden_weight) + state.network.hidden_bias, 0)
    wanted = hidden[:, kept] @ np.asarray(state.network.output_weight)[kept]
    np.testing.assert_allclose(learner.predictor(masked)(jnp.asarray(x)), wanted, rtol=1e-4, atol=1e-5)
    batch = Batch(jnp.asarray(x), jnp.asarray(y))
    after, _ = learner.update(experiment, masked, batch, jax.random.key(1), jnp.int32(0))
    change = np.abs(after.network.output_weight - state.network.output_weight)
    assert change[~kept].max() == 0.0
    assert change[kept].max() > 0.0


def test_predictor_without_masks_is_the_network():
    network = object()
    assert Gradient().predictor(State(network=network)) is network


def test_names_without_decay_are_those_of_parameters():
    optimizer = {"kind": "sgd", "no_decay": ["hidden_bias", "ouput_weight"]}
    with pytest.raises(InputError) as error:
        made("hinge", optimizer)
    assert str(error.value) == (
        "optimizer.no_decay: 'ouput_weight' is no parameter of this network. Did you mean 'output_weight'? "
        "It has: hidden_weight, hidden_bias, output_weight."
    )


def test_decay_mask_clipping_and_projection_are_part_of_the_identity():
    plain, _, _ = made("hinge", {"kind": "sgd"})
    others = [
        made("hinge", {"kind": "sgd", **more})[0]
        for more in (
            {"no_decay": ["*bias"]},
            {"clip_norm": 1.0},
            {"perpendicular": "unscaled"},
            {"decay_towards": "initial"},
        )
    ]
    assert len({plain.identity, *(one.identity for one in others)}) == 5
    assert made("hinge", {"kind": "sgd", "decay_towards": "zero"})[0].identity == plain.identity
    assert "optimizer.clip_norm" in others[1].numbers
    assert "optimizer.clip_norm" not in plain.numbers


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ({"optimizer": SGD(no_decay=["*bias"])}, "optimizer.no_decay"),
        ({"optimizer": SGD(clip_norm=1.0)}, "optimizer.clip_norm"),
        ({"optimizer": SGD(decay_towards="initial")}, "optimizer.decay_towards"),
        ({"optimizer": SGD(perpendicular="rescaled")}, "optimizer.perpendicular"),
        (
            {"model": {"kind": "mlp", "widths": [3], "dropout": 0.1}},
            "model: a training mode (dropout, batch_norm)",
        ),
        ({"model": {"kind": "mlp", "widths": [3], "batch_norm": True}}, "model: a training mode"),
    ],
)
def test_a_learner_that_would_ignore_them_is_refused(parts, name):
    class Plain(Gradient):
        uses_training_mode = False

    experiment, _, _ = made("hinge", SGD())
    with pytest.raises(InputError) as error:
        Experiment(task=experiment.task, steps=1, learner=Plain(), **parts)
    assert str(error.value).startswith(name)
    assert str(error.value).endswith(": learner 'gradient' does not use it.")
