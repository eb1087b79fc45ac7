"""Participation and phases of neurons, by numpy's FFT."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope import Experiment
from grokscope.losses import Squared
from grokscope.measures import Point
from grokscope.measures.neuron_waves import (
    NeuronParticipation,
    NeuronPhase,
    Participation,
    PhaseAlignment,
    PhaseDefect,
)
from grokscope.models.modular_waves import ModularWaves
from grokscope.models.networks.one_hot_mlp import OneHotNeurons
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.tasks.modular_operator import ModularOperator

pytestmark = pytest.mark.usefixtures("float64")


def point(network, p, operator="addition"):
    task = ModularOperator(operator=operator, p=p, operator_token=False, equals_token=False)
    return Point(network, {}, Squared(), task=task)


def network_of(first, second, output):
    """From blocks [residue, neuron]."""
    table = jnp.asarray(np.stack([first, second]))
    return OneHotNeurons(table, jnp.asarray(output).T, "power", 2, 1.0)


def random_blocks(p, width=6, seed=0):
    return np.random.default_rng(seed).normal(size=(3, p, width))


def ratio(power):
    return np.sum(power**2, axis=0) / np.sum(power, axis=0) ** 2


PARTICIPATION = {
    "rfft": lambda blocks: np.mean([ratio(np.abs(np.fft.rfft(b, axis=0)) ** 2) for b in blocks], axis=0),
    "fft": lambda blocks: np.mean([ratio(np.abs(np.fft.fft(b, axis=0)) ** 2) for b in blocks], axis=0),
    "joint": lambda blocks: ratio(np.abs(np.fft.fft(np.concatenate(blocks[:2]), axis=0)) ** 2),
}


@pytest.mark.parametrize("p", [6, 7])
@pytest.mark.parametrize("convention", PARTICIPATION)
def test_participation_is_that_of_the_fourier_transform(p, convention):
    blocks = random_blocks(p)
    at = point(network_of(*blocks), p)
    wanted = PARTICIPATION[convention](blocks)
    np.testing.assert_allclose(NeuronParticipation(convention=convention)(at), wanted, rtol=1e-10)
    np.testing.assert_allclose(Participation(convention=convention)(at), wanted.mean(), rtol=1e-10)


@pytest.mark.slow
def test_participation_of_waves_of_noise_and_of_nothing():
    p = 97
    waves = drawn(ModularWaves(width=48), p)
    assert float(Participation()(point(waves, p))) == pytest.approx(1, abs=1e-5)
    assert float(Participation(convention="fft")(point(waves, p))) == pytest.approx(0.5, abs=1e-5)
    noise = network_of(*random_blocks(p, width=200))
    # 48 exponential powers and half of a chi-squared one: about 2 / 49
    assert float(Participation()(point(noise, p))) == pytest.approx(2 / 49, rel=0.05)
    nothing = network_of(*np.zeros((3, p, 4)))
    assert NeuronParticipation(convention="joint")(point(nothing, p)).tolist() == [0.0] * 4
    assert np.isnan(PhaseAlignment()(point(nothing, p)))


def drawn(model, p):
    return model.network(jax.random.key(0), (2, p), p)


@pytest.mark.parametrize("p", [8, 11])
def test_phases_are_arguments_of_the_largest_coefficient(p):
    blocks = random_blocks(p, seed=3)
    coefficients = np.fft.fft(blocks, axis=1)[:, 1 : p // 2 + 1]
    k = np.argmax((np.abs(coefficients) ** 2).sum(axis=0), axis=0)
    wanted = np.angle(np.take_along_axis(coefficients, k[None, None], axis=1)[:, 0])
    found = np.asarray(NeuronPhase()(point(network_of(*blocks), p)))
    np.testing.assert_allclose(np.exp(1j * found), np.exp(1j * wanted), atol=1e-9)


@pytest.mark.parametrize("operator", ["addition", "subtraction"])
def test_phases_that_are_written_down_add_up(operator):
    p = 11
    at = point(drawn(ModularWaves(operator=operator, width=30), p), p, operator)
    np.testing.assert_allclose(PhaseDefect()(at), 0, atol=1e-5)
    assert float(PhaseAlignment()(at)) == pytest.approx(1)
    # the other sign is not 0: the phases are random
    other = point(at.network, p, "subtraction" if operator == "addition" else "addition")
    assert abs(float(PhaseAlignment()(other))) < 0.6


def test_a_shift_of_phases_is_found():
    p, n = 13, np.arange(13)[:, None]
    rng = np.random.default_rng(0)
    k, phi, psi = np.arange(6) + 1, rng.uniform(-3, 3, 6), rng.uniform(-3, 3, 6)
    defect = np.array([0.1, -0.2, 0.3, 3.0, -3.0, 0.0])
    waves = [np.cos(2 * np.pi * k * n / p + phase) for phase in (phi, psi, phi + psi - defect)]
    at = point(network_of(*waves), p)
    np.testing.assert_allclose(PhaseDefect()(at), defect, atol=1e-9)
    assert float(PhaseAlignment()(at)) == pytest.approx(np.cos(defect).mean())


def test_neurons_whose_blocks_disagree_or_are_no_waves_are_left_out():
    p, n = 13, np.arange(13)[:, None]
    k = np.array([1, 2, 3, 4, 5, 6, 1])
    first, second, output = (np.cos(2 * np.pi * k * n / p) for _ in range(3))
    # another frequency is the largest; at that of the other blocks the phase is pi
    output[:, 6] = np.cos(2 * np.pi * 2 * n[:, 0] / p) - 0.3 * np.cos(2 * np.pi * n[:, 0] / p)
    for block in (first, second, output):  # four frequencies; the largest with a defect of 2
        block[:, 5] = np.cos(2 * np.pi * 6 * n[:, 0] / p + 2)
        block[:, 5] += 0.9 * np.cos(2 * np.pi * n * [1, 2, 3] / p).sum(axis=1)
    at = point(network_of(first, second, output), p)
    assert float(NeuronParticipation()(at)[5]) < 0.5
    assert float(PhaseAlignment()(at)) == pytest.approx(1)
    assert float(PhaseAlignment(neurons="all")(at)) == pytest.approx((5 + np.cos(2) - 1) / 7)


def test_the_names_say_the_convention():
    names = [Participation(convention=c).name for c in PARTICIPATION]
    assert names == ["participation_rfft", "participation_fft", "participation_joint"]


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ({"p": 7}, {"kind": "one_hot_mlp"}),  # with tokens for operator and equals sign
        ({"p": 7, "operator_token": False, "equals_token": False}, {"kind": "one_hot_mlp", "widths": [4, 4]}),
        ({"p": 7, "operator_token": False, "equals_token": False}, {"kind": "embedding_mlp"}),
    ],
)
def test_other_networks_are_told_what_is_needed(task, model):
    spec = Experiment(task={"kind": "modular_operator", **task}, model=model, loss="squared", steps=1)
    assert "one hidden layer on one-hot pairs" in (Participation().missing(spec) or "")
    assert OneHotMLP().axes((2, 7), 7)["block"] == ("first", "second", "output")
