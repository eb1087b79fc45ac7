"""How close each neuron's weights over the residues mod p are to one wave: participation and phases.

A neuron of a network on one-hot pairs (a, b) has three blocks of weights: from a, from b, and to the answers,
each a function of a residue. In networks with weights that can be written down the three are waves of one
frequency, whose phases add up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from grokscope.losses import neuron_norms
from grokscope.measures._measure import Measure
from grokscope.measures.needs import MODULAR_SUM, PAIR_BLOCKS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = [
    "NeuronFrequencyPower",
    "NeuronParticipation",
    "NeuronPhase",
    "NeuronsPerFrequency",
    "Participation",
    "PhaseAlignment",
    "PhaseDefect",
]

_FEWEST = 5  # neurons, of which an alignment is the mean
_ONE_WAVE = 0.5  # participation of a neuron that counts as one wave
_ALIVE = 0.01  # norm of a neuron that counts, as a share of the largest


def _blocks(point: Point) -> jax.Array:
    """The weights of each neuron, [residue, block, neuron]."""
    import jax.numpy as jnp

    table, out = point.network.hidden_weight, point.network.output_weight
    return jnp.stack([table[0], table[1], out.T], axis=1)


def _power(values: jax.Array, *, two_sided: bool) -> jax.Array:
    """Squares of the absolute DFT coefficients along the first axis, up to one factor, [bin, ...]."""
    import jax.numpy as jnp

    from grokscope.measures._fourier import by_frequency, components

    squares = jnp.square(components(values))
    halves = by_frequency(squares)  # the power of k and of -k together; k = p/2 and 0 are their own negatives
    last = len(values) // 2 if len(values) % 2 == 0 else 0
    power = jnp.concatenate([2 * squares[:1], halves])
    power = power.at[last].multiply(2) if last else power
    return jnp.concatenate([power, power[1 : last or None]]) if two_sided else power


def _coefficients(point: Point) -> tuple[jax.Array, jax.Array]:
    """Cosine and sine coefficients of each block, [frequency from 1, block, neuron]."""
    import jax.numpy as jnp

    from grokscope.measures._fourier import components

    def make() -> tuple[jax.Array, jax.Array]:
        rows = components(_blocks(point))[1:]
        sines = rows[1::2]
        if len(sines) < len(rows[0::2]):  # an even p: frequency p / 2 has no sine
            sines = jnp.concatenate([sines, jnp.zeros_like(sines[:1])])
        return rows[0::2], sines

    return point.cached("waves of the neurons", make)


def _phases(point: Point) -> tuple[jax.Array, jax.Array]:
    """Phase of each block at the neuron's frequency [block, neuron]; whether the blocks agree on it."""
    import jax.numpy as jnp

    cosine, sine = _coefficients(point)
    power = jnp.square(cosine) + jnp.square(sine)
    k = jnp.argmax(jnp.sum(power, axis=1), axis=0)
    agree = jnp.all(jnp.argmax(power, axis=0) == k, axis=0)
    at = k[None, None]
    real, imaginary = (jnp.take_along_axis(part, at, axis=0)[0] for part in (cosine, -sine))
    return jnp.arctan2(imaginary, real), agree


def _defect(point: Point) -> tuple[jax.Array, jax.Array]:
    """The phase defect [neuron]; whether the blocks of a neuron agree on its frequency [neuron]."""
    import jax.numpy as jnp

    (first, second, out), agree = _phases(point)
    sign = -1 if getattr(point.task, "operator", "") == "subtraction" else 1
    total = first + sign * second - out
    return jnp.arctan2(jnp.sin(total), jnp.cos(total)), agree


def _of_each_neuron(point: Point, convention: str) -> jax.Array:
    import jax.numpy as jnp

    from grokscope.measures._fourier import participation

    blocks = _blocks(point)
    if convention == "joint":
        return participation(_power(jnp.concatenate([blocks[:, 0], blocks[:, 1]]), two_sided=True))
    power = _power(blocks, two_sided=convention == "fft")
    flat = participation(power.reshape(len(power), -1))
    return jnp.mean(flat.reshape(blocks.shape[1:]), axis=0)


