// The competition: a cloud of neurons and their weights, over the snapshots of one member.

function competitionSection(root, sections, page) {
  const { state } = page;
  const all = sections.runs;
  const pad = 9; // half of the slider's thumb: the strip and the slider have one axis
  let data = all[0];
  let member = 0;
  let playing = false;
  let speed = 1;
  let marked = null;
  const pixels = [new Float32Array(0), new Float32Array(0)];

  const cloud = el("canvas", { role: "img" });
  const heat = el("canvas", { role: "img" });
  const strip = el("canvas", { "aria-hidden": "true" });
  const tip = el("div.tip", { hidden: true, role: "status" });
  const slider = el("input", { type: "range", min: "0", step: "1", "aria-label": "snapshot" });
  const play = el("button.play", { type: "button", "aria-label": "play" }, "▶");
  const words = el("p.readout", { "aria-live": "off" });
  const key = el("p.soft.key", {}, "Strip: areas are the groups' shares of the output; lines are accuracy on test (solid) and train inputs (dashed).");
  const legend = el("ul.legend.static");
  const note = el("p.soft");
  const members = el("div.seeds", { role: "group", "aria-label": "seed of the competition" });
  const cloudBox = el("div.cloud", {}, cloud);
  const heatBox = el("div.heat", {}, heat);
  const stripBox = el("div.strip", {}, strip);
  const tool = (text, title, act) => el("button.tool", { type: "button", title, "aria-label": title, onclick: act }, text);
  const speeds = choice("speed", [[0.5, "½×"], [1, "1×"], [2, "2×"]], () => speed, (value) => {
    speed = value;
    speeds.update();
  });
  const weightsOf = () => data.weights[String(member)] ?? null;
  const count = () => data.steps.shape[0];
  const steps = () => unpack(data.steps);

  const heatFigure = el("figure", {}, el("div.head", {}, el("h3", {}, "Weights of the neurons that matter"),
    el("div.tools", {}, tool("SVG", "download the weights as SVG", () => saveHeat()), tool("CSV", "download the weights as CSV", () => saveWeights()))), heatBox);
  const views = el("div.duel", {},
    el("figure", {}, el("div.head", {}, el("h3", {}, "Every neuron"),
      el("div.tools", {}, tool("SVG", "download the neurons as SVG", () => saveCloud()), tool("CSV", "download the neurons as CSV", () => saveNeurons()))),
      legend, cloudBox), heatFigure);
  root.querySelector(".app").append(
    members, el("div.player", {}, play, el("div.track", {}, stripBox, slider), speeds.node), words, key, views, note, tip);

  // ---- drawing

  let shapes = { cloud: null, heat: null };
  const view = () => ({ member, snapshot: state.snapshot, marked, pixels });

  function draw() {
    if (pixels[0].length !== data.neurons) pixels.splice(0, 2, new Float32Array(data.neurons), new Float32Array(data.neurons));
    const width = cloudBox.clientWidth;
    if (width) {
      const height = Math.round(Math.min(Math.max(width * 0.82, 280), 420));
      const scales = (shapes.cloud = cloudScales(data, width, height));
      cloudPixels(data, member, state.snapshot, scales, pixels);
      drawCloud(new CanvasPen(cloud, width, height), data, { ...view(), width, height, scales });
    }
    const weights = weightsOf();
    heatFigure.hidden = !weights;
    if (weights && heatBox.clientWidth) {
      const shape = (shapes.heat = heatShape(weights, heatBox.clientWidth));
      drawHeat(new CanvasPen(heat, heatBox.clientWidth, shape.height), weights, { ...view(), shape });
    }
    const stripWidth = stripBox.clientWidth;
    if (stripWidth) drawStrip(new CanvasPen(strip, stripWidth, 92), data, { ...view(), width: stripWidth, height: 92, pad, accuracies: accuracies(), events: events() });
    tell();
  }

  // Curves of this member at the snapshots, from the section over time.
  let cache = { key: "" };
  function own() {
    const key = `${state.run} ${member}`;
    if (cache.key === key) return cache;
    cache = { key, accuracies: [], events: [] };
    const run = page.curves?.[state.run];
    if (!run) return cache;
    const panel = run.panels.find((one) => one.id === "accuracy");
    for (const line of panel?.lines ?? []) {
      if (!["train_accuracy", "test_accuracy"].includes(line.measure) || member >= run.shown) continue;
      const variant = Object.values(line.variants)[0];
      const grid = unpack(run.grids[variant.grid]);
      const each = unpack(variant.each);
      const values = Array.from(steps(), (step) => each[member * grid.length + nearest(grid, step)]);
      cache.accuracies.push({ values, measure: line.measure, dash: DASHES[line.color] ?? null });
    }
    for (const event of run.events) {
      const step = event.steps[member];
      if (step === null || step === undefined) continue;
      let i = 0;
      while (i < count() - 2 && steps()[i + 1] <= step) i++;
      const fraction = count() > 1 ? (step - steps()[i]) / (steps()[i + 1] - steps()[i]) : 0;
      const place = [i, fraction];
      cache.events.push({ name: event.name, place, dash: event.name === "grokking" ? [2, 2.5] : [5, 3], side: (i + fraction) / count() > 0.5 ? -1 : 1 });
    }
    return cache;
  }
  const accuracies = () => own().accuracies;
  const events = () => own().events;

  // The state in words, under the slider.
  let told = "";
  function tell() {
    const i = Math.round(state.snapshot);
    const step = steps()[i];
    const perEpoch = page.curves?.[state.run]?.stepsPerEpoch;
    const shares = unpack(data.groupShare);
    const groups = unpack(data.group);
    const sizes = [0, 0, 0];
    for (let j = 0; j < data.neurons; j++) sizes[groups[member * data.neurons + j]]++;
    const parts = [
      ...(perEpoch ? [["epoch", format(step / perEpoch)]] : []), ["step", format(step)],
      ...accuracies().map((a) => [a.measure.replace("_", " "), format(a.values[i])]),
    ];
    const text = parts.flat().join(" ");
    if (text !== told) {
      told = text;
      words.replaceChildren(...parts.flatMap(([name, value]) => [el("span", {}, `${name} `), el("b", { "data-name": name }, value), " "]));
      slider.setAttribute("aria-valuetext", text);
      legend.replaceChildren(...data.groups.map((name, g) => el("li", {},
        el("i.dot", { style: { background: color(GROUP_COLORS[g]) } }), `${name}: ${sizes[g]} neurons, `, el("b", { "data-group": name }, percent(shares[(member * count() + i) * 3 + g])), " of the output")).filter((_, g) => sizes[g]));
      cloud.setAttribute("aria-label", `${data.neurons} neurons by norm and ${data.shareIs}, at ${text}`);
      heat.setAttribute("aria-label", `Weights of single neurons at ${text}; the CSV has the numbers`);
    }
    if (document.activeElement !== slider || playing) slider.value = String(i);
  }

  // ---- time

  function go(snapshot, mark = true) {
    const to = Math.min(Math.max(snapshot, 0), count() - 1);
    page.set({ snapshot: to });
    if (mark && page.point && page.curves) page.point(page.timeOf(state.run, steps()[Math.round(to)]));
  }

  let before = 0;
  let frames = [];
  function tick(now) {
    if (!playing) return;
    const passed = before ? Math.min(now - before, 100) : 0;
    before = now;
    frames.push(now);
    if (frames.length > 60) frames.shift();
    if (frames.length > 10) root.dataset.fps = String(Math.round((1000 * (frames.length - 1)) / (frames.at(-1) - frames[0])));
    const perSnapshot = 170 / speed;
    const to = state.snapshot + passed / perSnapshot;
    if (Math.round(to) !== Math.round(state.snapshot) && page.curves && to < count() - 1) page.point(page.timeOf(state.run, steps()[Math.round(to)]));
    if (to >= count() - 1) {
      go(count() - 1);
      return stop();
    }
    page.set({ snapshot: calm() ? Math.floor(to) + ((to % 1) * 1e-3) : to });
    requestAnimationFrame(tick);
  }
  function stop() {
    playing = false;
    play.textContent = "▶";
    play.setAttribute("aria-label", "play");
    if (Number.isInteger(state.snapshot)) return;
    go(Math.round(state.snapshot));
  }
  play.addEventListener("click", () => {
    if (playing) return stop();
    playing = true;
    before = 0;
    frames = [];
    play.textContent = "❚❚";
    play.setAttribute("aria-label", "pause");
    if (state.snapshot >= count() - 1) page.set({ snapshot: 0 });
    requestAnimationFrame(tick);
  });
  slider.addEventListener("input", () => {
    if (playing) stop();
    go(Number(slider.value));
  });
  const scrub = (event) => {
    if (!(event.buttons & 1)) return;
    if (playing) stop();
    const box = stripBox.getBoundingClientRect();
    go(Math.round(((event.clientX - box.left - pad) / (box.width - 2 * pad)) * (count() - 1)));
  };
  stripBox.addEventListener("pointerdown", scrub);
  stripBox.addEventListener("pointermove", scrub);

  // ---- what is under the pointer

  function show(event, text) {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const box = root.getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${event.clientY - box.top + 14}px`;
  }
  function neuronAt(event) {
    const box = cloud.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const groups = unpack(data.group);
    let best = { away: 100, neuron: null };
    for (let j = 0; j < data.neurons; j++) {
      const near = groups[member * data.neurons + j] === 0 ? 0.5 : 1;
      const away = near * ((pixels[0][j] - x) ** 2 + (pixels[1][j] - y) ** 2);
      if (away < best.away) best = { away, neuron: j };
    }
    return best.neuron;
  }
  cloud.addEventListener("pointermove", (event) => {
    const neuron = neuronAt(event);
    if (neuron === null) return show(event, "");
    const index = (member * count() + Math.round(state.snapshot)) * data.neurons + neuron;
    const group = data.groups[unpack(data.group)[member * data.neurons + neuron]];
    show(event, `neuron ${neuron} (${group}): norm ${format(Number(decoded(data.norm, index).toPrecision(3)))}, ${percent(decoded(data.share, index))} of the output`);
  });
  heat.addEventListener("pointermove", (event) => {
    const box = heat.getBoundingClientRect();
    show(event, shapes.heat ? heatUnder(weightsOf(), shapes.heat, state.snapshot, event.clientX - box.left, event.clientY - box.top)?.text ?? "" : "");
  });
  const mark = (neuron) => {
    marked = neuron === marked ? null : neuron;
    draw();
  };
  cloud.addEventListener("click", (event) => mark(neuronAt(event)));
  heat.addEventListener("click", (event) => {
    const box = heat.getBoundingClientRect();
    mark(heatUnder(weightsOf(), shapes.heat, state.snapshot, event.clientX - box.left, event.clientY - box.top)?.neuron ?? null);
  });
  for (const canvas of [cloud, heat]) canvas.addEventListener("pointerleave", (event) => show(event, ""));

  // ---- to take away

  const place = () => fileName(state.title, data.name, `seed-${data.members[member]}`, `step-${steps()[Math.round(state.snapshot)]}`);
  function saveCloud() {
    const [width, height] = [560, 440];
    const scales = cloudScales(data, width, height);
    const own = [new Float32Array(data.neurons), new Float32Array(data.neurons)];
    cloudPixels(data, member, state.snapshot, scales, own);
    const pen = new SvgPen(width, height, `Neurons at ${told}`);
    drawCloud(pen, data, { ...view(), pixels: own, width, height, scales });
    download(`${place()}-neurons.svg`, String(pen), "image/svg+xml");
  }
  function saveHeat() {
    const shape = heatShape(weightsOf(), 720);
    const pen = new SvgPen(720, shape.height, `Weights at ${told}`);
    drawHeat(pen, weightsOf(), { ...view(), shape });
    download(`${place()}-weights.svg`, String(pen), "image/svg+xml");
  }
  function saveNeurons() {
    const i = Math.round(state.snapshot);
    const groups = unpack(data.group);
    const rows = Array.from({ length: data.neurons }, (_, j) => {
      const index = (member * count() + i) * data.neurons + j;
      return [j, data.groups[groups[member * data.neurons + j]], ...[data.norm, data.share].map((axis) => Number(decoded(axis, index).toPrecision(4)))];
    });
    download(`${place()}-neurons.csv`, csv([["neuron", "group", "norm", data.shareIs], ...rows]), "text/csv");
  }
  function saveWeights() {
    const weights = weightsOf();
    const at = heatPlace(weights, Math.round(state.snapshot));
    const [rows, bits] = [weights.neurons.length, weights.bits.length];
    const value = (written, row, column, cells) => Number(weightAt(written, at, row, rows, column, cells).toPrecision(4));
    const table = weights.neurons.map((neuron, row) => [neuron, data.groups[weights.groups[row]],
      ...weights.bits.map((_, column) => value(weights.hidden, row, column, bits)), value(weights.bias, row, 0, 1), value(weights.output, row, 0, 1)]);
    download(`${place()}-weights.csv`, csv([["neuron", "group", ...weights.bits.map((bit) => `x${bit}`), "bias", "output weight"], ...table]), "text/csv");
  }

  // ---- which run and member

  function choose() {
    const name = page.curves?.[state.run]?.name ?? data.name;
    const found = all.find((one) => one.name === name);
    root.querySelector(".app").hidden = !found;
    if (!found) return;
    if (found !== data) {
      data = found;
      member = 0;
      marked = null;
      page.set({ snapshot: Math.min(state.snapshot, count() - 1) });
    }
    if (state.member !== null && data.members.includes(state.member)) member = data.members.indexOf(state.member);
    slider.max = String(count() - 1);
    note.textContent = data.note;
    members.hidden = data.members.length < 2;
    members.replaceChildren(el("span.soft", {}, "seed"), ...data.members.map((name_, i) => el("button", {
      type: "button", "aria-pressed": String(i === member), onclick: () => {
        member = i;
        marked = null;
        if (state.member !== null) page.set({ member: name_ });
        choose();
        draw();
      },
    }, name_)));
    told = "";
  }
  page.on(["run", "member"], () => {
    choose();
    draw();
  });
  page.on(["snapshot", "theme"], (_, keys) => {
    if (keys.has("theme")) told = "";
    draw();
  });
  // A click on the time axis is a step to look at here.
  page.on(["pinned", "unit"], (_, keys) => {
    if (!keys.has("pinned") || state.pinned === null || playing || !page.curves) return;
    const run = page.curves[state.run];
    const step = state.unit === "step" ? state.pinned : state.pinned * run.stepsPerEpoch;
    const at = nearest(steps(), step);
    if (at !== Math.round(state.snapshot)) page.set({ snapshot: at });
  });
  for (const box of [cloudBox, heatBox, stripBox]) watchWidth(box, draw);
  choose();
  const last = own().events.find((event) => event.name === "grokking");
  page.set({ snapshot: last ? Math.round(last.place[0] + last.place[1]) : count() - 1 });
  draw();
}
