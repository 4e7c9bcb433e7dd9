// A network writes what the reader types: ink and the window's weights, point by point, computed here.
// State: nets, cards as page_card makes them, with hands {name: {text, offsets}}; text, seed, bias; map, whether all moments are
// shown; opening {text, offsets, peak, phi: a string per point, per character a sign from 0 to z for the root of its share}.

import { keepPicture, missed, path, plain, wrapped } from "./ink.js";
import { button, clip, colour, drag, inside, make, menu, numbers, share, slider, still, themed } from "./kit.js";
import { Machine, fetchWeights } from "./machine.js";
import { PRINTABLE } from "./net.js";

const COLUMNS = 20, LONGEST = 60, PITCH = 430, WIDE = 172;      // characters a line and in all; raw units between lines, and a character
const SPEEDS = [25, 100, 200, 400, 1e6];                        // points a second; pens of the corpus make 100

const rgb = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));

function render({ model, el }) {
  const nets = model.get("nets"), opening = model.get("opening");
  const chosen = { net: nets[0], hand: "", seed: model.get("seed") ?? 7, bias: model.get("bias") ?? 0.75, speed: 2 };
  let lines = [], points = [], shown = 0, box = null;             // the texts, what was written of them, how much of it is seen
  let writer = nets[0], machine = null, loaded = new Set(), work = null, finished = true, playing = false, before = 0, painted = [-1, 0];

  make("p", el, { class: "sa-note" }, "Type a text, press Write: the network writes it, in your browser. Tap the ink to go back.");
  const svg = make("svg", el, { role: "img", style: "width:100%;height:clamp(5rem,24vw,9rem);display:block;touch-action:pan-y;cursor:pointer" });
  const pen = { fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke" };
  const faint = make("path", svg, { ...pen, "stroke-width": 1.2, style: "stroke:var(--sa-line)" });
  const ink = make("path", svg, { ...pen, "stroke-width": 1.8, style: "stroke:var(--sa-text)" });
  const tip = make("path", svg, { ...pen, "stroke-width": 7, style: "stroke:var(--sa-vermillion)" });
  const strip = make("div", el, { role: "img", style: "display:flex;justify-content:center;height:2.7rem;margin:.2rem 0;font-family:ui-monospace,monospace;font-size:1.15rem" });
  const map = make("div", el, { style: `display:${model.get("map") ? "grid" : "none"};grid-template-columns:auto 1fr;gap:0 .4rem` });
  const names = make("div", map, { "aria-hidden": "true", style: "display:flex;flex-direction:column-reverse;font:.6rem/.62rem ui-monospace,monospace" });
  const field = make("div", map, { role: "img", style: "position:relative;cursor:crosshair;touch-action:pan-y;border:1px solid var(--sa-line)" });
  const canvas = make("canvas", field, { style: "display:block;width:100%;height:100%;position:absolute;image-rendering:pixelated" });
  const now = make("div", field, { style: "position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;background:var(--sa-vermillion)" });

  const form = make("div", el, { class: "sa-row" });
  const label = make("label", form, { style: "flex:1 1 11rem" }, "text ");
  const words = make("input", label, { type: "text", maxlength: LONGEST, spellcheck: "false", autocomplete: "off", style: "width:100%" });
  const go = button(form, "Write", () => write());
  button(form, "New seed", () => { seed.value = chosen.seed = Number(seed.value) + 1; write(); });
  const pause = button(form, "Pause", () => (playing ? rest() : resume()));
  button(form, "SVG", () => keepPicture(lines.join(" "), "svg", path(points), box));
  button(form, "PNG", () => keepPicture(lines.join(" "), "png", path(points), box));
  const said = make("p", el, { class: "sa-note", role: "status" });
  const bar = make("progress", el, { max: 1, value: 0, "aria-label": "weights that are here", style: "width:100%", hidden: "" });
  const controls = make("div", el, { style: "display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:.3rem .9rem" });
  const scrub = slider(controls, "point", { min: 0, step: 1 }, (t) => { rest(); seek(t); });
  const bias = slider(controls, "bias", { min: 0, max: 2, step: 0.05 }, (b) => { bias.show(chosen.bias = b); tell(); });
  const speed = slider(controls, "speed", { min: 0, max: SPEEDS.length - 1, step: 1 }, (k) => { pace(k); tell(); });
  const more = make("div", el, { class: "sa-row" });
  const net = nets.length > 1 && menu(more, "network", nets.map((card, k) => [k, `${card.non_commercial ? "large" : "small"}, ${megabytes(card)}`]), (k) => pick(nets[k]));
  const hand = menu(more, "hand", [], (name) => { chosen.hand = name; });
  const seed = make("input", make("label", more, {}, "seed "), { type: "number", min: 0, max: 4294967295, step: 1, style: "width:5rem" });
  seed.addEventListener("change", () => { chosen.seed = clip(Math.round(Number(seed.value)) || 0, 0, 4294967295); });
  const terms = make("p", el, { class: "sa-note" });

  function megabytes(card) { return `${(card.bytes / 1e6).toFixed(1)} MB`; }

  function enter(state, text = "") {
    el.dataset.state = state;
    said.textContent = text;
    pause.textContent = playing ? "Pause" : finished && shown >= points.length - 1 ? "Again" : "Go on";
    pause.disabled = !playing && !points.length;
  }

  function pick(card) {
    chosen.net = card;
    const names = Object.keys(card.hands ?? {}), first = card.non_commercial ? "" : names[0] ?? "";
    hand.replaceChildren();
    for (const name of ["", ...names]) make("option", hand, { value: name }, name || "its own");
    hand.value = chosen.hand = first;
    terms.textContent = about(card);
  }

  function about(card) {
    const once = loaded.has(card.name) ? "Its weights are here" : `Its weights, ${megabytes(card)}, are fetched once, when you press Write`;
    return `${once}. Licence: ${card.licence}.`;
  }

  function pace(k) {
    chosen.speed = k;
    speed.show(k, SPEEDS[k] < 1e6 ? `${SPEEDS[k]}/s` : "full");
  }

  // ---- writing

  async function weights(card) {
    if (loaded.has(card.name)) return;
    enter("loading", `Fetching the weights, ${megabytes(card)}.`);
    bar.hidden = false;
    try {
      const bytes = await fetchWeights(card, (part) => { bar.value = part; });
      await machine.run("load", { card, bytes }).done;
    } finally { bar.hidden = true; }
    loaded.add(card.name);
    terms.textContent = about(chosen.net);
  }

  async function write() {
    const text = plain(words.value), strange = [...new Set(text)].filter((c) => !PRINTABLE.includes(c) && !/\s/.test(c));
    if (strange.length) return enter(el.dataset.state === "running" ? "running" : "idle", `The pen knows printable ASCII, not ${strange.slice(0, 5).join(" ")}`);
    if (!text.trim()) return enter(el.dataset.state === "running" ? "running" : "idle", "There is nothing to write: type a word.");
    work?.stop();
    machine ??= new Machine();
    const { net: card, seed: from } = chosen, mine = work = { stop() { this.stopped = true; } };
    try {
      await weights(card);
      if (mine.stopped) return null;
      lines = wrapped(text, COLUMNS);
      points = [];
      writer = card;
      [shown, finished, playing, before] = [0, false, true, performance.now()];
      delete el.dataset.rate;
      layout();
      const args = { net: card.name, lines, seed: from, bias: chosen.bias, prime: card.hands?.[chosen.hand] ?? null, follow: card.non_commercial };
      const run = machine.run("write", args, add);
      mine.stop = () => { mine.stopped = true; run.stop(); };
      enter("running", "Writing.");
      if (!still()) requestAnimationFrame(frame);
      const { rate } = await run.done;
      if (mine.stopped) return null;
      el.dataset.rate = Math.round(rate);
      finished = true;
      fit();
      if (still()) { seek(points.length - 1); playing = false; settle(); } else if (!playing) settle();
    } catch (error) {
      if (mine.stopped) return null;
      [finished, playing] = [true, false];
      enter("failed", `It cannot write: ${error.message}. In Python, softattn.write does.`);
      console.warn(error);
    }
    return null;
  }

  // A point that the network has drawn.
  function add({ line, offset: [dx, dy, end], phi }) {
    const last = points[points.length - 1], first = !last || last.line !== line;
    const [x, y] = first ? [0, line * PITCH] : [last.x + dx, last.y + dy];
    points.push({ line, x, y, end, phi });
    box ??= [0, 0, 0, 0];
    box = [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)];
  }

  function frame(time) {
    if (!playing) return;
    const wanted = shown + SPEEDS[chosen.speed] * (time - before) / 1000;
    before = time;
    seek(Math.min(Math.max(wanted, shown), Math.max(points.length - 1, 0)), false);
    if (finished && shown >= points.length - 1) {
      playing = false;
      setTimeout(() => { if (finished && !playing) settle(); });      // what is said of the line has a task of its own
    } else requestAnimationFrame(frame);
  }

  function rest() {
    if (!playing) return;
    playing = false;
    enter(finished ? "done" : "running", "Paused.");
    tell();
  }

  function resume() {
    [playing, before] = [true, performance.now()];
    if (shown >= points.length - 1 && finished) shown = 0;
    enter("running", "Writing.");
    requestAnimationFrame(frame);
  }

  // The line stands: what does its window say of it?
  function settle() {
    const shares = writer.judged_by === "shares", lost = lines.flatMap((text, n) => missed(points.filter((p) => p.line === n), text, shares));
    const rate = el.dataset.rate ? ` ${points.length} points, drawn at ${Number(el.dataset.rate).toLocaleString("en")} a second.` : "";
    const told = lost.length ? `The window passed over ${lost.map((c) => `“${c}”`).join(", ")} too lightly: try another seed.` : "The window heard every letter.";
    enter("done", `${told}${rate}`);
    tell();
  }

  // ---- what is seen

  function layout() {
    box = null;
    const wide = WIDE * Math.max(...lines.map((l) => l.length));
    box = [0, -150, wide, 150 + PITCH * (lines.length - 1)];
    faint.setAttribute("d", "");
    painted = [-1, 0];
    fit();
  }

  function fit() {
    const [left, top, right, low] = box, margin = 40;
    svg.setAttribute("viewBox", [left - margin, top - margin, right - left + 2 * margin, low - top + 2 * margin].map(Math.round).join(" "));
    if (finished) faint.setAttribute("d", path(points));
    scrub.input.max = Math.max(points.length - 1, 0);
  }

  let cells = [];
  function letters(line) {
    strip.replaceChildren();
    cells = [...lines[line]].map((c) => {
      const cell = make("span", strip, { style: "position:relative;flex:0 1 .9em;text-align:center;white-space:pre;height:100%" });
      make("span", cell, {}, c);
      return make("span", cell, { style: "position:absolute;left:10%;right:10%;bottom:0;background:var(--sa-orange);border-radius:2px 2px 0 0" });
    });
    names.replaceChildren(...[...lines[line]].map((c) => make("span", null, { style: "height:.62rem;white-space:pre" }, c)));
  }

  // A column for each point of this line, a row for each character, the last one on top: pixels, since thousands of small
  // rectangles at once would hold the page up.
  function paint(line, from, mine) {
    const high = lines[line].length, wide = mine.length - from;
    painted = [line, mine.length];
    if (wide < 1 || map.style.display === "none") return;
    const brush = canvas.getContext("2d"), image = brush.createImageData(wide, high), ink = rgb(colour(el, "blue") || "#0072b2");
    for (let t = 0; t < wide; t += 1) {
      const { phi } = mine[from + t], whole = Math.max(0.1, phi.reduce((a, b) => a + b, 0));
      for (let u = 0; u < high; u += 1) {
        image.data.set([...ink, 255 * clip(Math.sqrt(phi[u] / whole), 0, 1)], 4 * ((high - 1 - u) * wide + t));
      }
    }
    brush.putImageData(image, from, 0);
  }

  function seek(t, exactly = true) {
    shown = t;
    const at = Math.floor(t), point = points[at];
    if (!point) return;
    const { line, x, y, phi } = point, text = lines[line];
    if (painted[0] !== line) letters(line);
    const mine = points.filter((p) => p.line === line), room = finished ? mine.length : Math.max(24 * text.length, 1.3 * mine.length);
    if (painted[0] !== line || mine.length > canvas.width || finished && canvas.width !== room) {
      Object.assign(canvas, { width: Math.ceil(room), height: text.length });
      paint(line, 0, mine);
    } else if (mine.length > painted[1]) paint(line, painted[1], mine);
    const loudest = phi.slice(0, text.length).reduce((best, w, u, all) => (w > all[best] ? u : best), 0);
    cells.forEach((cell, u) => { cell.style.height = `${(phi[u] / (phi[loudest] || 1)).toFixed(3)}em`; });
    ink.setAttribute("d", path(points, at));
    tip.setAttribute("d", `M${x} ${y}h0`);
    now.style.left = `${100 * (mine.indexOf(point) + 0.5) / canvas.width}%`;
    if (!finished) fit();
    scrub.show(at, `${at}/${points.length - 1}`);
    const hears = phi[loudest] > 1e-3 ? `the window weighs “${text[loudest]}” most` : "the window sees nothing";
    svg.setAttribute("aria-label", `The words ${lines.join(" ")}, written up to point ${at} of ${points.length - 1}.`);
    strip.setAttribute("aria-label", `${text}: ${hears}.`);
    field.setAttribute("aria-label", `Which share each character of ${text} has of the window at each point: a band that climbs.`);
    if (exactly) tell();
  }

  function tell() {
    const at = Math.floor(shown), { line, phi } = points[at] ?? { line: 0, phi: [] };
    numbers(el, { text: lines.join("\n"), net: writer.name, seed: chosen.seed, bias: chosen.bias, speed: chosen.speed, hand: chosen.hand, point: at, line, phi: [...phi],
      places: points.map((p) => [p.line, p.x, p.y, p.end]) });
  }

  // ---- hands on

  svg.addEventListener("click", (event) => {
    const at = inside(svg, event), away = (p) => Math.hypot(p.x - at.x, p.y - at.y);
    rest();
    if (points.length) seek(points.reduce((best, p, t) => (away(p) < away(points[best]) ? t : best), 0));
  });
  const moment = (heard) => {
    const line = points[Math.floor(shown)]?.line, first = points.findIndex((p) => p.line === line);
    rest();
    if (first >= 0) seek(clip(first + Math.floor(share(field, heard)[0] * canvas.width), first, points.length - 1));
  };
  drag(field, { begin: moment, move: moment });
  words.addEventListener("keydown", (event) => { if (event.key === "Enter") write(); });
  const unwatch = themed(() => { painted = [-1, 0]; if (points.length) seek(shown, false); });

  words.value = model.get("text") ?? opening?.text ?? "";
  seed.value = chosen.seed;
  bias.show(chosen.bias);
  pace(chosen.speed);
  pick(chosen.net);
  if (opening) {
    lines = [opening.text];
    layout();
    opening.offsets.forEach((offset, t) => add({ line: 0, offset, phi: [...opening.phi[t]].map((sign) => (parseInt(sign, 36) / 35) ** 2 * opening.peak) }));
    fit();
    seek(points.length - 1);
  }
  enter("idle");
  return () => {
    work?.stop();
    playing = false;
    unwatch();
  };
}

export default { render };
