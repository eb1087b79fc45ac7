"""Committee machines, diagonal networks, output scale and centering, against formulas written down here."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.losses import Squared
from grokscope.measures import Point
from grokscope.measures.population import MomentError, PopulationLoss
from grokscope.measures.tangent_kernel import KernelAlignment, KernelDistance
from grokscope.models.committee import Committee
from grokscope.models.diagonal import Diagonal
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.mlp import MLP
from grokscope.models.networks.tangent_kernel import tangent_kernel
from grokscope.models.networks.training import joined, split
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.models.scaled import Scaled
from grokscope.tasks.gaussian_teacher import GaussianTeacher

pytestmark = pytest.mark.usefixtures("tmp_cwd")
RNG = np.random.default_rng(0)


def committee(d=6, n=9, eps=0.7, **fields):
    network = Committee(width=n, curvature=eps, **fields).network(jax.random.key(1), (d,), 1)
    return network, np.asarray(network.weight)


def test_a_committee_is_the_mean_of_its_neurons():
    with jax.enable_x64(True):
        network, w = committee(init_scale=2.0)
        x = RNG.normal(size=(5, 6))
        by_hand = np.zeros(5)
        for s, i in np.ndindex(5, 9):
            h = sum(w[k, i] * x[s, k] for k in range(6)) / 6**0.5
            by_hand[s] += (h + 0.7 / 2 * h**2) / 9
        np.testing.assert_allclose(network(jnp.asarray(x)), by_hand, rtol=1e-12)
        c, b, a = network.quadratic_form
        form = float(c) + x @ np.asarray(b) + np.einsum("si,ij,sj->s", x, np.asarray(a), x)
        np.testing.assert_allclose(form, by_hand, rtol=1e-12)
    assert 1.5 < w.std() < 2.5


def test_a_committee_has_one_output():
    with pytest.raises(InputError, match="model 'committee' has one output; this task needs 2"):
        Experiment(
            task={"kind": "gaussian_teacher", "outputs": 2}, model="committee", loss="squared", epochs=1
        )


@pytest.mark.parametrize("centered", [False, True])
def test_the_tangent_kernel_of_a_committee_is_the_formula(centered):
    """Kumar et al. 2023, equation 5, with inputs over the root of d; N alpha^-2 K of our parametrization."""
    alpha, eps, d, n = 3.0, 0.7, 6, 9
    with jax.enable_x64(True):
        model = Scaled(of=Committee(width=n, curvature=eps), output_scale=alpha, centered=centered)
        network = model.network(jax.random.key(1), (d,), 1)
        w = np.asarray(network.network.weight)
        x, z = RNG.normal(size=(40, d)), RNG.normal(size=(3, d))
        found = np.asarray(tangent_kernel(network, jnp.asarray(x), jnp.asarray(z)))
        same = np.asarray(tangent_kernel(network, jnp.asarray(x)))
    mean, m = w.mean(axis=1), w @ w.T / n
    wanted = np.zeros((40, 3))
    for i, j in np.ndindex(40, 3):
        a, b = x[i] / d**0.5, z[j] / d**0.5
        dot = a @ b
        wanted[i, j] = dot + eps * dot * (mean @ (a + b)) + eps**2 * dot * (a @ m @ b)
    np.testing.assert_allclose(found * n / alpha**2, wanted, rtol=1e-10)
    assert np.linalg.eigvalsh(same).min() > -1e-10 * np.linalg.norm(same)


def test_the_tangent_kernel_of_a_wide_committee_is_that_of_infinite_width():
    d, n, eps = 10, 40_000, 2.0
    network = Committee(width=n, curvature=eps).network(jax.random.key(0), (d,), 1)
    x = RNG.normal(size=(6, d))
    found = n * np.asarray(tangent_kernel(network, jnp.asarray(x, jnp.float32)))
    dot = x @ x.T / d
    # corrections are of order 1 / sqrt(n) = 0.005
    np.testing.assert_allclose(found, dot + eps**2 * dot**2, atol=0.03 * np.abs(dot).max() * eps**2)


@pytest.mark.slow
def test_the_tangent_kernel_sums_over_outputs():
    with jax.enable_x64(True):
        network = MLP(widths=(4, 3), activation="tanh").network(jax.random.key(0), (2,), 3)
        x = jnp.asarray(RNG.normal(size=(5, 2)))
        jacobian = jax.jacrev(lambda n: n(x))(network)  # leaves [sample, output, ...]
        rows = np.concatenate(
            [np.asarray(leaf).reshape(5, 3, -1) for leaf in jax.tree.leaves(jacobian)], axis=2
        )
        np.testing.assert_allclose(
            tangent_kernel(network, x), np.einsum("iop,jop->ij", rows, rows), rtol=1e-10
        )


def test_the_tangent_kernel_leaves_out_what_is_not_trained():
    """Running means, the curvature, the output scale and the initial network have no gradient."""
    model = OneHotMLP(widths=(4,), batch_norm=True)
    inside = model.network(jax.random.key(0), (2, 3), 3)
    x = jax.nn.one_hot(jnp.array([[0, 1], [2, 2]]), 3)
    outside = Scaled(of=model, output_scale=2.0, centered=True).network(jax.random.key(0), (2, 3), 3)
    np.testing.assert_allclose(tangent_kernel(outside, x), 4 * tangent_kernel(inside, x), rtol=1e-5)


def test_kernel_measures_are_cosines():
    d = 4
    first, now = (Committee(width=5).network(jax.random.key(i), (d,), 1) for i in (0, 1))
    x, y = RNG.normal(size=(7, d)).astype(np.float32), RNG.normal(size=7).astype(np.float32)
    data = {"test_x": x, "test_y": y, "train_x": x[:3], "train_y": y[:3]}
    point = Point(now, {name: jnp.asarray(one) for name, one in data.items()}, Squared(), initial=first)
    k, k0 = (np.asarray(tangent_kernel(one, jnp.asarray(x)), np.float64) for one in (now, first))
    wanted = y @ k @ y / (np.linalg.norm(k) * y @ y)
    assert float(KernelAlignment()(point)) == pytest.approx(wanted, rel=1e-4)
    wanted = 1 - (k * k0).sum() / np.linalg.norm(k) / np.linalg.norm(k0)
    assert float(KernelDistance()(point)) == pytest.approx(wanted, abs=1e-5)
    k, y = k[:2, :2], y[:2]
    wanted = y @ k @ y / (np.linalg.norm(k) * y @ y)
    assert float(KernelAlignment(split="train", inputs=2)(point)) == pytest.approx(wanted, rel=1e-4)
    assert KernelAlignment(split="train", inputs=2).name == "kernel_alignment_train_2"


def test_kernel_alignment_of_classes_is_that_of_one_hot_labels():
    model = OneHotMLP(widths=(6,))
    network = model.network(jax.random.key(0), (2, 4), 4)
    tokens = np.array([[0, 1], [2, 2], [3, 1]])
    x, y = jax.nn.one_hot(tokens, 4), np.array([3, 0, 3])
    point = Point(network, {"test_x": x, "test_y": jnp.asarray(y, jnp.int32)}, Squared())
    k = np.asarray(tangent_kernel(network, x))
    same = (y[:, None] == y[None, :]).astype(float)
    wanted = (k * same).sum() / np.linalg.norm(k) / np.linalg.norm(same)
    assert float(KernelAlignment()(point)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("centered", [False, True])
def test_the_three_terms_are_the_loss_on_fresh_samples(centered):
    """And those of Kumar et al. 2023, equation 6, in its symbols."""
    d, n, alpha, eps, many = 5, 7, 2.0, 0.6, 400_000
    task = GaussianTeacher(d=d, n_train=3, n_test=many, teacher="quadratic", teacher_scale=0.5**0.5)
    data = task.member_data(jax.random.key(0), jax.random.key(1))
    model = Scaled(of=Committee(width=n, curvature=eps), output_scale=alpha, centered=centered)
    start = model.network(jax.random.key(2), (d,), 1)
    weight = start.network.weight + jax.random.normal(jax.random.key(3), (d, n))
    moved = eqx.tree_at(lambda one: one.network.weight, start, weight)
    point = Point(moved, data, Squared(), task=task)
    terms = np.asarray(MomentError()(point), np.float64)
    errors = np.asarray(Squared().per_sample(moved(data["test_x"]), data["test_y"]), np.float64)
    assert terms.sum() == pytest.approx(errors.mean(), abs=4 * errors.std() / many**0.5)
    assert float(PopulationLoss()(point)) == pytest.approx(terms.sum(), rel=1e-6)
    if centered:
        return
    w, beta = np.asarray(weight, np.float64), np.asarray(data["teacher"])[:, 0] * (2 * d) ** 0.5
    mean, m = w.mean(axis=1), w @ w.T / n
    wanted = [
        (beta @ beta / d - alpha * eps * np.trace(m) / d) ** 2 / 4,
        np.linalg.norm(alpha * eps * m - np.outer(beta, beta)) ** 2 / (2 * d**2),
        alpha**2 / d * mean @ mean,
    ]
    np.testing.assert_allclose(terms, wanted, rtol=1e-4)


def test_a_quadratic_function_of_another_teacher_is_refused_with_one_line():
    task = {"kind": "gaussian_teacher", "d": 4, "teacher": "linear"}
    with pytest.raises(InputError, match="moment_error needs a squared error whose terms are known"):
        gs.train(
            Experiment(task=task, model="committee", loss="squared", epochs=1, measures=["moment_error"]),
            seeds=1,
        )


def test_centered_networks_start_at_zero_and_keep_their_start():
    model = Scaled(of=FullyConnected(width=4), output_scale=5.0, centered=True)
    network = model.network(jax.random.key(0), (3,), 1)
    x = jnp.asarray(RNG.normal(size=(6, 3)), jnp.float32)
    np.testing.assert_array_equal(network(x), np.zeros(6))
    trained, state = split(network)
    moved = joined(jax.tree.map(lambda leaf: 2 * leaf, trained), state)
    plain = FullyConnected(width=4).network(jax.random.key(0), (3,), 1)
    twice = jax.tree.map(lambda leaf: 2 * leaf, plain)
    np.testing.assert_allclose(moved(x), 5 * (twice(x) - plain(x)), rtol=1e-5, atol=1e-6)
    n_trained = sum(leaf.size for leaf in jax.tree.leaves(trained))
    assert n_trained == FullyConnected(width=4).n_parameters((3,), 1)


def scaled_spec(alpha, label, centered=False):
    task = {"kind": "gaussian_teacher", "d": 3, "n_train": 20, "n_test": 9, "teacher_scale": label}
    model = {
        "kind": "scaled",
        "of": {"kind": "mlp", "widths": [6]},
        "output_scale": alpha,
        "centered": centered,
    }
    return Experiment(
        task=task,
        model=model,
        loss="squared",
        optimizer={"kind": "sgd", "learning_rate": 0.2 / alpha**2},
        steps=60,
        batch_size="full",
        measures=["train_loss", "test_loss"],
        precision="float64",
    )


def test_output_scale_is_a_scale_of_the_labels():
    """alpha f on labels alpha y at a rate over alpha^2: parameters move alike, losses are alpha^2 times."""
    both = (gs.train(scaled_spec(*each), seeds=2).measures for each in ((1.0, 0.5), (4.0, 2.0)))
    one, other = both
    for name in ("train_loss", "test_loss"):
        np.testing.assert_allclose(other[name], 16 * one[name], rtol=1e-9)
    assert float(one["train_loss"][0, -1]) < 0.9 * float(one["train_loss"][0, 0])


@pytest.mark.slow
def test_the_start_of_a_centered_run_is_kept_through_checkpoints(tmp_path):
    """A run that is trained on from its checkpoint has the bits of one that was not interrupted."""
    spec = scaled_spec(2.0, 1.0, centered=True)
    gs.train(spec.with_("steps=20"), seeds=2, out=tmp_path / "run")
    resumed = gs.train(spec, seeds=2, out=tmp_path / "run").measures
    whole = gs.train(spec, seeds=2).measures
    for name in ("train_loss", "test_loss"):
        np.testing.assert_array_equal(resumed[name].sel(step=60), whole[name].sel(step=60))
    labels = np.asarray(gs.open_run(tmp_path / "run").data(0)["train_y"], np.float64)
    assert float(whole["train_loss"][0, 0]) == pytest.approx(float(np.mean(labels**2)))


def test_a_lazy_network_is_kernel_regression():
    """Large output scale, centered: gradient descent is that of the linear model of the tangent kernel."""
    d, n, p, steps, rate = 4, 30, 12, 400, 0.5
    task = {"kind": "gaussian_teacher", "d": d, "n_train": p, "n_test": 50, "teacher": "quadratic"}
    alpha = 300.0
    of = {"kind": "committee", "width": n, "curvature": 1.0}
    spec = Experiment(
        task=task,
        model={"kind": "scaled", "of": of, "output_scale": alpha, "centered": True},
        loss="squared",
        optimizer={"kind": "sgd", "learning_rate": rate * n / alpha**2},
        steps=steps,
        batch_size="full",
        measures=["train_loss", "kernel_distance"],
        precision="float64",
    )
    run = gs.train(spec, seeds=1)
    data, start, end = run.data(0), run.model(0, 0), run.model(0, -1)
    x, y, z = (np.asarray(data[name], np.float64) for name in ("train_x", "train_y", "test_x"))
    with jax.enable_x64(True):
        k = np.asarray(tangent_kernel(start, jnp.asarray(x))) * n / alpha**2
        kz = np.asarray(tangent_kernel(start, jnp.asarray(z), jnp.asarray(x))) * n / alpha**2
        found = np.asarray(end(jnp.asarray(z)))
    # f_T = K(z, X) K^-1 (1 - (1 - 2 eta K / p)^T) y
    left = np.linalg.matrix_power(np.eye(p) - 2 * rate * k / p, steps)
    wanted = kz @ np.linalg.solve(k, y - left @ y)
    assert np.linalg.norm(found - wanted) < 0.02 * np.linalg.norm(wanted)
    assert float(run.measures["kernel_distance"].isel(seed=0, step=-1)) < 1e-3


@pytest.mark.parametrize("depth", [2, 3])
def test_a_diagonal_network_is_a_linear_function(depth):
    model = Diagonal(depth=depth, init_scale=0.5)
    start = model.network(jax.random.key(0), (4,), 1)
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(start(jnp.asarray(x)), np.zeros(3))
    u, v = RNG.normal(size=4).astype(np.float32), RNG.normal(size=4).astype(np.float32)
    network = eqx.tree_at(lambda n: (n.positive, n.negative), start, (jnp.asarray(u), jnp.asarray(v)))
    np.testing.assert_allclose(network(jnp.asarray(x)), x @ (u**depth - v**depth), rtol=1e-5)
    weight, bias = network.affine
    np.testing.assert_allclose(weight[:, 0], u**depth - v**depth, rtol=1e-5)
    assert bias.tolist() == [0]


def test_a_diagonal_network_ends_where_its_closed_form_says():
    """Woodworth et al. 2020: the interpolating beta with arsinh(beta / 2 alpha^2) in the span of the inputs.

    For small alpha its l1 norm is near the least one, which linear programming gives; for large alpha its l2
    norm is, which the pseudo-inverse gives.
    """
    from scipy.optimize import linprog

    d, n = 8, 4
    ends = {}
    for alpha, rate, steps in ((1e-3, 0.02, 20_000), (3.0, 0.0005, 20_000)):
        spec = Experiment(
            task={"kind": "gaussian_teacher", "d": d, "n_train": n, "n_test": 0},
            model={"kind": "diagonal", "init_scale": alpha},
            loss="squared",
            optimizer={"kind": "sgd", "learning_rate": rate},
            steps=steps,
            batch_size="full",
            measures=["train_loss"],
            schedule={"measures": "ends", "slow_measures": "ends", "follow": "ends"},
            precision="float64",
        )
        run = gs.train(spec, seeds=1)
        data = run.data(0)
        x, y = (np.asarray(data[name], np.float64) for name in ("train_x", "train_y"))
        beta = np.asarray(run.model(0, -1).weight)
        np.testing.assert_allclose(x @ beta, y, atol=1e-6)
        dual = np.arcsinh(beta / (2 * alpha**2))
        inside = x.T @ np.linalg.lstsq(x.T, dual, rcond=None)[0]
        assert np.linalg.norm(dual - inside) < 0.02 * np.linalg.norm(dual)
        ends[alpha] = beta
    least = linprog(np.ones(2 * d), A_eq=np.hstack([x, -x]), b_eq=y).fun
    euclidean = np.linalg.pinv(x) @ y
    assert np.abs(ends[1e-3]).sum() == pytest.approx(least, rel=0.05)
    assert np.abs(euclidean).sum() > 1.1 * least
    np.testing.assert_allclose(ends[3.0], euclidean, atol=0.02 * np.abs(euclidean).max())
