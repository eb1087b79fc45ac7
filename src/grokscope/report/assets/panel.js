// A panel: title, legend with the values under the cursor, plot, and downloads.

class Panel {
  // `page`: the shared state; `curves`: the data from Python, one entry per run; `entry`: id, title, scale.
  constructor(page, curves, entry) {
    this.page = page;
    this.curves = curves;
    this.entry = entry;
    this.hidden = new Set();
    this.logY = entry.scale === "log";
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.marks = el("canvas.marks", { "aria-hidden": "true" });
    this.brush = el("div.brush", { hidden: true });
    this.area = el("div.plot", { tabindex: "0", role: "slider", "aria-label": `${entry.title}: cursor on the time axis` },
      this.canvas, this.marks, this.brush);
    this.legend = el("ul.legend");
    const tool = (text, title, act) => el("button.tool", { type: "button", title, "aria-label": `${entry.title}: ${title}`, onclick: act }, text);
    this.logButton = tool("log", "logarithmic values", () => this.toggleLog());
    this.node = el("div.panel", { id: `panel-${entry.id}` },
      el("div.head", {}, el("h3", {}, entry.title, entry.unit ? el("span", {}, ` ${entry.unit}`) : null),
        el("div.tools", {}, this.logButton,
          tool("SVG", "download as SVG", () => this.saveSvg()),
          tool("CSV", "download the data as CSV", () => this.saveCsv()))),
      this.legend, this.area);
    this.logButton.setAttribute("aria-pressed", String(this.logY));
    watchWidth(this.area, () => this.draw());
    // Panels in or near the window draw the cursor at once.
    new IntersectionObserver((entries) => {
      this.inView = entries.at(-1).isIntersecting;
      if (this.inView) this.cursorNow();
    }, { rootMargin: "100px" }).observe(this.node);
    this.listen();
  }

  toggleLog() {
    this.logY = !this.logY;
    this.logButton.setAttribute("aria-pressed", String(this.logY));
    this.draw();
  }

  // The current lines: of the chosen run, or of all runs where they are overlaid.
  lines() {
    const { state } = this.page;
    const runs = state.overlay ? state.runs : [state.run];
    const found = [];
    for (const [place, run] of runs.entries()) {
      const panel = this.curves[run].panels.find((one) => one.id === this.entry.id);
      for (const line of panel?.lines ?? []) {
        const variant = line.variants[state.split] ?? line.variants[""] ?? Object.values(line.variants)[0];
        const shade = state.overlay ? `run-${place % 4}` : line.color;
        found.push({ run, line, variant, shade, dash: DASHES[line.color] ?? null, label: line.label, key: `${run} ${line.measure} ${line.label}`, xs: this.times(run, variant.grid) });
      }
    }
    return found;
  }

  times(run, grid) {
    const { state } = this.page;
    const one = this.curves[run];
    const steps = unpack(one.grids[grid]);
    if (state.unit === "step") return steps;
    steps.epochs ??= Float64Array.from(steps, (step) => step / one.stepsPerEpoch);
    return steps.epochs;
  }

  // The member whose curve is shown alone in a run; -1 for all.
  alone(run) {
    const { state } = this.page;
    if (state.member === null) return -1;
    const one = this.curves[run];
    const at = one.members.indexOf(state.member);
    return at < one.shown ? at : -1;
  }

  spec(width, height) {
    const { state } = this.page;
    const lines = this.lines().filter((line) => !this.hidden.has(line.key)).map((line) => this.drawn(line));
    return {
      width, height, lines, events: this.events(), kind: this.entry.scale, logY: this.logY,
      domain: state.domain, first: state.first, log: state.log, unit: state.unit,
    };
  }

  drawn(line) {
    const { state } = this.page;
    const { variant, xs, run } = line;
    const points = xs.length;
    const stroke = color(line.shade);
    const each = unpack(variant.each);
    const one = (i) => each.subarray(i * points, (i + 1) * points);
    const alone = this.alone(run);
    const shown = this.curves[run].shown;
    if (alone >= 0) return { stroke, dash: line.dash, curves: [{ xs, ys: one(alone) }], label: line.label };
    if (state.display === "each" && shown > 1) {
      const curves = Array.from({ length: shown }, (_, i) => ({ xs, ys: one(i), width: 1, alpha: shown > 12 ? 0.4 : 0.75 }));
      return { stroke, dash: line.dash, curves, label: line.label };
    }
    const [low, high] = [unpack(variant.low), unpack(variant.high)];
    const several = this.curves[run].members.length > 1;
    return {
      stroke, dash: line.dash, label: line.label,
      band: several ? { xs: Array.from(xs), low: Array.from(low), high: Array.from(high) } : null,
      curves: [{ xs, ys: unpack(variant.mean) }, ...(several ? [{ xs, ys: low, hidden: true }, { xs, ys: high, hidden: true }] : [])],
    };
  }

