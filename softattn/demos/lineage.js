// One memory, six ways to look at it: choose the mechanism, drag the query among the keys, look again.
import { button, clip, drag, inside, make, menu, numbers, slider, sum } from "./kit.js";

const WIDTH = 640, PLANE = 230, BARS = 150, HEIGHT = PLANE + BARS + 40, REACH = 2.2;
const dot = (a, b) => sum(a.map((v, i) => v * b[i]));
const norm = (a) => Math.sqrt(dot(a, a));

export function softmax(scores) {
  const top = Math.max(...scores), parts = scores.map((s) => Math.exp(s - top)), total = sum(parts);
  return parts.map((p) => p / total);
}

// Each mechanism: its sliders [name, symbol, low, high, step, start], and the weights it gives.
const LOOKS = {
  window: {
    title: "Graves' window", by: "place alone",
    knobs: [["kappa", "place κ", 0, 9, 0.1, 3], ["beta", "β", 0.05, 4, 0.05, 0.5]],
    look: ({ kappa, beta }, { keys }) => keys.map((_, u) => Math.exp(-beta * (kappa - u - 1) ** 2)),
  },
  additive: {
    title: "additive (Bahdanau)", by: "content, through a small network",
    knobs: [],
    look: (_, { keys, query, net }) => softmax(keys.map((key) => additive(net, query, key, 0))),
  },
  dot: {
    title: "dot product", by: "content, direction and length",
    knobs: [],
    look: (_, { keys, query }) => softmax(keys.map((key) => dot(query, key) / Math.sqrt(key.length))),
  },
  location: {
    title: "location-aware (Chorowski)", by: "content, and where it looked before",
    knobs: [["pull", "pull of the place", 0, 6, 0.1, 3]],
    look: ({ pull }, { keys, query, net, before }) => softmax(keys.map((key, u) => additive(net, query, key, pull * (before[u - 1] ?? 0)))),
  },
  machine: {
    title: "Turing machine", by: "content, then place",
    knobs: [["beta", "β", 0, 12, 0.1, 6], ["g", "gate g", 0, 1, 0.01, 0.5], ["on", "shift", -1, 1, 0.05, 1], ["gamma", "sharpen γ", 1, 8, 0.1, 2]],
    look: machine,
  },
  grid: {
    title: "DRAW's grid", by: "place alone, three points",
    knobs: [["g", "centre g", 0, 9, 0.1, 4], ["delta", "stride δ", 0, 3, 0.05, 1], ["sigma", "σ", 0.2, 3, 0.05, 0.5]],
    look: ({ g, delta, sigma }, { keys }) => {
      const rows = [-1, 0, 1].map((i) => softmax(keys.map((_, u) => -((u + 1 - g - i * delta) ** 2) / (2 * sigma ** 2))));
      return keys.map((_, u) => sum(rows.map((row) => row[u])) / 3);
    },
  },
};

// v . tanh(W q + V k + M f)
function additive({ W, V, M, v }, query, key, f) {
  return sum(v.map((one, j) => one * Math.tanh(dot(W[j], query) + dot(V[j], key) + M[j] * f)));
}

// Equations 5 to 9 of Graves et al. (2014); `on` shares its weight between stay and a step to one side.
function machine({ beta, g, on, gamma }, { keys, query, before }) {
  const U = keys.length;
  const content = softmax(keys.map((key) => beta * dot(query, key) / Math.max(norm(query) * norm(key), 1e-8)));
  const gated = content.map((c, u) => g * c + (1 - g) * before[u]);
  const side = Math.sign(on), far = Math.abs(on);
  const moved = gated.map((w, u) => (1 - far) * w + far * gated[(u - side + U) % U]);
  return softmax(moved.map((w) => gamma * Math.log(Math.max(w, 1e-20))));
}

