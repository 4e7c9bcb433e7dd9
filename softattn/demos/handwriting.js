// Where the reader's own pen may go next: the predictor reads what is written on a pad, and its density glows ahead of the pen.
// State: net, the card of its weights; offsets, a line to begin with.

import { Pad, RATE, onPad, resample } from "./ink.js";
import { button, clip, colour, drag, make, menu, numbers, share, slider, sum, themed } from "./kit.js";
import { JOBS, Machine, askedWeights, inSlices, nets } from "./machine.js";
import { drawPoint, mixture, penNoise } from "./net.js";

const WIDE = 640, CELL = 2, LETTER = 172;             // pad units, of them in a cell of the glow; raw units a letter
const LOW = 3e-6, HIGH = 3e-3;                        // densities that begin to glow, and glow most, per square raw unit
const LENS = 96, SEEN = 36;                           // cells of the lens, each way, and pad units under it
const ROUNDING = 1 / Math.sqrt(12), WAYS = 12;        // the floor of softattn.handwriting, raw units; ways on that are drawn

// A Gaussian whose variances are raised by the squares of a floor: standard deviations and correlation.
function raised(sx, sy, rho, fx, fy) {
  const x = Math.hypot(sx, fx), y = Math.hypot(sy, fy);
  return [x, y, rho * sx * sy / (x * y)];
}

// Nats of a normalised point under what was expected before it, floor as in PenModel.scores.
function surprise(raw, [x, y, end], std) {
  const { pi, mu, sigma, rho } = mixture(raw), floor = std.map((s) => ROUNDING / s);
  const logs = pi.map((share, m) => {
    const [sx, sy, r] = raised(sigma[0][m], sigma[1][m], rho[m], ...floor), a = (x - mu[0][m]) / sx, b = (y - mu[1][m]) / sy, rest = 1 - r * r;
    return Math.log(share) - (a * a + b * b - 2 * r * a * b) / (2 * rest) - Math.log(2 * Math.PI * sx * sy * Math.sqrt(rest));
  });
  const peak = Math.max(...logs), lift = Math.log1p(Math.exp(end ? raw[0] : -raw[0]));
  return lift - peak - Math.log(sum(logs.map((v) => Math.exp(v - peak))));
}

// ---- In the worker: the network after each point, kept, so that it can go on from any of them

let trail = [];
const recall = (pen, { held }) => pen.network.layers.forEach((layer, n) => layer.begin(...held[n]));

// {raw, nats} for each offset: what is expected after it, and what it cost.
JOBS.expect = function* expect({ net, offsets, anew }) {
  const pen = nets.get(net);
  if (anew) trail = [];
  if (trail.length) recall(pen, trail[trail.length - 1]);
  else pen.begin();
  for (const offset of offsets) {
    const x = pen.normal(offset), last = trail[trail.length - 1], nats = last ? surprise(last.raw, x, pen.std) : 0, raw = pen.step(x).slice();
    trail.push({ raw, held: pen.network.layers.map(({ h, c }) => [h.slice(), c.slice()]) });
    yield { raw, nats };
  }
};

// Some ways on from a point: lists of offsets, drawn as the network would.
JOBS.ahead = function* ahead({ net, point, steps, seed }) {
  const pen = nets.get(net), noise = penNoise(seed);
  for (let n = 0; n < WAYS; n += 1) {
    const way = [];
    let { raw } = trail[point];
    recall(pen, trail[point]);
    for (let k = 0; k < steps; k += 1) {
      const x = drawPoint(raw, 0, noise());
      way.push(pen.raw(x));
      raw = pen.step(x);
      yield;
    }
    yield way;
  }
};

// ---- The glow

