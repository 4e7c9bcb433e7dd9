// Two Gaussians that the reader moves, their density, samples, and the log density they give the points.
const WIDTH = 640, HEIGHT = 320, X = [-2.2, 2.2], Y = [-0.6, 1.6], STEP = 4, DRAWS = 120;
const LOG_2PI = Math.log(2 * Math.PI);

function logGaussian(x, y, mu, sigma, rho) {
  const gap = 1 - rho * rho, zx = (x - mu[0]) / sigma[0], zy = (y - mu[1]) / sigma[1], slope = zy - rho * zx;
  return -LOG_2PI - Math.log(sigma[0] * sigma[1]) - 0.5 * Math.log(gap) - 0.5 * (zx * zx + (slope * slope) / gap);
}

function logSumExp(values) {
  const top = Math.max(...values);
  return top === -Infinity ? top : top + Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
}

function logMixture(x, y, m) {
  return logSumExp(m.pi.map((pi, j) => Math.log(pi) + logGaussian(x, y, m.mu[j], m.sigma[j], m.rho[j])));
}

// Graves' eq. 61-62: sigma e^-b, and pi^(1 + b) made to sum to one.
function biased(m, b) {
  const powers = m.pi.map((pi) => pi ** (1 + b)), sum = powers.reduce((a, c) => a + c, 0);
  return { pi: powers.map((p) => p / sum), mu: m.mu, sigma: m.sigma.map((s) => s.map((v) => v * Math.exp(-b))), rho: m.rho };
}

function random(seed) {   // mulberry32: small, and the same in every browser
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
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

function make(tag, parent, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  parent.appendChild(node);
  return node;
}

function rgb(el, name) {
  const text = getComputedStyle(el).getPropertyValue(name).trim().replace("#", "");
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
    const mean = [0, 1].map((k) => points.reduce((sum, p) => sum + p[k], 0) / points.length);
    const std = [0, 1].map((k) => Math.sqrt(points.reduce((sum, p) => sum + (p[k] - mean[k]) ** 2, 0) / points.length));
    const units = { mm: [1, 1], inch: [25.4, 25.4], std };

    const box = make("div", el);
    const canvas = make("canvas", box, { width: WIDTH, height: HEIGHT, role: "img" });
    const head = make("div", box, { class: "sa-row" });
    const lines = make("div", box, { class: "sa-equations", role: "status" });
    const yours = make("div", lines), single = make("div", lines), gap = make("div", lines), peak = make("div", lines);

    const unitLabel = make("label", head, {}, "Unit ");
    const unitSelect = make("select", unitLabel);
    for (const name of Object.keys(units)) make("option", unitSelect, { value: name }, name);
    unitSelect.value = unit;
    const hillLabel = make("label", head, {}, "Hill ");
    const hillSelect = make("select", hillLabel);
    for (const name of ["A", "B"]) make("option", hillSelect, { value: name }, name);
    const sampleButton = make("button", head, { type: "button", "aria-pressed": "false" }, "Show samples");
    const againButton = make("button", head, { type: "button" }, "Draw again");

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
      const label = make("label", controls);
      const words = make("span", label), out = make("b", label), input = make("input", label, { type: "range", min, max, step });
      input.addEventListener("input", () => { set(Number(input.value)); draw(); });
      return () => {
        words.textContent = `${name}${k > 0 && k < 6 ? " of " + "AB"[chosen] : ""} `;
        input.value = get();
        out.textContent = get().toFixed(2);
      };
    });
    make("p", box, { class: "sa-note" },
      "Dots: sixty steps of the pen. Crosses: samples of your two hills. Bluer: higher density. Move hill A to the right cloud, B to the left; then tilt them.");

    const toX = (x) => ((x - X[0]) / (X[1] - X[0])) * WIDTH, toY = (y) => HEIGHT - ((y - Y[0]) / (Y[1] - Y[0])) * HEIGHT;
    const fromX = (px) => X[0] + (px / WIDTH) * (X[1] - X[0]), fromY = (py) => Y[0] + ((HEIGHT - py) / HEIGHT) * (Y[1] - Y[0]);

    function paint(used, drawn) {
      const g = canvas.getContext("2d"), low = rgb(el, "--sa-background"), high = rgb(el, "--sa-blue");
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
      const css = getComputedStyle(el), text = css.getPropertyValue("--sa-text"), orange = css.getPropertyValue("--sa-orange");
      const background = css.getPropertyValue("--sa-background");
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
      const nats = logs.reduce((a, b) => a + b, 0);
      const natsOne = points.reduce((sum, [x, y]) => sum + logGaussian(x, y, one.mu, one.sigma, one.rho) + shift, 0);
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
      el.dataset.numbers = JSON.stringify({
        pi: used.pi, mu: used.mu, sigma: used.sigma, rho: used.rho, bias, unit, scale, nats, nats_one: natsOne, heights,
        log_density: logs, noise: draws, samples: drawn,
      });
    }

    unitSelect.addEventListener("change", () => { unit = unitSelect.value; draw(); });
    hillSelect.addEventListener("change", () => { chosen = hillSelect.value === "A" ? 0 : 1; draw(); });
    sampleButton.addEventListener("click", () => {
      showDraws = !showDraws;
      sampleButton.setAttribute("aria-pressed", String(showDraws));
      sampleButton.textContent = showDraws ? "Hide samples" : "Show samples";
      draw();
    });
    againButton.addEventListener("click", () => {
      draws = noise(++seed);
      showDraws = true;
      sampleButton.setAttribute("aria-pressed", "true");
      sampleButton.textContent = "Hide samples";
      draw();
    });
    // Light and dark change the colours of the canvas: paint again.
    const watcher = new MutationObserver(draw);
    watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "theme"] });
    draw();
    return () => watcher.disconnect();
  },
};
