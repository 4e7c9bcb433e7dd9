// One cell of a peephole LSTM under the reader's sliders. The letters are the chapter's; the numbers are LSTMCell's.
import { button, clip, make, numbers, slider } from "./kit.js";

const STEPS = 40;
const sigmoid = (z) => 1 / (1 + Math.exp(-z));

// One step of one cell: z = what input and recurrence say to i, f, g, o; p = peepholes of i, f, o; c = the old cell.
function step({ z_i, z_f, z_g, z_o, p_i, p_f, p_o }, before) {
  const i = sigmoid(z_i + p_i * before);
  const f = sigmoid(z_f + p_f * before);
  const g = Math.tanh(z_g);
  const c = f * before + i * g;
  const o = sigmoid(z_o + p_o * c);
  return { i, f, g, c, o, h: o * Math.tanh(c) };
}

const SLIDERS = [
  ["c", "old cell c", -3, 3],
  ["z_i", "input gate, z_i", -6, 6],
  ["z_f", "forget gate, z_f", -6, 6],
  ["z_g", "new value, z_g", -6, 6],
  ["z_o", "output gate, z_o", -6, 6],
  ["p_i", "peephole p_i", -2, 2],
  ["p_f", "peephole p_f", -2, 2],
  ["p_o", "peephole p_o", -2, 2],
];

const EQUATIONS = [
  ["i", "i = σ(z_i + p_i · old c)"],
  ["f", "f = σ(z_f + p_f · old c)"],
  ["g", "g = tanh(z_g)"],
  ["c", "c = f · old c + i · g"],
  ["o", "o = σ(z_o + p_o · c)"],
  ["h", "h = o · tanh(c)"],
];

// Four lives of a cell: what is told to its gates (c, z_i, z_f, z_g, z_o), and no peepholes.
const PRESETS = {
  keeps: [[2, -6, 6, 1, 1], "The forget gate is open, the input gate shut: a quarter of a percent is lost in a step."],
  leaks: [[2, -6, 2, 1, 1], "The forget gate lets 88 % through, step after step: after twenty, a tenth is left."],
  forgets: [[2, -6, -3, 1, 1], "The forget gate is shut: after a step, next to nothing is left."],
  counts: [[0, 6, 6, 0.1, 1], "Both gates are open: each step adds g to the cell, and little is lost."],
};

function render({ model, el }) {
  const state = {}, sliders = {};
  let last = null;

  make("p", el, { class: "sa-note" }, "Choose a life, or move a slider: which equations light up, and does the cell keep its number?");
  const svg = make("svg", el, { viewBox: "0 0 480 150", role: "img" });
  const zero = make("line", svg, { x1: 50, x2: 470, style: "stroke:var(--sa-line)" });
  const trace = make("path", svg, { style: "fill:none;stroke:var(--sa-vermillion);stroke-width:3" });
  const dot = make("circle", svg, { r: 6, style: "fill:var(--sa-vermillion)" });
  const texts = [24, 142].map((y) => make("text", svg, { x: 44, y, "text-anchor": "end" }));
  const lives = make("div", el, { class: "sa-row", role: "group", "aria-label": "A life for the cell", style: "gap:.4rem .5rem" });
  const names = Object.keys(PRESETS).map((name) => button(lives, name, () => {
    ["c", "z_i", "z_f", "z_g", "z_o"].forEach((key, k) => { state[key] = PRESETS[name][0][k]; });
    state.p_i = state.p_f = state.p_o = 0;
    draw();
  }, { style: "padding:.2em .7em" }));
  const said = make("p", el, { class: "sa-note", role: "status" });
  const equations = make("div", el, { class: "sa-equations" });
  const lines = {};
  for (const [name, words] of EQUATIONS) {
    const row = make("div", equations, { style: "display:flex;gap:.6em;align-items:center;padding:.1em .3em" });
    make("span", row, { style: "flex:1 1 auto;white-space:nowrap" }, words);
    const value = make("span", row, { style: "min-width:4em;text-align:right" });
    const bar = make("span", row, { "aria-hidden": "true", style: "position:relative;flex:0 0 5em;height:.7em;border:1px solid var(--sa-line)" });
    lines[name] = { row, value, fill: make("span", bar, { style: "position:absolute;top:0;bottom:0;background:var(--sa-blue)" }) };
  }

  const row = make("div", el, { class: "sa-row" });
  button(row, "Take the step", () => {
    state.c = step(state, state.c).c;
    draw();
  });
  button(row, "Start again", () => {
    start();
    draw();
  });

  const controls = make("div", el, { style: "display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.2rem 1rem" });
  for (const [name, words, min, max] of SLIDERS) {
    sliders[name] = slider(controls, words, { min, max, step: 0.1 }, (v) => { state[name] = v; draw(); });
  }
  const start = () => { for (const [name] of SLIDERS) state[name] = Number(model.get(name) ?? 0); };

  make("p", el, { class: "sa-note" },
    `The line: the cell over the next ${STEPS} steps, if nothing else moves; the dot is the next one, which a step makes the old cell. Lit: what your last move changed.`);

  function draw() {
    const now = step(state, state.c);
    for (const [name] of SLIDERS) sliders[name].show(state[name], state[name].toFixed(2));
    for (const [name] of EQUATIONS) {
      const { row, value, fill } = lines[name];
      value.textContent = now[name].toFixed(4);
      row.classList.toggle("sa-on", last !== null && last[name] !== now[name]);
      const reach = name === "c" ? 4 : 1;                       // c is unbounded; its bar ends at 4
      const share = clip(now[name] / reach, -1, 1) * 50;
      fill.style.left = `${share < 0 ? 50 + share : 50}%`;
      fill.style.width = `${Math.abs(share)}%`;
    }
    last = now;

    const path = [state.c];
    while (path.length <= STEPS) path.push(step(state, path[path.length - 1]).c);
    const top = Math.max(1, ...path.map(Math.abs));
    const x = (t) => 50 + (420 * t) / STEPS;
    const y = (c) => 75 - (64 * c) / top;
    trace.setAttribute("d", path.map((c, t) => `${t ? "L" : "M"}${x(t).toFixed(1)} ${y(c).toFixed(1)}`).join(""));
    dot.setAttribute("cx", x(1));
    dot.setAttribute("cy", y(path[1]));
    zero.setAttribute("y1", y(0));
    zero.setAttribute("y2", y(0));
    texts[0].textContent = top.toFixed(1);
    texts[1].textContent = (-top).toFixed(1);
    const life = Object.keys(PRESETS).find((name) => {
      const [, ...gates] = PRESETS[name][0], held = ["z_i", "z_f", "z_g", "z_o"].every((key, k) => state[key] === gates[k]);
      return held && !state.p_i && !state.p_f && !state.p_o;
    });
    names.forEach((one) => one.setAttribute("aria-pressed", String(one.textContent === life)));
    said.textContent = life ? PRESETS[life][1] : `After ${STEPS} steps the cell holds ${path[STEPS].toFixed(2)}.`;
    svg.setAttribute("aria-label",
      `Line of the cell over ${STEPS} steps: from ${path[0].toFixed(2)} to ${path[1].toFixed(2)} after one step ` +
      `and ${path[STEPS].toFixed(2)} at the end.`);
    numbers(el, { ...now, old_c: state.c, life: life ?? null, trace: path });
  }

  start();
  draw();
}

export default { render };
