// The competition: a cloud of neurons, their weights and their circuit, over the snapshots of one member.

class Competition {
  constructor(root, sections, page) {
    Object.assign(this, { root, page, all: sections.runs, data: sections.runs[0], member: 0, marked: null, shapes: {}, cache: { key: "" } });
    this.pixels = [new Float32Array(0), new Float32Array(0)];
    this.player = new Player({ page, root, count: () => this.count, go: (snapshot) => this.go(snapshot) });
    this.build();
    watchWidth(this.cloudBox, () => this.draw());
    watchWidth(this.heatBox, () => this.draw());
    watchWidth(this.circuitBox, () => this.draw());
    watchWidth(this.player.stripBox, () => this.draw());
    this.listen();
    this.choose();
    const grokked = this.own().events.find((event) => event.name === "grokking");
    page.set({ snapshot: grokked ? Math.round(grokked.at) : this.count - 1 });
    page.competition = this;
    this.draw();
  }

  // New numbers of the same run; a slider at the last snapshot moves to the new last one.
  renew(runs) {
    const last = this.now >= this.count - 1;
    runs.forEach((run, i) => Object.assign(this.all[i], run));
    Object.assign(this, { cache: { key: "" }, told: "" });
    this.choose();
    if (last && !this.player.playing) this.page.set({ snapshot: this.count - 1 });
    this.draw();
  }

  get count() {
    return this.data.steps.shape[0];
  }

  get steps() {
    return unpack(this.data.steps);
  }

  // The snapshot nearest to the current time.
  get now() {
    return Math.round(this.page.state.snapshot);
  }

  get weights() {
    return this.data.weights[String(this.member)] ?? null;
  }

  get proofs() {
    return this.data.proofs[String(this.member)] ?? null;
  }

  get circuit() {
    const found = this.data.circuits[String(this.member)];
    return found?.gates.length ? found : null;
  }

  build() {
    const tools = (what, svg, table) => el("div.tools", {},
      el("button.tool", { type: "button", "aria-label": `${what}: download as SVG`, onclick: svg }, "SVG"),
      table ? el("button.tool", { type: "button", "aria-label": `${what}: download as CSV`, onclick: table }, "CSV") : null);
    const figure = (title, buttons, ...inside) => el("figure", {}, el("div.head", {}, el("h3", {}, title), buttons), ...inside);
    this.cloud = el("canvas", { role: "img" });
    this.heat = el("canvas", { role: "img" });
    this.drawing = el("canvas", { role: "img" });
    [this.cloudBox, this.heatBox, this.circuitBox] = [["cloud", this.cloud], ["heat", this.heat], ["gates", this.drawing]].map(([name, canvas]) => el(`div.${name}`, {}, canvas));
    this.tip = el("div.tip", { hidden: true });
    this.words = el("p.readout");
    this.legend = el("ul.legend.static");
    this.note = el("p.soft");
    this.proof = el("div.proof");
    this.members = el("div.seeds", { role: "group", "aria-label": "seed of the competition" });
    this.cloudFigure = figure("Every neuron", tools("every neuron", () => saveCloud(this), () => saveNeurons(this)), this.legend, this.cloudBox);
    this.heatFigure = figure("Weights of the neurons that matter", tools("weights", () => saveHeat(this), () => saveWeights(this)), this.heatBox);
    this.circuitFigure = figure("The circuit", tools("circuit", () => saveCircuit(this)), this.circuitBox, this.proof);
    this.root.querySelector(".app").append(
      this.members, this.player.node, this.words,
      el("p.soft", {}, "Strip: areas are the groups' shares of the output; lines are accuracy on test (solid) and train inputs (dashed)."),
      (this.duel = el("div.duel", {}, this.cloudFigure, this.circuitFigure, this.heatFigure)), this.note, this.tip);
  }

  draw() {
    const { page, data, player } = this;
    if (this.pixels[0].length !== data.neurons) this.pixels = [new Float32Array(data.neurons), new Float32Array(data.neurons)];
    const view = { member: this.member, snapshot: page.state.snapshot, marked: this.marked, pixels: this.pixels };
    const width = this.cloudBox.clientWidth;
    if (width) {
      const height = Math.round(Math.min(Math.max(width * 0.82, 280), 440));
      const scales = (this.shapes.cloud = cloudScales(data, width, height));
      cloudPixels(data, this.member, page.state.snapshot, scales, this.pixels);
      drawCloud(new CanvasPen(this.cloud, width, height), data, { ...view, width, height, scales });
    }
    this.heatFigure.hidden = !this.weights;
    if (this.weights && this.heatBox.clientWidth) {
      const shape = (this.shapes.heat = heatShape(this.weights, this.heatBox.clientWidth));
      drawHeat(new CanvasPen(this.heat, this.heatBox.clientWidth, shape.height), this.weights, { ...view, shape });
    }
    this.circuitFigure.hidden = !this.data.circuits[String(this.member)];
    this.duel.classList.toggle("two", this.circuitFigure.hidden);
    this.duel.classList.toggle("one", this.circuitFigure.hidden && this.heatFigure.hidden);
    const stripWidth = player.stripBox.clientWidth;
    if (stripWidth) {
      const pen = new CanvasPen(player.strip, stripWidth, STRIP_HEIGHT);
      drawStrip(pen, data, { ...view, width: stripWidth, height: STRIP_HEIGHT, pad: SLIDER_PAD, ...this.own() });
    }
    this.tell();
  }

