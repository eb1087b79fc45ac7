// The weights of the neurons that matter as a heat map: a row per neuron, the task's own bits first.

const HEAT = { left: 58, top: 30, bottom: 34, gap: 9, row: 15 };

// The positions of cells, for a width.
function heatShape(weights, width) {
  const bits = weights.bits.length;
  const right = 10;
  const cells = bits + 2;
  const gaps = (weights.support && weights.support < bits ? 2 : 1) * HEAT.gap;
  const cell = Math.max(2, (width - HEAT.left - right - gaps) / cells);
  const x = (column) => HEAT.left + column * cell + (weights.support && column >= weights.support && weights.support < bits ? HEAT.gap : 0)
    + (column >= bits ? HEAT.gap : 0);
  const rows = weights.neurons.length;
  const breaks = weights.groups.findIndex((g) => g !== weights.groups[0]);
  const y = (row) => HEAT.top + row * HEAT.row + (breaks > 0 && row >= breaks ? HEAT.gap : 0);
  const height = y(rows - 1) + HEAT.row + HEAT.bottom;
  return { cell, x, y, rows, bits, height };
}

// The place of a snapshot among those that have weights: the one before, and how far to the next.
function heatPlace(weights, snapshot) {
  const have = unpack(weights.snapshots);
  let i = 0;
  while (i < have.length - 1 && have[i + 1] <= snapshot + 1e-9) i++;
  const next = Math.min(i + 1, have.length - 1);
  const span = have[next] - have[i];
  return { i, next, share: span > 0 ? Math.min(Math.max((snapshot - have[i]) / span, 0), 1) : 0 };
}

// A weight between two snapshots; `kind` is hidden, bias or output, `cells` its columns per row.
function weightAt(written, place, row, rows, column, cells) {
  const codes = unpack(written.codes);
  const at = (i) => codes[(i * rows + row) * cells + column];
  return ((at(place.i) * (1 - place.share) + at(place.next) * place.share) / 32767) * written.scale;
}

// The colors from the largest negative to the largest positive weight: sizes by their square root, so that
// small weights can be seen beside large ones. Made once per theme.
const SHADES = 64;
function heatShades() {
  if (!colorCache.has("heat")) {
    const [zero, plus, minus] = [color("field"), color("plus"), color("minus")];
    colorCache.set("heat", Array.from({ length: 2 * SHADES + 1 }, (_, i) =>
      mixed(zero, i >= SHADES ? plus : minus, Math.abs(i - SHADES) / SHADES)));
  }
  return colorCache.get("heat");
}

function drawHeat(pen, weights, view) {
  const { shape, snapshot, marked } = view;
  const { cell, x, y, rows, bits } = shape;
  const place = heatPlace(weights, snapshot);
  const soft = color("soft");
  const shades = heatShades();
  const paint = (value, scale) => {
    const size = Math.round(SHADES * Math.sqrt(Math.min(Math.abs(value) / scale, 1)));
    return shades[value >= 0 ? SHADES + size : SHADES - size];
  };
  const columnText = (column) => (column < bits ? String(weights.bits[column]) : column === bits ? "b" : "u");
  for (let column = 0; column < bits + 2; column++) {
    const special = column >= bits || column < weights.support;
    if (special && cell < 9) continue; // no room; the words over it say what these are
    if (special || weights.bits[column] % (cell > 15 ? 2 : 10) === 0) {
      pen.text(x(column) + cell / 2, HEAT.top - 6, columnText(column), {
        color: special ? color("ink") : soft, size: special && cell < 17 ? 9 : 10, anchor: "middle", weight: special ? 600 : 400,
        turn: 0,
      });
    }
  }
  if (weights.support) pen.text(x(0), 11, "hidden bits", { color: soft, size: 10 });
  pen.text(x(bits) + cell * 2, 11, "bias, output", { color: soft, size: 10, anchor: "end" });
  for (let row = 0; row < rows; row++) {
    const top = y(row);
    pen.rect(4, top + 4, 7, 7, { fill: color(GROUP_COLORS[weights.groups[row]]) });
    pen.text(HEAT.left - 6, top + 11, String(weights.neurons[row]), {
      color: weights.neurons[row] === marked ? color("ink") : soft, size: 10.5, anchor: "end", weight: weights.neurons[row] === marked ? 700 : 400,
    });
    for (let column = 0; column < bits; column++) {
      const value = weightAt(weights.hidden, place, row, rows, column, bits);
      pen.rect(x(column), top, cell - (cell > 5 ? 1 : 0.4), HEAT.row - 1, { fill: paint(value, weights.hidden.scale) });
    }
    pen.rect(x(bits), top, cell - (cell > 5 ? 1 : 0.4), HEAT.row - 1, { fill: paint(weightAt(weights.bias, place, row, rows, 0, 1), weights.hidden.scale) });
    pen.rect(x(bits + 1), top, cell - (cell > 5 ? 1 : 0.4), HEAT.row - 1, { fill: paint(weightAt(weights.output, place, row, rows, 0, 1), weights.output.scale) });
    if (weights.neurons[row] === marked) pen.rect(x(0) - 1.5, top - 1, x(bits + 1) + cell - x(0) + 2, HEAT.row + 1, { stroke: color("ink"), width: 1.5 });
  }
  const [from, base] = [HEAT.left, y(rows - 1) + HEAT.row + 14];
  for (let i = 0; i < 60; i++) pen.rect(from + 2 * i, base, 2.3, 8, { fill: paint(((i - 29.5) / 29.5) * Math.abs((i - 29.5) / 29.5), 1) });
  pen.text(from, base + 18, `−${format(weights.hidden.scale)}`, { color: soft, size: 10 });
  pen.text(from + 60, base + 18, "0", { color: soft, size: 10, anchor: "middle" });
  pen.text(from + 120, base + 18, `${format(weights.hidden.scale)}`, { color: soft, size: 10, anchor: "end" });
  const shown = weights.inputs > bits ? `; ${bits} of ${weights.inputs} inputs` : "";
  pen.text(from + 130, base + 8, `output weights: to ±${format(weights.output.scale)}${shown}`, { color: soft, size: 10 });
}

// The sentence and the neuron for a pixel.
function heatUnder(weights, shape, snapshot, px, py) {
  const { cell, x, y, rows, bits } = shape;
  for (let row = 0; row < rows; row++) {
    if (py < y(row) || py >= y(row) + HEAT.row) continue;
    for (let column = 0; column < bits + 2; column++) {
      if (px < x(column) || px >= x(column) + cell) continue;
      const place = heatPlace(weights, snapshot);
      const [written, cells, at] = column < bits ? [weights.hidden, bits, column] : [column === bits ? weights.bias : weights.output, 1, 0];
      const what = column < bits ? `weight from x${weights.bits[column]}` : column === bits ? "bias" : "output weight";
      return { neuron: weights.neurons[row], text: `neuron ${weights.neurons[row]}, ${what}: ${format(weightAt(written, place, row, rows, at, cells))}` };
    }
    return { neuron: weights.neurons[row], text: `neuron ${weights.neurons[row]}` };
  }
  return null;
}
