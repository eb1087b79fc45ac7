// Shared by all parts of the page: elements, numbers, arrays, colors, downloads, and the shared state.

const byId = (id) => document.getElementById(id);

// An element. Texts become text nodes, never markup.
function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(node.style, value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const ARRAYS = {
  f4: Float32Array, f8: Float64Array, i4: Int32Array, i2: Int16Array, u2: Uint16Array, u1: Uint8Array,
};

// A typed array as packed by Python, with its shape; decoded once, at its first use.
function unpack(written) {
  if (!written.values) {
    const text = atob(written.data);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const values = new ARRAYS[written.type](bytes.buffer);
    values.shape = written.shape;
    written.values = values;
    delete written.data;
  }
  return written.values;
}

// Four significant digits, whole numbers in full; exponents for very small and very large ones.
function format(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e15) return String(Math.round(value)).replace("-", "−");
  if (size !== 0 && size < 1e-4) return value.toExponential(2).replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

// Three digits.
const brief = (value) => format(Number(value.toPrecision(3)));

const percent = (share) => (Number.isNaN(share) ? "–" : `${format(Number((100 * share).toPrecision(3)))} %`);

// The shortest decimal that is this number in 32 bits, as it is stored.
function shortest(value) {
  if (!Number.isFinite(value)) return "";
  for (let digits = 1; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return String(Number(text));
  }
  return String(value);
}

// Colors of the style sheet by name, in the current theme, for canvases.
let colorCache = new Map();
function color(name) {
  if (!colorCache.has(name)) {
    const found = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    colorCache.set(name, found || "#888888");
  }
  return colorCache.get(name);
}

// "#rrggbb" to [r, g, b].
function rgb(hex) {
  const number = Number.parseInt(hex.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

function mixed(from, to, share) {
  const [a, b] = [rgb(from), rgb(to)];
  return `rgb(${a.map((v, i) => Math.round(v + (b[i] - v) * share)).join(",")})`;
}

function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// Quote a cell that a spreadsheet would read as a formula.
function csv(rows) {
  const cell = (value) => {
    let text = typeof value === "number" ? shortest(value) : String(value ?? "");
    if (typeof value === "string" && /^[=+\-@\t]/.test(text)) text = `'${text}`;
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

const fileName = (...parts) => parts.join("-").toLowerCase().replace(/[^a-z0-9.]+/g, "-").replace(/^-+|-+$/g, "");

// Announce a change to screen readers.
function announce(text) {
  byId("said").textContent = text;
}

// Shared state; listeners to a key are called once per frame.
function observable(initial) {
  const state = { ...initial };
  const listeners = [];
  const changed = new Set();
  let queued = false;
  const flush = () => {
    queued = false;
    const keys = new Set(changed);
    changed.clear();
    for (const [wanted, tell] of listeners) if (wanted.some((key) => keys.has(key))) tell(state, keys);
  };
  return {
    state,
    on(keys, tell) {
      listeners.push([keys, tell]);
    },
    set(values) {
      for (const [key, value] of Object.entries(values)) {
        if (!Object.is(state[key], value)) {
          state[key] = value;
          changed.add(key);
        }
      }
      if (changed.size && !queued) {
        queued = true;
        requestAnimationFrame(flush);
      }
    },
  };
}

// A row of buttons of which one is pressed.
function choice(label, options, get, set) {
  const buttons = options.map(([value, text, title]) =>
    el("button", { type: "button", title, onclick: () => set(value) }, text));
  const node = el("div.choice", { role: "group", "aria-label": label }, ...buttons);
  const update = () => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(Object.is(options[i][0], get()))));
  };
  update();
  return { node, update };
}

// Call back with the width whenever it changes.
function watchWidth(node, tell) {
  let last = 0;
  const look = () => {
    const width = Math.floor(node.clientWidth);
    if (width && width !== last) tell((last = width));
  };
  new ResizeObserver(look).observe(node);
  look();
}