  circuitView(width) {
    const { circuit } = this;
    const have = circuit.snapshots;
    let i = have.findLastIndex((snapshot) => snapshot <= this.now);
    i = Math.max(i, 0);
    const strongest = Math.max(...circuit.gates.flat().map((gate) => gate.strength), 1e-9);
    return { width, height: circuitHeight(circuit), i, strongest };
  }

  drawGates() {
    const found = this.data.circuits[String(this.member)];
    if (!found) return;
    this.circuitBox.hidden = !this.circuit;
    const proof = proofNodes(this.proofs, this.now);
    if (!this.circuit) return this.proof.replaceChildren(el("p.soft", {}, `No circuit at the end: ${found.why}.`), ...proof);
    const width = this.circuitBox.clientWidth;
    if (!width) return;
    const view = this.circuitView(Math.min(width, 620));
    drawCircuit(new CanvasPen(this.drawing, view.width, view.height), this.circuit, view);
    const right = found.right[view.i];
    this.drawing.setAttribute("aria-label", `The ${found.neurons} neurons of the last circuit as gates: ${found.gates[view.i].map((gate) => `${gate.output_sign > 0 ? "plus" : "minus"} ${gate.formula}`).join(", ")}`);
    this.proof.replaceChildren(
      el("p.soft", {}, `The ${found.neurons} active neurons of the last network, read on bits ${found.support.join(", ")} at this step: their sum has the sign of the parity at `,
        el("b", { "data-name": "parity" }, `${right} of ${found.settings}`), " settings. Blue wants +1 or adds; orange, dashed, wants −1 or subtracts."),
      el("p.formula", {}, found.formula), ...proof);
  }

  // Curves of this member at the snapshots, from the section over time; and its events, as snapshots.
  own() {
    const { page } = this;
    const key = `${page.state.run} ${this.member}`;
    if (this.cache.key === key) return this.cache;
    this.cache = { key, accuracies: [], events: [] };
    const run = page.curves?.[page.state.run];
    if (!run) return this.cache;
    const steps = this.steps;
    for (const line of run.panels.find((one) => one.id === "accuracy")?.lines ?? []) {
      if (!["train_accuracy", "test_accuracy"].includes(line.measure) || this.member >= run.shown) continue;
      const variant = Object.values(line.variants)[0];
      const grid = unpack(run.grids[variant.grid]);
      const each = unpack(variant.each);
      const values = Array.from(steps, (step) => each[this.member * grid.length + nearest(grid, step)]);
      this.cache.accuracies.push({ values, measure: line.measure, dash: DASHES[line.color] ?? null });
    }
    for (const event of run.events) {
      const step = event.steps[this.member];
      if (step === null || step === undefined) continue;
      let i = 0;
      while (i < this.count - 2 && steps[i + 1] <= step) i++;
      const at = this.count > 1 ? i + (step - steps[i]) / (steps[i + 1] - steps[i]) : 0;
      this.cache.events.push({ name: event.name, at, dash: EVENT_DASHES[event.name] });
    }
    return this.cache;
  }

