// Pens: the same drawing on a canvas (for the screen) or as SVG (to download). Colors are CSS colors.

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

class CanvasPen {
  constructor(canvas, width, height) {
    const ratio = Math.min(window.devicePixelRatio || 1, 3);
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    this.c = canvas.getContext("2d");
    this.c.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.c.clearRect(0, 0, width, height);
  }

  // Through points, with gaps where one is not a number.
  line(xs, ys, { color, width = 1.5, dash = null, alpha = 1 }) {
    const c = this.c;
    c.globalAlpha = alpha;
    c.strokeStyle = color;
    c.lineWidth = width;
    c.lineJoin = "round";
    c.setLineDash(dash ?? []);
    c.beginPath();
    let down = false;
    for (let i = 0; i < xs.length; i++) {
      if (Number.isNaN(ys[i])) down = false;
      else if (down) c.lineTo(xs[i], ys[i]);
      else {
        c.moveTo(xs[i], ys[i]);
        down = true;
      }
    }
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  area(xs, low, high, { color, alpha = 0.18 }) {
    const c = this.c;
    c.globalAlpha = alpha;
    c.fillStyle = color;
    c.beginPath();
    for (let i = 0; i < xs.length; i++) i ? c.lineTo(xs[i], high[i]) : c.moveTo(xs[i], high[i]);
    for (let i = xs.length - 1; i >= 0; i--) c.lineTo(xs[i], low[i]);
    c.fill();
    c.globalAlpha = 1;
  }

  rect(x, y, w, h, { fill = null, stroke = null, width = 1, alpha = 1 }) {
    this.c.globalAlpha = alpha;
    if (fill) {
      this.c.fillStyle = fill;
      this.c.fillRect(x, y, w, h);
    }
    if (stroke) {
      this.c.strokeStyle = stroke;
      this.c.lineWidth = width;
      this.c.strokeRect(x, y, w, h);
    }
    this.c.globalAlpha = 1;
  }

  // Many dots of one kind at once.
  dots(xs, ys, radius, { fill, stroke = null, width = 1, alpha = 1 }) {
    const c = this.c;
    if (fill && stroke && xs.length > 1) { // each with its own rim
      for (let i = 0; i < xs.length; i++) this.dots([xs[i]], [ys[i]], radius, { fill, stroke, width, alpha });
      return;
    }
    c.globalAlpha = alpha;
    c.beginPath();
    for (let i = 0; i < xs.length; i++) {
      c.moveTo(xs[i] + radius, ys[i]);
      c.arc(xs[i], ys[i], radius, 0, 6.283185);
    }
    if (fill) {
      c.fillStyle = fill;
      c.fill();
    }
    if (stroke) {
      c.strokeStyle = stroke;
      c.lineWidth = width;
      c.stroke();
    }
    c.globalAlpha = 1;
  }

  // Any shape, as an SVG path.
  path(shape, { fill = null, stroke = null, width = 1, dash = null, alpha = 1 }) {
    const c = this.c;
    const path = new Path2D(shape);
    c.globalAlpha = alpha;
    c.setLineDash(dash ?? []);
    if (fill) {
      c.fillStyle = fill;
      c.fill(path);
    }
    if (stroke) {
      c.strokeStyle = stroke;
      c.lineWidth = width;
      c.stroke(path);
    }
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  text(x, y, words, { color, size = 11, anchor = "start", weight = 400, turn = 0, alpha = 1, halo = null }) {
    const c = this.c;
    c.globalAlpha = alpha;
    c.font = `${weight} ${size}px ${FONT}`;
    c.fillStyle = color;
    c.textAlign = { start: "left", middle: "center", end: "right" }[anchor];
    c.textBaseline = "alphabetic";
    if (halo) {
      c.strokeStyle = halo;
      c.lineWidth = 3.5;
      c.lineJoin = "round";
      c.strokeText(words, x, y);
    }
    if (turn) {
      c.save();
      c.translate(x, y);
      c.rotate((turn * Math.PI) / 180);
      c.fillText(words, 0, 0);
      c.restore();
    } else c.fillText(words, x, y);
    c.globalAlpha = 1;
  }

  clip(x, y, w, h) {
    this.c.save();
    this.c.beginPath();
    this.c.rect(x, y, w, h);
    this.c.clip();
  }

  unclip() {
    this.c.restore();
  }
}

const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const short = (value) => String(Math.round(value * 100) / 100);

class SvgPen {
  constructor(width, height, title) {
    this.width = width;
    this.height = height;
    this.clips = 0;
    this.parts = [`<title>${escaped(title)}</title>`];
    this.rect(0, 0, width, height, { fill: color("card") });
  }

  line(xs, ys, { color, width = 1.5, dash = null, alpha = 1 }) {
    let path = "";
    let down = false;
    for (let i = 0; i < xs.length; i++) {
      if (Number.isNaN(ys[i])) {
        down = false;
        continue;
      }
      path += `${down ? "L" : "M"}${short(xs[i])} ${short(ys[i])}`;
      down = true;
    }
    const dashed = dash ? ` stroke-dasharray="${dash.join(" ")}"` : "";
    this.parts.push(`<path d="${path}" fill="none" stroke="${escaped(color)}" stroke-width="${width}"${dashed}${opacity(alpha)} stroke-linejoin="round"/>`);
  }

  area(xs, low, high, { color, alpha = 0.18 }) {
    const up = Array.from(xs, (x, i) => `${short(x)} ${short(high[i])}`);
    const back = Array.from(xs, (x, i) => `${short(x)} ${short(low[i])}`).reverse();
    if (up.length) this.parts.push(`<path d="M${[...up, ...back].join("L")}Z" fill="${escaped(color)}"${opacity(alpha)}/>`);
  }

  rect(x, y, w, h, { fill = null, stroke = null, width = 1, alpha = 1 }) {
    const line = stroke ? ` stroke="${escaped(stroke)}" stroke-width="${width}"` : "";
    this.parts.push(`<rect x="${short(x)}" y="${short(y)}" width="${short(w)}" height="${short(h)}" fill="${escaped(fill ?? "none")}"${line}${opacity(alpha)}/>`);
  }

  dots(xs, ys, radius, { fill, stroke = null, width = 1, alpha = 1 }) {
    if (!xs.length) return;
    const line = stroke ? ` stroke="${escaped(stroke)}" stroke-width="${width}"` : "";
    const each = Array.from(xs, (x, i) => `<circle cx="${short(x)}" cy="${short(ys[i])}" r="${radius}"/>`);
    this.parts.push(`<g fill="${escaped(fill ?? "none")}"${line}${opacity(alpha)}>${each.join("")}</g>`);
  }

  path(shape, { fill = null, stroke = null, width = 1, dash = null, alpha = 1 }) {
    const line = stroke ? ` stroke="${escaped(stroke)}" stroke-width="${width}"` : "";
    const dashed = dash ? ` stroke-dasharray="${dash.join(" ")}"` : "";
    this.parts.push(`<path d="${escaped(shape)}" fill="${escaped(fill ?? "none")}"${line}${dashed}${opacity(alpha)}/>`);
  }

  text(x, y, words, { color, size = 11, anchor = "start", weight = 400, turn = 0, alpha = 1, halo = null }) {
    const rim = halo ? ` paint-order="stroke" stroke="${escaped(halo)}" stroke-width="3.5" stroke-linejoin="round"` : "";
    const turned = (turn ? ` transform="rotate(${turn} ${short(x)} ${short(y)})"` : "") + rim;
    this.parts.push(`<text x="${short(x)}" y="${short(y)}" fill="${escaped(color)}" font-size="${size}" text-anchor="${anchor}" font-weight="${weight}"${turned}${opacity(alpha)}>${escaped(words)}</text>`);
  }

  clip(x, y, w, h) {
    const id = `clip${++this.clips}`;
    this.parts.push(`<clipPath id="${id}"><rect x="${short(x)}" y="${short(y)}" width="${short(w)}" height="${short(h)}"/></clipPath><g clip-path="url(#${id})">`);
  }

  unclip() {
    this.parts.push("</g>");
  }

  toString() {
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}" font-family='${FONT.replaceAll("'", "")}'>\n${this.parts.join("\n")}\n</svg>\n`;
  }
}

const opacity = (alpha) => (alpha === 1 ? "" : ` opacity="${alpha}"`);
