"""Gaussian inputs, with a teacher or one label: laws of the data, exact expectations against sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.losses import Exponential, Hinge, Logistic, Squared
from grokscope.measures import Point
from grokscope.measures.tolerance import (
    PopulationToleranceAccuracy,
    TestToleranceAccuracy,
    TrainToleranceAccuracy,
)
from grokscope.models.networks.linear_network import LinearNetwork
from grokscope.tasks.constant_label import ConstantLabel
from grokscope.tasks.gaussian_teacher import GaussianTeacher

KEY, NOISE = jax.random.split(jax.random.key(3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "teacher",
    [
        {"teacher": "linear"},
        {"teacher": "quadratic"},
        {"teacher": "parity", "k": 1, "teacher_scale": 0.7},
        {"teacher": "parity", "k": 2, "teacher_scale": 0.7},
        {"teacher": "parity", "k": 3},
    ],
    ids=lambda one: "-".join(map(str, one.values())),
)
def test_the_loss_over_all_inputs_is_that_of_many(teacher):
    task = GaussianTeacher(d=3, outputs=2, n_train=200_000, n_test=0, **teacher)
    data = task.member_data(KEY, NOISE)
    rng = np.random.default_rng(0)
    network = LinearNetwork((jnp.asarray(rng.normal(size=(3, 2))),), jnp.asarray([0.3, -0.2]))
    seen = Squared().per_sample(network(data["train_x"]), data["train_y"])
    exact = float(task.population(network, Squared(), data)["loss"])
    assert exact == pytest.approx(float(seen.mean()), abs=5 * float(seen.std()) / 200_000**0.5)


def test_teacher_inputs_and_noise_have_their_scales():
    task = GaussianTeacher(d=200, outputs=50, n_train=1000, n_test=0, teacher_scale=0.5, noise=2.0)
    data = task.member_data(KEY, NOISE)
    assert float(jnp.sum(data["teacher"] ** 2)) == pytest.approx(0.25, rel=0.05)
    assert float(jnp.var(data["train_x"])) == pytest.approx(1, rel=0.02)
    rest = data["train_y"] - data["train_x"] @ data["teacher"]
    assert float(jnp.std(rest)) == pytest.approx(2, rel=0.02)


def test_a_parity_is_the_product_of_the_signs_of_k_inputs():
    task = GaussianTeacher(
        d=6, outputs=3, n_train=50, n_test=20, teacher="parity", k=4, teacher_scale=2.0, noise=0.5
    )
    data = {name: np.asarray(array) for name, array in task.member_data(KEY, NOISE).items()}
    assert set(data["teacher"].ravel()) == {0, 1}
    assert data["teacher"].sum(axis=0).tolist() == [4, 4, 4]
    assert len({tuple(column) for column in data["teacher"].T}) > 1
    for sample, labels in zip(data["test_x"], data["test_y"], strict=True):
        for label, chosen in zip(labels, data["teacher"].T, strict=True):
            assert label == 2.0 * np.prod(np.sign(sample[chosen == 1]))
    true = 2.0 * np.stack(
        [np.prod(np.sign(data["train_x"][:, chosen == 1]), axis=1) for chosen in data["teacher"].T], axis=1
    )
    assert np.std(data["train_y"] - true) == pytest.approx(0.5, rel=0.15)


def test_a_network_labels_by_its_arrays_and_starts_as_pytorch_does():
    task = GaussianTeacher(d=5, outputs=4, n_train=30, n_test=20, teacher="mlp", teacher_scale=3.0)
    data = {name: np.asarray(array, np.float64) for name, array in task.member_data(KEY, NOISE).items()}
    for split in ("train", "test"):
        values = data[f"{split}_x"]
        for i in (0, 1):
            values = np.tanh(values @ data[f"teacher.weights.{i}"] + data[f"teacher.biases.{i}"])
        expected = values @ data["teacher.output_weight"] + data["teacher.output_bias"]
        np.testing.assert_allclose(data[f"{split}_y"], expected, atol=1e-5)
    shapes = {name: array.shape for name, array in data.items() if name.startswith("teacher.")}
    assert shapes["teacher.weights.1"] == (100, 100)
    assert len(shapes) == 6
    inputs = {"weights.0": 5, "biases.0": 5, "weights.1": 100, "biases.1": 100}
    for name, m in {**inputs, "output_weight": 100, "output_bias": 100}.items():
        array = data[f"teacher.{name}"]
        assert np.abs(array).max() <= 3.0 / m**0.5
        if array.size >= 100:
            assert np.abs(array).mean() == pytest.approx(1.5 / m**0.5, rel=0.2)


def test_a_network_is_no_network_of_the_population():
    task = {"kind": "gaussian_teacher", "teacher": "mlp"}
    spec = Experiment(task=task, model="linear", loss="squared", steps=1)
    assert spec.task.population_names == ()
    reason = PopulationToleranceAccuracy().missing(spec)
    assert reason is not None
    assert "\n" not in reason


def test_a_new_teacher_leaves_the_identity_of_the_others():
    table = GaussianTeacher(d=4).identifying()
    assert not {"k", "teacher_widths"} & set(table)
    assert GaussianTeacher(teacher="parity", k=3).identifying()["k"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [1, 8])
def test_the_tolerance_accuracy_over_all_inputs_is_that_of_many(outputs):
    """With several outputs for errors that are independent and of equal variance, as the docstring says."""
    task = GaussianTeacher(d=outputs + 1, outputs=outputs, n_train=100_000, n_test=0)
    data = task.member_data(KEY, NOISE)
    error = 0.04 * jnp.eye(outputs + 1)[:, :outputs]
    bias = jnp.asarray([0.02]) if outputs == 1 else None
    network = LinearNetwork((data["teacher"] + error,), bias)
    if outputs == 1:
        network = LinearNetwork((network.weights[0][:, 0],), jnp.asarray(0.02))
    point = Point(network, data, Squared(), task=task)
    seen, exact = TrainToleranceAccuracy()(point), PopulationToleranceAccuracy()(point)
    assert float(exact) == pytest.approx(float(seen), abs=5 * (0.25 / 100_000) ** 0.5)
    assert 0.2 < float(exact) < 0.8


def test_the_events_of_a_teacher_are_on_measures_that_are_taken():
    table = {"model": "linear", "loss": "squared", "batch_size": "full", "optimizer": "sgd", "steps": 4}
    taken = {True: TestToleranceAccuracy().name, False: PopulationToleranceAccuracy().name}
    for has_test, name in taken.items():
        task = {"kind": "gaussian_teacher", "n_test": 10 if has_test else 0}
        spec = Experiment(task=task, **table)
        names = [measure.name for measure in spec.chosen_measures]
        assert spec.events["grokking"].measure == name
        assert name in names
        assert "train_tolerance_accuracy" in names


def test_expectations_of_other_networks_are_refused_with_a_line():
    task = {"kind": "gaussian_teacher", "n_test": 0}
    spec = Experiment(task=task, model="fully_connected", loss="squared", steps=1)
    names = [measure.name for measure in spec.chosen_measures]
    assert "population_tolerance_accuracy" not in names
    reason = PopulationToleranceAccuracy().missing(spec)
    assert reason is not None
    assert "model 'fully_connected'" in reason
    assert "\n" not in reason


@pytest.mark.parametrize("loss", [Logistic(), Hinge(), Exponential()], ids=lambda loss: loss.kind)
@pytest.mark.parametrize("scale", [0.01, 3.0])
def test_expectations_of_one_label_are_integrals(loss, scale):
    """Against Gauss-Legendre on both sides of the kink of the hinge loss."""
    task = ConstantLabel(d=2, sigma=2.0)
    network = LinearNetwork((jnp.asarray([0.3, 0.4]) * scale,), jnp.asarray(-0.7))
    spread = 2.0 * 0.5 * scale
    z, w = np.polynomial.legendre.leggauss(400)
    total = 0.0
    kink = float(np.clip((-1 + 0.7) / spread, -12, 12))  # where the hinge loss of the label -1 begins
    for low, high in ((-12, kink), (kink, 12)):
        at = (high - low) / 2 * z + (high + low) / 2
        each = np.asarray(loss.per_sample(jnp.asarray(-0.7 + spread * at), -jnp.ones(400)))
        total += (high - low) / 2 * w @ (each * np.exp(-(at**2) / 2)) / np.sqrt(2 * np.pi)
    found = task.population(network, loss, {})
    assert float(found["loss"]) == pytest.approx(total, rel=1e-4)
    assert float(found["output_std"]) == pytest.approx(spread, rel=1e-6)


def test_the_accuracy_of_one_label_is_that_of_many():
    task = ConstantLabel(d=3, sigma=1.5, n_train=100_000, n_test=0, flipped=0.1)
    data = task.member_data(KEY, NOISE)
    network = LinearNetwork((jnp.asarray([0.5, -0.2, 0.1]),), jnp.asarray(-0.4))
    seen = float(jnp.mean(network(data["train_x"]) < 0))
    assert float(task.population(network, Logistic(), data)["accuracy"]) == pytest.approx(seen, abs=0.008)
    assert float(jnp.mean(data["train_y"] == 1)) == pytest.approx(0.1, abs=0.005)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="teacher"):
        GaussianTeacher(teacher="cubic")
    for wrong, message in (
        ({"k": 3}, "k is for teacher = 'parity'"),
        ({"teacher_widths": (3,)}, "teacher_widths is for teacher = 'mlp'"),
        ({"teacher": "parity", "d": 3, "k": 4}, "k must be at most d = 3"),
        ({"teacher": "mlp", "teacher_widths": ()}, "one width from 1 to 10,000,000 for each hidden layer"),
    ):
        with pytest.raises(InputError, match=message):
            GaussianTeacher(**wrong)
    with pytest.raises(InputError, match="sigma"):
        ConstantLabel(sigma=0.0)