class _OfParticipation(Measure):
    convention: Literal["rfft", "fft", "joint"] = "rfft"

    default = False
    needs = (PAIR_BLOCKS,)

    @property
    def name(self) -> str:
        """The kind, followed by the convention."""
        return f"{self.kind}_{self.convention}"


class NeuronParticipation(_OfParticipation):
    r"""The inverse participation ratio of each neuron's Fourier spectrum over the residues; [neuron].

    $\sum_k |\tilde w_k|^4 / (\sum_k |\tilde w_k|^2)^2$ with $\tilde w$ a discrete Fourier transform of the
    neuron's weights; large if few frequencies have most of the power, 0 if all weights are 0. Three
    conventions are in print, whose values differ by factors of 2 to 4; the name of the stored result ends
    with the convention.

    Attributes:
        convention: ``rfft``: of each block (weights from a, from b, to the answers), k = 0..p // 2, and the
            mean over the blocks: 1 if each is one wave. ``fft``: the same with negative k: 1/2 if each is one
            wave. ``joint``: of the 2p weights from a and b together, with negative k.

    Source: ``joint``: Gromov 2023 (arXiv 2301.02679), equation 20; ``rfft``: the code of Doshi et al. 2023
        (arXiv 2310.13061); ``fft``: Doshi et al. 2024 (arXiv 2406.03495).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> from grokscope.models.modular_waves import ModularWaves
        >>> point = Point(ModularWaves(width=3).network(jax.random.key(0), (2, 7), 7), {}, Squared())
        >>> NeuronParticipation()(point).round(3).tolist(), NeuronParticipation(convention="fft").name
        ([1.0, 1.0, 1.0], 'neuron_participation_fft')
    """

    kind: Literal["neuron_participation"] = "neuron_participation"
    dims = ("neuron",)
    pace = "slow"

    def __call__(self, point: Point) -> jax.Array:
        """The ratio of every neuron."""
        return _of_each_neuron(point, self.convention)


class Participation(_OfParticipation):
    """The mean of `NeuronParticipation` over neurons.

    Attributes:
        convention: as for `NeuronParticipation`.

    Source: Gromov 2023 (arXiv 2301.02679), equation 21 and Figure 5.
    """

    kind: Literal["participation"] = "participation"

    def __call__(self, point: Point) -> jax.Array:
        """The mean over neurons."""
        import jax.numpy as jnp

        return jnp.mean(_of_each_neuron(point, self.convention))


class NeuronPhase(Measure):
    r"""The phase of each block of a neuron's weights at the neuron's frequency; [block, neuron].

    The argument of $\sum_n w_n e^{-2 \pi i k n / p}$, which is $\varphi$ for $w_n = \cos(2 \pi k n / p +
    \varphi)$, with k from 1 to p // 2 the frequency of largest power summed over the three blocks. From
    $-\pi$ to $\pi$; 0 for a block of zeros.

    Source: the phases of Gromov 2023 (arXiv 2301.02679), equations 6 and 7; the argument of the dominant
        coefficient is our choice.
    """

    kind: Literal["neuron_phase"] = "neuron_phase"
    dims = ("block", "neuron")
    pace = "slow"
    unit = "rad"
    default = False
    needs = (PAIR_BLOCKS,)

    def __call__(self, point: Point) -> jax.Array:
        """The phases."""
        return _phases(point)[0]


class PhaseDefect(Measure):
    r"""How far a neuron's phases are from adding up: $\varphi \pm \psi - \chi$, in $\pm\pi$; [neuron].

    $\varphi, \psi, \chi$ are those of `NeuronPhase` of the weights from a, from b, and to the answer; the
    sign is that of the operator, $a + b$ or $a - b$. 0 in weights that are written down (`ModularWaves`).

    Source: Gromov 2023 (arXiv 2301.02679), Figure 3.
    """

    kind: Literal["phase_defect"] = "phase_defect"
    dims = ("neuron",)
    pace = "slow"
    unit = "rad"
    default = False
    needs = (PAIR_BLOCKS, MODULAR_SUM)

    def __call__(self, point: Point) -> jax.Array:
        """The defect of every neuron."""
        return _defect(point)[0]


