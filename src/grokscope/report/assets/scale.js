// Scales: from numbers to pixels and back, and the positions of ticks.

// Ticks at 1, 2 or 5 times a power of ten, about as many as requested.
function niceTicks(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? 10 * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

function tickText(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`.replace("-", "−");
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(4))}k`.replace("-", "−");
  if (size !== 0 && size < 1e-3) {
    const power = Math.floor(Math.log10(size) + 1e-9);
    const lead = Number((value / 10 ** power).toPrecision(3));
    return `${lead === 1 ? "" : `${lead}·`}10${String(power).replace("-", "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d])}`;
  }
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

function scaleOf(forward, backward, domain, range) {
  const [a, b] = [forward(domain[0]), forward(domain[1])];
  const unit = (range[1] - range[0]) / (b - a || 1);
  const scale = (value) => range[0] + (forward(value) - a) * unit;
  scale.invert = (pixel) => backward(a + (pixel - range[0]) / unit);
  scale.domain = domain;
  scale.range = range;
  return scale;
}

const linear = (domain, range) => scaleOf((v) => v, (t) => t, domain, range);

const logarithmic = (domain, range) => scaleOf((v) => Math.log10(Math.max(v, domain[0] * 1e-3)), (t) => 10 ** t, domain, range);

// Logarithmic from the first measured time on; time 0 has a place of its own left of it.
const BEFORE = 0.3;
function timeScale(domain, first, log, range) {
  if (!log) return linear(domain, range);
  const forward = (v) => (v < first ? (BEFORE * v) / first : BEFORE + Math.log10(v / first));
  const backward = (t) => (t < BEFORE ? (t / BEFORE) * first : first * 10 ** (t - BEFORE));
  return scaleOf(forward, backward, domain, range);
}

function timeTicks(scale, first, log) {
  const [low, high] = scale.domain;
  const width = Math.abs(scale.range[1] - scale.range[0]);
  const few = Math.max(2, Math.floor(width / 70));
  if (!log) return niceTicks(low, high, few);
  const within = (ticks) => ticks.filter((t) => t >= low && t <= high && (t === 0 || t >= first * 0.999));
  for (const multiples of [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const ticks = [0];
    for (let power = Math.floor(Math.log10(first)); 10 ** power <= high; power++) {
      for (const m of multiples) ticks.push(m * 10 ** power);
    }
    const found = within(ticks);
    if (found.length >= 3) return apart(found, scale, 30);
  }
  return apart(niceTicks(low, high, few), scale, 30);
}

// Leave out ticks that stand too close to the one before.
function apart(ticks, scale, pixels) {
  const kept = [];
  for (const tick of ticks) if (!kept.length || Math.abs(scale(tick) - scale(kept.at(-1))) >= pixels) kept.push(tick);
  return kept;
}

function logTicks(low, high, most) {
  const powers = [];
  for (let p = Math.ceil(Math.log10(low) - 1e-9); p <= Math.log10(high) + 1e-9; p++) powers.push(p);
  const skip = Math.ceil(powers.length / Math.max(most, 1)) || 1;
  const ticks = powers.filter((p) => p % skip === 0).map((p) => Number((10 ** p).toPrecision(12)));
  return ticks.length >= 2 ? ticks : niceTicks(low, high, most);
}