export default {
  render({ model, el }) {
    const letters = [...model.get("letters")], keys = model.get("keys"), net = model.get("net"), U = letters.length;
    const query = [...model.get("query")];
    let name = model.get("look"), before = keys.map((_, u) => (u === 0 ? 1 : 0));
    const set = Object.fromEntries(Object.entries(LOOKS).map(([k, one]) => [k, Object.fromEntries(one.knobs.map((n) => [n[0], n[5]]))]));

    make("p", el, { class: "sa-note" }, "Choose a mechanism; drag the query (the ring) among the letters' keys; see which letters it reads.");
    menu(el, "mechanism", Object.entries(LOOKS).map(([k, one]) => [k, one.title]), (k) => { name = k; build(); draw(); }).value = name;
    const svg = make("svg", el, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", style: "touch-action:pan-y;cursor:grab" });
    const said = make("p", el, { class: "sa-note", role: "status", style: "min-height:3em" });
    const row = make("div", el, { class: "sa-row" });
    button(row, "Look again", () => { before = weights(); draw(); });
    button(row, "Back to the first letter", () => { before = keys.map((_, u) => (u === 0 ? 1 : 0)); draw(); });
    const controls = make("div", el, { class: "sa-controls", style: "grid-template-columns:repeat(2,minmax(0,1fr));gap:.4rem .8rem" });

    const x = (v) => WIDTH / 2 + (v / REACH) * (PLANE / 2 - 14) * 1.9, y = (v) => PLANE / 2 - (v / REACH) * (PLANE / 2 - 14);
    drag(svg, { begin: move, move });
    function move(event) {
      if (!asks()) return;
      const at = inside(svg, event);
      query[0] = clip(((at.x - WIDTH / 2) / ((PLANE / 2 - 14) * 1.9)) * REACH, -REACH, REACH);
      query[1] = clip((-(at.y - PLANE / 2) / (PLANE / 2 - 14)) * REACH, -REACH, REACH);
      draw();
    }

    const asks = () => name !== "window" && name !== "grid";
    const weights = () => LOOKS[name].look(set[name], { keys, query, net, before });
    let shown = [];
    function build() {
      controls.replaceChildren();
      shown = [];
      if (asks()) {
        for (const [k, words] of [[0, "query, across"], [1, "query, up"]]) {
          const one = slider(controls, words, { min: -REACH, max: REACH, step: 0.05 }, (v) => { query[k] = v; draw(); });
          shown.push(() => one.show(query[k], query[k].toFixed(2)));
        }
      }
      for (const [knob, words, min, max, step] of LOOKS[name].knobs) {
        const one = slider(controls, words, { min, max, step }, (v) => { set[name][knob] = v; draw(); });
        shown.push(() => one.show(set[name][knob], set[name][knob].toFixed(2)));
      }
    }

    function draw() {
      const w = weights(), top = Math.max(1, ...w), pitch = (WIDTH - 40) / U, base = HEIGHT - 32;
      const keeps = name === "location" || name === "machine";
      svg.replaceChildren();
      make("rect", svg, { x: 1, y: 1, width: WIDTH - 2, height: PLANE - 2, rx: 6, style: "fill:none;stroke:var(--sa-line)" });
      make("line", svg, { x1: x(0), x2: x(0), y1: 8, y2: PLANE - 8, style: "stroke:var(--sa-line)" });
      make("line", svg, { x1: 8, x2: WIDTH - 8, y1: y(0), y2: y(0), style: "stroke:var(--sa-line)" });
      keys.forEach((key, u) => {
        const r = 13 + 16 * Math.sqrt(w[u] / top);
        make("circle", svg, { cx: x(key[0]), cy: y(key[1]), r, style: "fill:var(--sa-sky);opacity:.45" });
        make("text", svg, { x: x(key[0]), y: y(key[1]) + 8, "text-anchor": "middle", style: "font-size:24px" }, letters[u]);
        const bar = (base - PLANE - 12) * (w[u] / top);
        make("rect", svg, { x: 20 + pitch * (u + 0.15), y: base - bar, width: pitch * 0.7, height: bar, style: "fill:var(--sa-sky)" });
        if (keeps) {
          const old = (base - PLANE - 12) * before[u];
          make("rect", svg, { x: 20 + pitch * (u + 0.15), y: base - old, width: pitch * 0.7, height: old, style: "fill:none;stroke:var(--sa-orange);stroke-width:2;stroke-dasharray:5 4" });
        }
        make("text", svg, { x: 20 + pitch * (u + 0.5), y: HEIGHT - 6, "text-anchor": "middle", style: "font-size:24px" }, letters[u]);
      });
      make("line", svg, { x1: 10, x2: WIDTH - 10, y1: base, y2: base, style: "stroke:var(--sa-line)" });
      if (asks()) {
        make("line", svg, { x1: x(0), y1: y(0), x2: x(query[0]), y2: y(query[1]), style: "stroke:var(--sa-vermillion);stroke-width:3" });
        make("circle", svg, { cx: x(query[0]), cy: y(query[1]), r: 12, style: "fill:none;stroke:var(--sa-vermillion);stroke-width:4" });
      }
      shown.forEach((show) => show());
      const best = w.indexOf(Math.max(...w)), total = sum(w);
      const words = `${LOOKS[name].title} looks by ${LOOKS[name].by}. Most weight: ${w[best].toFixed(2)} on ${letters[best]}, letter ${best + 1}; the weights add up to ${total.toFixed(2)}.` +
        (keeps ? " Dashed: where it looked before." : "");
      said.textContent = words[0].toUpperCase() + words.slice(1);
      svg.setAttribute("aria-label", words);
      numbers(el, { look: name, set: set[name], query, before, weights: w });
    }

    build();
    draw();
  },
};
