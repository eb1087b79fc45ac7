// What is known of a network for ALL inputs: proved, refuted by an input, or not known; in words.

const PROOF_VERDICTS = {
  proved: ["holds", "proved"], counterexample: ["fails", "refuted"], undecided: ["undecided", "undecided"],
  none: ["not-testable", "not tried"],
};

// The verdict on the network of a snapshot, as elements. `proofs`: of a member, or nothing.
function proofNodes(proofs, snapshot) {
  if (!proofs) return [];
  const found = proofs.found[String(snapshot)] ?? { verdict: "none" };
  const [look, word] = PROOF_VERDICTS[found.verdict];
  const bits = proofs.bits.map((bit) => `x${bit}`);
  const wanted = proofs.parity ? bits.join("·") : `the wanted function of ${bits.join(", ")}`;
  const text = {
    proved: `Its output has the sign of ${wanted}, by a margin of at least ${found.margin === null ? "0" : brief(found.margin ?? NaN)}.`,
    counterexample: found.input
      ? `Its output has not the sign of ${wanted} at this input, where it misses by ${brief(Math.abs(found.margin))}:`
      : `Its output has not the sign of ${wanted} at some input, where it misses by ${brief(Math.abs(found.margin))}.`,
    undecided: `Neither a proof nor an input at which it is wrong was found in time. The sign that is wanted: ${wanted}.`,
    none: "Proofs of this page took their time for other networks: grokscope circuits RUN --seed S --step T --prove tries this one.",
  }[found.verdict];
  const nodes = [el("p.soft.all", {}, `All 2^${proofs.n} inputs, whole network: `,
    el(`span.verdict.${look}`, { "data-name": "proof" }, word), ` ${text}`)];
  if (found.input) nodes.push(inputNode(found.input, proofs.bits));
  return nodes;
}

// An input as signs, the bits that count first.
function inputNode(input, bits) {
  const sign = (bit) => (input[bit] === "+" ? "+" : "−");
  const others = Array.from(input, (_, bit) => bit).filter((bit) => !bits.includes(bit));
  const node = el("p.formula.input", { "data-input": input }, ...bits.map((bit) => el("b", {}, `x${bit} = ${sign(bit)}1 `)));
  if (others.length) node.append(el("span", {}, `and ${others.length > 1 ? `x${others[0]} to x${others.at(-1)} without these` : `x${others[0]}`}: ${others.map(sign).join("")}`));
  return node;
}
