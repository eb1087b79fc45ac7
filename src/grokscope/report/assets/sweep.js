// The map of a sweep: a button for every cell, colored by phase or by a number; chosen cells have their curves.

const PHASE_LETTERS = { comprehension: "C", grokking: "G", memorization: "M", confusion: "X", diverged: "D" };
const MOST_CHOSEN = 4;

class SweepMap {
  constructor(root, data, page) {
    Object.assign(this, { root, data, page, outer: data.axes.slice(0, -2).map(() => 0), chosen: [], quantity: "" });
    this.options = [...(data.phases.length ? [["", "phase"]] : []), ...data.quantities.map((one) => [one.id, one.words])];
    this.quantity = this.options[0]?.[0] ?? "";
    this.picker = choice("what is shown", this.options, () => this.quantity, (value) => {
      this.quantity = value;
      this.draw();
    });
    const selects = this.outer.map((_, i) => el("label.soft", {}, `${this.words(i)} `, el("select", {
      onchange: (event) => {
        this.outer[i] = Number(event.target.value);
        this.draw();
      },
    }, ...data.axes[i].labels.map((label, k) => el("option", { value: k }, label)))));
    this.grid = el("div.map", { role: "group", "aria-label": "cells" });
    this.legend = el("ul.legend.static");
    this.facts = el("div.scroll");
    root.querySelector(".app").append(
      el("div.toolbar", {}, this.picker.node, ...selects,
        el("button.tool", { type: "button", "aria-label": "cells: download as CSV", onclick: () => this.save() }, "CSV")),
      el("div.scroll", {}, this.grid), this.legend, this.facts);
    if (data.events.length) {
      this.luck = new Luck(this);
      root.querySelector(".app").append(this.luck.node);
    }
    page.on(["theme"], () => this.draw());
    this.curves = data.cells.some((cell) => cell.curves !== null); // none where only outcomes were kept
    const first = data.cells.filter((cell) => this.canChoose(cell));
    // At first one cell that generalizes and one that does not, if there are both.
    const some = [["grokking", "comprehension"], ["memorization", "confusion"]].map((phases) => phases.map((phase) => first.find((cell) => cell.phase === phase)).find(Boolean));
    for (const cell of some.some(Boolean) ? some : first.slice(0, 2)) if (cell) this.choose(cell);
    this.draw();
  }

  words(axis) {
    return this.data.axes[axis].name.replaceAll("_", " ");
  }

  canChoose(cell) {
    return this.curves ? cell.curves !== null : Object.keys(cell.times).length > 0;
  }

  choose(cell) {
    if (!this.canChoose(cell)) return;
    if (this.chosen.includes(cell)) this.chosen = this.chosen.filter((one) => one !== cell);
    else this.chosen = [...this.chosen, cell].slice(-MOST_CHOSEN);
    if (this.curves) {
      this.page.set({ runs: this.chosen.map((one) => one.curves), member: null });
      this.page.zoom(null);
    }
    this.draw();
    announce(`Chosen: ${this.chosen.map((one) => one.name).join("; ") || "no cell"}`);
  }

  // The value of the quantity that is shown; null for none, infinite for a time that is not reached.
  value(cell) {
    const found = cell.values[this.quantity];
    if (!found) return null;
    return found[0] ?? Infinity;
  }

  paint(cell, range) {
    if (!this.quantity) return cell.phase ? color(`phase-${cell.phase}`) : color("field");
    const value = this.value(cell);
    if (value === null) return color("field");
    if (!Number.isFinite(value)) return color("other");
    const kind = this.data.quantities.find((one) => one.id === this.quantity).kind;
    const place = kind === "share" ? value : range[1] > range[0] ? Math.log(value / range[0]) / Math.log(range[1] / range[0]) : 0.5;
    return mixed(color("ramp-low"), color("ramp-high"), Math.min(Math.max(place, 0), 1));
  }

