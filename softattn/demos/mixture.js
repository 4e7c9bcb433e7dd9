// Two Gaussians that the reader drags over dots: their density, which hill answers for which dot, samples, and the log density.
// State: points; pi, mu, sigma, rho of the hills; bias; unit.
import { button, clip, colour, drag, make, menu, numbers, random, share, slider, sum, themed } from "./kit.js";

const WIDTH = 640, HEIGHT = 320, X = [-2.2, 2.2], Y = [-0.6, 1.6], STEP = 4, DRAWS = 120, MOST = 200, GRIP = 30;
const THIN = 0.03, WIDE = 1, TILT = 0.95;                  // bounds of sigma and rho
const LOG_2PI = Math.log(2 * Math.PI);

function logGaussian(x, y, mu, sigma, rho) {
  const gap = 1 - rho * rho, zx = (x - mu[0]) / sigma[0], zy = (y - mu[1]) / sigma[1], slope = zy - rho * zx;
  return -LOG_2PI - Math.log(sigma[0] * sigma[1]) - 0.5 * Math.log(gap) - 0.5 * (zx * zx + (slope * slope) / gap);
}

// The log density of a point, and the share of it that hill A has: how much A answers for it.
function judge(x, y, { pi, mu, sigma, rho }) {
  const [a, b] = [0, 1].map((j) => Math.log(pi[j]) + logGaussian(x, y, mu[j], sigma[j], rho[j])), top = Math.max(a, b);
  return { log: top === -Infinity ? top : top + Math.log(Math.exp(a - top) + Math.exp(b - top)), share: 1 / (1 + Math.exp(b - a)) };
}

// Graves' eq. 61-62: sigma e^-b, and pi^(1 + b) made to sum to one.
function biased(m, b) {
  const powers = m.pi.map((pi) => pi ** (1 + b)), total = sum(powers);
  return { pi: powers.map((p) => p / total), mu: m.mu, sigma: m.sigma.map((s) => s.map((v) => v * Math.exp(-b))), rho: m.rho };
}

// The hill that gives the dots the most, alone: their mean and covariance.
function alone(points) {
  const n = points.length, mu = [0, 1].map((k) => sum(points.map((p) => p[k])) / n);
  const between = (j, k) => sum(points.map((p) => (p[j] - mu[j]) * (p[k] - mu[k]))) / n;
  const sigma = [0, 1].map((k) => Math.sqrt(Math.max(between(k, k), 1e-9)));
  return { mu, sigma, rho: clip(between(0, 1) / (sigma[0] * sigma[1]), -0.999, 0.999) };
}

// The two axes of a hill, as far as its width, from its covariance; and back.
function axes(sigma, rho) {
  const [a, d, b] = [sigma[0] ** 2, sigma[1] ** 2, rho * sigma[0] * sigma[1]], turn = 0.5 * Math.atan2(2 * b, a - d);
  const half = Math.hypot((a - d) / 2, b), long = Math.sqrt((a + d) / 2 + half), short = Math.sqrt(Math.max((a + d) / 2 - half, 1e-9));
  return [[long * Math.cos(turn), long * Math.sin(turn)], [-short * Math.sin(turn), short * Math.cos(turn)]];
}

function shaped([[ax, ay], [bx, by]]) {
  const sigma = [Math.hypot(ax, bx), Math.hypot(ay, by)], rho = (ax * ay + bx * by) / (sigma[0] * sigma[1]);
  return { sigma: sigma.map((v) => clip(v, THIN, WIDE)), rho: clip(rho, -TILT, TILT) };
}

