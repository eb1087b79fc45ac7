"""The picture holds what the circuit does, and is valid SVG."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import grokscope as gs
from grokscope.circuits import draw, proposition_1, proposition_2, proposition_3, read_network
from grokscope.circuits.relu_network import ReluNetwork
from scripts import script

SVG = "{http://www.w3.org/2000/svg}"


def drawn(circuit, title=""):
    text = draw(circuit, title)
    assert "nan" not in text
    assert "inf" not in text
    return ET.fromstring(text)


def texts(root):
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]


@pytest.mark.parametrize(
    "network", [proposition_1(9), proposition_2(9), proposition_3(9), proposition_1(3, 1)]
)
def test_every_gate_bit_and_wire_is_there(network):
    circuit = read_network(network)
    root = drawn(circuit, "some network")
    words = texts(root)
    assert words[0] == "some network"
    assert (
        f"{len(circuit.active)} of {len(network.hidden_bias)} neurons, {len(circuit.gates)} gates" in words[1]
    )
    for bit in circuit.support.bits:
        assert words.count(f"x{bit}") == 1
    shapes = [node for node in root.iter(f"{SVG}path") if node.find(f"{SVG}title") is not None]
    assert len(shapes) == len(circuit.gates)
    named = [int(n) for node in shapes for n in node[0].text.split("neurons ")[1].split(", ")]
    assert sorted(named) == list(circuit.active)
    # a solid wire where a gate wants +1, a dashed one with a ring where it wants -1; the legend has one each
    dashed = [n for n in root.iter(f"{SVG}path") if n.get("stroke-dasharray")]
    solid = [
        n for n in root.iter(f"{SVG}path") if n.get("stroke-width") in ("1.4", "1.6") and n not in dashed
    ]
    signs = [sign for gate in circuit.gates for sign in gate.signs]
    assert len(dashed) - 1 == signs.count(-1)
    assert len(solid) - 1 == signs.count(1)
    rings = [n for n in root.iter(f"{SVG}circle") if n.get("r") == "3.6"]
    assert len(rings) == signs.count(-1)
    bands = [n for n in root.iter(f"{SVG}rect") if n.get("rx")]
    assert len(bands) == len(circuit.pairs)


def test_nothing_is_outside_and_no_text_leaves_the_frame():
    for network in (proposition_1(40, 4), proposition_2(40)):
        root = drawn(read_network(network), "t")
        _, _, width, height = map(float, root.get("viewBox").split())
        for node in root.iter(f"{SVG}text"):
            x, size = float(node.get("x")), float(node.get("font-size"))
            assert 0 < float(node.get("y")) < height
            # a letter of this font is at most 0.7 wide, for its size
            if node.get("text-anchor") == "start":
                assert x + 0.7 * size * len(node.text or "") < width


def test_strengths_are_told_by_thickness_and_color():
    weights = ReluNetwork(np.array([[1.0, -1.0]]), np.zeros(2), np.array([4.0, -1.0]))
    root = drawn(read_network(weights))
    lines = [n for n in root.iter(f"{SVG}path") if n.get("stroke-opacity")]
    assert [n.get("stroke") for n in lines] == ["#0072B2", "#D55E00"]
    assert [float(n.get("stroke-width")) for n in lines] == [7.0, 2.5]
    assert {"+4", "-1"} <= set(texts(root))


def test_many_gates_are_cut_and_counted():
    root = drawn(read_network(proposition_1(6, 6)))
    assert "; 24 weaker gates are not drawn" in "".join(texts(root))


def test_titles_are_escaped():
    assert texts(drawn(read_network(proposition_3(3)), "<a & b>"))[0] == "<a & b>"


def test_the_pictures_of_the_constructions_in_the_docs_are_current():
    folder = Path(__file__).parents[2] / "docs"
    for name, picture in script(folder / "make_circuits.py").constructions().items():
        committed = (folder / "images" / name).read_text(encoding="utf-8")
        assert committed == picture, "run: python docs/make_circuits.py"


def test_no_circuit_no_picture():
    with pytest.raises(gs.InputError, match="no circuit to draw: no bits stand out"):
        draw(read_network(ReluNetwork(np.ones((20, 2)), np.ones(2), np.ones(2))))
