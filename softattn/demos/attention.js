// A window over a cluttered scene: under the reader's hand, and under the weights of a network at stages of its training.

const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, text = "") {
  const node = tag === "svg" || tag === "rect" ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

// The mean place under softmax(scores), in pixels, and how far the weights spread around it.
export function gaze(scores, columns, [w, h]) {
  const top = Math.max(...scores);
  const raw = scores.map((s) => Math.exp(s - top));
  const total = raw.reduce((a, b) => a + b, 0);
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

  const canvas = make("canvas", { role: "img", width: W * 8, height: H * 8,
    style: "touch-action:none;cursor:crosshair;image-rendering:pixelated;border-radius:6px" });
  const row = make("div", { class: "sa-controls" });
  const sliders = {};
  const add = (name, words, max) => {
    const label = make("label", {}, words + " ");
    const value = make("b");
    const input = make("input", { type: "range", min: 0, max, step: 1 });
    label.append(value, input);
    row.append(label);
    sliders[name] = { input, value };
    return input;
  };
  for (const [name, words, max] of [["x", "window, from the left", W - 1], ["y", "from the top", H - 1]]) {
    add(name, words, max).addEventListener("input", (event) => {
      state[name] = Number(event.target.value);
      state.learned = false;
      draw();
    });
  }
  add("stage", "or let the network look, after", steps.length - 1).addEventListener("input", (event) => {
    state.stage = Number(event.target.value);
    state.learned = true;
    draw();
  });

  const guess = make("div", { class: "sa-row", role: "group", "aria-label": "Which digit is underlined?" });
  guess.append(make("span", {}, "Underlined is"));
  for (let k = 0; k < 10; k++) {
    const button = make("button", { type: "button", style: "padding:.2em .7em;min-width:2.5rem" }, String(k));
    button.addEventListener("click", () => { state.answer = k; draw(); });
    guess.append(button);
  }
  const said = make("p", { class: "sa-note", role: "status" });
  el.append(canvas, guess, row, said);

  const drag = (event) => {
    const box = canvas.getBoundingClientRect();
    state.x = Math.max(0, Math.min(W - 1, Math.round(((event.clientX - box.left) / box.width) * W - 0.5)));
    state.y = Math.max(0, Math.min(H - 1, Math.round(((event.clientY - box.top) / box.height) * H - 0.5)));
    state.learned = false;
    draw();
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture?.(event.pointerId); drag(event); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });

  function draw() {
    const look = gaze(scores[state.stage], columns, pitch);
    const half = size / 2;
    const [x, y] = state.learned ? [look.x, look.y] : [state.x, state.y];
    // the network's window: as wide as its weights are spread, and never smaller than one cell
    const [rx, ry] = state.learned ? [Math.max(pitch[0] / 2 + 1, look.spread), Math.max(pitch[1] / 2 + 1, look.spread)] : [half, half];
    const brush = canvas.getContext("2d");
    const line = getComputedStyle(el).getPropertyValue("--sa-orange").trim() || "orange";
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
    brush.strokeStyle = line;
    brush.lineWidth = 5;
    brush.strokeRect(8 * (x - rx) + 4, 8 * (y - ry) + 4, 16 * rx, 16 * ry);
    const share = (100 * seen) / (W * H);
    sliders.x.input.value = state.x;
    sliders.y.input.value = state.y;
    sliders.stage.input.value = state.stage;
    sliders.x.value.textContent = String(state.x);
    sliders.y.value.textContent = String(state.y);
    sliders.stage.value.textContent = `${steps[state.stage]} steps`;
    const words = state.learned
      ? `After ${steps[state.stage]} steps the network gives the underlined cell ${(100 * look.p[place]).toFixed(1)} % of its weight; ` +
        `its window shows ${share.toFixed(1)} % of the scene.`
      : `The window shows ${share.toFixed(1)} % of the scene.`;
    const verdict = state.answer === null ? "" : state.answer === digit ? ` Yes, it is ${digit}.` : ` No, not ${state.answer}: look for a whole bar.`;
    said.textContent = words + verdict;
    canvas.setAttribute("aria-label", `A scene of ${scores[0].length} digits, dark but for a window at ${Math.round(x)}, ${Math.round(y)}. ${words}`);
    el.dataset.numbers = JSON.stringify({ x, y, rx, ry, seen, stage: state.stage, learned: state.learned, weight: look.p[place], mean: [look.x, look.y], spread: look.spread });
  }
  draw();
}

export default { render };
