"""Batches: every sample once per epoch, the last batch padded, the same from any starting step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.experiment import Experiment
from grokscope.training.sources import EpochSource, FullBatchSource, OnlineSource, source_of

KEY = jax.random.key(5)


def batches(source, data, start, count):
    """The batches as a plain loop sees them."""
    carry = jax.jit(source.start)(KEY, jnp.int32(start))
    serve = jax.jit(source.batch)  # not operation by operation, each of which would be compiled
    out = []
    for step in range(start, start + count):
        batch, carry = serve(carry, data, KEY, jnp.int32(step))
        out.append(batch)
    return out


def numbered(n):
    """Samples that carry their own row number."""
    x = jnp.arange(n, dtype=jnp.float32)[:, None]
    return {"train_x": x, "train_y": x[:, 0]}


@pytest.mark.parametrize(("n", "size"), [(10, 4), (12, 4), (7, 1), (1000, 32)])
def test_every_sample_once_per_epoch(n, size):
    source = EpochSource(n, size)
    served = batches(source, numbered(n), 0, 2 * source.steps_per_epoch)
    for epoch in range(2):
        rows = []
        for batch in served[epoch * source.steps_per_epoch : (epoch + 1) * source.steps_per_epoch]:
            real = np.ones(size, bool) if batch.weight is None else np.asarray(batch.weight) == 1
            rows.extend(np.asarray(batch.y)[real].tolist())
            np.testing.assert_array_equal(batch.x[:, 0], batch.y)
        assert sorted(rows) == list(range(n))


def test_the_paper_s_epoch_is_31_batches_of_32_and_one_of_8():
    source = EpochSource(1000, 32)
    sizes = [int(batch.weight.sum()) for batch in batches(source, numbered(1000), 0, 32)]
    assert sizes == [32] * 31 + [8]


def test_epochs_are_shuffled_anew():
    source = EpochSource(64, 64)
    first, second = batches(source, numbered(64), 0, 2)
    assert not np.array_equal(first.y, second.y)
    assert not np.array_equal(first.y, np.arange(64))


@pytest.mark.parametrize("start", [1, 2, 3, 7])
def test_starting_in_the_middle_gives_the_same_batches(start):
    source = EpochSource(10, 4)
    whole = batches(source, numbered(10), 0, 9)
    for one, other in zip(whole[start:], batches(source, numbered(10), start, 9 - start), strict=True):
        np.testing.assert_array_equal(one.y, other.y)
        np.testing.assert_array_equal(one.weight, other.weight)


def test_full_batch_is_the_training_set():
    data = numbered(6)
    (batch,) = batches(FullBatchSource(), data, 3, 1)
    np.testing.assert_array_equal(batch.x, data["train_x"])
    assert batch.weight is None


def test_online_batches_are_fresh_and_labelled():
    experiment = Experiment(task="sparse_parity", online=True, steps=10, batch_size=16)
    source = source_of(experiment)
    assert isinstance(source, OnlineSource)
    first, second = batches(source, {}, 0, 2)
    assert not np.array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.y, np.prod(np.asarray(first.x)[:, :3], axis=1))


@pytest.mark.parametrize(
    ("batch_size", "kind"), [("full", FullBatchSource), (1000, FullBatchSource), (999, EpochSource)]
)
def test_source_of(batch_size, kind):
    experiment = Experiment(task="sparse_parity", epochs=1, batch_size=batch_size)
    assert isinstance(source_of(experiment), kind)
