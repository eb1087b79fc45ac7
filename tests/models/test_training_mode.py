"""Dropout and batch normalization: against PyTorch, by hand, and in runs that are resumed and branched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
from grokscope.learners import Batch
from grokscope.measures.neuron_waves import NeuronParticipation
from grokscope.measures.norms import BatchNormScale
from grokscope.models.check import check_model
from grokscope.models.mlp import MLP
from grokscope.models.networks.training import BatchNorm, TrainingMode, joined, split
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.optimizers import AdamW
from grokscope.tasks.arrays import Arrays
from grokscope.tasks.modular_operator import ModularOperator

N_BITS, N_TRAIN, BATCH = 6, 21, 8
BOTH = MLP(widths=[7, 5], dropout=0.25, batch_norm=True)


def experiment(model: MLP, **more: Any) -> gs.Experiment:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N_TRAIN, N_BITS)), rng.choice([-1.0, 1.0], N_TRAIN)
    return gs.Experiment(
        task=Arrays.from_numpy(train_x=x, train_y=y, test_x=x[:9] + 0.5, test_y=y[:9]),
        model=model,
        loss="squared",
        optimizer=AdamW(learning_rate=0.02, weight_decay=0.1, clip_norm=1.0, no_decay=["*bias*"]),
        batch_size=BATCH,
        **{"epochs": 4, "measures": ["test_loss", "weight_norm"], "precision": "float64", **more},
    )


def test_keeps_the_contract_of_models() -> None:
    check_model(BOTH)


def test_without_them_the_identity_is_as_before() -> None:
    plain = experiment(MLP(widths=[4]))
    assert plain.identifying()["model"].keys() == {
        "kind",
        "widths",
        "activation",
        "output_bias",
        "init_scale",
    }
    others = [MLP(widths=[4], dropout=0.0), MLP(widths=[4], dropout=0.5), MLP(widths=[4], batch_norm=True)]
    assert len({plain.identity, *(experiment(model).identity for model in others)}) == 4
    assert experiment(others[1]).numbers["model.dropout"] == 0.5


def test_batch_normalization_by_hand() -> None:
    with jax.enable_x64(True):
        z = np.array([[1.0, 0.0], [3.0, 2.0], [5.0, 7.0], [100.0, -100.0]])
        norm = BatchNorm(*map(jnp.asarray, ([2.0, 1.0], [0.5, -1.0], [1.0, 1.0], [4.0, 9.0])))
        padded = TrainingMode(weight=jnp.array([1.0, 1.0, 1.0, 0.0]))
        mean, variance = np.array([3.0, 3.0]), np.array([8 / 3, 26 / 3])  # of the first three rows
        found = norm(jnp.asarray(z), padded)[:3]
        wanted = (z[:3] - mean) / np.sqrt(variance + 1e-5) * [2.0, 1.0] + [0.5, -1.0]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        after = norm.after(jnp.asarray(z), padded)
        np.testing.assert_allclose(after.mean, [0.9 + 0.3, 0.9 + 0.3], rtol=1e-12)
        np.testing.assert_allclose(after.variance, [3.6 + 0.4, 8.1 + 1.3], rtol=1e-12)  # unbiased: 4 and 13
        still = norm(jnp.asarray(z), None)
        np.testing.assert_allclose(still, (z - 1) / np.sqrt([4 + 1e-5, 9 + 1e-5]) * [2, 1] + [0.5, -1])
        alone = norm.after(jnp.asarray(z[:1]), TrainingMode())
        assert np.isfinite(alone.variance).all()


def test_dropout_drops_the_share_and_scales_the_rest() -> None:
    mode = TrainingMode(jax.random.key(3), 0.3)
    ones = jnp.ones((300, 100))
    found = np.asarray(mode.dropped(ones, 0))
    kept = found != 0
    np.testing.assert_allclose(found[kept], 1 / 0.7, rtol=1e-6)
    # 30,000 draws: five standard deviations of a binomial share are 0.013; of a row or a column 0.23 and 0.14
    assert abs(kept.mean() - 0.7) < 0.0133
    assert np.abs(kept.mean(axis=1) - 0.7).max() < 0.23
    assert np.abs(kept.mean(axis=0) - 0.7).max() < 0.14
    assert not np.array_equal(kept, mode.dropped(ones, 1) != 0)
    np.testing.assert_array_equal(mode.dropped(ones[:5], 0), found[:5])  # padding changes nothing
    with jax.enable_x64(True):
        np.testing.assert_array_equal(mode.dropped(ones.astype("float64"), 0) != 0, kept)
    network = MLP(widths=[9], dropout=0.3).network(jax.random.key(0), (4,), 1)
    assert network.mode is None  # in evaluation


def torch_twin(network: Any, keeps: Any) -> tuple[Any, list[Any]]:
    """The network as PyTorch has it, in training mode; ``keeps[0]``: what each dropout keeps."""
    import torch

    class Dropped(torch.nn.Module):
        """``Dropout`` with given neurons."""

        def __init__(self, i: int) -> None:
            super().__init__()
            self.i = i

        def forward(self, x: Any) -> Any:
            return x * keeps[0][self.i] / 0.75 if self.training else x

    layers: list[Any] = []
    for i, weight in enumerate(network.weights):
        linear, norm = torch.nn.Linear(*weight.shape), torch.nn.BatchNorm1d(weight.shape[1])
        layers += [linear, norm, torch.nn.ReLU(), Dropped(i)]
    layers.append(torch.nn.Linear(len(network.output_weight), 1))
    twin = torch.nn.Sequential(*layers).double()
    linears = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        every = (*network.weights, network.output_weight[:, None]), (*network.biases, network.output_bias)
        for linear, weight, bias in zip(linears, *every, strict=True):
            linear.weight.copy_(torch.tensor(np.asarray(weight).T))
            linear.bias.copy_(torch.tensor(np.asarray(bias)))
    return twin, linears


@pytest.mark.slow
@pytest.mark.torch
def test_updates_agree_with_pytorch() -> None:
    import torch

    torch.set_num_threads(1)  # for matrices this small more of them only wait for each other
    with jax.enable_x64(True):
        spec = experiment(BOTH, steps=30, epochs=None)
        learner = spec.learner
        state = learner.init(spec, jax.random.key(0), {})
        assert split(learner.predictor(state))[1].means[0].shape == (7,)
        data = spec.task.shared_data()
        x, y = data["train_x"], data["train_y"]
        keeps: list[Any] = [None]
        twin, linears = torch_twin(learner.predictor(state), keeps)
        biases = [one.bias for one in linears]
        others = [p for p in twin.parameters() if all(p is not bias for bias in biases)]
        groups = [{"params": others}, {"params": biases, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=0.02, weight_decay=0.1)
        update = jax.jit(lambda state, batch, key: learner.update(spec, state, batch, key, jnp.int32(0)))
        inputs, labels = torch.tensor(np.asarray(x)), torch.tensor(np.asarray(y, np.float64))
        for step in range(30):
            rows = np.random.default_rng(step).permutation(N_TRAIN)[: BATCH if step % 3 else 5]
            padded = np.concatenate([rows, np.arange(BATCH - len(rows))])
            weight = jnp.asarray(np.arange(BATCH) < len(rows), jnp.float64)
            key = jax.random.key(step)
            state, loss = update(state, Batch(x[padded], y[padded], weight), key)
            mode = TrainingMode(key, 0.25)
            keeps[0] = [
                torch.tensor(np.asarray(mode.dropped(jnp.ones((BATCH, m)), i) != 0))[: len(rows)]
                for i, m in enumerate(BOTH.widths)
            ]
            optimizer.zero_grad()
            theirs = torch.nn.functional.mse_loss(twin(inputs[rows])[:, 0], labels[rows])
            theirs.backward()
            torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
            optimizer.step()
            np.testing.assert_allclose(loss, theirs.item(), rtol=1e-9)
        network, still = learner.predictor(state), twin.eval()
        for i in range(2):
            norm = twin[4 * i + 1]
            np.testing.assert_allclose(network.means[i], norm.running_mean, rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(network.variances[i], norm.running_var, rtol=1e-8)
            np.testing.assert_allclose(network.scales[i], norm.weight.detach(), rtol=1e-8)
        with torch.no_grad():
            np.testing.assert_allclose(network(x), still(inputs)[:, 0], rtol=1e-7, atol=1e-10)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    """Trained for two epochs, then extended to four."""
    out = tmp_path_factory.mktemp("training") / "run"
    gs.train(experiment(BOTH, epochs=2), seeds=2, out=out)
    return gs.train(experiment(BOTH), seeds=2, out=out)


@pytest.mark.slow
def test_resumed_replayed_and_branched_to_the_same_bits(run: gs.Run, tmp_path: Path) -> None:
    straight = gs.train(experiment(BOTH), seeds=2, out=tmp_path / "straight")
    for seed in (0, 1):
        for step in (3, 12):  # step 3 is replayed
            for one, other in zip(
                jax.tree.leaves(run.model(seed, step)),
                jax.tree.leaves(straight.model(seed, step)),
                strict=True,
            ):
                np.testing.assert_array_equal(one, other)
    branch = run.branch(5, out=tmp_path / "branch")
    end, again = run.networks([12], [0, 1]), branch.networks([12], [0, 1])
    assert end["means.1"].shape == (2, 1, 5)
    assert set(end) == set(again)
    for name, array in end.items():
        np.testing.assert_array_equal(array, again[name], err_msg=name)
    frozen = run.branch(
        5,
        parameters=["*"],
        clock="zero",
        interventions=[{"kind": "freeze", "parameters": ["scales.*"]}],
        out=tmp_path / "frozen",
    )
    before, after = (frozen.networks([step], [0, 1]) for step in (0, 12))
    np.testing.assert_array_equal(before["means.0"], run.networks([5], [0, 1])["means.0"])
    np.testing.assert_array_equal(before["scales.0"], after["scales.0"])
    for name in ("means.0", "shifts.0", "weights.0"):
        assert np.abs(before[name] - after[name]).min() > 0, name


def test_running_means_are_no_parameters() -> None:
    for part in (
        {"interventions": [{"kind": "freeze", "parameters": ["means.*"]}]},
        {"optimizer": AdamW(no_decay=["means.*"])},
    ):
        with pytest.raises(gs.InputError, match=r"'means\.\*' is no parameter of this network"):
            gs.Experiment(task=experiment(BOTH).task, model=BOTH, steps=1, **part)


def test_members_differ_in_what_is_dropped(run: gs.Run) -> None:
    noisy = gs.train(
        experiment(BOTH),
        gs.Members.crossed(noise=(0, 1)),
        out=Path(run.path).parent / "noise",
    )
    first, second = (noisy.measures.test_loss.isel(noise_seed=i).values for i in (0, 1))
    assert first.flat[0] == second.flat[0]
    assert first.flat[-1] != second.flat[-1]


def test_measures_are_taken_in_evaluation_mode(run: gs.Run) -> None:
    network = run.model(1, 12)
    data = run.data(1)
    values = data["test_x"]
    for i in range(2):
        z = values @ np.asarray(network.weights[i]) + np.asarray(network.biases[i])
        z = (z - np.asarray(network.means[i])) / np.sqrt(np.asarray(network.variances[i]) + 1e-5)
        values = np.maximum(z * np.asarray(network.scales[i]) + np.asarray(network.shifts[i]), 0)
    outputs = values @ np.asarray(network.output_weight) + np.asarray(network.output_bias)
    found = run.measures.sel(seed=1, step=12)
    assert found.test_loss.item() == pytest.approx(np.mean((outputs - data["test_y"]) ** 2), rel=1e-9)
    parameters = jax.tree.leaves(eqx.filter(split(network)[0], eqx.is_array))
    assert len(parameters) == 2 + 2 + 2 + 2 + 2
    wanted = np.sqrt(sum(np.square(np.asarray(leaf)).sum() for leaf in parameters))
    assert found.weight_norm.item() == pytest.approx(wanted, rel=1e-9)
    assert joined(*split(network)).means[0] is network.means[0]


@pytest.mark.slow
@pytest.mark.torch
def test_the_exported_module_predicts_the_same(run: gs.Run) -> None:
    import torch

    x = run.data(0)["test_x"]
    module = gs.to_torch(run, seed=0)
    with jax.enable_x64(True), torch.no_grad():
        np.testing.assert_allclose(module(torch.tensor(x)), run.model(0)(jnp.asarray(x)), rtol=1e-12)


@pytest.mark.torch
def test_a_network_of_pytorch_with_batch_normalization_is_recorded(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Linear(N_BITS, 5), torch.nn.BatchNorm1d(5), torch.nn.ReLU(), torch.nn.Linear(5, 1)
    network = torch.nn.Sequential(*layers)
    x = torch.randn(30, N_BITS) * 3 + 1
    network(x)  # which moves the running means
    weights = {
        "weights.0": {"from": "0.weight", "transpose": True},
        "biases.0": "0.bias",
        "scales.0": "1.weight",
        "shifts.0": "1.bias",
        "means.0": "1.running_mean",
        "variances.0": "1.running_var",
        "output_weight": "3.weight",
        "output_bias": "3.bias",
    }
    table = {"ignore": ["*.num_batches_tracked"], "weights": weights}
    data = {"train_x": x[:20], "train_y": x[:20, 0].sign(), "test_x": x[20:], "test_y": x[20:, 0].sign()}
    spec = {"model": BOTH.model_copy(update={"widths": (5,), "dropout": None}), "measures": []}
    with gs.Recorder(spec, tmp_path / "run", data=data, map=table) as recorder:
        recorder(0, network)  # compares its predictions with ours
    np.testing.assert_array_equal(recorder.run.model().means[0], network[1].running_mean)


# --- one-hot perceptrons: the activations are normalized ---

ONE_HOT = OneHotMLP(widths=[4, 3], activation="power", stds=[1.0], output_factor=0.5, batch_norm=True)
PAIRS = ModularOperator(
    operator="addition", p=5, train_fraction=0.6, operator_token=False, equals_token=False
)


@pytest.mark.slow
@pytest.mark.parametrize("widths", [[4, 3], [4]])
def test_one_hot_perceptrons_keep_the_contract_of_models(widths: list[int]) -> None:
    check_model(ONE_HOT.model_copy(update={"widths": tuple(widths), "dropout": 0.25}))


def test_one_hot_perceptrons_without_them_have_the_identity_of_before() -> None:
    plain = gs.Experiment(task=PAIRS, model=OneHotMLP(widths=[4]), loss="squared", epochs=1)
    assert not {"dropout", "batch_norm"} & plain.identifying()["model"].keys()
    other = plain.with_(model=OneHotMLP(widths=[4], batch_norm=True))
    assert other.identity != plain.identity


@pytest.mark.slow
def test_activations_are_normalized_and_then_dropped() -> None:
    """Against NumPy, in training and in evaluation."""
    with jax.enable_x64(True):
        model = ONE_HOT.model_copy(update={"dropout": 0.4})
        network = model.network(jax.random.key(1), (2, 5), 5)
        network = eqx.tree_at(
            lambda n: (n.scales, n.means),
            network,
            ((jnp.arange(4.0), jnp.ones(3)), (jnp.ones(4), jnp.ones(3))),
        )
        pairs = np.array([[0, 1], [2, 2], [4, 0], [3, 1], [1, 1]])
        x, key = jnp.eye(5)[pairs], jax.random.key(7)
        weight = jnp.array([1.0, 1.0, 1.0, 1.0, 0.0])  # the last is padding
        batch = Batch(x, None, weight)
        training = model.in_training(network, batch, key)
        assert network.mode is None
        table = np.asarray(network.hidden_weight)
        first = (table[0][pairs[:, 0]] + table[1][pairs[:, 1]]) ** 2
        keeps = [np.asarray(training.mode.dropped(jnp.ones((5, m)), i)) for i, m in enumerate((4, 3))]

        def forward(norms: list[tuple[np.ndarray, np.ndarray]], keeps: list[Any]) -> np.ndarray:
            values = first
            for i, (mean, variance) in enumerate(norms):
                values = values if i == 0 else (values @ np.asarray(network.weights[0])) ** 2
                normal = (values - mean) / np.sqrt(variance + 1e-5)
                values = (normal * np.asarray(network.scales[i]) + np.asarray(network.shifts[i])) * keeps[i]
            return 0.5 * values @ np.asarray(network.output_weight)

        still = [
            (np.asarray(m), np.asarray(v)) for m, v in zip(network.means, network.variances, strict=True)
        ]
        np.testing.assert_allclose(network(x), forward(still, [1.0, 1.0]), rtol=1e-12)
        moments = [(first[:4].mean(axis=0), first[:4].var(axis=0))]
        normal = (first - moments[0][0]) / np.sqrt(moments[0][1] + 1e-5) * np.arange(4.0) * keeps[0]
        second = (normal @ np.asarray(network.weights[0])) ** 2
        moments.append((second[:4].mean(axis=0), second[:4].var(axis=0)))
        np.testing.assert_allclose(training(x)[:4], forward(moments, keeps)[:4], rtol=1e-10)
        after = model.next_state(network, batch, key)
        np.testing.assert_allclose(after.means[1], 0.9 + 0.1 * moments[1][0], rtol=1e-12)
        np.testing.assert_allclose(after.variances[0], 0.9 + 0.1 * moments[0][1] * 4 / 3, rtol=1e-12)
        assert after.hidden_weight is None


@pytest.mark.slow
def test_normalized_neurons_are_measured_and_masked(tmp_path: Path) -> None:
    model = OneHotMLP(widths=[6], stds=[0.5], output_factor=1.0, batch_norm=True)
    run = gs.train(
        gs.Experiment(
            task=PAIRS,
            model=model,
            loss="squared",
            optimizer="adamw",
            batch_size=5,
            epochs=2,
            measures=["train_loss", "batch_norm_scale", NeuronParticipation()],
        ),
        out=tmp_path / "run",
    )
    network, keep = run.model(0), jnp.array([1.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    found = run.measures.isel(seed=0, step=-1)
    np.testing.assert_allclose(found.batch_norm_scale, np.abs(network.scales[0]), rtol=1e-6)
    assert found.neuron_participation_rfft.sizes == {"neuron": 6}
    x = jnp.asarray(run.data(0)["train_x"])
    values = np.asarray(network.hidden(x)) * np.asarray(keep)
    wanted = values @ np.asarray(network.output_weight)
    np.testing.assert_allclose(network.keeping(keep)(x), wanted, rtol=2e-5, atol=1e-6)
    assert (network.homogeneity, OneHotMLP().network(jax.random.key(0), (2, 5), 5).homogeneity) == (None, 3)
    masks = network.neuron_masks(keep)
    assert jax.tree.structure(masks) == jax.tree.structure(split(network)[0])
    np.testing.assert_array_equal(masks.scales[0], keep)
    without = gs.Experiment(task=PAIRS, model=OneHotMLP(widths=[6]), loss="squared", epochs=1)
    assert "batch_norm = true" in (BatchNormScale().missing(without) or "")
    assert BatchNormScale().missing(run.experiment) is None
