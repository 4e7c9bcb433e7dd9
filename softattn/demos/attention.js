// A window over a cluttered scene: under the reader's hand, and under the weights of a network at stages of its training.
import { button, clip, colour, drag, make, numbers, share, slider, sum, themed } from "./kit.js";

// The mean place under softmax(scores), in pixels, and how far the weights spread around it.
function gaze(scores, columns, [w, h]) {
  const top = Math.max(...scores);
  const raw = scores.map((s) => Math.exp(s - top));
  const total = sum(raw);
  const p = raw.map((r) => r / total);
  const at = (u) => [((u % columns) + 0.5) * w - 0.5, (Math.floor(u / columns) + 0.5) * h - 0.5];
  let x = 0, y = 0, spread = 0;
  p.forEach((q, u) => { x += q * at(u)[0]; y += q * at(u)[1]; });
  p.forEach((q, u) => { spread += q * ((at(u)[0] - x) ** 2 + (at(u)[1] - y) ** 2) / 2; });
  return { p, x, y, spread: Math.sqrt(spread) };
}

function render({ model, el }) {
  const W = model.get("width"), H = model.get("height"), pixels = model.get("pixels");
  const columns = model.get("columns"), pitch = model.get("pitch"), scores = model.get("scores");
  const steps = model.get("steps"), place = model.get("place"), digit = model.get("digit"), size = model.get("size");
  const state = { x: model.get("x"), y: model.get("y"), stage: 0, answer: null, learned: false };

  make("p", el, { class: "sa-note" }, "Drag the window over the scene, find the digit with a whole bar below it, and press its number. (What the network weighs is stored, from stages of its training.)");
  const canvas = make("canvas", el, { role: "img", width: W * 8, height: H * 8,
    style: "cursor:crosshair;image-rendering:pixelated;border-radius:6px" });
  const guess = make("div", el, { class: "sa-row", role: "group", "aria-label": "Which digit is underlined?" });
  make("span", guess, {}, "Underlined is");
  for (let k = 0; k < 10; k++) {
    button(guess, String(k), () => { state.answer = k; draw(); }, { style: "padding:.2em .7em;min-width:2.5rem" });
  }
  const row = make("div", el, { class: "sa-controls" });
  const add = (name, words, max, learned) =>
    slider(row, words, { min: 0, max, step: 1 }, (v) => { Object.assign(state, { [name]: v, learned, answer: null }); draw(); });
  const across = add("x", "window, from the left", W - 1, false), down = add("y", "from the top", H - 1, false);
  const stage = add("stage", "or let the network look, after", steps.length - 1, true);
  const said = make("p", el, { class: "sa-note", role: "status" });

  const aim = (event) => {
    const [x, y] = share(canvas, event);
    state.x = clip(Math.round(x * W - 0.5), 0, W - 1);
    state.y = clip(Math.round(y * H - 0.5), 0, H - 1);
    Object.assign(state, { learned: false, answer: null });      // a verdict was on what was seen before
    draw();
  };
  drag(canvas, { begin: aim, move: aim });

  function draw() {
    const look = gaze(scores[state.stage], columns, pitch);
    const half = size / 2;
    const [x, y] = state.learned ? [look.x, look.y] : [state.x, state.y];
    // the network's window: as wide as its weights are spread, and never smaller than one cell
    const [rx, ry] = state.learned ? [Math.max(pitch[0] / 2 + 1, look.spread), Math.max(pitch[1] / 2 + 1, look.spread)] : [half, half];
    const brush = canvas.getContext("2d");
    let seen = 0;
    for (let j = 0; j < H; j++) {
      for (let i = 0; i < W; i++) {
        const inside = Math.abs(i - x) <= rx && Math.abs(j - y) <= ry;
        if (inside) seen++;
        const ink = Number(pixels[j * W + i]) / 9;
        const grey = Math.round(255 * (inside ? ink : 0.06 + 0.1 * ink));
        brush.fillStyle = `rgb(${grey},${grey},${grey})`;
        brush.fillRect(8 * i, 8 * j, 8, 8);
      }
    }
    brush.strokeStyle = colour(el, "orange") || "orange";
    brush.lineWidth = 5;
    brush.strokeRect(8 * (x - rx) + 4, 8 * (y - ry) + 4, 16 * rx, 16 * ry);
    const part = (100 * seen) / (W * H);
    across.show(state.x);
    down.show(state.y);
    stage.show(state.stage, `${steps[state.stage]} steps`);
    const words = state.learned
      ? `After ${steps[state.stage]} steps the network gives the underlined cell ${(100 * look.p[place]).toFixed(1)} % of its weight; ` +
        `its window shows ${part.toFixed(1)} % of the scene.`
      : `The window shows ${part.toFixed(1)} % of the scene.`;
    const verdict = state.answer === null ? "" : state.answer === digit ? ` Yes, it is ${digit}.` : ` No, not ${state.answer}: look for a whole bar.`;
    said.textContent = words + verdict;
    canvas.setAttribute("aria-label", `A scene of ${scores[0].length} digits, dark but for a window at ${Math.round(x)}, ${Math.round(y)}. ${words}`);
    numbers(el, { x, y, rx, ry, seen, stage: state.stage, learned: state.learned, weight: look.p[place], mean: [look.x, look.y], spread: look.spread });
  }
  draw();
  return themed(draw);
}

export default { render };
