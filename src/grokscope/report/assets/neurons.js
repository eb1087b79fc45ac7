// Neurons as points: norm against share of the output; and the share of each group over the snapshots.

const GROUP_COLORS = ["generalizing", "memorizing", "other"];
const CLOUD = { left: 52, right: 14, top: 12, bottom: 36 };

// The axes of the cloud of neurons, from the ranges of the codes.
function cloudScales(data, width, height) {
  const x = logarithmic([data.norm.low, data.norm.high * 1.2], [CLOUD.left, width - CLOUD.right]);
  const y = logarithmic([data.share.low, data.share.high * 1.4], [height - CLOUD.bottom, CLOUD.top]);
  return { x, y };
}

// The codes of one member between two snapshots, as pixels. `out`: two arrays to be filled.
function cloudPixels(data, member, snapshot, scales, out) {
  const neurons = data.neurons;
  const n = data.steps.shape[0];
  const [i, share] = [Math.floor(snapshot), snapshot - Math.floor(snapshot)];
  const [at, next] = [(member * n + i) * neurons, (member * n + Math.min(i + 1, n - 1)) * neurons];
  for (const [k, axis] of [[0, "norm"], [1, "share"]]) {
    const codes = unpack(data[axis].codes);
    const scale = k ? scales.y : scales.x;
    const [from, to] = [scale(data[axis].low), scale(data[axis].high)];
    const unit = (to - from) / 65534;
    const pixels = out[k];
    for (let j = 0; j < neurons; j++) {
      const a = codes[at + j];
      const b = codes[next + j];
      pixels[j] = a === 65535 ? NaN : from + unit * (a + (b === 65535 ? 0 : (b - a) * share));
    }
  }
}

// The neuron drawn near a pixel; generalizing ones, which are larger, within a larger distance.
function cloudNearest(data, member, pixels, x, y) {
  const groups = unpack(data.group);
  let best = { away: 100, neuron: null };
  for (let j = 0; j < data.neurons; j++) {
    const weight = groups[member * data.neurons + j] === 0 ? 0.5 : 1;
    const away = weight * ((pixels[0][j] - x) ** 2 + (pixels[1][j] - y) ** 2);
    if (away < best.away) best = { away, neuron: j };
  }
  return best.neuron;
}

// The number of a code.
function decoded(axis, index) {
  const code = unpack(axis.codes)[index];
  return code === 65535 ? NaN : axis.low * (axis.high / axis.low) ** (code / 65534);
}

function drawCloud(pen, data, view) {
  const { width, height, member, snapshot, marked, pixels, scales } = view;
  const [soft, faint] = [color("soft"), color("line")];
  const right = width - CLOUD.right;
  const bottom = height - CLOUD.bottom;
  for (const tick of logTicks(...scales.x.domain, Math.floor(width / 60))) {
    pen.rect(scales.x(tick), CLOUD.top, 1, bottom - CLOUD.top, { fill: faint, alpha: 0.6 });
    pen.text(scales.x(tick), bottom + 15, tickText(tick), { color: soft, anchor: "middle", size: 10.5 });
  }
  for (const tick of logTicks(...scales.y.domain, 6)) {
    pen.rect(CLOUD.left, scales.y(tick), right - CLOUD.left, 1, { fill: faint, alpha: 0.6 });
    pen.text(CLOUD.left - 6, scales.y(tick) + 3.5, tickText(tick), { color: soft, anchor: "end", size: 10.5 });
  }
  pen.text(right, height - 4, "norm of incoming weights", { color: soft, anchor: "end", size: 11 });
  pen.text(12, CLOUD.top, data.shareIs, { color: soft, anchor: "end", size: 11, turn: -90 });
  const groups = unpack(data.group);
  const [xs, ys] = pixels;
  for (const g of [2, 1, 0]) {
    const [px, py] = [[], []];
    for (let j = 0; j < data.neurons; j++) {
      if (groups[member * data.neurons + j] !== g || Number.isNaN(xs[j]) || Number.isNaN(ys[j])) continue;
      px.push(Math.min(Math.max(xs[j], CLOUD.left), right));
      py.push(Math.min(Math.max(ys[j], CLOUD.top), bottom));
    }
    const style = { fill: color(GROUP_COLORS[g]), alpha: g === 0 ? 1 : 0.62 };
    if (g === 0) Object.assign(style, { stroke: color("card"), width: 1.2 });
    pen.dots(px, py, g === 0 ? 5.5 : 2.6, style);
  }
  if (marked !== null) drawTrail(pen, data, member, marked, snapshot, scales, view);
}

