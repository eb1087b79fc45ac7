// Luck over seeds: the share of seeds of every cell that succeed, and when those of the chosen cells do.

const MOST_BINS = 14;
const LUCK_HEIGHT = 196;

class Luck {
  constructor(map) {
    const { data } = map;
    Object.assign(this, { map, data, event: data.events[0] });
    this.picker = choice("event", data.events.map((one) => [one.id, one.words]), () => this.event.id, (id) => {
      this.event = data.events.find((one) => one.id === id);
      this.draw();
    });
    this.plots = [
      this.plot("shares", "Seeds that succeed", "share, by cell", drawShares),
      this.plot("times", "When they do", "share of seeds", drawTimes),
      this.plot("survival", "Still without it", "share of seeds", drawSurvival),
    ];
    this.node = el("div", {}, el("h3", {}, "Luck"), el("div.toolbar", {}, this.picker.node),
      el("div.panels", {}, ...this.plots.map((one) => one.node)));
  }

  plot(id, title, unit, paint) {
    const canvas = el("canvas", { "aria-hidden": "true" });
    const area = el("div.plot.still", { role: "img" }, canvas);
    const legend = el("ul.legend.static");
    const tool = (text, what, act) => el("button.tool", { type: "button", "aria-label": `${title}: download ${what}`, onclick: act }, text);
    const one = { id, title, canvas, area, legend, paint };
    const tools = [tool("SVG", "as SVG", () => this.saveSvg(one))];
    if (id === "survival") tools.push(tool("CSV", "the times as CSV", () => this.saveCsv()));
    one.node = el("div.panel", { id: `luck-${id}` },
      el("div.head", {}, el("h3", {}, title, el("span", {}, ` ${unit}`)), el("div.tools", {}, ...tools)), legend, area);
    watchWidth(area, () => this.paint(one));
    return one;
  }

  draw() {
    this.picker.update();
    for (const one of this.plots) this.paint(one);
  }

  paint(one) {
    const width = Math.floor(one.area.clientWidth);
    if (!width) return;
    const items = one.paint(new CanvasPen(one.canvas, width, LUCK_HEIGHT), this, { width, height: LUCK_HEIGHT, top: MARGIN.top });
    one.legend.replaceChildren(...items.map(([fill, text]) => el("li", {}, el("i.dot", { style: { background: fill } }), text)));
    one.area.setAttribute("aria-label", `${one.title}, ${this.event.words}: ${this.said()}`);
  }

  // What the plots show, for readers who cannot see them.
  said() {
    const each = this.chosen().map(({ cell, times }) => `${cell.name}: ${this.map.number(cell.values[this.event.share] ?? [null, null, null])} of ${times.n} seeds`);
    return each.join("; ") || "no cell is chosen";
  }

  // The chosen cells that have times of the event, with their colors.
  chosen() {
    return this.map.chosen.map((cell, i) => ({ cell, times: cell.times?.[this.event.id], shade: color(`run-${i}`) })).filter((one) => one.times);
  }

  saveSvg(one) {
    const [width, height] = [520, 300];
    const pen = new SvgPen(width, height, `${one.title}, ${this.event.words}`);
    pen.text(MARGIN.left, 18, `${one.title}: ${this.event.words}`, { color: color("ink"), size: 13, weight: 600 });
    const items = one.paint(pen, this, { width, height: height - 18, top: MARGIN.top + 18 });
    let x = MARGIN.left;
    for (const [fill, text] of items) {
      pen.dots([x + 4], [height - 8], 4, { fill });
      pen.text(x + 12, height - 4, text, { color: color("soft"), size: 10.5 });
      x += 26 + 5.6 * text.length;
    }
    download(`${fileName(this.map.page.state.title, this.event.id, one.id)}.svg`, String(pen), "image/svg+xml");
  }

  saveCsv() {
    const rows = this.data.cells.flatMap((cell) => {
      const times = cell.times?.[this.event.id];
      if (!times) return [];
      const seen = times.time.map((t, i) => [cell.name, t, times.seen[i], 0, times.survival[i], times.low[i], times.high[i]]);
      return [...seen, ...times.lost.map(([t, count]) => [cell.name, t, 0, count, "", "", ""])];
    });
    const head = ["cell", "step", "seen", "censored", "share still without", "low", "high"];
    download(`${fileName(this.map.page.state.title, this.event.id, "times")}.csv`, csv([head, ...rows]), "text/csv");
  }
}

