// REINFORCE on three cells: press a number of draws, and the mean of their arrows stands beside the exact one.

import { button, clip, colour, make, numbers, random, sum, themed } from "./kit.js";

// The exact gradient of the scores, p_w (L_w - mean).
function exact(p, losses) {
  const mean = sum(p.map((q, u) => q * losses[u]));
  return p.map((q, w) => q * (losses[w] - mean));
}

// The mean of (L_u - b)([u = w] - p_w) over draws, given how often each cell was drawn.
function estimate(p, losses, counts, b) {
  const n = sum(counts);
  return p.map((q, w) => sum(counts.map((k, u) => (k / n) * (losses[u] - b) * ((u === w ? 1 : 0) - q))));
}

function render({ model, el }) {
  const p = model.get("p"), losses = model.get("losses"), U = p.length;
  const mean = sum(p.map((q, u) => q * losses[u]));
  const state = { draws: 1, baseline: false, seed: 1, counts: null };

  make("p", el, { class: "sa-note" }, "Press a number of draws, more than once; then switch the baseline on.");
  const chart = make("svg", el, { viewBox: "0 0 360 200", role: "img", style: "width:100%;max-width:560px" });
  const row = make("div", el, { class: "sa-row", role: "group", "aria-label": "How many draws" });
  const buttons = [1, 16, 1000].map((n) =>
    button(row, n === 1 ? "1 draw" : `${n} draws`, () => { state.draws = n; roll(); }, { style: "padding:.2em .9em" }));
  const label = make("label", row, {}, " ");
  const box = make("input", label, { type: "checkbox" });
  label.append(` judged by the mean loss, b = ${mean}`);
  box.addEventListener("change", () => { state.baseline = box.checked; draw(); });
  const said = make("p", el, { class: "sa-note", role: "status" });

  function roll() {
    const next = random(state.seed++);
    state.counts = p.map(() => 0);
    for (let k = 0; k < state.draws; k++) {
      let u = 0, left = next();
      while (u < U - 1 && left >= p[u]) left -= p[u++];
      state.counts[u]++;
    }
    draw();
  }

  function draw() {
    const want = exact(p, losses), got = estimate(p, losses, state.counts, state.baseline ? mean : 0);
    const text = colour(el, "text") || "#222", orange = colour(el, "orange") || "#e69f00", blue = colour(el, "blue") || "#0072b2";
    const y = (v) => 92 - 32 * clip(v, -2.4, 2.4);
    chart.replaceChildren();
    make("line", chart, { x1: 10, x2: 350, y1: y(0), y2: y(0), stroke: text, "stroke-width": 1 });
    for (let w = 0; w < U; w++) {
      const x = 60 + 115 * w;
      for (const [v, dx, fill] of [[want[w], -24, blue], [got[w], 2, orange]]) {
        make("rect", chart, { x: x + dx, width: 22, y: Math.min(y(0), y(v)), height: Math.max(1, Math.abs(y(v) - y(0))), fill });
      }
      make("text", chart, { x, y: 181, "text-anchor": "middle", style: "font-size:14px" }, `p ${p[w]}, loss ${losses[w]}`);
      make("text", chart, { x, y: 197, "text-anchor": "middle", style: "font-size:13px" }, `drawn ${state.counts[w]} x`);
    }
    make("text", chart, { x: 10, y: 14, style: `font-size:14px;fill:${blue}` }, "exact");
    make("text", chart, { x: 60, y: 14, style: `font-size:14px;fill:${orange}` }, `mean of ${state.draws === 1 ? "1 draw" : state.draws + " draws"}`);
    buttons.forEach((one, k) => one.setAttribute("aria-pressed", String([1, 16, 1000][k] === state.draws)));
    const off = Math.hypot(...want.map((v, w) => got[w] - v)), size = Math.hypot(...want);
    const words = `Distance from the exact arrow: ${(off / size).toFixed(2)} of its length.`;
    said.textContent = words;
    chart.setAttribute("aria-label", `Gradients of three scores, exact and as the mean of ${state.draws} draws. ${words}`);
    numbers(el, { draws: state.draws, baseline: state.baseline, counts: state.counts, exact: want, estimate: got, off: off / size });
  }
  roll();
  return themed(draw);
}

export default { render };