  events() {
    const { state } = this.page;
    const runs = state.overlay ? state.runs : [state.run];
    return runs.flatMap((run, place) => {
      const one = this.curves[run];
      const alone = this.alone(run);
      return one.events.map((event) => {
        const step = alone >= 0 ? event.steps[alone] : event.median;
        const at = step === null ? null : state.unit === "step" ? step : step / one.stepsPerEpoch;
        const shade = state.overlay ? color(`run-${place % 4}`) : color(event.name === "memorization" ? "soft" : "ink");
        return { at, label: event.name, color: shade, dash: EVENT_DASHES[event.name] };
      });
    });
  }

  draw() {
    const width = this.area.clientWidth;
    if (!width) return;
    const height = (this.height = 196);
    this.shape = drawPlot(new CanvasPen(this.canvas, width, height), this.spec(width, height));
    this.drawLegend();
    this.cursorNow();
  }

  drawLegend() {
    const lines = this.lines();
    const key = lines.map((line) => line.key + line.shade).join("|") + [...this.hidden].join("|") + this.page.state.theme;
    if (key !== this.legendKey) {
      this.legendKey = key;
      this.values = new Map();
      // Where runs are overlaid, each has a line of the legend to itself.
      this.legend.replaceChildren(...lines.flatMap((line, i) => {
        const value = el("b");
        this.values.set(line.key, value);
        const next = i && line.run !== lines[i - 1].run ? [el("li.next", { "aria-hidden": "true" })] : [];
        return [...next, el("li", { "data-run": this.curves[line.run].name }, el("button", {
          type: "button", "aria-pressed": String(!this.hidden.has(line.key)), title: "show or hide",
          onclick: () => {
            if (!this.hidden.delete(line.key)) this.hidden.add(line.key);
            this.draw();
          },
        }, swatch(color(line.shade), line.dash), el("span", {}, line.label), value))];
      }));
    }
  }

  // Panels outside of the window draw it when it rests.
  drawCursor() {
    clearTimeout(this.later);
    if (this.inView !== false) this.cursorNow();
    else if (!this.page.competition?.player.playing) this.later = setTimeout(() => this.cursorNow(), 30);
  }

  // The cursor's line, a dot on each curve, and the values in the legend.
  cursorNow() {
    if (!this.shape) return;
    const { state } = this.page;
    const pen = new CanvasPen(this.marks, this.area.clientWidth, this.height);
    const { x, y, box } = this.shape;
    const at = state.cursor;
    const seen = at !== null && at >= state.domain[0] && at <= state.domain[1];
    if (seen) pen.line([x(at), x(at)], [box.y, box.y + box.h], { color: color("ink"), width: 1, alpha: 0.55 });
    for (const line of this.lines()) {
      const { xs, variant, run } = line;
      const i = at === null ? xs.length - 1 : nearest(xs, at);
      const alone = this.alone(run);
      const value = alone >= 0 ? unpack(variant.each)[alone * xs.length + i] : unpack(variant.mean)[i];
      const label = this.values?.get(line.key);
      if (label) {
        const spread = alone < 0 && this.curves[run].members.length > 1;
        const [low, high] = [unpack(variant.low)[i], unpack(variant.high)[i]];
        // Rounding errors in a share or an agreement are shown as 0.
        const isShare = this.entry.scale === "unit" || this.entry.id === "kappa";
        label.textContent = format(isShare && Math.abs(value) < 1e-6 ? 0 : value);
        if (spread && low < high) label.append(el("span.spread", {}, ` ${brief(low)} to ${brief(high)}`));
        label.dataset.step = String(unpack(this.curves[run].grids[variant.grid])[i]);
      }
      if (seen && !this.hidden.has(line.key) && xs[i] >= state.domain[0] && xs[i] <= state.domain[1] && !Number.isNaN(value)) {
        pen.dots([x(xs[i])], [y(value)], 3.2, { fill: color(line.shade), stroke: color("card"), width: 1.2 });
      }
    }
    this.area.setAttribute("aria-valuetext", at === null ? "not set" : `${state.unit} ${format(at)}`);
    this.area.setAttribute("aria-valuenow", String(at ?? state.domain[1]));
    this.area.setAttribute("aria-valuemin", String(state.domain[0]));
    this.area.setAttribute("aria-valuemax", String(state.domain[1]));
  }

