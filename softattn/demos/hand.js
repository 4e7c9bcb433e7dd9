// The reader writes a line, and a network goes on in that hand: what the pad recorded is read first, as if the network had written it.
// State: nets, cards as page_card makes them, each with an example {text, offsets}; text, what is to be written on the pad; next, what
// the network then writes; seed, bias.

import { Pad, fromPad, keep, keepPicture, missed, onPad, path, plain, wrapped } from "./ink.js";
import { button, clip, make, menu, numbers, slider, still } from "./kit.js";
import { Machine, fetchWeights } from "./machine.js";
import { PRINTABLE } from "./net.js";

const WIDE = 640, COLUMNS = 20, LONGEST = 60, PITCH = 430, LETTER = 172;      // pad units; characters; raw units
const LEAST = 0.6, PACES = [4, 100];      // the share of a prime that the window must have passed; points a character

function render({ model, el }) {
  const nets = model.get("nets"), loaded = new Set(), high = el.clientWidth < 480 ? 300 : 200;
  const chosen = { net: nets[0], seed: model.get("seed") ?? 1, bias: model.get("bias") ?? 1 };
  let lines = [], points = [], prime = null, seen = null, machine = null, work = null, box = null, frame = 0;

  make("p", el, { class: "sa-note" }, "Write the words below on the pad, with mouse, pen or finger; then press Go on: the network writes on in your hand.");
  const pad = new Pad(el, { wide: WIDE, high, words: "Write a line", heard: tell });
  make("path", pad.under, { d: `M20 ${0.66 * high}H${WIDE - 20}`, "stroke-dasharray": "4 6", style: "stroke:var(--sa-muted)" });
  const wish = make("text", pad.under, { x: 20, y: 34, style: "fill:var(--sa-muted);font-size:26px" });
  const svg = make("svg", el, { role: "img", style: "width:100%;height:clamp(5.5rem,20vw,8rem);display:block" });
  const pen = { fill: "none", "stroke-width": 1.8, "stroke-linecap": "round", "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke" };
  const ink = make("path", svg, { ...pen, style: "stroke:var(--sa-blue)" });
  const empty = make("text", svg, { x: 0, y: 40, style: "fill:var(--sa-muted);font-size:150px" }, "Here it goes on.");

  const texts = make("div", el, { style: "display:grid;grid-template-columns:1fr 1fr;gap:.3rem .9rem;margin:.3rem 0" });
  const words = field("I write", model.get("text"), 30), more = field("it goes on", model.get("next"), LONGEST);
  const row = make("div", el, { class: "sa-row" });
  button(row, "Go on", () => write());
  button(row, "New seed", () => { chosen.seed = clip(chosen.seed + 1, 0, 2 ** 32 - 1); write(); });
  button(row, "Undo", () => pad.undo());
  button(row, "Clear", () => pad.clear());
  button(row, "Example", () => {
    const { text, offsets } = chosen.net.example;
    words.value = text;
    pad.play(onPad(offsets, WIDE, high).strokes);
  });
  const said = make("p", el, { class: "sa-note", role: "status", style: "min-height:2.4em" });
  const bar = make("progress", el, { max: 1, value: 0, "aria-label": "weights that are here", style: "width:100%", hidden: "" });
  const controls = make("div", el, { class: "sa-controls" });
  const bias = slider(controls, "bias", { min: 0, max: 2, step: 0.05 }, (b) => { bias.show(chosen.bias = b); tell(); });
  if (nets.length > 1) menu(controls, "network", nets.map((card, k) => [k, `${card.non_commercial ? "large" : "small"}, ${megabytes(card)}`]), (k) => pick(nets[k]));
  const files = make("div", el, { class: "sa-row" });
  button(files, "Save my hand (JSON)", () => save());
  const kinds = ["svg", "png"].map((kind) => button(files, kind.toUpperCase(), () => keepPicture(lines.join(" "), kind, path(points), box), { disabled: "" }));
  const terms = make("p", el, { class: "sa-note" });

  function field(label, value, longest) {
    const input = make("input", make("label", texts, {}, `${label} `), { type: "text", maxlength: longest, spellcheck: "false", autocomplete: "off", style: "width:100%" });
    input.value = value ?? "";
    return input;
  }

  function megabytes(card) { return `${(card.bytes / 1e6).toFixed(1)} MB`; }

  function enter(state, text) {
    el.dataset.state = state;
    said.textContent = text;
  }

  function pick(card) {
    chosen.net = card;
    const once = loaded.has(card.name) ? "Its weights are here" : `Its weights, ${megabytes(card)}, are fetched once, when you press Go on`;
    terms.textContent = `${once}. Licence: ${card.licence}.`;
    tell();
  }

  // ---- what is on the pad

  // A text that the pen knows, or a sentence why not.
  function known(input) {
    const text = plain(input.value).trim(), strange = [...new Set(text)].filter((c) => !PRINTABLE.includes(c));
    if (strange.length) throw new Error(`The pen knows printable ASCII, not ${strange.slice(0, 5).join(" ")}`);
    return text;
  }

  function hand() {
    const text = known(words), offsets = fromPad(pad.strokes, text), pace = offsets.length / text.length;
    if (pace < PACES[0] || pace > PACES[1]) throw new Error(`${offsets.length} points for ${text.length} characters: do your strokes write “${text}”?`);
    return { text, source: "a pad", offsets };
  }

  function save() {
    try {
      const mine = hand();
      keep(mine.text, "json", new Blob([JSON.stringify(mine, (_, v) => (typeof v === "number" ? Number(v.toPrecision(9)) : v))], { type: "application/json" }));
      said.textContent = `Saved. In a terminal: softattn write "any text" --prime "${mine.text.replace(/[^\w ]/g, "").trim() || "line"}.json"`;
    } catch (error) { said.textContent = error.message; }
  }

  function tell() {
    wish.textContent = pad.strokes.length ? "" : `Write here: ${words.value}`;
    numbers(el, { net: chosen.net.name, text: words.value, strokes: pad.strokes, next: lines.join("\n"), seed: chosen.seed, bias: chosen.bias, seen,
      prime: prime?.offsets ?? null, places: points.map((p) => [p.line, p.x, p.y, p.end]) });
  }

  // ---- the network goes on

  async function weights(card) {
    if (loaded.has(card.name)) return;
    enter("loading", `Fetching the weights, ${megabytes(card)}.`);
    bar.hidden = false;
    try {
      const bytes = await fetchWeights(card, (part) => { bar.value = part; });
      await machine.run("load", { card, bytes }).done;
    } finally { bar.hidden = true; }
    loaded.add(card.name);
    pick(chosen.net);
  }

  async function write() {
    let mine = null, text = "";
    try {
      [mine, text] = [hand(), known(more)];
      if (!text) throw new Error("There is nothing to go on with: type a word.");
    } catch (error) {
      said.textContent = error.message;
      return;
    }
    work?.stop();
    machine ??= new Machine();
    const card = chosen.net, now = work = { stop() { this.stopped = true; } };
    const run = (name, args, heard) => {
      const task = machine.run(name, { net: card.name, prime: mine, ...args }, heard);
      now.stop = () => { now.stopped = true; task.stop(); };
      return task.done;
    };
    try {
      await weights(card);
      if (now.stopped) return;
      enter("running", "Reading your line.");
      [prime, lines, points, seen] = [mine, wrapped(text, COLUMNS), [], 0];
      delete el.dataset.rate;
      box = [0, -150, LETTER * Math.max(...lines.map((l) => l.length)), 150 + PITCH * (lines.length - 1)];
      await run("follow", {}, (last) => { seen = last.seen; });
      if (now.stopped) return;
      said.textContent = "Writing.";
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(show);
      const { rate } = await run("write", { lines, seed: chosen.seed, bias: chosen.bias }, add);
      if (now.stopped) return;
      el.dataset.rate = Math.round(rate);
      settle(card);
    } catch (error) {
      if (now.stopped) return;
      enter("failed", `It cannot write: ${error.message}. In Python, softattn.write does.`);
      console.warn(error);
    }
  }

  function add({ line: row, offset: [dx, dy, end], phi }) {
    const last = points[points.length - 1], fresh = !last || last.line !== row;
    const [x, y] = fresh ? [0, row * PITCH] : [last.x + dx, last.y + dy];
    points.push({ line: row, x, y, end, phi });
    box = [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)];
  }

  // What is written so far; the ink follows the network as fast as it comes.
  function show() {
    const [left, top, right, low] = box, margin = 40;
    svg.setAttribute("viewBox", [left - margin, top - margin, right - left + 2 * margin, low - top + 2 * margin].map(Math.round).join(" "));
    svg.setAttribute("aria-label", points.length ? `The words ${lines.join(" ")}, in the hand of the pad.` : "Nothing is written yet.");
    ink.setAttribute("d", points.length ? path(points) : "");
    empty.textContent = points.length || el.dataset.state === "running" ? "" : "Here it goes on.";
    for (const button of kinds) button.disabled = !points.length;
    if (el.dataset.state === "running" && !still()) frame = requestAnimationFrame(show);
  }

  function settle(card) {
    const lost = lines.flatMap((text, n) => missed(points.filter((p) => p.line === n), text, card.judged_by === "shares"));
    const doubt = seen < LEAST * prime.text.length ? `When your line ended, the window had come to “${prime.text.slice(0, seen)}” only: do your strokes write “${prime.text}”? ` : "";
    const told = lost.length ? `It passed over ${lost.map((c) => `“${c}”`).join(", ")} too lightly: try another seed.` : "Every letter was heard.";
    enter("done", `${doubt}${told} ${points.length} points, ${Number(el.dataset.rate).toLocaleString("en")} a second.`);
    cancelAnimationFrame(frame);
    show();
    tell();
  }

  words.addEventListener("input", () => tell());
  more.addEventListener("keydown", (event) => { if (event.key === "Enter") write(); });
  bias.show(chosen.bias);
  box = [0, -150, LETTER * COLUMNS, 150];
  pick(chosen.net);
  show();
  enter("idle", "");
  return () => {
    work?.stop();
    pad.stop();
    cancelAnimationFrame(frame);
  };
}

export default { render };
