// The verdict on a network for ALL inputs, in words: proved, refuted by an input, undecided or not tried.

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
  const misses = found.verdict === "counterexample" ? `misses by ${brief(Math.abs(found.margin))}` : "";
  const text = {
    proved: `The output has the sign of ${wanted}, with a margin of at least ${found.margin === null ? 0 : brief(found.margin ?? NaN)}.`,
    counterexample: found.input ? `The output should have the sign of ${wanted}; here it ${misses}:`
      : `The output should have the sign of ${wanted}; at some input it ${misses}.`,
    undecided: `In the time allowed, it was neither proved that the output has the sign of ${wanted}, nor was an input found where it has not.`,
    none: "The time for proofs on this page was spent on other networks. To try this one: grokscope circuits RUN --seed S --step T --prove.",
  }[found.verdict];
  const nodes = [el("p.soft.all", {}, `All 2^${proofs.n} inputs, whole network: `,
    el(`span.verdict.${look}`, { "data-name": "proof" }, word), ` ${text}`)];
  if (found.input) nodes.push(inputNode(found.input, proofs.bits));
  return nodes;
}

// An input as signs, the bits of the support first.
function inputNode(input, bits) {
  const sign = (bit) => (input[bit] === "+" ? "+" : "−");
  const others = Array.from(input, (_, bit) => bit).filter((bit) => !bits.includes(bit));
  const all = others.length && others.at(-1) - others[0] === others.length - 1;
  const names = all ? `x${others[0]} to x${others.at(-1)}` : "the others in order";
  return el("p.formula.input", { "data-input": input }, ...bits.map((bit) => el("b", {}, `x${bit} = ${sign(bit)}1 `)),
    others.length ? el("span", {}, `${names}: ${others.map(sign).join("")}`) : null);
}
