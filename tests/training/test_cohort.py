"""A member's bits depend on nothing but its experiment and its seeds."""

import hashlib

import jax
import numpy as np
import pytest

from grokscope.experiment import Experiment
from grokscope.runs.block import Block
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.spec.streams import Lineup, Members
from grokscope.training.cohort import Cohort, _program
from grokscope.training.devices import Execution
from grokscope.training.loop import MemberLoop, SegmentPlan
from grokscope.training.timeline import Timeline

SMALL = Experiment(
    task={"kind": "sparse_parity", "n": 12, "k": 2, "n_train": 50, "n_test": 20, "n_probe": 64},
    model={"kind": "fully_connected", "width": 24},
    epochs=6,
    batch_size=8,
)
STANDARD = Experiment(task="sparse_parity", epochs=2)


class Nowhere:
    """A sink that remembers the measures."""

    def __init__(self):
        self.results = []

    def segment(self, part, results, networks, checkpoint, until=None):
        self.results.append(results)

    def followed(self, part, results, pace):
        self.results.append(results)

    def subnetworks(self, flavor, masks):
        self.results.append({"masks": masks})


def hashes(experiment, seeds, execution, *, wanted=None):
    """Per member: the hash of its final state, as bytes of all leaves."""
    wanted = wanted or MeasurePlan()
    loop = MemberLoop(experiment, wanted.quick, wanted.slow, keep=bool(wanted.follow))
    cohort = Cohort(loop, Members.of_seeds(seeds), execution)
    block = Block(cohort, Timeline.of(experiment), wanted.follow, wanted.follow_slow)
    final = block.run(Nowhere())
    return {seed: digest(final, i) for i, seed in enumerate(seeds)}


def digest(final, i):
    """The hash of one member's state: the bytes of all leaves, in the order of their names."""
    return hashlib.sha256(b"".join(final.leaves[k][i].tobytes() for k in sorted(final.leaves))).hexdigest()


@pytest.fixture(scope="module")
def alone():
    return hashes(SMALL, [7], Execution("map", 1, 1))[7]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "execution"),
    [
        ([7], Execution("map", 1, 3)),
        ([7, 1], Execution("map", 2, 1)),
        ([3, 7, 5], Execution("map", 1, 3)),
        ([5, 3, 7], Execution("map", 2, 4)),
        ([0, 1, 2, 3, 4, 5, 6, 7], Execution("map", 2, 4)),
    ],
)
def test_bits_do_not_depend_on_neighbors_order_or_devices(alone, seeds, execution):
    assert hashes(SMALL, seeds, execution)[7] == alone


def test_other_seeds_have_other_bits(alone):
    assert hashes(SMALL, [8], Execution("map", 1, 1))[8] != alone


@pytest.mark.slow
def test_bits_of_the_standard_network_do_not_depend_on_the_cohort():
    one = hashes(STANDARD, [7], Execution("map", 1, 1))[7]
    assert hashes(STANDARD, [2, 7, 4], Execution("map", 2, 2))[7] == one
    # some of each pace; all of them: test_measuring_changes_no_bit
    few = "measures=['train_accuracy', 'test_loss', 'sensitivity', 'effective_sparsity', 'faithfulness']"
    wanted = MeasurePlan.of(STANDARD.with_(few))
    assert hashes(STANDARD, [7, 2], Execution("map", 2, 2), wanted=wanted)[7] == one


@pytest.mark.slow
def test_measuring_changes_no_bit(alone):
    wanted = MeasurePlan.of(SMALL)
    assert wanted.quick
    assert wanted.follow
    assert hashes(SMALL, [7, 2], Execution("map", 2, 1), wanted=wanted)[7] == alone


@pytest.mark.slow
def test_the_schedule_changes_no_bit(alone):
    often = SMALL.with_("schedule.measures='every 6 steps'")  # an epoch has 7
    # the program is that of the test before
    assert hashes(often, [7, 2], Execution("map", 2, 1), wanted=MeasurePlan.of(often))[7] == alone