// Add a mixture's density to a field of cells, the pen at `place` (pad units), `unit` raw units to one of the pad. Its variances are
// raised by that of a cell. Rows are walked by products: the ratio of neighbours falls by one factor.
function addGlow(field, columns, raw, { mean, std }, place, unit, cell = CELL) {
  const { pi, mu, sigma, rho } = mixture(raw), side = cell * unit, floor = side * ROUNDING, rows = field.length / columns;
  for (let m = 0; m < pi.length; m += 1) {
    const [sx, sy, r] = raised(sigma[0][m] * std[0], sigma[1][m] * std[1], rho[m], floor, floor), own = sx * Math.sqrt(1 - r * r);
    const peak = pi[m] / (2 * Math.PI * own * sy), reach = 2 * Math.log(peak / LOW) + 2;
    if (!(reach > 2)) continue;
    const [x, y] = [0, 1].map((axis) => mu[axis][m] * std[axis] + mean[axis] + place[axis] * unit - side / 2), half = sy * Math.sqrt(reach);
    for (let row = Math.max(0, Math.ceil((y - half) / side)); row <= Math.min(rows - 1, (y + half) / side); row += 1) {
      const down = row * side - y, middle = x + r * sx / sy * down, wide = own * Math.sqrt(Math.max(0, reach - (down / sy) ** 2));
      const from = Math.max(0, Math.ceil((middle - wide) / side)), to = Math.min(columns - 1, Math.floor((middle + wide) / side)), away = from * side - middle;
      let value = peak * Math.exp(-((down / sy) ** 2) / 2 - (away / own) ** 2 / 2), ratio = Math.exp(-side * (away + side / 2) / own ** 2);
      const fall = Math.exp(-((side / own) ** 2));
      for (let at = row * columns + from; at <= row * columns + to; at += 1) {
        field[at] += value;
        value *= ratio;
        ratio *= fall;
      }
    }
  }
}

// "#rrggbb" of the page's colours as three numbers
const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));

