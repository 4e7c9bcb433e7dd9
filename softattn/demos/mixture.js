// Two Gaussians that the reader moves, their density, samples, and the log density they give the points.
import { button, colour, make, menu, numbers, random, slider, sum, themed } from "./kit.js";

const WIDTH = 640, HEIGHT = 320, X = [-2.2, 2.2], Y = [-0.6, 1.6], STEP = 4, DRAWS = 120;
const LOG_2PI = Math.log(2 * Math.PI);

function logGaussian(x, y, mu, sigma, rho) {
  const gap = 1 - rho * rho, zx = (x - mu[0]) / sigma[0], zy = (y - mu[1]) / sigma[1], slope = zy - rho * zx;
  return -LOG_2PI - Math.log(sigma[0] * sigma[1]) - 0.5 * Math.log(gap) - 0.5 * (zx * zx + (slope * slope) / gap);
}

function logSumExp(values) {
  const top = Math.max(...values);
  return top === -Infinity ? top : top + Math.log(sum(values.map((v) => Math.exp(v - top))));
}

function logMixture(x, y, m) {
  return logSumExp(m.pi.map((pi, j) => Math.log(pi) + logGaussian(x, y, m.mu[j], m.sigma[j], m.rho[j])));
}

// Graves' eq. 61-62: sigma e^-b, and pi^(1 + b) made to sum to one.
function biased(m, b) {
  const powers = m.pi.map((pi) => pi ** (1 + b)), total = sum(powers);
  return { pi: powers.map((p) => p / total), mu: m.mu, sigma: m.sigma.map((s) => s.map((v) => v * Math.exp(-b))), rho: m.rho };
}

function noise(seed) {    // the same draws for every setting, so that samples glide when a slider moves
  const next = random(seed);
  return Array.from({ length: DRAWS }, () => {
    const r = Math.sqrt(-2 * Math.log(1 - next())), turn = 2 * Math.PI * next();
    return [next(), r * Math.cos(turn), r * Math.sin(turn)];
  });
}

function sample([u, n1, n2], m) {
  const j = u < m.pi[0] ? 0 : 1, rho = m.rho[j];
  return [m.mu[j][0] + m.sigma[j][0] * n1, m.mu[j][1] + m.sigma[j][1] * (rho * n1 + Math.sqrt(1 - rho * rho) * n2)];
}

function rgb(el, name) {
  const text = colour(el, name).replace("#", "");
  const full = text.length === 3 ? [...text].map((c) => c + c).join("") : text;
  return [0, 2, 4].map((i) => parseInt(full.slice(i, i + 2), 16));
}