def test_a_diverging_neighbor_is_marked_and_harms_nobody(alone):
    cohort = Cohort(
        MemberLoop(SMALL),
        Members.of_seeds([7, 3]),
        Execution("map", 1, 2),
        (("optimizer.learning_rate", (0.1, 1e6)),),
    )
    final = Block(cohort, Timeline.of(SMALL)).run(Nowhere())
    plain = Cohort(
        MemberLoop(SMALL),
        Members.of_seeds([7]),
        Execution("map", 1, 1),
        (("optimizer.learning_rate", (0.1,)),),
    )
    same = Block(plain, Timeline.of(SMALL)).run(Nowhere())
    assert digest(final, 0) == digest(same, 0)
    assert final.leaves["diverged"][0] == -1
    assert 0 < final.leaves["diverged"][1] < SMALL.n_steps
    assert not np.isfinite(final.leaves["state.network.hidden_weight"][1]).all()


OTHERS = (
    (),
    ("optimizer.learning_rate=0.03", "optimizer.weight_decay=0.3"),
    ("optimizer.weight_decay=0.0", "model.init_scale=0.37"),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "base",
    [
        (),
        ("optimizer.kind='sgd'", "optimizer.momentum=0.7", "optimizer.weight_decay=0.01"),
        ("optimizer.kind='adamw'",),
        ("optimizer.kind='adam'", "optimizer.schedule='cosine'", "task.labels='noisy'", "task.noise=0.2"),
    ],
)
def test_members_with_other_numbers_share_a_program_and_change_no_bit(base):
    """Each of three experiments trained alone, and all three in one cohort: one program, the same bits."""
    experiments = [SMALL.with_(*base, *more) for more in OTHERS]
    paths = experiments[0].numbers
    traced = tuple((path, tuple(e.numbers[path] for e in experiments)) for path in paths)
    timeline = Timeline.of(SMALL)
    _program.cache_clear()
    lineup = Lineup(Members.of_seeds([7]).seeds * len(experiments))
    cohort = Cohort(MemberLoop(experiments[1]), lineup, Execution("map", 2, 2), traced)
    together = Block(cohort, timeline).run(Nowhere())
    for i, one in enumerate(experiments):
        cohort = Cohort(MemberLoop(one), Members.of_seeds([7]), Execution("map", 2, 2))
        assert digest(Block(cohort, timeline).run(Nowhere()), 0) == digest(together, i)
    assert len({digest(together, i) for i in range(len(experiments))}) == len(experiments)
    assert _program.cache_info().currsize == 2  # start and segment
    assert cohort._program("segment").n_compiled == 1


def test_what_is_another_program_is_another_shape():
    same = ("optimizer.learning_rate=0.5", "epochs=9", "name='x'", "measures=['test_loss']")
    assert len({SMALL.with_(change).shape for change in same} | {SMALL.shape}) == 1
    other = ("model.width=9", "batch_size=4", "optimizer.momentum=0.5", "task.n_train=51", "loss='logistic'")
    assert len({SMALL.with_(change).shape for change in other} | {SMALL.shape}) == len(other) + 1
    falling = SMALL.with_("optimizer.schedule='linear'")
    assert falling.shape != falling.with_("epochs=9").shape


def test_going_on_from_a_checkpoint_changes_no_bit(alone):
    part = SMALL.with_("steps=31")  # in the middle of an epoch of 7 steps

    cohort = Cohort(MemberLoop(SMALL), Members.of_seeds([7]), Execution("map", 1, 1))
    middle = Block(
        Cohort(MemberLoop(part), Members.of_seeds([7]), Execution("map", 1, 1)), Timeline.of(part)
    ).run(Nowhere())
    assert middle.step == 31
    final = Block(cohort, Timeline.of(SMALL)).run(Nowhere(), middle)
    assert digest(final, 0) == alone


def test_the_batched_path_is_the_same_for_any_company():
    alone = hashes(SMALL, [7], Execution("vmap", 1, 4, 4))[7]
    among = hashes(SMALL, [1, 2, 7], Execution("vmap", 1, 4, 4))[7]
    on_two_devices = hashes(SMALL, [7, 5, 3, 1, 2, 0], Execution("vmap", 2, 4, 4))[7]
    assert alone == among == on_two_devices