function noise(seed) {    // the same draws for every setting, so that samples glide when a hill moves
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
    const first = model.get("points").map((p) => [...p]);
    const m = {
      pi: [model.get("pi"), 1 - model.get("pi")], mu: model.get("mu").map((v) => [...v]),
      sigma: model.get("sigma").map((v) => [...v]), rho: [...model.get("rho")],
    };
    let points = [...first], bias = model.get("bias"), unit = model.get("unit"), chosen = 0, seed = 1, draws = noise(seed), showDraws = false;
    const { sigma: std } = alone(first), units = { mm: [1, 1], inch: [25.4, 25.4], std };

    const box = make("div", el);
    make("p", box, { class: "sa-note" }, "Drag a hill onto each cloud by its letter, shape it by its rings; tap elsewhere for another dot.");
    const canvas = make("canvas", box, { width: WIDTH, height: HEIGHT, role: "img", style: "cursor:grab" });
    const lines = make("div", box, { class: "sa-equations", role: "status" });
    const yours = make("div", lines), single = make("div", lines), answers = make("div", lines), peak = make("div", lines);

    const head = make("div", box, { class: "sa-row", style: "gap:.35rem .6rem" });
    const unitMenu = menu(head, "Unit", Object.keys(units).map((name) => [name, name]), (name) => { unit = name; draw(); });
    unitMenu.value = unit;
    const hillMenu = menu(head, "Hill", [["A", "A"], ["B", "B"]], (name) => { chosen = name === "A" ? 0 : 1; draw(); });
    button(head, "Add a dot", () => add(m.mu[chosen]));
    const back = button(head, "Take dots back", () => {
      points = [...first];
      draw();
    });
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

    const controls = make("div", box, { style: "display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.2rem 1rem" });
    const sliders = [
      ["share of A, π", 0.02, 0.98, 0.01, () => m.pi[0], (v) => { m.pi = [v, 1 - v]; }],
      ["centre, μx", -2, 2, 0.05, () => m.mu[chosen][0], (v) => { m.mu[chosen][0] = v; }],
      ["centre, μy", -0.5, 1.5, 0.05, () => m.mu[chosen][1], (v) => { m.mu[chosen][1] = v; }],
      ["width, σx", THIN, WIDE, 0.01, () => m.sigma[chosen][0], (v) => { m.sigma[chosen][0] = v; }],
      ["width, σy", THIN, WIDE, 0.01, () => m.sigma[chosen][1], (v) => { m.sigma[chosen][1] = v; }],
      ["tilt, ρ", -TILT, TILT, 0.05, () => m.rho[chosen], (v) => { m.rho[chosen] = v; }],
      ["bias, b", 0, 3, 0.1, () => bias, (v) => { bias = v; }],
    ].map(([name, min, max, step, get, set], k) => {
      const one = slider(controls, name, { min, max, step }, (v) => { set(v); draw(); });
      return () => {
        one.label.firstChild.textContent = `${name}${k > 0 && k < 6 ? " of " + "AB"[chosen] : ""} `;
        one.show(get(), get().toFixed(2));
      };
    });
    make("p", box, { class: "sa-note" },
      "Dots: where the pen went; orange, hill A answers for it, green, B. Bluer: higher density. Crosses: samples.");

    const toX = (x) => ((x - X[0]) / (X[1] - X[0])) * WIDTH, toY = (y) => HEIGHT - ((y - Y[0]) / (Y[1] - Y[0])) * HEIGHT;
    const fromX = (px) => X[0] + (px / WIDTH) * (X[1] - X[0]), fromY = (py) => Y[0] + ((HEIGHT - py) / HEIGHT) * (Y[1] - Y[0]);

    // ---- hands on: a hill is held by its letter or at the end of an axis; a tap elsewhere adds a dot

    let held = null;
    const at = (event) => share(canvas, event).map((v, k) => (k ? fromY(v * HEIGHT) : fromX(v * WIDTH)));
    const grips = () => [0, 1].flatMap((j) => [[j, -1, m.mu[j]], ...axes(m.sigma[j], m.rho[j]).map((axis, n) => [j, n, axis.map((v, k) => m.mu[j][k] + v)])]);
    function add(place) {
      if (points.length < MOST) points.push(place.map((v) => Math.round(1000 * v) / 1000));
      draw();
    }
    drag(canvas, {
      begin(event) {
        const [x, y] = at(event), away = ([, , p]) => Math.hypot(toX(p[0]) - toX(x), toY(p[1]) - toY(y));
        const nearest = grips().reduce((a, b) => (away(b) < away(a) ? b : a));
        held = away(nearest) < GRIP ? { hill: nearest[0], part: nearest[1], off: nearest[2].map((v, k) => v - [x, y][k]) } : { dot: [x, y], from: event };
        if (held.dot) return;
        chosen = held.hill;
        hillMenu.value = "AB"[chosen];
        draw();
      },
      move(event) {
        if (held.dot) {
          if (Math.hypot(event.clientX - held.from.clientX, event.clientY - held.from.clientY) > 8) held.moved = true;
          return;
        }
        const place = at(event).map((v, k) => v + held.off[k]), { hill, part } = held;
        if (part < 0) m.mu[hill] = [clip(place[0], -2, 2), clip(place[1], -0.5, 1.5)];
        else {
          const both = axes(m.sigma[hill], m.rho[hill]), arm = place.map((v, k) => v - m.mu[hill][k]), long = clip(Math.hypot(...arm), THIN, 1.4);
          const unitArm = arm.map((v) => v / Math.max(Math.hypot(...arm), 1e-9)), other = Math.hypot(...both[1 - part]);
          const pair = [unitArm.map((v) => long * v), [-other * unitArm[1], other * unitArm[0]]], { sigma, rho } = shaped(pair);
          [m.sigma[hill], m.rho[hill]] = [sigma, rho];
          const now = axes(sigma, rho), along = (axis) => Math.abs(axis[0] * unitArm[0] + axis[1] * unitArm[1]) / Math.hypot(...axis);
          held.part = along(now[0]) > along(now[1]) ? 0 : 1;      // the longer axis comes first: they may change places
        }
        draw();
      },
      end(event) {
        if (held.dot && !held.moved && event.type === "pointerup") add(held.dot);
        held = null;
      },
    });

    // ---- painting

    const small = make("canvas", null, { width: WIDTH / STEP, height: HEIGHT / STEP });
    function paint(used, drawn, shares) {
      const g = canvas.getContext("2d"), low = rgb(el, "background"), high = rgb(el, "blue");
      const columns = WIDTH / STEP, rows = HEIGHT / STEP, heat = new Float64Array(columns * rows);
      const hills = [0, 1].map((j) => {                              // pi N = exp(base - (zx^2 + slope^2 / gap) / 2)
        const { pi, mu, sigma, rho } = used, gap = 1 - rho[j] ** 2;
        return { mu: mu[j], sigma: sigma[j], rho: rho[j], gap, base: Math.log(pi[j]) - Math.log(sigma[j][0] * sigma[j][1]) - 0.5 * Math.log(gap) };
      });
      let top = 0;
      for (let r = 0; r < rows; r += 1) {
        for (let c = 0; c < columns; c += 1) {
          const x = fromX((c + 0.5) * STEP), y = fromY((r + 0.5) * STEP);
          let p = 0;
          for (const { mu, sigma, rho, gap, base } of hills) {
            const zx = (x - mu[0]) / sigma[0], slope = (y - mu[1]) / sigma[1] - rho * zx;
            p += Math.exp(base - 0.5 * (zx * zx + (slope * slope) / gap));
          }
          heat[r * columns + c] = p;
          if (p > top) top = p;
        }
      }
      const s = small.getContext("2d"), image = s.createImageData(columns, rows);
      heat.forEach((p, i) => {
        const mix = 0.8 * Math.sqrt(p / top);
        for (let k = 0; k < 3; k += 1) image.data[4 * i + k] = low[k] + mix * (high[k] - low[k]);
        image.data[4 * i + 3] = 255;
      });
      s.putImageData(image, 0, 0);
      g.imageSmoothingEnabled = true;
      g.drawImage(small, 0, 0, WIDTH, HEIGHT);
      const [text, orange, green, background] = ["text", "orange", "green", "background"].map((name) => colour(el, name));
      const [warm, cool] = [rgb(el, "orange"), rgb(el, "green")];
      g.lineWidth = 1.5;
      points.forEach(([x, y], i) => {
        g.beginPath();
        g.arc(toX(x), toY(y), 5, 0, 2 * Math.PI);
        g.fillStyle = `rgb(${warm.map((v, k) => Math.round(v * shares[i] + cool[k] * (1 - shares[i]))).join(",")})`;
        g.strokeStyle = text;
        g.fill();
        g.stroke();
      });
      g.strokeStyle = text;
      g.lineWidth = 2;
      for (const [x, y] of drawn) {
        g.beginPath();
        g.moveTo(toX(x) - 5, toY(y) - 5);
        g.lineTo(toX(x) + 5, toY(y) + 5);
        g.moveTo(toX(x) - 5, toY(y) + 5);
        g.lineTo(toX(x) + 5, toY(y) - 5);
        g.stroke();
      }
      m.mu.forEach(([x, y], j) => {                                  // the hill at its width, and what it is held by
        const [[ax, ay], [bx, by]] = axes(m.sigma[j], m.rho[j]), paintHill = [orange, green][j];
        g.beginPath();
        for (let k = 0; k <= 60; k += 1) {
          const [c, d] = [Math.cos(k * Math.PI / 30), Math.sin(k * Math.PI / 30)];
          g.lineTo(toX(x + c * ax + d * bx), toY(y + c * ay + d * by));
        }
        for (const [line, thick] of [[background, 6], [paintHill, 3]]) {
          g.setLineDash(j && line !== background ? [10, 6] : []);
          Object.assign(g, { strokeStyle: line, lineWidth: thick });
          g.stroke();
        }
        g.setLineDash([]);
        for (const [ox, oy] of [[ax, ay], [bx, by]]) {
          g.beginPath();
          g.arc(toX(x + ox), toY(y + oy), 8, 0, 2 * Math.PI);
          Object.assign(g, { fillStyle: background, strokeStyle: paintHill, lineWidth: 4 });
          g.fill();
          g.stroke();
        }
        g.beginPath();
        g.arc(toX(x), toY(y), 17, 0, 2 * Math.PI);
        Object.assign(g, { fillStyle: paintHill, strokeStyle: j === chosen ? text : background, lineWidth: 3 });
        g.fill();
        g.stroke();
        Object.assign(g, { font: "bold 22px sans-serif", textAlign: "center", fillStyle: background });
        g.fillText("AB"[j], toX(x), toY(y) + 8);
      });
    }

    function draw() {
      const used = biased(m, bias), drawn = draws.map((d) => sample(d, used)), scale = units[unit];
      const shift = Math.log(scale[0]) + Math.log(scale[1]), one = alone(points);
      const seen = points.map(([x, y]) => judge(x, y, used)), logs = seen.map(({ log }) => log + shift), shares = seen.map((p) => p.share);
      const nats = sum(logs);
      const natsOne = sum(points.map(([x, y]) => logGaussian(x, y, one.mu, one.sigma, one.rho) + shift));
      const heights = used.mu.map(([x, y]) => Math.exp(judge(x, y, used).log + shift));
      const area = { mm: "mm²", inch: "inch²", std: "std²" }[unit];
      yours.textContent = `your hills: ${nats.toFixed(1)} nats for ${points.length} dots, loss ${(-nats).toFixed(1)}`;
      single.textContent = `best single hill: ${natsOne.toFixed(1)}; ${(nats - natsOne).toFixed(1)} apart in every unit`;
      answers.textContent = `A answers for ${sum(shares).toFixed(1)} of the dots, B for ${(points.length - sum(shares)).toFixed(1)}`;
      peak.textContent = `densest: A ${heights[0].toPrecision(3)}, B ${heights[1].toPrecision(3)} per ${area}`;
      back.disabled = points.length === first.length;
      for (const update of sliders) update();
      canvas.setAttribute("aria-label",
        `Density of two hills, A at ${m.mu[0].map((v) => v.toFixed(2)).join(", ")} and B at ${m.mu[1].map((v) => v.toFixed(2)).join(", ")} mm, over ${points.length} dots. ${answers.textContent}.`);
      paint(used, showDraws ? drawn : [], shares);
      numbers(el, {
        pi: used.pi, mu: used.mu, sigma: used.sigma, rho: used.rho, bias, unit, scale, nats, nats_one: natsOne, heights,
        log_density: logs, shares, points, noise: draws, samples: drawn,
      });
    }

    draw();
    return themed(draw);   // light and dark change the colours of the canvas: paint again
  },
};