const luckBox = (shape) => ({ x: MARGIN.left, y: shape.top, w: shape.width - MARGIN.left - MARGIN.right, h: shape.height - shape.top - MARGIN.bottom });

// Lines and numbers of a share, from 0 to `top`.
function shareAxis(pen, box, top) {
  const y = linear([0, top], [box.y + box.h, box.y]);
  for (const tick of niceTicks(0, top, 4)) {
    pen.rect(box.x, Math.round(y(tick)), box.w, 1, { fill: color("line"), alpha: 0.7 });
    pen.text(box.x - 6, y(tick) + 3.5, tickText(tick), { color: color("soft"), anchor: "end", size: 10.5 });
  }
  pen.rect(box.x, box.y + box.h, box.w, 1, { fill: color("soft"), alpha: 0.8 });
  return y;
}

// Steps of an event, logarithmic where they span more than a factor of 20.
function stepAxis(pen, box, low, high) {
  const log = low > 0 && high / low > 20;
  const x = log ? logarithmic([low / 1.15, high * 1.08], [box.x, box.x + box.w]) : linear([0, high * 1.03], [box.x, box.x + box.w]);
  const few = Math.max(2, Math.floor(box.w / 60));
  const ticks = log ? logTicks(...x.domain, few).filter((t) => t >= x.domain[0] && t <= x.domain[1]) : niceTicks(0, high, few);
  for (const tick of apart(ticks, x, 30)) {
    pen.rect(Math.round(x(tick)), box.y + box.h, 1, 4, { fill: color("soft") });
    pen.text(x(tick), box.y + box.h + 15, tickText(tick), { color: color("soft"), anchor: "middle", size: 10.5 });
  }
  return { x, log };
}

function noTimes(pen, box, words) {
  pen.text(box.x + box.w / 2, box.y + box.h / 2, words, { color: color("soft"), anchor: "middle", size: 12 });
  return [];
}

// A dot with its interval for every cell: the last axis across, the one before by color.
function drawShares(pen, luck, shape) {
  const { data, outer, chosen } = luck.map;
  const box = luckBox(shape);
  const y = shareAxis(pen, box, 1);
  const inner = data.axes.slice(-2);
  const [rows, columns] = inner.length === 2 ? inner : [{ name: "", labels: [""] }, inner[0]];
  const wide = box.w / columns.labels.length;
  const apartBy = Math.min(9, (0.8 * wide) / rows.labels.length);
  const shade = (r) => (rows.labels.length < 2 ? color("accent") : mixed(color("ramp-low"), color("ramp-high"), 0.3 + (0.7 * r) / (rows.labels.length - 1)));
  const radius = apartBy < 5 ? 2 : 3.2;
  for (const cell of data.cells) {
    const found = cell.values[luck.event.share];
    if (!found || !outer.every((k, i) => cell.place[i] === k)) continue;
    const [r, c] = inner.length === 2 ? cell.place.slice(-2) : [0, cell.place.at(-1)];
    const at = box.x + (c + 0.5) * wide + (r - (rows.labels.length - 1) / 2) * apartBy;
    const place = chosen.indexOf(cell);
    const [fill, ends] = [place < 0 ? shade(r) : color(`run-${place}`), [found[1] ?? 0, found[2] ?? 1]];
    pen.line([at, at], ends.map(y), { color: fill, width: place < 0 ? 1.3 : 2.2 });
    pen.dots([at], [y(found[0])], place < 0 ? radius : radius + 1.5, { fill });
  }
  let free = -Infinity;
  columns.labels.forEach((label, c) => {
    const at = box.x + (c + 0.5) * wide;
    if (at - free < 5.8 * label.length + 6) return;
    pen.text(at, box.y + box.h + 15, label, { color: color("soft"), anchor: "middle", size: 10.5 });
    free = at;
  });
  pen.text(box.x + box.w, shape.height - 3, columns.name.replaceAll("_", " "), { color: color("soft"), size: 10, anchor: "end" });
  if (rows.labels.length < 2) return [];
  const shown = rows.labels.length <= 6 ? rows.labels.map((_, r) => r) : [0, rows.labels.length - 1];
  return shown.map((r) => [shade(r), `${rows.name.replaceAll("_", " ")} ${rows.labels[r]}`]);
}

