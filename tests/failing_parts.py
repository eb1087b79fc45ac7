"""A plug-in whose parts do not keep their contracts, each in one way (`tests/cli/test_failing_parts.py`)."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from grokscope.learners import Learner, State
from grokscope.learners.gradient import Gradient
from grokscope.losses import Loss
from grokscope.measures import Measure
from grokscope.models import Model
from grokscope.optimizers import Optimizer
from grokscope.tasks import Task


class Linear(eqx.Module):
    """x -> x w."""

    w: Any

    def __call__(self, x):
        return x @ self.w


class NoUpdate(Learner):
    """Has no update."""

    kind: Literal["no_update"] = "no_update"

    def init(self, spec, key, data):
        return State(spec.model.network(key, spec.task.input_shape, spec.task.n_outputs))

    def predictor(self, state):
        return state.network


class Raises(Gradient):
    """Raises in its update."""

    kind: Literal["raises"] = "raises"

    def update(self, spec, state, batch, key, step, losses=None):
        return 1 / 0


class Widens(Gradient):
    """Returns a state of another shape."""

    kind: Literal["widens"] = "widens"

    def update(self, spec, state, batch, key, step, losses=None):
        state, loss = super().update(spec, state, batch, key, step, losses)
        return state._replace(network=jax.tree.map(lambda leaf: leaf[..., None], state.network)), loss


class NoState(Gradient):
    """Returns no state."""

    kind: Literal["no_state"] = "no_state"

    def init(self, spec, key, data):
        return super().init(spec, key, data).network


class Column(Model):
    """Outputs of shape [sample, 1]."""

    kind: Literal["column"] = "column"

    def network(self, key, input_shape, n_outputs):
        return Linear(jnp.zeros((*input_shape, 1)))

    def n_parameters(self, input_shape, n_outputs):
        return 3


class Misnamed(Column):
    """A network that fails in a helper of the file."""

    kind: Literal["misnamed"] = "misnamed"

    def network(self, key, input_shape, n_outputs):
        return Linear(_missing(input_shape))


def _missing(shape):
    return shape.nothing


class Uncounted(Model):
    """Has no n_parameters."""

    kind: Literal["uncounted"] = "uncounted"

    def network(self, key, input_shape, n_outputs):
        return Linear(jnp.zeros(input_shape))


class Promises(Uncounted):
    """Promises neurons that its network does not have."""

    kind: Literal["promises"] = "promises"

    @property
    def n_neurons(self):
        return 5

    @property
    def has_one_hidden_layer(self):
        return True

    def n_parameters(self, input_shape, n_outputs):
        return 3


class MeanLoss(Loss):
    """Gives one number for all samples."""

    kind: Literal["mean_loss"] = "mean_loss"

    def per_sample(self, outputs, y):
        return jnp.mean((outputs - y) ** 2)


class NoTransform(Optimizer):
    """Transforms nothing."""

    kind: Literal["no_transform"] = "no_transform"

    def transform(self, n_steps):
        return None


class Vector(Measure):
    """Has another shape than it says."""

    kind: Literal["vector"] = "vector"
    default = False

    def __call__(self, point):
        return point.outputs("train")


class Nowhere(Vector):
    """Has an axis that is not known."""

    kind: Literal["nowhere"] = "nowhere"
    dims = ("nowhere",)


class Undeclared(Vector):
    """Uses the start without saying so."""

    kind: Literal["undeclared"] = "undeclared"

    def __call__(self, point):
        return point.initial.hidden_weight[0, 0]


class NoShape(Task):
    """Has no input_shape."""

    kind: Literal["no_shape"] = "no_shape"


class NoTest(Task):
    """Gives no test set."""

    kind: Literal["no_test"] = "no_test"
    n_train: int = 4

    @property
    def input_shape(self):
        return (3,)

    def member_data(self, data_key, noise_key):
        return {"train_x": jax.random.normal(data_key, (4, 3)), "train_y": jnp.ones(4)}