  // The state in words: under the slider, in the legend, and for screen readers.
  tell() {
    const { data, member, page } = this;
    const i = this.now;
    const key = `${data.name} ${member} ${i} ${page.state.theme} ${this.circuitBox.clientWidth}`;
    if (key === this.told) return;
    this.told = key;
    const perEpoch = page.curves?.[page.state.run]?.stepsPerEpoch;
    const step = this.steps[i];
    const parts = [
      ...(perEpoch ? [["epoch", format(step / perEpoch)]] : []), ["step", format(step)],
      ...this.own().accuracies.map((one) => [one.measure.replace("_", " "), format(one.values[i])]),
    ];
    const text = parts.flat().join(" ");
    this.words.replaceChildren(...parts.flatMap(([name, value]) => [el("span", {}, `${name} `), el("b", { "data-name": name }, value), " "]));
    const shares = unpack(data.groupShare);
    const groups = unpack(data.group).subarray(member * data.neurons, (member + 1) * data.neurons);
    const sizes = data.groups.map((_, g) => groups.reduce((sum, one) => sum + (one === g ? 1 : 0), 0));
    this.legend.replaceChildren(...data.groups.map((name, g) => el("li", {},
      el("i.dot", { style: { background: color(GROUP_COLORS[g]) } }), `${name}: ${sizes[g]} neurons, `,
      el("b", { "data-group": name }, percent(shares[(member * this.count + i) * data.groups.length + g])), " of the output")).filter((_, g) => sizes[g]));
    this.cloud.setAttribute("aria-label", `${data.neurons} neurons by norm and ${data.shareIs}, at ${text}`);
    this.heat.setAttribute("aria-label", `Weights of single neurons at ${text}; the CSV has the numbers`);
    this.player.show(page.state.snapshot, text);
    this.drawGates();
  }

  // Go to a snapshot, and move the cursor of the time axis there.
  go(snapshot) {
    const { page } = this;
    const to = Math.min(Math.max(snapshot, 0), this.count - 1);
    if (page.curves && Math.round(to) !== this.now) page.point(page.timeOf(page.state.run, this.steps[Math.round(to)]));
    page.set({ snapshot: to });
  }

  // The run and member that are shown: those of the time axis, if they are here too.
  choose() {
    const { page } = this;
    const name = page.curves?.[page.state.run]?.name ?? this.data.name;
    const found = this.all.find((one) => one.name === name);
    this.root.querySelector(".app").hidden = !found;
    if (!found) return;
    if (found !== this.data) {
      Object.assign(this, { data: found, member: 0, marked: null });
      page.set({ snapshot: Math.min(page.state.snapshot, this.count - 1) });
    }
    const { data } = this;
    if (data.members.includes(page.state.member)) this.member = data.members.indexOf(page.state.member);
    this.note.textContent = data.note;
    this.members.hidden = data.members.length < 2;
    this.members.replaceChildren(el("span.soft", {}, "seed"), ...data.members.map((label, i) => el("button", {
      type: "button", "aria-pressed": String(i === this.member), onclick: () => {
        Object.assign(this, { member: i, marked: null });
        if (page.state.member !== null) page.set({ member: label });
        this.choose();
        this.draw();
      },
    }, label)));
  }

  listen() {
    const { page } = this;
    page.on(["run", "member"], () => {
      this.choose();
      this.draw();
    });
    page.on(["snapshot", "theme"], () => this.draw());
    // A click on the time axis selects a snapshot here.
    page.on(["pinned"], (state) => {
      if (state.pinned === null || this.player.playing || !page.curves) return;
      const step = state.unit === "step" ? state.pinned : state.pinned * page.curves[state.run].stepsPerEpoch;
      const at = nearest(this.steps, step);
      if (at !== this.now) page.set({ snapshot: at });
    });
    const where = (canvas, event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const under = (event) => (this.shapes.heat && this.weights ? heatUnder(this.weights, this.shapes.heat, page.state.snapshot, ...where(this.heat, event)) : null);
    const near = (event) => cloudNearest(this.data, this.member, this.pixels, ...where(this.cloud, event));
    this.cloud.addEventListener("pointermove", (event) => this.show(event, this.neuronText(near(event))));
    this.heat.addEventListener("pointermove", (event) => this.show(event, under(event)?.text ?? ""));
    const mark = (neuron) => {
      this.marked = neuron === this.marked ? null : neuron;
      this.draw();
    };
    this.cloud.addEventListener("click", (event) => mark(near(event)));
    this.heat.addEventListener("click", (event) => mark(under(event)?.neuron ?? null));
    for (const canvas of [this.cloud, this.heat]) canvas.addEventListener("pointerleave", (event) => this.show(event, ""));
  }

  neuronText(neuron) {
    if (neuron === null) return "";
    const { data, member } = this;
    const index = (member * this.count + this.now) * data.neurons + neuron;
    const group = data.groups[unpack(data.group)[member * data.neurons + neuron]];
    return `neuron ${neuron} (${group}): norm ${brief(decoded(data.norm, index))}, ${percent(decoded(data.share, index))} of the output`;
  }

  show(event, text) {
    this.tip.hidden = !text;
    if (!text) return;
    this.tip.textContent = text;
    const box = this.root.getBoundingClientRect();
    this.tip.style.left = `${Math.max(0, Math.min(event.clientX - box.left + 12, box.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${event.clientY - box.top + 14}px`;
  }
}

const competitionSection = (root, sections, page) => new Competition(root, sections, page);