class PhaseAlignment(Measure):
    r"""The mean of $\cos$ of the phase defect (`PhaseDefect`) over neurons; 1 if all phases add up.

    About 0 for phases without relation. NaN if it would be the mean of fewer than five neurons.

    Attributes:
        neurons: ``waves``: those whose three blocks have their largest power at the same frequency and whose
            participation (`NeuronParticipation`, ``rfft``) is at least 0.5. ``all``: all neurons; the name of
            the stored result is then ``phase_alignment_all``.

    Source: our summary of the histograms in Figure 3 of Gromov 2023 (arXiv 2301.02679).
    """

    kind: Literal["phase_alignment"] = "phase_alignment"
    default = False
    needs = (PAIR_BLOCKS, MODULAR_SUM)

    neurons: Literal["waves", "all"] = "waves"

    @property
    def name(self) -> str:
        """The kind; over all neurons, the kind and ``_all``."""
        return self.kind if self.neurons == "waves" else f"{self.kind}_all"

    def __call__(self, point: Point) -> jax.Array:
        """The mean, or NaN."""
        import jax.numpy as jnp

        defect, agree = _defect(point)
        used = agree & (_of_each_neuron(point, "rfft") >= _ONE_WAVE) | (self.neurons == "all")
        count = jnp.sum(used)
        mean = jnp.sum(jnp.where(used, jnp.cos(defect), 0)) / jnp.maximum(count, 1)
        return jnp.where(count >= _FEWEST, mean, math.nan)


class NeuronFrequencyPower(Measure):
    r"""The largest share of each block's squared norm that is at one frequency; [block, neuron].

    $\max_k |\tilde w_k|^2 / \sum_l |\tilde w_l|^2$, k = 0..p // 2, with $\tilde w$ a discrete Fourier
    transform of the weights over the residues and the powers of k and -k added up. 1 for a wave, 0 for a
    block of zeros.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Figure 4 ("maximum normalized power").

    Example:
        >>> import jax
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> from grokscope.models.modular_waves import ModularWaves
        >>> point = Point(ModularWaves(width=3).network(jax.random.key(0), (2, 7), 7), {}, Squared())
        >>> NeuronFrequencyPower()(point).round(3).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    kind: Literal["neuron_frequency_power"] = "neuron_frequency_power"
    dims = ("block", "neuron")
    pace = "slow"
    default = False
    needs = (PAIR_BLOCKS,)

    def __call__(self, point: Point) -> jax.Array:
        """The shares."""
        import jax.numpy as jnp

        from grokscope.measures._fourier import by_frequency, components

        squares = jnp.square(components(_blocks(point)))
        power = jnp.concatenate([squares[:1], by_frequency(squares)])
        total = jnp.sum(power, axis=0)
        return jnp.max(power, axis=0) / jnp.where(total > 0, total, 1)


class NeuronsPerFrequency(Measure):
    r"""The number of neurons at each frequency; [frequency], int32.

    A neuron is at the frequency, from 1 to p // 2, with the largest power summed over its three blocks.
    Neurons count whose norm (of all weights, incoming and outgoing) is at least 1 % of the largest.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Figure 7; the threshold is ours.
    """

    kind: Literal["neurons_per_frequency"] = "neurons_per_frequency"
    dims = ("frequency",)
    pace = "slow"
    default = False
    needs = (PAIR_BLOCKS, MODULAR_SUM)

    def __call__(self, point: Point) -> jax.Array:
        """The counts."""
        import jax.numpy as jnp

        cosine, sine = _coefficients(point)
        power = jnp.sum(jnp.square(cosine) + jnp.square(sine), axis=1)
        norm = neuron_norms(point.network, 1)
        counts = (norm >= _ALIVE * jnp.max(norm)) & (norm > 0)
        one_hot = jnp.arange(len(power))[:, None] == jnp.argmax(power, axis=0)
        return jnp.sum(one_hot & counts, axis=1, dtype=jnp.int32)
