// REINFORCE on three cells: press a number of draws, and the mean of their arrows stands beside the exact one.

const SVG = "http://www.w3.org/2000/svg";

function make(tag, parent, attributes = {}, text = "") {
  const drawn = ["svg", "rect", "line", "text"].includes(tag);
  const node = drawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  parent.append(node);
  return node;
}

// Numbers from 0 to 1, the same ones for the same seed (mulberry32).
export function chance(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// The exact gradient of the scores, p_w (L_w - mean).
export function exact(p, losses) {
  const mean = p.reduce((sum, q, u) => sum + q * losses[u], 0);
  return p.map((q, w) => q * (losses[w] - mean));
}

// The mean of (L_u - b)([u = w] - p_w) over draws, given how often each cell was drawn.
export function estimate(p, losses, counts, b) {
  const n = counts.reduce((x, y) => x + y, 0);
  return p.map((q, w) => counts.reduce((sum, k, u) => sum + (k / n) * (losses[u] - b) * ((u === w ? 1 : 0) - q), 0));
}

function render({ model, el }) {
  const p = model.get("p"), losses = model.get("losses"), U = p.length;
  const mean = p.reduce((sum, q, u) => sum + q * losses[u], 0);
  const state = { draws: 1, baseline: false, seed: 1, counts: null };

  make("p", el, { class: "sa-note" }, "Press a number of draws, more than once; then switch the baseline on.");
  const chart = make("svg", el, { viewBox: "0 0 360 200", role: "img", style: "width:100%;max-width:560px" });
  const row = make("div", el, { class: "sa-row", role: "group", "aria-label": "How many draws" });
  const buttons = [1, 16, 1000].map((n) => {
    const button = make("button", row, { type: "button", style: "padding:.2em .9em" }, n === 1 ? "1 draw" : `${n} draws`);
    button.addEventListener("click", () => { state.draws = n; roll(); });
    return button;
  });
  const label = make("label", row, {}, " ");
  const box = make("input", label, { type: "checkbox" });
  label.append(` judged by the mean loss, b = ${mean}`);
  box.addEventListener("change", () => { state.baseline = box.checked; draw(); });
  const said = make("p", el, { class: "sa-note", role: "status" });

  function roll() {
    const next = chance(state.seed++);
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
    const css = getComputedStyle(el), colour = (name, or) => css.getPropertyValue(name).trim() || or;
    const text = colour("--sa-text", "#222"), orange = colour("--sa-orange", "#e69f00"), blue = colour("--sa-blue", "#0072b2");
    const y = (v) => 92 - 32 * Math.max(-2.4, Math.min(2.4, v));
    chart.replaceChildren();
    make("line", chart, { x1: 10, x2: 350, y1: y(0), y2: y(0), stroke: text, "stroke-width": 1 });
    for (let w = 0; w < U; w++) {
      const x = 60 + 115 * w;
      for (const [v, dx, fill] of [[want[w], -24, blue], [got[w], 2, orange]]) {
        make("rect", chart, { x: x + dx, width: 22, y: Math.min(y(0), y(v)), height: Math.max(1, Math.abs(y(v) - y(0))), fill });
      }
      make("text", chart, { x, y: 184, "text-anchor": "middle", fill: text, "font-size": 12 }, `p ${p[w]}, loss ${losses[w]}`);
      make("text", chart, { x, y: 198, "text-anchor": "middle", fill: text, "font-size": 11 }, `drawn ${state.counts[w]} x`);
    }
    make("text", chart, { x: 10, y: 12, fill: blue, "font-size": 12 }, "exact");
    make("text", chart, { x: 50, y: 12, fill: orange, "font-size": 12 }, `mean of ${state.draws === 1 ? "1 draw" : state.draws + " draws"}`);
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", String([1, 16, 1000][k] === state.draws)));
    const off = Math.hypot(...want.map((v, w) => got[w] - v)), size = Math.hypot(...want);
    const words = `Distance from the exact arrow: ${(off / size).toFixed(2)} of its length.`;
    said.textContent = words;
    chart.setAttribute("aria-label", `Gradients of three scores, exact and as the mean of ${state.draws} draws. ${words}`);
    el.dataset.numbers = JSON.stringify({ draws: state.draws, baseline: state.baseline, counts: state.counts, exact: want, estimate: got, off: off / size });
  }
  const watcher = new MutationObserver(draw);
  watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "theme"] });
  roll();
  return () => watcher.disconnect();
}

export default { render };