export default {
  render({ model, el }) {
    const points = model.get("points"), one = model.get("one");
    const m = {
      pi: [model.get("pi"), 1 - model.get("pi")], mu: model.get("mu").map((v) => [...v]),
      sigma: model.get("sigma").map((v) => [...v]), rho: [...model.get("rho")],
    };
    let bias = model.get("bias"), unit = model.get("unit"), chosen = 0, seed = 1, draws = noise(seed), showDraws = false;
    const mean = [0, 1].map((k) => sum(points.map((p) => p[k])) / points.length);
    const std = [0, 1].map((k) => Math.sqrt(sum(points.map((p) => (p[k] - mean[k]) ** 2)) / points.length));
    const units = { mm: [1, 1], inch: [25.4, 25.4], std };

    const box = make("div", el);
    make("p", box, { class: "sa-note" }, "Lay a hill on each cloud of dots, then tilt it: what does the fit gain?");
    const canvas = make("canvas", box, { width: WIDTH, height: HEIGHT, role: "img" });
    const head = make("div", box, { class: "sa-row" });
    const lines = make("div", box, { class: "sa-equations", role: "status" });
    const yours = make("div", lines), single = make("div", lines), gap = make("div", lines), peak = make("div", lines);

    const unitMenu = menu(head, "Unit", Object.keys(units).map((name) => [name, name]), (name) => { unit = name; draw(); });
    unitMenu.value = unit;
    menu(head, "Hill", [["A", "A"], ["B", "B"]], (name) => { chosen = name === "A" ? 0 : 1; draw(); });
    const shown = (yes) => {
      showDraws = yes;
      samples.setAttribute("aria-pressed", String(yes));
      samples.textContent = yes ? "Hide samples" : "Show samples";
      draw();
    };
    const samples = button(head, "Show samples", () => shown(!showDraws), { "aria-pressed": "false" });
    button(head, "Draw again", () => {
      draws = noise(++seed);
      shown(true);
    });

    const controls = make("div", box, { class: "sa-controls" });
    const sliders = [
      ["share of A, π", 0.02, 0.98, 0.01, () => m.pi[0], (v) => { m.pi = [v, 1 - v]; }],
      ["centre, μx", -2, 2, 0.05, () => m.mu[chosen][0], (v) => { m.mu[chosen][0] = v; }],
      ["centre, μy", -0.5, 1.5, 0.05, () => m.mu[chosen][1], (v) => { m.mu[chosen][1] = v; }],
      ["width, σx", 0.03, 1, 0.01, () => m.sigma[chosen][0], (v) => { m.sigma[chosen][0] = v; }],
      ["width, σy", 0.03, 1, 0.01, () => m.sigma[chosen][1], (v) => { m.sigma[chosen][1] = v; }],
      ["tilt, ρ", -0.95, 0.95, 0.05, () => m.rho[chosen], (v) => { m.rho[chosen] = v; }],
      ["bias, b", 0, 3, 0.1, () => bias, (v) => { bias = v; }],
    ].map(([name, min, max, step, get, set], k) => {
      const one = slider(controls, name, { min, max, step }, (v) => { set(v); draw(); });
      return () => {
        one.label.firstChild.textContent = `${name}${k > 0 && k < 6 ? " of " + "AB"[chosen] : ""} `;
        one.show(get(), get().toFixed(2));
      };
    });
    make("p", box, { class: "sa-note" },
      "Dots: sixty steps of the pen. Crosses: samples of your two hills. Bluer: higher density. Move hill A to the right cloud, B to the left; then tilt them.");

    const toX = (x) => ((x - X[0]) / (X[1] - X[0])) * WIDTH, toY = (y) => HEIGHT - ((y - Y[0]) / (Y[1] - Y[0])) * HEIGHT;
    const fromX = (px) => X[0] + (px / WIDTH) * (X[1] - X[0]), fromY = (py) => Y[0] + ((HEIGHT - py) / HEIGHT) * (Y[1] - Y[0]);

    function paint(used, drawn) {
      const g = canvas.getContext("2d"), low = rgb(el, "background"), high = rgb(el, "blue");
      const columns = WIDTH / STEP, rows = HEIGHT / STEP, heat = new Float64Array(columns * rows);
      let top = 0;
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) {
          const p = Math.exp(logMixture(fromX((c + 0.5) * STEP), fromY((r + 0.5) * STEP), used));
          heat[r * columns + c] = p;
          top = Math.max(top, p);
        }
      }
      heat.forEach((p, i) => {
        const mix = Math.sqrt(p / top);
        g.fillStyle = `rgb(${low.map((v, k) => Math.round(v + mix * (high[k] - v))).join(",")})`;
        g.fillRect((i % columns) * STEP, Math.floor(i / columns) * STEP, STEP, STEP);
      });
      const [text, orange, background] = ["text", "orange", "background"].map((name) => colour(el, name));
      g.lineWidth = 1.5;
      for (const [x, y] of points) {
        g.beginPath();
        g.arc(toX(x), toY(y), 4.5, 0, 2 * Math.PI);
        g.fillStyle = text;
        g.strokeStyle = background;
        g.fill();
        g.stroke();
      }
      g.strokeStyle = orange;
      g.lineWidth = 2.5;
      for (const [x, y] of drawn) {
        g.beginPath();
        g.moveTo(toX(x) - 5, toY(y) - 5);
        g.lineTo(toX(x) + 5, toY(y) + 5);
        g.moveTo(toX(x) - 5, toY(y) + 5);
        g.lineTo(toX(x) + 5, toY(y) - 5);
        g.stroke();
      }
      g.font = "bold 26px sans-serif";
      g.textAlign = "center";
      g.lineWidth = 5;
      used.mu.forEach(([x, y], j) => {
        g.strokeStyle = background;
        g.strokeText("AB"[j], toX(x), toY(y) + 9);
        g.fillStyle = text;
        g.fillText("AB"[j], toX(x), toY(y) + 9);
      });
    }

    function draw() {
      const used = biased(m, bias), drawn = draws.map((d) => sample(d, used)), scale = units[unit];
      const shift = Math.log(scale[0]) + Math.log(scale[1]);
      const logs = points.map(([x, y]) => logMixture(x, y, used) + shift);
      const nats = sum(logs);
      const natsOne = sum(points.map(([x, y]) => logGaussian(x, y, one.mu, one.sigma, one.rho) + shift));
      const heights = used.mu.map(([x, y]) => Math.exp(logMixture(x, y, used) + shift));
      const area = { mm: "mm²", inch: "inch²", std: "std²" }[unit];
      yours.textContent = `your two hills: ${nats.toFixed(1)} nats for ${points.length} points, a loss of ${(-nats).toFixed(1)}`;
      single.textContent = `the best single hill: ${natsOne.toFixed(1)} nats`;
      gap.textContent = `difference: ${(nats - natsOne).toFixed(1)} nats, in every unit`;
      peak.textContent = `density at the centres: A ${heights[0].toPrecision(3)}, B ${heights[1].toPrecision(3)} per ${area}`;
      for (const update of sliders) update();
      canvas.setAttribute("aria-label",
        `Density of two hills, A at ${m.mu[0].map((v) => v.toFixed(2)).join(", ")} and B at ${m.mu[1].map((v) => v.toFixed(2)).join(", ")} mm, over sixty points in two clouds at -1, 0.5 and 1, 0.5 mm.`);
      paint(used, showDraws ? drawn : []);
      numbers(el, {
        pi: used.pi, mu: used.mu, sigma: used.sigma, rho: used.rho, bias, unit, scale, nats, nats_one: natsOne, heights,
        log_density: logs, noise: draws, samples: drawn,
      });
    }

    draw();
    return themed(draw);   // light and dark change the colours of the canvas: paint again
  },
};