  listen() {
    const { page, area } = this;
    const timeAt = (event) => {
      const pixel = event.clientX - area.getBoundingClientRect().left;
      const { x, box } = this.shape;
      return Math.min(Math.max(x.invert(Math.min(Math.max(pixel, box.x), box.x + box.w)), page.state.domain[0]), page.state.domain[1]);
    };
    let from = null;
    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.shape) return;
      from = { time: timeAt(event), pixel: event.clientX };
      if (event.pointerType === "mouse") area.setPointerCapture(event.pointerId);
    });
    area.addEventListener("pointermove", (event) => {
      if (!this.shape) return;
      if (from && event.pointerType === "mouse" && Math.abs(event.clientX - from.pixel) > 6) {
        const [a, b] = [from.time, timeAt(event)].sort((p, q) => p - q).map(this.shape.x);
        this.brush.hidden = false;
        Object.assign(this.brush.style, { left: `${a}px`, width: `${b - a}px`, top: `${this.shape.box.y}px`, height: `${this.shape.box.h}px` });
      } else if (event.pointerType === "mouse" || from) page.set({ cursor: timeAt(event) });
    });
    area.addEventListener("pointerup", (event) => {
      if (!from) return;
      const [start, moved] = [from, !this.brush.hidden];
      from = null;
      this.brush.hidden = true;
      if (moved) page.zoom([start.time, timeAt(event)].sort((p, q) => p - q));
      else {
        page.set({ cursor: timeAt(event), pinned: timeAt(event) });
        this.pickMember(event);
      }
    });
    area.addEventListener("pointercancel", () => {
      from = null;
      this.brush.hidden = true;
    });
    area.addEventListener("pointerleave", () => page.set({ cursor: page.state.pinned }));
    area.addEventListener("dblclick", () => page.zoom(null));
    area.addEventListener("keydown", (event) => {
      const act = {
        ArrowLeft: () => this.stepCursor(-1), ArrowRight: () => this.stepCursor(1),
        Home: () => page.point(page.state.domain[0]), End: () => page.point(page.state.domain[1]),
        "+": () => page.zoomBy(0.5), "=": () => page.zoomBy(0.5), "-": () => page.zoomBy(2), 0: () => page.zoom(null),
        Escape: () => page.point(null),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  // From one measured time to the next.
  stepCursor(by) {
    const line = this.lines()[0];
    if (!line) return;
    const { state } = this.page;
    const i = state.cursor === null ? (by > 0 ? -1 : line.xs.length) : nearest(line.xs, state.cursor);
    this.page.point(line.xs[Math.min(Math.max(i + by, 0), line.xs.length - 1)]);
  }

  // Where every member has its curve, a click chooses the nearest one.
  pickMember(event) {
    const { state } = this.page;
    if (state.display !== "each" || state.member !== null) return;
    const pixel = event.clientY - this.area.getBoundingClientRect().top;
    let best = { away: 12, member: null };
    for (const line of this.lines()) {
      if (this.hidden.has(line.key)) continue;
      const i = nearest(line.xs, state.cursor);
      const each = unpack(line.variant.each);
      for (let m = 0; m < this.curves[line.run].shown; m++) {
        const away = Math.abs(this.shape.y(each[m * line.xs.length + i]) - pixel);
        if (away < best.away) best = { away, member: this.curves[line.run].members[m] };
      }
    }
    if (best.member !== null) this.page.set({ member: best.member });
  }

  saveSvg() {
    const [width, plain] = [640, this.spec(640, 0)];
    const legend = legendOf(plain.lines, width);
    const height = 260 + 16 * legend.rows;
    const pen = new SvgPen(width, height, this.entry.title);
    const title = this.entry.unit ? `${this.entry.title} (${this.entry.unit})` : this.entry.title;
    drawPlot(pen, { ...plain, height, title, legend });
    download(`${fileName(this.page.state.title, this.entry.id)}.svg`, String(pen), "image/svg+xml");
  }

  // One row per measured time: mean, percentiles and every member's own value.
  saveCsv() {
    const lines = this.lines();
    const runs = [...new Set(lines.map((line) => line.run))];
    const rows = [];
    for (const run of runs) {
      const one = this.curves[run];
      const own = lines.filter((line) => line.run === run);
      const members = one.members.slice(0, one.shown).map((name) => `seed ${name}`);
      rows.push(["run", "step", "epoch", ...own.flatMap((line) => ["mean", "10th percentile", "90th percentile", ...members].map((what) => `${line.label} ${what}`))]);
      const steps = [...new Set(own.flatMap((line) => Array.from(unpack(one.grids[line.variant.grid]))))].sort((a, b) => a - b);
      for (const step of steps) {
        const cells = own.flatMap((line) => {
          const grid = unpack(one.grids[line.variant.grid]);
          const i = nearest(grid, step);
          if (grid[i] !== step) return Array(3 + one.shown).fill("");
          const each = unpack(line.variant.each);
          return [unpack(line.variant.mean)[i], unpack(line.variant.low)[i], unpack(line.variant.high)[i],
            ...members.map((_, m) => each[m * grid.length + i])];
        });
        rows.push([one.name, step, step / one.stepsPerEpoch, ...cells]);
      }
    }
    download(`${fileName(this.page.state.title, this.entry.id)}.csv`, csv(rows), "text/csv");
  }
}

// A piece of a line, for legends.
function swatch(stroke, dash) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [key, value] of Object.entries({ width: 20, height: 8, "aria-hidden": "true" })) svg.setAttribute(key, value);
  const path = document.createElementNS(space, "path");
  for (const [key, value] of Object.entries({ d: "M0 4H20", stroke, "stroke-width": 2.2, "stroke-dasharray": dash ? dash.join(" ") : null })) {
    if (value !== null) path.setAttribute(key, value);
  }
  svg.append(path);
  return svg;
}
