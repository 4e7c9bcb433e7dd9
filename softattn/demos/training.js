// Two balls on a loss surface: SGD with momentum, and Adam, from one start, at one rate, under one bound on the gradient.
// State: surface, start [x, y], rate, momentum, clip (null: none), step.
import { clip, colour, drag, make, menu, numbers, play, share, slider, themed } from "./kit.js";

const WIDTH = 640, HEIGHT = 300, GRAIN = 2, STEPS = 100, BANDS = 16, FAR = 1e6;
const B1 = 0.9, B2 = 0.999, TINY = 1e-8;                       // Adam's, as torch.optim has them

// loss and slope at (x, y), what of the plane is seen, and where one starts.
const SURFACES = {
  ravine: { words: "a ravine, 20 times steeper across", box: [-3, 3, -1.4, 1.4], start: [-2.6, 0.9],
    loss: (x, y) => 0.5 * (x * x + 20 * y * y), slope: (x, y) => [x, 20 * y] },
  wall: { words: "a wall: a weight, eight times over", box: [0.3, 1.6, -0.3, 0.3], start: [1.4, 0.2],
    loss: (x, y) => 0.5 * (x ** 8 - 0.5) ** 2 + 2 * y * y, slope: (x, y) => [(x ** 8 - 0.5) * 8 * x ** 7, 4 * y] },
  valleys: { words: "two valleys, the left one deeper", box: [-1.8, 1.8, -0.85, 0.85], start: [1.5, 0.7],
    loss: (x, y) => 0.5 * (x * x - 1) ** 2 + 0.2 * x + (y - 0.3 * x) ** 2,
    slope: (x, y) => [2 * x * (x * x - 1) + 0.2 - 0.6 * (y - 0.3 * x), 2 * (y - 0.3 * x)] },
};

// clip_grad_norm_ of PyTorch
function bounded(g, most) {
  const share = most === null ? 1 : Math.min(1, most / (Math.hypot(...g) + 1e-6));
  return g.map((v) => v * share);
}

// The places after 0, 1, ... steps; it ends where numbers do. `rule` makes of a gradient and the step's number what is taken away.
function walk({ slope, loss }, start, most, rule) {
  const path = [[...start]];
  for (let t = 1; t <= STEPS; t += 1) {
    const [x, y] = path[path.length - 1], move = rule(bounded(slope(x, y), most), t), next = [x - move[0], y - move[1]];
    if (next.some((v) => !(Math.abs(v) < FAR)) || !Number.isFinite(loss(...next))) break;
    path.push(next);
  }
  return path;
}

function sgd(rate, momentum) {
  const held = [0, 0];
  return (g) => g.map((v, k) => rate * (held[k] = momentum * held[k] + v));
}

function adam(rate) {
  const mean = [0, 0], square = [0, 0];
  return (g, t) => g.map((v, k) => {
    mean[k] = B1 * mean[k] + (1 - B1) * v;
    square[k] = B2 * square[k] + (1 - B2) * v * v;
    return rate * (mean[k] / (1 - B1 ** t)) / (Math.sqrt(square[k] / (1 - B2 ** t)) + TINY);
  });
}

const short = (v) => (v < 1e-3 && v > 0 ? v.toExponential(1) : v.toPrecision(3));

function rgb(el, name) {
  const text = colour(el, name).replace("#", ""), full = text.length === 3 ? [...text].map((c) => c + c).join("") : text;
  return [0, 2, 4].map((i) => parseInt(full.slice(i, i + 2), 16));
}