// A histogram of the steps at which the event is seen; at the right, seeds in which it was not.
function drawTimes(pen, luck, shape) {
  const box = luckBox(shape);
  const cells = luck.chosen();
  if (!cells.length) return noTimes(pen, box, "Choose a cell above.");
  const all = cells.flatMap(({ times }) => times.time);
  const room = Math.min(70, 0.24 * box.w); // for the seeds in which the event was not seen
  const inner = { ...box, w: box.w - room };
  const [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [1, 1];
  const log = low > 0 && high / low > 20;
  const edges = Array.from({ length: MOST_BINS + 1 }, (_, i) => (log ? low * (high / low) ** (i / MOST_BINS) : (high * 1.0001 * i) / MOST_BINS));
  const counted = cells.map(({ times, shade }) => {
    const shares = new Array(MOST_BINS).fill(0);
    times.time.forEach((t, i) => {
      const bin = edges.findIndex((edge, k) => k && t <= edge) - 1;
      shares[bin < 0 ? MOST_BINS - 1 : bin] += times.seen[i] / times.n;
    });
    return { shade, shares, never: 1 - shares.reduce((a, b) => a + b, 0) };
  });
  const top = Math.min(1, 1.1 * Math.max(0.1, ...counted.flatMap((one) => [...one.shares, one.never])));
  const y = shareAxis(pen, box, top);
  const { x } = all.length ? stepAxis(pen, inner, low, high) : { x: null };
  const bar = (from, wide, share, shade, i) => {
    const own = wide / counted.length;
    if (share > 1e-9) pen.rect(from + i * own, y(share), Math.max(own - 1, 1), y(0) - y(share), { fill: shade, alpha: 0.85 });
  };
  counted.forEach(({ shade, shares, never }, i) => {
    if (x) shares.forEach((share, k) => bar(x(Math.max(edges[k], x.domain[0])), x(edges[k + 1]) - x(Math.max(edges[k], x.domain[0])) - 1, share, shade, i));
    bar(box.x + box.w - room + 12, room - 14, never, shade, i);
  });
  pen.line([box.x + box.w - room + 6, box.x + box.w - room + 6], [box.y, box.y + box.h], { color: color("line"), dash: [3, 3], width: 1 });
  pen.text(box.x + box.w - room / 2 + 5, box.y + box.h + 15, "not seen", { color: color("soft"), anchor: "middle", size: 10.5 });
  pen.text(inner.x + inner.w, shape.height - 3, "step", { color: color("soft"), size: 10, anchor: "end" });
  return cells.map(({ cell, shade, times }) => [shade, `${cell.name}, ${times.n} seeds`]);
}

// The Kaplan-Meier curve with its 95 % band; small strokes are seeds that left without the event.
function drawSurvival(pen, luck, shape) {
  const box = luckBox(shape);
  const cells = luck.chosen();
  if (!cells.length) return noTimes(pen, box, "Choose a cell above.");
  const seen = cells.flatMap(({ times }) => times.time);
  const last = Math.max(1, ...seen, ...cells.flatMap(({ times }) => times.lost.map(([t]) => t)));
  const y = shareAxis(pen, box, 1);
  const { x } = stepAxis(pen, box, seen.length ? Math.min(...seen) : last, last);
  for (const { times, shade } of cells) {
    const ends = times.lost.map(([t]) => t);
    const stairs = (values) => {
      const ys = [1, ...values];
      const at = [x.domain[0], ...times.time, Math.max(times.time.at(-1) ?? 0, ...ends)];
      return { xs: at.slice(1).flatMap((t, i) => [at[i], t]).map(x), ys: ys.flatMap((v) => [v, v]).map(y) };
    };
    const curve = stairs(times.survival);
    pen.area(curve.xs, stairs(times.low).ys, stairs(times.high).ys, { color: shade, alpha: 0.15 });
    pen.line(curve.xs, curve.ys, { color: shade, width: 1.8 });
    for (const [t] of times.lost) {
      const k = times.time.findLastIndex((one) => one <= t);
      const level = y(k < 0 ? 1 : times.survival[k]);
      pen.line([x(t), x(t)], [level - 4, level + 4], { color: shade, width: 1.2 });
    }
  }
  pen.text(box.x + box.w, shape.height - 3, "step", { color: color("soft"), size: 10, anchor: "end" });
  return cells.map(({ cell, shade }) => [shade, cell.name]);
}