def test_the_batched_path_trains_the_same_network():
    cohorts = [
        Cohort(MemberLoop(SMALL), Members.of_seeds([0, 1, 2]), execution)
        for execution in (Execution("map", 1, 3), Execution("vmap", 1, 4, 4))
    ]
    one, other = (Block(cohort, Timeline.of(SMALL)).run(Nowhere()) for cohort in cohorts)
    for name in one.leaves:
        # another summation order: equal to some units in the last place, grown over 42 steps
        np.testing.assert_allclose(one.leaves[name], other.leaves[name], rtol=1e-4, atol=1e-5)


def test_the_loop_is_plain_gradient_descent():
    """Against numpy, in float64, from the same weights and batches."""
    experiment = SMALL.with_("precision='float64'")
    with jax.enable_x64(True):
        cohort = Cohort(MemberLoop(experiment), Members.of_seeds([4]), Execution("map", 1, 1))
        carry, data = cohort.start()
        network = jax.tree.map(lambda leaf: np.array(leaf)[0], carry.state.network)
        x, y = np.array(data["train_x"])[0], np.array(data["train_y"])[0]
        assert x.dtype == np.float64
        order = jax.random.fold_in(jax.random.key(2), 4)
        flag = np.zeros(1, bool)
        after, _, _ = cohort.segment(
            carry, data, SegmentPlan(np.int32(0), np.array([20], np.int32), flag, flag)
        )
        w, b, u = network.hidden_weight, network.hidden_bias, network.output_weight
        for step in range(20):
            epoch, place = divmod(step, 7)
            rows = np.array(jax.random.permutation(jax.random.fold_in(order, epoch), 50))[
                8 * place : 8 * place + 8
            ]
            xs, ys = x[rows], y[rows]
            z = xs @ w + b
            h = np.maximum(z, 0)
            g = np.where(1 - ys * (h @ u) > 0, -ys / len(ys), 0.0)
            dz = np.outer(g, u) * (z > 0)
            du = h.T @ g
            w, b, u = (p - 0.1 * (d + 0.01 * p) for p, d in ((w, xs.T @ dz), (b, dz.sum(0)), (u, du)))
        trained = after.state.network
        np.testing.assert_allclose(np.array(trained.hidden_weight)[0], w, rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.array(trained.hidden_bias)[0], b, rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.array(trained.output_weight)[0], u, rtol=0, atol=1e-12)


class _Gpu:
    platform = "gpu"


@pytest.mark.parametrize(
    ("paper", "name", "profile", "block"),
    [("two-circuits", "standard", "paper", 256), ("two-circuits", "addition", "paper", 8),
     ("progress-measures", "mainline", "paper", 4)],
)  # fmt: skip
def test_on_a_gpu_larger_networks_come_in_smaller_blocks(monkeypatch, paper, name, profile, block):
    from grokscope.papers import find_paper
    from grokscope.training import devices

    spec = find_paper(paper).experiment(name).under(profile)[0]
    work = spec.model.flops_per_sample(spec.task.input_shape, spec.task.n_outputs)
    work *= spec.task.n_train if spec.batch_size == "full" else spec.batch_size
    assert block == 256 or block * work <= 5e10 < 2 * block * work
    monkeypatch.setattr(devices.jax, "devices", lambda: [_Gpu()])
    assert devices.choose_execution(1, experiment=spec) == Execution("vmap", 1, slots=block, block=block)
    many = devices.choose_execution(64, experiment=spec)
    assert (many.block, many.slots) == (block, max(64, block))
    assert devices.choose_execution(10_000, experiment=spec).capacity == 256


def test_data_are_drawn_with_the_numbers_of_the_member():
    """As at the start of training: the share of flipped labels is a number, which programs get as a value."""
    noisy = SMALL.with_("task.labels='noisy'", "task.noise=0.3")
    cohort = Cohort(MemberLoop(noisy), Members.of_seeds([7]), Execution("map", 1, 1))
    (_, started), drawn = cohort.start(), cohort.data()
    assert started.keys() == drawn.keys()
    for name, array in started.items():
        np.testing.assert_array_equal(array, drawn[name])
    true = np.asarray(drawn["train_x"])[0, :, :2].prod(axis=1)
    assert 0 < np.mean(true != np.asarray(drawn["train_y"])[0]) < 1