export default {
  render({ model, el }) {
    const state = { surface: model.get("surface") ?? "ravine", rate: model.get("rate") ?? 0.09, momentum: model.get("momentum") ?? 0, clip: model.get("clip") ?? null, step: model.get("step") ?? STEPS };
    let place = [...(model.get("start") ?? SURFACES[state.surface].start)], halt = () => {};
    const OFF = 1.05;                                                        // beyond the slider's last bound: none

    make("p", el, { class: "sa-note" }, "Drag the start, choose a pace, and roll: which ball comes to rest in the blue, and which flies away?");
    const canvas = make("canvas", el, { width: WIDTH, height: HEIGHT, role: "img", style: "cursor:grab;border-radius:6px" });
    const curve = make("svg", el, { viewBox: "0 0 640 110", role: "img", style: "margin-top:.3rem" });
    const row = make("div", el, { class: "sa-row" });
    halt = play(row, "Roll", (time) => {
      state.step = Math.min(STEPS, Math.floor(time / 45));
      draw();
      return state.step < STEPS;
    });
    menu(row, "on", Object.entries(SURFACES).map(([name, { words }]) => [name, words]), (name) => {
      halt();
      state.surface = name;
      place = [...SURFACES[name].start];
      survey();
      draw();
    }).value = state.surface;
    const key = (paint, dash, words) => {
      const one = make("span", row, { class: "sa-note", style: "display:inline-flex;align-items:center;gap:.4rem" });
      make("span", one, { "aria-hidden": "true", style: `width:1.6rem;border-top:4px ${dash} var(--sa-${paint})` });
      make("span", one, {}, words);
    };
    key("vermillion", "solid", "SGD");
    key("green", "dashed", "Adam");
    const controls = make("div", el, { style: "display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.2rem 1rem" });
    const set = (change) => (v) => { halt(); change(v); draw(); };
    const steps = slider(controls, "step", { min: 0, max: STEPS, step: 1 }, set((t) => { state.step = t; }));
    const rate = slider(controls, "learning rate", { min: -3, max: 0, step: 0.05 }, set((v) => { state.rate = 10 ** v; }));
    const momentum = slider(controls, "SGD momentum", { min: 0, max: 0.95, step: 0.05 }, set((v) => { state.momentum = v; }));
    const bound = slider(controls, "longest gradient", { min: -1, max: OFF, step: 0.05 }, set((v) => { state.clip = v > 1.001 ? null : 10 ** v; }));
    const across = slider(controls, "start, across", { min: 0, max: 1, step: 0.01 }, set((v) => { const [a, b] = box(); place[0] = a + v * (b - a); }));
    const along = slider(controls, "start, up", { min: 0, max: 1, step: 0.01 }, set((v) => { const [, , a, b] = box(); place[1] = a + v * (b - a); }));
    const said = make("p", el, { class: "sa-note", role: "status" });

    const box = () => SURFACES[state.surface].box;
    const toX = (x) => (x - box()[0]) / (box()[1] - box()[0]) * WIDTH, toY = (y) => HEIGHT - (y - box()[2]) / (box()[3] - box()[2]) * HEIGHT;

    // ---- the surface, in bands of equal log height above its lowest place

    const ground = make("canvas", null, { width: WIDTH / GRAIN, height: HEIGHT / GRAIN });
    let low = 0;                                                             // the lowest loss that is seen
    function survey() {
      const { width, height } = ground, [x0, x1, y0, y1] = box(), { loss } = SURFACES[state.surface], heights = new Float64Array(width * height);
      let high = -Infinity;
      low = Infinity;
      for (let j = 0; j < height; j += 1) {
        for (let i = 0; i < width; i += 1) {
          const v = loss(x0 + (i + 0.5) / width * (x1 - x0), y1 - (j + 0.5) / height * (y1 - y0));
          heights[j * width + i] = v;
          low = Math.min(low, v);
          high = Math.max(high, v);
        }
      }
      const g = ground.getContext("2d"), image = g.createImageData(width, height), deep = rgb(el, "blue"), pale = rgb(el, "background");
      const scale = (v) => Math.log1p(60 * (v - low) / Math.min(high - low, 10)), top = scale(high);
      heights.forEach((v, i) => {
        const mix = 0.72 * (1 - Math.floor(BANDS * scale(v) / top) / BANDS);
        for (let k = 0; k < 3; k += 1) image.data[4 * i + k] = pale[k] + mix * (deep[k] - pale[k]);
        image.data[4 * i + 3] = 255;
      });
      g.putImageData(image, 0, 0);
    }

    function ball(g, path, paint, dash, square) {
      const seen = path.slice(0, state.step + 1), [bx, by] = seen[seen.length - 1], inside = (v, most) => clip(v, -40, most + 40);
      for (const [line, thick] of [[colour(el, "background"), 6], [paint, 3]]) {
        g.beginPath();
        for (const [x, y] of seen) g.lineTo(inside(toX(x), WIDTH), inside(toY(y), HEIGHT));
        Object.assign(g, { strokeStyle: line, lineWidth: thick });
        g.setLineDash(line === paint ? dash : []);
        g.stroke();
      }
      g.setLineDash([]);
      g.fillStyle = paint;
      for (const [x, y] of seen) g.fillRect(inside(toX(x), WIDTH) - 2.5, inside(toY(y), HEIGHT) - 2.5, 5, 5);
      g.beginPath();
      if (square) g.rect(toX(bx) - 11, toY(by) - 11, 22, 22);
      else g.arc(toX(bx), toY(by), 13, 0, 2 * Math.PI);
      Object.assign(g, { strokeStyle: colour(el, "background"), lineWidth: 3 });
      g.fill();
      g.stroke();
    }

    function draw() {
      const surface = SURFACES[state.surface], { loss } = surface, most = state.clip;
      const paths = [walk(surface, place, most, sgd(state.rate, state.momentum)), walk(surface, place, most, adam(state.rate))];
      const g = canvas.getContext("2d");
      g.imageSmoothingEnabled = true;
      g.drawImage(ground, 0, 0, WIDTH, HEIGHT);
      ball(g, paths[1], colour(el, "green"), [9, 6], true);
      ball(g, paths[0], colour(el, "vermillion"), [], false);
      g.beginPath();
      g.arc(toX(place[0]), toY(place[1]), 20, 0, 2 * Math.PI);
      Object.assign(g, { strokeStyle: colour(el, "text"), lineWidth: 3 });
      g.stroke();

      // the losses, in powers of ten above the lowest that one can see
      const losses = paths.map((path) => path.map((p) => loss(...p)));
      const tens = losses.map((row) => row.map((v) => Math.log10(Math.max(v - low, 1e-6)))), top = Math.min(6, Math.max(1, ...tens.flat()));
      const cx = (t) => 46 + 586 * t / STEPS, cy = (v) => 8 + 94 * (top - Math.min(v, top)) / (top + 6);
      curve.replaceChildren();
      for (let ten = -6; ten <= top; ten += 2) {
        make("line", curve, { x1: 46, x2: 632, y1: cy(ten), y2: cy(ten), style: "stroke:var(--sa-line)" });
      }
      make("text", curve, { x: 42, y: 24, "text-anchor": "end", style: "font-size:21px" }, "loss");
      tens.forEach((row, k) => make("path", curve, { d: `M${row.map((v, t) => `${cx(t).toFixed(1)} ${cy(v).toFixed(1)}`).join("L")}`,
        style: `fill:none;stroke:var(--sa-${["vermillion", "green"][k]});stroke-width:3;${k ? "stroke-dasharray:9 6" : ""}` }));
      make("line", curve, { x1: cx(state.step), x2: cx(state.step), y1: 4, y2: 106, style: "stroke:var(--sa-text);stroke-width:1.5" });

      steps.show(state.step, `${state.step} of ${STEPS}`);
      rate.show(Math.log10(state.rate), state.rate.toPrecision(2));
      momentum.show(state.momentum, state.momentum.toFixed(2));
      bound.show(most === null ? OFF : Math.log10(most), most === null ? "no bound" : most.toPrecision(2));
      across.show((place[0] - box()[0]) / (box()[1] - box()[0]), place[0].toFixed(2));
      along.show((place[1] - box()[2]) / (box()[3] - box()[2]), place[1].toFixed(2));
      const told = ["SGD", "Adam"].map((name, k) => {
        const path = paths[k], there = Math.min(state.step, path.length - 1), [x, y] = path[there], [x0, x1, y0, y1] = box();
        const out = path.slice(0, state.step + 1).findIndex(([a, b]) => a < x0 || a > x1 || b < y0 || b > y1);
        const gone = path.length - 1 < state.step;
        return gone ? `${name} is lost: no number after step ${path.length - 1}` : out >= 0 && (x < x0 || x > x1 || y < y0 || y > y1)
          ? `${name} left the map at step ${out}, loss ${short(losses[k][there])}` : `${name}: loss ${short(losses[k][there])}`;
      });
      said.textContent = `After ${state.step} steps. ${told.join(". ")}.`;
      canvas.setAttribute("aria-label", `${surface.words}, seen from above, bluest where the loss is low; two paths from ${place.map((v) => v.toFixed(2)).join(", ")}. ${said.textContent}`);
      curve.setAttribute("aria-label", `The loss of both at each of ${STEPS} steps. ${told.join(". ")}.`);
      numbers(el, { surface: state.surface, start: place, rate: state.rate, momentum: state.momentum, clip: most, step: state.step, sgd: paths[0], adam: paths[1], losses });
    }

    const aim = (event) => {
      const [u, v] = share(canvas, event).map((s) => clip(s, 0, 1)), [x0, x1, y0, y1] = box();
      halt();
      place = [x0 + u * (x1 - x0), y1 - v * (y1 - y0)];
      draw();
    };
    drag(canvas, { begin: aim, move: aim });
    survey();
    draw();
    const unwatch = themed(() => {
      survey();
      draw();
    });
    return () => {
      halt();
      unwatch();
    };
  },
};