  draw() {
    this.picker.update();
    const { data } = this;
    const inner = data.axes.slice(-2);
    const [rows, columns] = inner.length === 2 ? inner : [{ name: "", labels: [""] }, inner[0]];
    const shown = data.cells.filter((cell) => this.outer.every((k, i) => cell.place[i] === k));
    const values = data.cells.map((cell) => this.value(cell)).filter((v) => v !== null && Number.isFinite(v) && v > 0);
    const range = [Math.min(...values), Math.max(...values)];
    const roomy = columns.labels.length <= 12;
    this.grid.style.gridTemplateColumns = `auto repeat(${columns.labels.length}, minmax(${roomy ? "3.4rem" : "1.5rem"}, 1fr))`;
    const nodes = [];
    for (let r = rows.labels.length - 1; r >= 0; r--) {
      nodes.push(el("span.row", {}, rows.labels[r]));
      columns.labels.forEach((_, c) => {
        const place = inner.length === 2 ? [r, c] : [c];
        const cell = shown.find((one) => place.every((k, i) => one.place.at(i - place.length) === k));
        nodes.push(cell ? this.button(cell, range, roomy) : el("span.empty"));
      });
    }
    const words = (axis) => axis.name.replaceAll("_", " ");
    nodes.push(el("span.row"), ...columns.labels.map((label) => el("span.column", {}, label)));
    nodes.push(el("span"), el("span.axis", { style: { gridColumn: "2 / -1" } }, words(columns) + (rows.name ? ` across, ${words(rows)} up` : "")));
    this.grid.replaceChildren(...nodes);
    this.drawLegend(range);
    this.drawFacts();
    this.luck?.draw();
  }

  button(cell, range, roomy) {
    const fill = this.paint(cell, range);
    const value = this.value(cell);
    const number = value === null ? "" : Number.isFinite(value) ? brief(value) : "not reached";
    const place = this.chosen.indexOf(cell);
    const words = [cell.phase, ...this.data.quantities.slice(0, 3).filter((one) => cell.values[one.id]).map((one) => `${one.words} ${this.number(cell.values[one.id])}`)];
    const node = el("button.cell", {
      type: "button", title: `${cell.name}: ${words.filter(Boolean).join("; ")}`, "aria-pressed": String(place >= 0),
      "aria-label": `${cell.name}: ${words.filter(Boolean).join("; ")}`, style: { background: fill, color: readable(fill) }, onclick: () => this.choose(cell),
    }, roomy ? (this.quantity ? number : PHASE_LETTERS[cell.phase] ?? "") : "");
    if (place >= 0) node.style.outlineColor = color(`run-${place}`);
    return node;
  }

  number([value, low, high]) {
    const text = value === null ? "not reached" : brief(value);
    return low === null && high === null ? text : `${text} [${low === null ? "−∞" : brief(low)}, ${high === null ? "∞" : brief(high)}]`;
  }

  drawLegend(range) {
    const item = (fill, text) => el("li", {}, el("i.dot", { style: { background: fill } }), text);
    if (!this.quantity) {
      const seen = this.data.phases.filter((phase) => this.data.cells.some((cell) => cell.phase === phase));
      return this.legend.replaceChildren(...seen.map((phase) => item(color(`phase-${phase}`), `${PHASE_LETTERS[phase]}: ${phase}`)));
    }
    const { kind } = this.data.quantities.find((one) => one.id === this.quantity);
    const ends = kind === "share" ? [0, 1] : range;
    const items = ends.every(Number.isFinite) ? [item(color("ramp-low"), brief(ends[0])), item(color("ramp-high"), brief(ends[1]))] : [];
    if (this.data.cells.some((cell) => this.value(cell) === Infinity)) items.push(item(color("other"), "not reached"));
    return this.legend.replaceChildren(...items);
  }

  // The estimates of the chosen cells.
  drawFacts() {
    const rows = this.data.quantities.map((one) => el("tr", {}, el("th", { scope: "row" }, one.words),
      ...this.chosen.map((cell) => el("td", {}, cell.values[one.id] ? this.number(cell.values[one.id]) : "–"))));
    const head = el("tr", {}, el("th", { scope: "col" }, "95 % intervals"), ...this.chosen.map((cell, i) =>
      el("th.wrap", { scope: "col" }, el("i.dot", { style: { background: color(`run-${i}`) } }), cell.name)));
    this.facts.replaceChildren(this.chosen.length ? el("table.data", {}, el("thead", {}, head), el("tbody", {}, ...rows)) : "");
  }

  save() {
    const { axes, quantities, cells } = this.data;
    const head = [...axes.map((axis) => axis.name), "phase", ...quantities.flatMap((one) => [one.id, `${one.id} low`, `${one.id} high`, `${one.id} n`])];
    const rows = cells.map((cell) => [...cell.place.map((k, i) => axes[i].labels[k]), cell.phase,
      ...quantities.flatMap((one) => (cell.values[one.id] ?? ["", "", "", ""]).map((v) => v ?? ""))]);
    download(`${fileName(this.page.state.title, "cells")}.csv`, csv([head, ...rows]), "text/csv");
  }
}

// Black or white, whichever can be read on a color.
function readable(fill) {
  const [r, g, b] = fill.startsWith("#") ? rgb(fill) : fill.match(/\d+/g).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#16191d" : "#ffffff";
}

const sweepSection = (root, data, page) => new SweepMap(root, data, page);
