// The section over the time axis: one toolbar and one cursor for all panels.

function curvesSection(root, data, page) {
  const curves = data.runs;
  const { state } = page;
  const entries = [];
  for (const run of curves) {
    for (const panel of run.panels) if (!entries.some((one) => one.id === panel.id)) entries.push(panel);
  }
  const splits = [...new Set(curves.flatMap((run) => run.panels.flatMap((p) => p.lines.flatMap((l) => Object.keys(l.variants)))))].filter(Boolean);
  page.set({ split: splits.includes(state.split) ? state.split : splits[0] ?? "", overlay: data.overlay });
  if (data.overlay && !state.runs.length) page.set({ runs: curves.map((_, i) => i).slice(0, 4) });

  const chosen = () => (state.overlay ? state.runs.map((i) => curves[i]) : [curves[state.run]]);

  // The whole time axis, in the current unit.
  const whole = () => {
    const runs = chosen();
    const unit = (run) => (state.unit === "step" ? 1 : run.stepsPerEpoch);
    if (!runs.length) return { domain: [0, 1], first: 1 };
    const last = Math.max(...runs.map((run) => Math.max(...run.grids.map((grid) => unpack(grid).at(-1))) / unit(run)));
    const first = Math.min(...runs.map((run) => Math.min(...run.grids.map((grid) => unpack(grid).find((s) => s > 0) ?? Infinity)) / unit(run)));
    return { domain: [0, last || 1], first: Number.isFinite(first) ? first : 1 };
  };
  page.whole = whole;
  page.zoom = (domain) => {
    const all = whole();
    if (domain) {
      domain = [Math.max(domain[0], 0), Math.min(domain[1], all.domain[1])];
      if (!(domain[1] - domain[0] > all.domain[1] * 1e-6)) return;
    }
    page.set({ domain: domain ?? all.domain, first: all.first });
  };
  page.zoomBy = (factor) => {
    const all = whole().domain;
    const scale = timeScale(state.domain, state.first, state.log, [0, 1]);
    const middle = state.cursor !== null && state.cursor >= state.domain[0] && state.cursor <= state.domain[1] ? scale(state.cursor) : 0.5;
    const ends = [middle - middle * factor, middle + (1 - middle) * factor].map((t) => scale.invert(t));
    page.zoom([Math.max(ends[0], all[0]), Math.min(ends[1], all[1])]);
  };
  page.point = (time) => page.set({ cursor: time, pinned: time });
  // A step of a run, on the axis.
  page.timeOf = (run, step) => (state.unit === "step" ? step : step / curves[run].stepsPerEpoch);
  page.zoom(null);

  const manySeeds = choice("what is drawn", [["bands", "mean & spread", "mean, and 10th to 90th percentile over seeds"], ["each", "every seed", "one line per seed"]],
      () => state.display, (display) => page.set({ display }));
  const controls = [
    manySeeds,
    choice("scale of time", [[true, "log"], [false, "linear"]], () => state.log, (log) => page.set({ log })),
    choice("unit of time", [["epoch", "epochs"], ["step", "steps"]], () => state.unit, (unit) => {
      const factor = (unit === "step" ? 1 : -1) * Math.log(curves[state.run].stepsPerEpoch);
      const turned = (time) => (time === null ? null : time * Math.exp(factor));
      page.set({ unit, cursor: turned(state.cursor), pinned: turned(state.pinned) });
      page.zoom(null);
    }),
  ];
  if (splits.length > 1) controls.push(choice("inputs", splits.map((s) => [s, `on ${s}`, `measures that differ: on the ${s} inputs`]), () => state.split, (split) => page.set({ split })));
  const zoom = el("div.choice", { role: "group", "aria-label": "zoom" },
    el("button", { type: "button", title: "zoom in", "aria-label": "zoom in", onclick: () => page.zoomBy(0.5) }, "+"),
    el("button", { type: "button", title: "zoom out", "aria-label": "zoom out", onclick: () => page.zoomBy(2) }, "−"),
    el("button", { type: "button", title: "show all of the time axis", onclick: () => page.zoom(null) }, "all"));
  const runs = curves.length > 1 && !data.overlay
    ? choice("experiment", curves.map((run, i) => [i, run.name]), () => state.run, (run) => {
        page.set({ run, member: null, cursor: null, pinned: null });
        page.zoom(null);
      })
    : null;
  if (runs) controls.unshift(runs);
  const seeds = el("div.seeds", { role: "group", "aria-label": "seed shown alone" });
  const when = el("span.soft.when");
  const bar = el("div.toolbar", {}, ...controls.map((one) => one.node), zoom, el("div.second", {}, seeds, when));
  const tellWhen = () => {
    const run = chosen()[0];
    if (!run) return;
    const epoch = state.unit === "epoch" ? state.cursor : state.cursor / run.stepsPerEpoch;
    when.textContent = state.cursor === null ? "values: at the end" : `values: at epoch ${format(epoch)} (step ${format(epoch * run.stepsPerEpoch)})`;
  };

  const key = el("ul.legend.static.key", { "aria-label": "runs" });
  const updateKey = () => key.replaceChildren(...(state.overlay ? chosen() : []).map((run, place) => el("li", {},
    el("i.dot", { style: { background: color(`run-${place % 4}`) } }), run.name)));

  const updateSeeds = () => {
    const names = [...new Set(chosen().flatMap((run) => run.members.slice(0, run.shown)))];
    const left = Math.max(...chosen().map((run) => run.members.length - run.shown), 0);
    const button = (value, text) => el("button", {
      type: "button", "aria-pressed": String(state.member === value), onclick: () => page.set({ member: state.member === value ? null : value }),
    }, text);
    seeds.replaceChildren(el("span.soft", {}, "seed"), button(null, "all"), ...names.map((name) => button(name, name)),
      left > 0 ? el("span.soft", {}, `(${left} more are in the bands only)`) : "");
    seeds.hidden = names.length < 2;
  };

  const panels = entries.map((entry) => new Panel(page, curves, entry));
  const grid = el("div.panels", {}, ...panels.filter((p) => p.entry.main).map((p) => p.node));
  const rest = panels.filter((p) => !p.entry.main);
  const more = el("details.more", {}, el("summary", {}, `More measures (${rest.length})`), el("div.panels", {}, ...rest.map((p) => p.node)));
  const hint = el("p.soft.hint", {}, "Drag in a plot to zoom, double click for all; click to set the cursor. With the keyboard: arrows, + and −, 0, Escape.");
  root.querySelector(".app").append(bar, key, grid, rest.length ? more : "", hint);

  page.on(["display", "log", "unit", "split", "run", "member", "domain", "first", "theme", "overlay", "runs", "fresh"], () => {
    controls.forEach((one) => one.update());
    manySeeds.node.hidden = chosen().every((run) => run.members.length < 2);
    updateSeeds();
    updateKey();
    panels.forEach((panel) => panel.draw());
  });
  page.on(["cursor", "unit", "rested"], () => {
    tellWhen();
    panels.forEach((panel) => panel.drawCursor());
  });
  tellWhen();
  updateSeeds();
  updateKey();

  // Scroll to the panels with some measures, and mark them.
  page.showPanels = (ids, run) => {
    if (run !== null && run !== state.run && !state.overlay) {
      page.set({ run, member: null, cursor: null, pinned: null });
      page.zoom(null);
    }
    const neurons = document.querySelector('[data-component="competition"]');
    if (ids[0] === "competition" && neurons) return neurons.scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
    const found = ids.map((id) => panels.find((panel) => panel.entry.id === id)).filter(Boolean).slice(0, 2);
    if (found.some((panel) => !panel.entry.main)) more.open = true;
    for (const panel of panels) panel.node.classList.toggle("lit", found.includes(panel));
    const target = found[0]?.node ?? root;
    target.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "center" });
    found[0]?.area.focus({ preventScroll: true });
    announce(found.length ? `Shown: ${found.map((panel) => panel.entry.title).join(", ")}` : "Shown: the curves");
  };
}

// Whether the reader prefers reduced motion.
const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
