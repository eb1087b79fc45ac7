// A circuit: bits on the left, gates in the middle, their sum on the right.

const WIRES = { row: 40, top: 26, gate: 46, tall: 28 };

// Sized for the gates of the last snapshot; more gates at an earlier step are drawn closer together.
const circuitHeight = (circuit) => WIRES.top + WIRES.row * Math.max(circuit.gates.at(-1).length, circuit.support.length, 5) + 12;

// Gates keep their places over the snapshots: the order of their first neurons at the last one.
function placed(circuit, i) {
  const order = circuit.gates.at(-1).flatMap((gate) => gate.neurons);
  const rank = (gate) => Math.min(...gate.neurons.map((n) => (order.includes(n) ? order.indexOf(n) : order.length)));
  return [...circuit.gates[i]].sort((a, b) => rank(a) - rank(b));
}

function drawCircuit(pen, circuit, view) {
  const { width, height, i, strongest } = view;
  const [ink, soft, card] = [color("ink"), color("soft"), color("card")];
  const tint = (sign) => color(sign > 0 ? "plus" : "minus");
  const gates = placed(circuit, i);
  const [left, middle, right] = [26, Math.round(width * 0.47), width - 42];
  const rowHeight = Math.min(WIRES.row, (height - WIRES.top - 12) / Math.max(gates.length, 1));
  const rowsTop = WIRES.top + (height - WIRES.top - 12 - rowHeight * gates.length) / 2;
  const yOf = (row) => rowsTop + rowHeight * (row + 0.5);
  const center = (WIRES.top + height - 12) / 2;
  const spread = Math.min(64, (height - WIRES.top - 12) / circuit.support.length);
  const bitY = (bit) => center + spread * (circuit.support.indexOf(bit) - (circuit.support.length - 1) / 2);
  const caption = { color: soft, size: 10.5, anchor: "middle" };
  pen.text(left, 12, "bits", caption);
  pen.text(middle, 12, "gates (neurons)", caption);
  pen.text(right, 12, "sum", caption);
  gates.forEach((gate, row) => {
    const y = yOf(row);
    const edge = middle - WIRES.gate / 2;
    gate.bits.forEach((bit, k) => {
      const sign = gate.signs[k];
      const pin = y + Math.min(8, rowHeight * 0.2) * (k - (gate.bits.length - 1) / 2);
      const end = edge - (sign < 0 ? 7 : 0);
      const bend = (end - left) * 0.5;
      pen.path(`M${left + 13} ${bitY(bit)}C${left + bend} ${bitY(bit)} ${end - bend * 0.6} ${pin} ${end} ${pin}`,
        { stroke: tint(sign), width: 1.3, dash: sign < 0 ? [4, 2.5] : null, alpha: 0.85 });
      if (sign < 0) pen.dots([edge - 3.5], [pin], 3.2, { fill: card, stroke: tint(sign), width: 1.3 });
    });
    const start = middle + WIRES.gate / 2;
    const bend = (right - start) * 0.5;
    pen.path(`M${start} ${y}C${start + bend} ${y} ${right - 14 - bend * 0.5} ${center} ${right - 14} ${center}`,
      { stroke: tint(gate.output_sign), width: 0.8 + 6 * (gate.strength / strongest), alpha: 0.7 });
  });
  gates.forEach((gate, row) => drawGate(pen, gate, middle, yOf(row), Math.min(WIRES.tall, rowHeight * 0.78)));
  for (const bit of circuit.support) {
    pen.dots([left], [bitY(bit)], 13, { fill: card, stroke: ink, width: 1.4 });
    pen.text(left, bitY(bit) + 4, `x${bit}`, { color: ink, size: 11, anchor: "middle", weight: 600 });
  }
  pen.dots([right], [center], 14, { fill: card, stroke: ink, width: 1.4 });
  pen.text(right, center + 5, "Σ", { color: ink, size: 15, anchor: "middle" });
  pen.text(right + 17, center + 4, "±", { color: soft, size: 13 });
}

function drawGate(pen, gate, x, y, tall) {
  const [a, b, t, d, h] = [x - WIRES.gate / 2, x + WIRES.gate / 2, y - tall / 2, y + tall / 2, tall / 2];
  const name = gate.formula.split("(")[0];
  const single = gate.bits.length === 1 && gate.kind === "and";
  const shape = gate.kind === "and" && !single ? `M${a} ${t}H${b - h}A${h} ${h} 0 0 1 ${b - h} ${d}H${a}Z`
    : gate.kind === "or" ? `M${a} ${t}H${b - 22}Q${b - 6} ${t} ${b} ${y}Q${b - 6} ${d} ${b - 22} ${d}H${a}Q${a + 8} ${y} ${a} ${t}Z`
    : `M${a} ${t}H${b}V${d}H${a}Z`;
  pen.path(shape, { fill: color("card"), stroke: color("ink"), width: 1.3 });
  const label = single ? "=" : name.startsWith("ATLEAST") ? `≥${name.slice(7)}` : gate.kind === "other" && ["OR", "AND"].includes(name) ? "f" : gate.bits.length ? name : "1";
  pen.text(x - 2, y + 4, label, { color: color("ink"), size: label.length > 4 ? 8.5 : 11, anchor: "middle", weight: 600 });
  const [few, more] = [gate.neurons.slice(0, 2).join(", "), gate.neurons.length > 2 ? ` +${gate.neurons.length - 2}` : ""];
  pen.text(b + 5, y - 4, `${gate.output_sign > 0 ? "+" : "−"}${brief(gate.strength)}`, { color: color(gate.output_sign > 0 ? "plus" : "minus"), size: 10.5, weight: 600, halo: color("card") });
  if (tall > 24) pen.text(b + 5, y + 12, few + more, { color: color("soft"), size: 9.5, halo: color("card") });
}
