"""Draw a circuit as SVG: bits on the left, gates in the middle, the sum on the right."""

from __future__ import annotations

from html import escape

from grokscope.circuits.circuit import Circuit
from grokscope.circuits.formula import gate_formula
from grokscope.circuits.gates import Gate
from grokscope.errors import InputError

__all__ = ["draw"]

_PLUS, _MINUS, _INK, _SOFT, _BAND = "#0072B2", "#D55E00", "#222222", "#666666", "#F1F1EE"
_WIDTH, _ROW, _TOP = 720, 58, 74
_BITS, _GATES, _SUM = 64, 330, 622  # x of the columns
_GATE_WIDTH, _GATE_HEIGHT = 58, 38
_MOST = 40  # gates in one picture


def draw(circuit: Circuit, title: str = "") -> str:
    """Draw the circuit as an SVG document.

    A line from a bit to a gate is solid if the gate fires for +1; dashed, ending in a ring, if it fires for
    -1. Opposite gates share a band. A line from a gate to the sum is blue if the gate adds and orange if it
    subtracts; its thickness shows the strength. With more than 40 gates the strongest 40 are drawn, and the
    legend says how many are not.

    Args:
        circuit: with at least one gate.
        title: a line above the picture.

    Raises:
        InputError: if the circuit has no gates.

    Example:
        >>> from grokscope.circuits import proposition_3, read_network
        >>> draw(read_network(proposition_3(n=3)), title="Proposition 3")[:14]
        '<svg xmlns="ht'
    """
    if not circuit.gates:
        raise InputError(f"there is no circuit to draw: {circuit.support.why}.")
    gates, bits = circuit.gates[:_MOST], circuit.support.bits
    rows = {i: _TOP + _ROW * (i + 0.5) for i in range(len(gates))}
    bottom = float(_TOP + _ROW * max(len(gates), len(bits)))
    middle = (_TOP + bottom) / 2
    spread = 0.8 * (bottom - _TOP) / len(bits)
    places = {bit: middle + spread * (i - (len(bits) - 1) / 2) for i, bit in enumerate(bits)}
    strongest = max(gate.strength for gate in gates)
    parts = [_head(circuit, title)]
    for one, other in circuit.pairs:
        if other < len(gates):
            x, top, height = _GATES - 62, rows[one] - _ROW / 2 + 3, 2 * _ROW - 6
            parts.append(f'<rect x="{x}" y="{top:g}" width="235" height="{height}" rx="9" fill="{_BAND}"/>')
    for i, gate in enumerate(gates):
        parts += _wires(gate, places, rows[i])
        parts += _output(gate, rows[i], middle, gate.strength / strongest)
    for i, gate in enumerate(gates):
        parts += _symbol(gate, bits, rows[i])
    for bit, y in places.items():
        parts.append(
            f'<circle cx="{_BITS}" cy="{y:g}" r="17" fill="white" stroke="{_INK}" stroke-width="1.5"/>'
        )
        parts.append(_text(_BITS, y + 4.5, f"x{bit}", 13, anchor="middle"))
    parts.append(
        f'<circle cx="{_SUM}" cy="{middle:g}" r="22" fill="white" stroke="{_INK}" stroke-width="1.5"/>'
    )
    parts.append(_text(_SUM, middle + 7, "Σ", 20, anchor="middle"))
    if circuit.output_bias:
        parts.append(_text(_SUM, middle + 38, f"bias {circuit.output_bias:+.2g}", 10, anchor="middle"))
    parts.append(f'<path d="M{_SUM + 22} {middle:g}H{_WIDTH - 52}" stroke="{_INK}" stroke-width="1.5"/>')
    parts.append(_text(_WIDTH - 48, middle + 4.5, "sign", 13))
    parts += _legend(bottom + 30, len(circuit.gates) - len(gates))
    height = bottom + 62
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}" '
        f'height="{height:g}" role="img" font-family="DejaVu Sans, Arial, sans-serif" fill="none">\n'
        f"<title>{escape(title or 'Circuit')}</title>\n<desc>{escape(circuit.formula)}</desc>\n"
        f'<rect width="{_WIDTH}" height="{height:g}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _head(circuit: Circuit, title: str) -> str:
    bits = circuit.support.bits
    right = f"the parity of {len(bits)} bits at {circuit.n_parity} of {2 ** len(bits)} settings"
    made = f"{len(circuit.active)} of {circuit.n_neurons} neurons, {len(circuit.gates)} gates: {right}"
    lines = [_text(20, 28, title, 16, weight="bold"), _text(20, 50, made, 12.5, color=_SOFT)]
    return "\n".join(lines if title else lines[1:])