// The path of one neuron over all snapshots.
function drawTrail(pen, data, member, neuron, snapshot, scales, view) {
  const n = data.steps.shape[0];
  const path = Array.from({ length: n }, (_, i) => {
    const index = (member * n + i) * data.neurons + neuron;
    return [scales.x(decoded(data.norm, index)), scales.y(decoded(data.share, index))];
  });
  const stroke = color("ink");
  const now = Math.floor(snapshot);
  pen.line(path.map((p) => p[0]), path.map((p) => p[1]), { color: stroke, width: 1, alpha: 0.3, dash: [2, 3] });
  pen.line(path.slice(0, now + 1).map((p) => p[0]), path.slice(0, now + 1).map((p) => p[1]), { color: stroke, width: 1.3, alpha: 0.75 });
  pen.dots([view.pixels[0][neuron]], [view.pixels[1][neuron]], 7, { stroke, width: 1.8 });
}

// The strip above the slider: shares of the groups, stacked, and accuracy; one column per snapshot.
function drawStrip(pen, data, view) {
  const { width, height, member, snapshot, accuracies, pad } = view;
  const n = data.steps.shape[0];
  const inner = width - 2 * pad;
  const x = (i) => pad + (n > 1 ? (i / (n - 1)) * inner : inner / 2);
  const [top, bottom] = [4, height - 16];
  const y = (share) => bottom - share * (bottom - top);
  const shares = unpack(data.groupShare);
  const columns = Array.from({ length: n }, (_, i) => i);
  const low = new Array(n).fill(0);
  pen.rect(pad, top, inner, bottom - top, { fill: color("field") });
  for (const g of [0, 1, 2]) {
    const high = columns.map((i) => low[i] + (shares[(member * n + i) * 3 + g] || 0));
    pen.area(columns.map(x), low.map(y), high.map(y), { color: color(GROUP_COLORS[g]), alpha: g === 0 ? 0.85 : 0.5 });
    high.forEach((value, i) => (low[i] = value));
  }
  for (const { values, dash } of accuracies) {
    const line = values.map((v) => (Number.isNaN(v) ? NaN : y(v)));
    pen.line(columns.map(x), line, { color: color("card"), width: 4, alpha: 0.75 });
    pen.line(columns.map(x), line, { color: color("ink"), width: 1.8, dash });
  }
  // Names beside their marks: the last one behind it, the others in front; without overlap.
  const events = [...view.events].sort((one, other) => one.at - other.at);
  let free = 0;
  events.forEach((event, i) => {
    const [at, wide] = [x(event.at), 5.4 * event.name.length];
    pen.line([at, at], [top, bottom], { color: color("ink"), width: 1, dash: event.dash, alpha: 0.8 });
    let start = i < events.length - 1 && at - 3 - wide >= free ? at - 3 - wide : at + 3;
    if (start + wide > width) start = at - 3 - wide;
    if (start < free) return;
    pen.text(start, height - 5, event.name, { color: color("soft"), size: 10 });
    free = start + wide + 5;
  });
  pen.line([x(snapshot), x(snapshot)], [0, bottom + 2], { color: color("ink"), width: 2 });
  pen.dots([x(snapshot)], [bottom + 2], 4, { fill: color("ink") });
}
