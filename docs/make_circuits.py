"""Draw the pictures of circuits.md: the paper's constructions, and three networks that were trained.

    python docs/make_circuits.py

The constructions are the same everywhere, and a test compares them with what is committed. The trained
networks (seeds 0 and 5 of the standard experiment, seed 0 with four hidden bits; half a minute) have other
last bits on other machines, and may be drawn otherwise there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import grokscope as gs
from grokscope.circuits import Circuit, draw, proposition_1, proposition_2, proposition_3, read_network

IMAGES = Path(__file__).parent / "images"
_TRAINED = {
    "seed-0": ("standard", 0, "standard experiment, seed 0, epoch 300"),
    "seed-5": ("standard", 5, "standard experiment, seed 5, epoch 300"),
    "four-bits": ("larger-parity", 0, "four hidden bits, seed 0, epoch 800"),
}


def constructions() -> dict[str, str]:
    """The pictures of the constructions, by file name."""
    networks = (proposition_1(n=40), proposition_2(n=40), proposition_3(n=40))
    return {
        f"circuit-proposition-{i}.svg": draw(read_network(network), f"Proposition {i}")
        for i, network in enumerate(networks, 1)
    }


def trained() -> dict[str, str]:
    """The pictures of the trained networks, by file name."""
    pictures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (experiment, seed, title) in _TRAINED.items():
            pictures[f"circuit-{name}.svg"] = draw(_circuit(experiment, seed, Path(folder)), title)
    return pictures


def _circuit(name: str, seed: int, folder: Path) -> Circuit:
    from grokscope.papers.two_circuits import TwoCircuits

    experiments = {one.name: one.experiment for one in TwoCircuits.experiments}
    experiment = experiments[name].with_('measures=["train_accuracy"]', "schedule.measures='ends'")
    run = gs.train(experiment, seeds=[seed], out=folder / f"{name}-{seed}")
    return gs.read_circuit(run, seed).circuit


def main() -> None:
    """Write the files."""
    IMAGES.mkdir(exist_ok=True)
    for name, picture in {**constructions(), **trained()}.items():
        (IMAGES / name).write_text(picture, encoding="utf-8")
        print(IMAGES / name, file=sys.stderr)


if __name__ == "__main__":
    main()