def _wires(gate: Gate, places: dict[int, float], y: float) -> list[str]:
    """Lines from the bits to a gate, in the order of the bits from the top."""
    parts: list[str] = []
    edge = _GATES - _GATE_WIDTH / 2
    step = min(11.0, (_GATE_HEIGHT - 8) / max(len(gate.bits), 1))
    for i, (bit, sign) in enumerate(zip(gate.bits, gate.signs, strict=True)):
        pin = y + step * (i - (len(gate.bits) - 1) / 2)
        end = edge if sign > 0 else edge - 8
        start = _BITS + 17
        bend = (end - start) * 0.55
        style = f'stroke="{_PLUS}"' if sign > 0 else f'stroke="{_MINUS}" stroke-dasharray="5 3"'
        parts.append(
            f'<path d="M{start} {places[bit]:g}C{start + bend:g} {places[bit]:g} {end - bend * 0.7:g} '
            f'{pin:g} {end:g} {pin:g}" {style} stroke-width="1.4"/>'
        )
        if sign < 0:
            parts.append(
                f'<circle cx="{edge - 4:g}" cy="{pin:g}" r="3.6" fill="white" stroke="{_MINUS}" '
                'stroke-width="1.4"/>'
            )
    return parts


def _symbol(gate: Gate, support: tuple[int, ...], y: float) -> list[str]:
    """The gate's symbol: a D for AND, a shield for OR, else a box with its threshold."""
    left, right = _GATES - _GATE_WIDTH / 2, _GATES + _GATE_WIDTH / 2
    top, low, half = y - _GATE_HEIGHT / 2, y + _GATE_HEIGHT / 2, _GATE_HEIGHT / 2
    formula = gate_formula(gate, support)
    name = formula.split("(", maxsplit=1)[0]
    label = f"≥ {name.removeprefix('ATLEAST')}" if name.startswith("ATLEAST") else name
    if len(gate.bits) == 1 and gate.kind == "and":
        label, shape = "=", f"M{left} {top}H{right}V{low}H{left}Z"
    elif gate.kind == "and":
        shape = f"M{left} {top}H{right - half}A{half} {half} 0 0 1 {right - half} {low}H{left}Z"
    elif gate.kind == "or":
        shape = (
            f"M{left} {top}H{right - 30}Q{right - 8} {top} {right} {y}"
            f"Q{right - 8} {low} {right - 30} {low}H{left}Q{left + 10} {y} {left} {top}Z"
        )
    else:
        shape = f"M{left} {top}H{right}V{low}H{left}Z"
        label = "f" if name in ("OR", "AND") else label  # the formula is written below
    neurons = ", ".join(map(str, gate.neurons))
    words = f"{formula}: neurons {neurons}"
    merged = f"{len(gate.neurons)} neurons" if len(gate.neurons) > 1 else f"neuron {neurons}"
    if label == "f":
        merged += f": {formula}"
    return [
        f'<path d="{shape}" fill="white" stroke="{_INK}" stroke-width="1.5" stroke-linejoin="round">'
        f"<title>{escape(words)}</title></path>",
        _text(_GATES - 3, y + 4.5, label, 11 if len(label) < 7 else 9, anchor="middle"),
        _text(right + 8, y + 16, merged, 9.5, color=_SOFT),
    ]


def _output(gate: Gate, y: float, middle: float, share: float) -> list[str]:
    start, end = _GATES + _GATE_WIDTH / 2, _SUM - 22
    color = _PLUS if gate.output_sign > 0 else _MINUS
    sign = "+" if gate.output_sign > 0 else "-"
    bend = (end - start) * 0.3
    return [
        f'<path d="M{start:g} {y:g}H{start + 92:g}C{start + 92 + bend:g} {y:g} {end - bend:g} {middle:g} '
        f'{end:g} {middle:g}" stroke="{color}" stroke-width="{1 + 6 * share:.2f}" stroke-opacity="0.75"/>',
        _text(start + 8, y - 7, f"{sign}{gate.strength:.2g}", 12, color=color, weight="bold"),
    ]


def _legend(y: float, left_out: int) -> list[str]:
    words = "number and thickness: strength (path norm); shaded: opposites"
    if left_out:
        words += f"; {left_out} weaker gates are not drawn"
    return [
        f'<path d="M20 {y - 4:g}h24" stroke="{_PLUS}" stroke-width="1.6"/>',
        _text(49, y, "wants +1, adds", 11, color=_SOFT),
        f'<path d="M150 {y - 4:g}h24" stroke="{_MINUS}" stroke-width="1.6" stroke-dasharray="5 3"/>',
        _text(179, y, "wants -1, subtracts", 11, color=_SOFT),
        _text(20, y + 18, words, 11, color=_SOFT),
    ]


def _text(
    x: int | float,
    y: int | float,
    words: str,
    size: int | float,
    *,
    anchor: str = "start",
    color: str = _INK,
    weight: str = "normal",
) -> str:
    # the white rim keeps the text readable on top of a line
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" fill="{color}" '
        f'font-weight="{weight}" stroke="white" stroke-opacity="0.8" stroke-width="3" paint-order="stroke">'
        f"{escape(words)}</text>"
    )
