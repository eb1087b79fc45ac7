// Downloads of the competition: pictures and tables of the snapshot that is shown.

const placeOf = (view) => fileName(view.page.state.title, view.data.name, `seed-${view.data.members[view.member]}`, `step-${view.steps[view.now]}`);

function saveCloud(view) {
  const { data, member, now, marked } = view;
  const [width, height] = [560, 440];
  const scales = cloudScales(data, width, height);
  const pixels = [new Float32Array(data.neurons), new Float32Array(data.neurons)];
  cloudPixels(data, member, now, scales, pixels);
  const pen = new SvgPen(width, height, `Neurons, ${view.words.textContent}`);
  drawCloud(pen, data, { member, snapshot: now, marked, pixels, width, height, scales });
  download(`${placeOf(view)}-neurons.svg`, String(pen), "image/svg+xml");
}

function saveHeat(view) {
  const shape = heatShape(view.weights, 720);
  const pen = new SvgPen(720, shape.height, `Weights, ${view.words.textContent}`);
  drawHeat(pen, view.weights, { snapshot: view.now, marked: view.marked, shape });
  download(`${placeOf(view)}-weights.svg`, String(pen), "image/svg+xml");
}

function saveCircuit(view) {
  if (!view.circuit) return;
  const shape = view.circuitView(620);
  const pen = new SvgPen(shape.width, shape.height, `Circuit, ${view.words.textContent}`);
  drawCircuit(pen, view.circuit, shape);
  download(`${placeOf(view)}-circuit.svg`, String(pen), "image/svg+xml");
}

// Codes are exact to four digits; no more are written.
const four = (value) => (Number.isNaN(value) ? NaN : Number(value.toPrecision(4)));

function saveNeurons(view) {
  const { data, member } = view;
  const groups = unpack(data.group);
  const rows = Array.from({ length: data.neurons }, (_, j) => {
    const index = (member * view.count + view.now) * data.neurons + j;
    return [j, data.groups[groups[member * data.neurons + j]], four(decoded(data.norm, index)), four(decoded(data.share, index))];
  });
  download(`${placeOf(view)}-neurons.csv`, csv([["neuron", "group", "norm", data.shareIs], ...rows]), "text/csv");
}

function saveWeights(view) {
  const { weights, data } = view;
  const place = heatPlace(weights, view.now);
  const [rows, bits] = [weights.neurons.length, weights.bits.length];
  const value = (written, row, column, cells) => four(weightAt(written, place, row, rows, column, cells));
  const table = weights.neurons.map((neuron, row) => [neuron, data.groups[weights.groups[row]],
    ...weights.bits.map((_, column) => value(weights.hidden, row, column, bits)), value(weights.bias, row, 0, 1), value(weights.output, row, 0, 1)]);
  download(`${placeOf(view)}-weights.csv`, csv([["neuron", "group", ...weights.bits.map((bit) => `x${bit}`), "bias", "output weight"], ...table]), "text/csv");
}
