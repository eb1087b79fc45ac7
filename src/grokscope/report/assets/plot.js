// One plot over the time axis: drawn by a pen, the same on the screen and in the downloaded file.

const DASHES = {
  train: [6, 2.5], complementary: [6, 2.5], control: [1.5, 2], "norm-matched": [5, 2, 1.5, 2],
  memorizing: [3, 2], large: [2, 2],
};
const EVENT_DASHES = { memorization: [5, 3], grokking: [2, 2.5], certified: null };
const MARGIN = { left: 46, right: 12, top: 14, bottom: 30 };

// The y axis of a plot: the range of the shown lines within the shown times.
function valueScale(kind, log, curves, domain, range) {
  let [low, high] = [Infinity, -Infinity];
  let least = Infinity;
  for (const { xs, ys } of curves) {
    for (let i = 0; i < xs.length; i++) {
      const value = ys[i];
      if (Number.isNaN(value) || xs[i] < domain[0] || xs[i] > domain[1]) continue;
      if (value < low) low = value;
      if (value > high) high = value;
      if (value > 0 && value < least) least = value;
    }
  }
  if (!(high >= low)) [low, high] = [0, 1];
  if (log && high > 0) {
    const bottom = Math.max(least, high * 1e-6);
    const [a, b] = [bottom / 1.25, high * 1.25];
    const scale = logarithmic([a, b], range);
    scale.ticks = logTicks(a, b, 5);
    return scale;
  }
  if (kind === "unit") [low, high] = [low >= 0.35 ? 0.35 : Math.min(0, low), Math.max(1, high)];
  else if (kind === "zero") low = Math.min(0, low);
  const pad = (high - low || Math.abs(high) || 1) * 0.05;
  const bottom = kind === "zero" && low === 0 ? 0 : low - (kind === "unit" ? 0 : pad);
  const scale = linear([bottom, high + pad], range);
  scale.ticks = niceTicks(bottom, high + pad * 0.6, 4);
  return scale;
}

// Draw a plot. `spec`: width, height, domain, first, log, unit, kind, logY, lines, events, title, legend.
function drawPlot(pen, spec) {
  const top = MARGIN.top + (spec.title ? 20 : 0) + (spec.legend ? 16 * spec.legend.rows : 0);
  const box = { x: MARGIN.left, y: top, w: spec.width - MARGIN.left - MARGIN.right };
  box.h = spec.height - top - MARGIN.bottom;
  const x = timeScale(spec.domain, spec.first, spec.log, [box.x, box.x + box.w]);
  const curves = spec.lines.flatMap((line) => line.curves);
  const y = valueScale(spec.kind, spec.logY, curves, spec.domain, [box.y + box.h, box.y]);
  const [soft, faint] = [color("soft"), color("line")];
  for (const tick of y.ticks) {
    pen.rect(box.x, Math.round(y(tick)), box.w, 1, { fill: faint, alpha: 0.7 });
    pen.text(box.x - 6, y(tick) + 3.5, tickText(tick), { color: soft, anchor: "end", size: 10.5 });
  }
  for (const tick of timeTicks(x, spec.first, spec.log)) {
    pen.rect(Math.round(x(tick)), box.y + box.h, 1, 4, { fill: soft });
    pen.text(x(tick), box.y + box.h + 15, tickText(tick), { color: soft, anchor: "middle", size: 10.5 });
  }
  pen.rect(box.x, box.y + box.h, box.w, 1, { fill: soft, alpha: 0.8 });
  const marks = spec.events.filter((event) => event.at !== null && event.at >= spec.domain[0] && event.at <= spec.domain[1]);
  for (const event of marks) {
    pen.line([x(event.at), x(event.at)], [box.y, box.y + box.h], { color: event.color, width: 1, dash: event.dash, alpha: 0.9 });
  }
  nameMarks(pen, marks, x, box);
  pen.clip(box.x, box.y - 1, box.w, box.h + 2);
  for (const { band, stroke } of spec.lines) {
    if (band) pen.area(band.xs.map(x), band.low.map(y), band.high.map(y), { color: stroke, alpha: band.alpha ?? 0.17 });
  }
  for (const line of spec.lines) {
    for (const curve of line.curves) {
      if (curve.hidden) continue;
      const style = { color: line.stroke, dash: line.dash, width: curve.width ?? 1.6, alpha: curve.alpha ?? 1 };
      pen.line(Array.from(curve.xs, x), Array.from(curve.ys, (v) => (Number.isNaN(v) ? NaN : y(v))), style);
    }
  }
  pen.unclip();
  if (spec.title) {
    pen.text(box.x, 20, spec.title, { color: color("ink"), size: 13, weight: 600 });
  }
  pen.text(box.x + box.w, spec.height - 3, spec.unit, { color: soft, size: 10, anchor: "end" });
  if (spec.legend) {
    spec.legend.entries.forEach(({ label, stroke, dash, column, row }) => {
      const [lx, ly] = [box.x + column * spec.legend.wide, 38 + 16 * row];
      pen.line([lx, lx + 18], [ly - 4, ly - 4], { color: stroke, dash, width: 1.8 });
      pen.text(lx + 23, ly, label, { color: soft, size: 11 });
    });
  }
  return { x, y, box };
}

// Names over the marks: the first one ends at its mark, the last begins there, without overlap.
function nameMarks(pen, marks, x, box) {
  let free = box.x;
  marks.sort((a, b) => a.at - b.at).forEach((mark, i) => {
    const wide = 5.3 * mark.label.length;
    const at = x(mark.at);
    const before = i < marks.length - 1 && at - wide > free;
    let start = before ? at - wide : Math.min(at, box.x + box.w - wide);
    if (start < free) start = at;
    if (start < free || start + wide > box.x + box.w + 1) return;
    pen.text(start, box.y - 3, mark.label, { color: mark.color, size: 9.5 });
    free = start + wide + 5;
  });
}

// Entries of a legend in columns.
function legendOf(lines, width) {
  const wide = Math.max(...lines.map((line) => 6.2 * line.label.length + 36), 60);
  const columns = Math.max(1, Math.floor((width - MARGIN.left - MARGIN.right) / wide));
  const entries = lines.map((line, i) => ({ ...line, column: i % columns, row: Math.floor(i / columns) }));
  return { entries, wide, rows: Math.ceil(lines.length / columns) };
}

// The position in sorted times that is nearest to one.
function nearest(xs, at) {
  let [low, high] = [0, xs.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= at) low = middle;
    else high = middle;
  }
  return Math.abs(xs[high] - at) < Math.abs(xs[low] - at) ? high : low;
}