export default {
  async render({ model, el }) {
    const card = model.get("net"), megabytes = (card.bytes / 1e6).toFixed(1);
    numbers(el, { awake: false, bytes: card.bytes });
    const file = await askedWeights(el, card, `Wake it, and write: it shows where it expects your pen. Its weights, ${megabytes} MB, are fetched once. Licence: ${card.licence}.`);
    const machine = new Machine();
    await machine.run("load", { card, bytes: file }).done;
    const breath = () => new Promise((go) => setTimeout(go));      // between two pieces of work: no frame waits for all of it
    await breath();

    const high = el.clientWidth < 480 ? 300 : 220, columns = WIDE / CELL, field = new Float32Array(columns * high / CELL), total = new Float32Array(field.length);
    const own = { size: el.clientWidth < 480 ? 70 : 45, pace: 2 };      // most who write on a pad are slower than the corpus' pens
    const state = { show: "next", ahead: 20, ...own, at: null };
    let places = [], offsets = [], read = [], era = 0, busy = false, summed = 0, stopSum = null, dream = null, ways = [], frame = 0;

    make("p", el, { class: "sa-note" }, "Clear the pad, and write: the glow is where the network expects your next point, enlarged in the corner; fine lines are ways on.");
    const sheet = make("div", el, { style: "position:relative" });
    const canvas = make("canvas", sheet, { width: columns, height: high / CELL, role: "img", "aria-label": "The glow on the pad.", style: "position:absolute;inset:0;width:100%;height:100%;border-radius:6px;touch-action:none" });
    const pad = new Pad(sheet, { wide: WIDE, high, words: "Write, and see what is expected", heard: (what) => (what === "anew" ? anew() : pump()) });
    pad.svg.style.position = "relative";
    const lines = make("path", pad.under, { fill: "none", "stroke-width": 1.3, "stroke-linejoin": "round", style: "stroke:var(--sa-blue)", opacity: 0.55 });
    const rules = make("path", pad.under, { "stroke-dasharray": "3 7", style: "stroke:var(--sa-muted)", opacity: 0.6 });
    const tip = make("circle", pad.under, { r: 5, fill: "none", "stroke-width": 2, style: "stroke:var(--sa-blue)", visibility: "hidden" });
    const lens = make("canvas", sheet, { role: "img", "aria-label": "The pad around the pen, enlarged.", width: LENS, height: LENS,
      style: "position:absolute;top:3px;width:23%;max-width:6.5rem;height:auto;border:1px solid var(--sa-muted);border-radius:50%;background:var(--sa-background);pointer-events:none;touch-action:none" });
    const strip = make("canvas", el, { role: "img", width: columns, height: 44, style: "width:100%;height:3.2rem;display:block;margin-top:.2rem;cursor:ew-resize" });

    const row = make("div", el, { class: "sa-row" });
    button(row, "Clear", () => {
      Object.assign(state, own);
      setting();
      pad.clear();
    });
    button(row, "Undo", () => pad.undo());
    button(row, "Example", () => example(true));
    const said = make("p", el, { class: "sa-note", role: "status", style: "min-height:2.6em" });
    const controls = make("div", el, { class: "sa-controls" });
    const modes = [["next", "the next point"], ["all", "all points together"], ["surprise", "what surprised it"]];
    menu(controls, "show", modes, (kind) => { state.show = kind; sumUp(); draw(); tell(); });
    const point = slider(controls, "point", { min: 0, step: 1 }, (t) => scrub(t));
    const ahead = slider(controls, "ways on", { min: 0, max: 60, step: 5 }, (n) => { state.ahead = n; setting(); muse(); });
    const size = slider(controls, "width of a letter", { min: 15, max: 120, step: 0.5 }, (v) => { state.size = own.size = v; setting(); anew(); });
    const pace = slider(controls, "pen's clock", { min: 0.5, max: 5, step: 0.1 }, (v) => { state.pace = own.pace = v; setting(); anew(); });

    const unit = () => LETTER / state.size, now = () => Math.min(state.at ?? Infinity, read.length - 1);
    function setting() {
      ahead.show(state.ahead, `${state.ahead} steps`);
      size.show(state.size);
      pace.show(state.pace, `× ${state.pace.toFixed(1)}`);
      rules.setAttribute("d", [0.66 * high, 0.66 * high - 0.62 * state.size].map((y) => `M16 ${y.toFixed(1)}H${WIDE - 16}`).join(""));
      tell();
    }
    function enter(name) { el.dataset.state = name; }

    // ---- reading: points at the corpus' rate, as soon as they are settled, one request at a time

    // The last point of a stroke that goes on may yet be one that lifts: it waits.
    const settled = () => pad.strokes.flatMap((stroke, n) => {
      const points = resample(stroke, 1 / state.pace);
      return pad.down !== null && n === pad.strokes.length - 1 ? points.slice(0, -1) : points;
    });

    function anew() {
      stopSum?.();
      [places, offsets, read, ways, summed, stopSum] = [[], [], [], [], 0, null];
      [state.at, era] = [null, era + 1];
      total.fill(0);
      draw();
      tell();
      pump();
    }

    async function pump() {
      state.at = null;
      if (busy) return;
      const all = settled(), fresh = all.slice(places.length), mine = era, first = places.length === 0, scale = unit();
      if (!fresh.length) return;
      dream?.stop();
      busy = true;
      fresh.forEach(([x, y, end]) => {
        const [u, v] = places[places.length - 1] ?? [x, y];
        places.push([x, y, end]);
        offsets.push([Math.fround(x * scale - u * scale), Math.fround(y * scale - v * scale), end]);
      });
      enter("running");
      try {
        const job = machine.run("expect", { net: card.name, offsets: offsets.slice(-fresh.length), anew: first }, (one) => {
          if (mine !== era) return;
          read.push(one);
          cancelAnimationFrame(frame);
          frame = requestAnimationFrame(draw);
        });
        const { rate } = await job.done;
        if (fresh.length >= RATE / 2) el.dataset.rate = Math.round(rate);
      } catch (error) {
        enter("failed");
        said.textContent = `It cannot read: ${error.message}.`;
        return;
      }
      busy = false;
      if (settled().length > places.length) {
        pump();
        return;
      }
      enter("done");
      draw();
      tell();
      muse();
      sumUp();
    }

    // Ways on from the point that is shown.
    async function muse() {
      dream?.stop();
      const from = now(), mine = era;
      if (busy || from < 0) return;
      if (!state.ahead) {
        ways = [];
        draw();
        tell();
        return;
      }
      let fresh = [];
      dream = machine.run("ahead", { net: card.name, point: from, steps: state.ahead, seed: from }, (way) => {
        if (mine !== era || from !== now()) return;
        ways = fresh = [...fresh, way];
        cancelAnimationFrame(frame);
        frame = requestAnimationFrame(draw);
      });
      await dream.done.catch(() => null);
      if (mine === era && !busy) tell();
    }

    // All glows together, a few at a time.
    function sumUp() {
      if (state.show !== "all" || stopSum || summed >= read.length) return;
      const mine = era;
      stopSum = inSlices(function* add() {
        for (; mine === era && summed < read.length; summed += 1) {
          addGlow(total, columns, read[summed].raw, card.config, places[summed], unit());
          yield summed;
        }
      }, ({ done }) => {
        if (mine !== era) return;
        draw();
        if (!done) return;
        stopSum = null;
        tell();
      });
    }

    // ---- what is seen

    function draw() {
      const at = now(), brush = canvas.getContext("2d"), shown = state.show === "all" ? total : field;
      field.fill(0);
      if (at >= 0 && state.show === "next") addGlow(field, columns, read[at].raw, card.config, places[at], unit());
      if (state.show === "surprise") dots(brush);
      else glow(brush, shown);
      const [x, y] = places[at] ?? [0, 0], along = (way) => way.reduce(([d, u, v, up], [dx, dy, end]) => {
        const [p, q] = [u + dx / unit(), v + dy / unit()];
        return [`${d}${up ? "M" : "L"}${p.toFixed(1)} ${q.toFixed(1)}`, p, q, end];
      }, [`M${x} ${y}`, x, y, places[at]?.[2]])[0];
      lines.setAttribute("d", at >= 0 && state.show === "next" && state.ahead ? ways.map(along).join("") : "");
      for (const [name, value] of Object.entries({ cx: x, cy: y, visibility: at >= 0 && pad.down === null ? "visible" : "hidden" })) tip.setAttribute(name, value);
      rules.setAttribute("visibility", shownOwn() ? "visible" : "hidden");
      enlarge(at);
      surprises(at);
      point.input.max = Math.max(read.length - 1, 0);
      point.input.disabled = read.length < 2;
      point.show(Math.max(at, 0), `${Math.max(at, 0)}/${Math.max(read.length - 1, 0)}`);
      if (pad.down !== null) return;
      const cost = read.slice(1).map((one) => one.nats), end = at >= 0 ? mixture(read[at].raw).end : 0;
      said.textContent = at < 0 ? "The pad is empty." : `After point ${at} it expects the pen to lift with probability ${end.toFixed(2)}.`
        + (at > 0 ? ` This point cost ${read[at].nats.toFixed(1)} nats; on average ${(sum(cost) / cost.length).toFixed(2)} a point.` : "");
    }

    const shownOwn = () => state.size === own.size && state.pace === own.pace;

    // Around the pen, where there is most room: its glow and its last ink.
    function enlarge(at) {
      lens.style.display = at < 0 || state.show !== "next" ? "none" : "block";
      if (lens.style.display === "none") return;
      const [x, y] = places[at], brush = lens.getContext("2d"), cell = SEEN / LENS, near = new Float32Array(LENS * LENS);
      lens.style[x > WIDE / 2 ? "left" : "right"] = "3px";
      lens.style[x > WIDE / 2 ? "right" : "left"] = "auto";
      brush.clearRect(0, 0, LENS, LENS);
      addGlow(near, LENS, read[at].raw, card.config, [SEEN / 2, SEEN / 2], unit(), cell);
      glow(brush, near, 10 * HIGH);
      Object.assign(brush, { strokeStyle: colour(el, "text"), lineWidth: 3, lineCap: "round", lineJoin: "round" });
      brush.beginPath();
      places.slice(0, at + 1).forEach(([u, v], t) => {
        const spot = [LENS / 2 + (u - x) / cell, LENS / 2 + (v - y) / cell];
        if (t === 0 || places[t - 1][2]) brush.moveTo(...spot);
        brush.lineTo(...spot);
      });
      brush.stroke();
    }

    const images = [];      // of the pad and of the lens, made once
    function glow(brush, values, most = HIGH) {
      const { width, height: tall } = brush.canvas, ramp = ["yellow", "orange", "vermillion"].map((name) => channels(colour(el, name)));
      const image = images[brush.canvas === lens ? 1 : 0] ??= brush.createImageData(width, tall);
      image.data.fill(0);
      for (let k = 0; k < values.length; k += 1) {
        if (values[k] < LOW) continue;
        const much = clip(Math.log(values[k] / LOW) / Math.log(most / LOW), 0, 1), part = Math.min(1.999, 2 * much), low = ramp[Math.floor(part)], top = ramp[Math.floor(part) + 1];
        for (let c = 0; c < 3; c += 1) image.data[4 * k + c] = low[c] + (part % 1) * (top[c] - low[c]);
        image.data[4 * k + 3] = 255 * Math.min(1, 0.12 + 0.88 * much);
      }
      brush.putImageData(image, 0, 0);
    }

    // Nats from -6 to 6 as a share from 0 to 1
    const height = (nats) => clip((nats + 6) / 12, 0, 1);

    function dots(brush) {
      brush.clearRect(0, 0, canvas.width, canvas.height);
      brush.fillStyle = colour(el, "vermillion");
      read.forEach(({ nats }, t) => {
        if (t === 0) return;
        brush.globalAlpha = 0.15 + 0.85 * height(nats) ** 2;
        brush.beginPath();
        brush.arc(places[t][0] / CELL, places[t][1] / CELL, 1 + 6 * height(nats), 0, 2 * Math.PI);
        brush.fill();
      });
      brush.globalAlpha = 1;
    }

    // Below: a bar for each point, its surprise; above its lifts a mark; a line at 0 nats.
    function surprises(at) {
      const brush = strip.getContext("2d"), wide = Math.max(strip.width, read.length), each = strip.width / wide;
      const [blue, vermillion] = ["blue", "vermillion"].map((name) => colour(el, name));
      brush.clearRect(0, 0, strip.width, strip.height);
      brush.fillStyle = colour(el, "line");
      brush.fillRect(0, strip.height / 2, strip.width, 1);
      read.forEach(({ nats }, t) => {
        if (t === 0) return;
        brush.fillStyle = t === at ? blue : vermillion;
        const tall = (strip.height - 4) * height(nats);
        brush.fillRect(t * each, strip.height - tall, Math.max(each, t === at ? 2 : 0.8), tall);
        if (places[t][2]) brush.fillRect(t * each - 1, 0, 3, 3);
      });
      strip.setAttribute("aria-label", read.length > 1 ? `Bars: what each of ${read.length - 1} points cost, from -6 to 6 nats; marks above show where the pen lifted.` : "No point has been read.");
    }

    function tell() {
      const at = now(), peak = field.reduce((best, v, k) => (v > field[best] ? k : best), 0);
      const found = { awake: true, show: state.show, point: at, points: read.length, ahead: state.ahead, ways: ways.length, size: state.size, pace: state.pace };
      if (pad.down === null) {
        Object.assign(found, { strokes: pad.strokes, offsets, nats: read.map((one) => one.nats), end: at >= 0 ? mixture(read[at].raw).end : null,
          place: places[at] ?? null, peak: [field[peak], peak % columns, Math.floor(peak / columns)], mass: sum(field), whole: sum(total), summed });
      }
      numbers(el, found);
    }

    function scrub(t) {
      if (!read.length) return;
      state.at = clip(Math.round(t), 0, read.length - 1);
      ways = [];
      draw();
      tell();
      muse();
    }
    const here = (event) => scrub(share(strip, event)[0] * Math.max(strip.width, read.length));
    drag(strip, { begin: here, move: here });

    // The line of this page, as large as fits, at the clock that it was written with.
    function example(played) {
      const { strokes, zoom } = onPad(model.get("offsets"), WIDE, high);
      Object.assign(state, { size: Math.round(2 * LETTER * zoom) / 2, pace: 1 });
      setting();
      if (played) pad.play(strokes);
      else pad.load(strokes);
    }

    setting();
    await breath();
    example(false);
    return themed(draw);
  },
};
