// Write on the pad: a network reads the ink, in the browser, after each stroke, and each letter takes the colour of its ink.
// State: card, as page_card makes it; opening, offsets of a line that stands on the pad at first; letters, {letter, place, sure}, as
// Python read them: place is a point of the line.

import { Pad, line, onPad } from "./ink.js";
import { button, make, numbers } from "./kit.js";
import { Machine, fetchWeights } from "./machine.js";
import { penTokens } from "./readers.js";

const WIDE = 640, HUES = ["blue", "vermillion", "green", "purple"];
const MOST = 800;      // tokens of a line that are read here

function render({ model, el }) {
  const card = model.get("card"), high = el.clientWidth < 480 ? 300 : 200, { group = 5, spacing = 0.33 } = card.config;
  let machine = null, ready = null, work = null, tokens = null, letters = [], lit = -1, quiet = true;

  make("p", el, { class: "sa-note" }, "Write on the pad, with mouse, pen or finger: the network reads after each stroke. Press a letter to see its ink.");
  const pad = new Pad(el, { wide: WIDE, high, words: "Write a line", heard });
  pad.svg.style.width = "100%";
  make("path", pad.under, { d: `M20 ${0.66 * high}H${WIDE - 20}`, "stroke-dasharray": "4 6", style: "stroke:var(--sa-muted)" });
  const over = make("g", pad.svg, { fill: "none", "stroke-width": 3.5, "stroke-linecap": "round", "stroke-linejoin": "round", "pointer-events": "none" });
  const out = make("div", el, { role: "group", "aria-label": "what was read", style: "min-height:2.6rem;display:flex;flex-wrap:wrap;gap:1px;font-size:1.5rem" });
  const row = make("div", el, { class: "sa-row" });
  button(row, "Clear", () => pad.clear());
  button(row, "Take back a stroke", () => pad.undo());
  button(row, "Example", () => pad.play(onPad(model.get("opening"), WIDE, high).strokes));
  const said = make("p", el, { class: "sa-note", role: "status", style: "min-height:1.4em" });
  const megabytes = (card.bytes / 1e6).toFixed(1);
  make("p", el, { class: "sa-note" }, `Its weights, ${megabytes} MB, are fetched once, with the first stroke. Licence: ${card.licence}.`);

  function enter(state, text) {
    el.dataset.state = state;
    said.textContent = text;
    numbers(el, { state, text: letters.map((one) => one.letter).join(""), letters, rows: tokens?.rows.map((r) => [...r]) ?? [] });
  }

  function heard(what) {
    if (!quiet && (what === "up" || what === "anew")) read();
  }

  // The network, once it is here.
  function wake() {
    ready ??= (async () => {
      const bytes = await fetchWeights(card, (part) => { said.textContent = `Fetching the weights: ${Math.round(100 * part)} %.`; });
      machine = new Machine();
      await machine.run("load", { card, bytes }).done;
    })();
    ready.catch(() => { ready = null; });
    return ready;
  }

  async function read() {
    work?.stop();
    [letters, tokens, lit] = [[], null, -1];
    show();
    const strokes = pad.strokes.filter((stroke) => stroke.length);
    if (!strokes.length) return enter("idle", "The pad is empty.");
    const mine = tokens = penTokens(strokes, group, spacing);
    if (mine.rows.length > MOST) return enter("failed", "That is more than a line: clear the pad, and write less.");
    try {
      enter(machine ? "running" : "loading", "Reading.");
      await wake();
      if (mine !== tokens) return null;
      let found = [];
      work = machine.run("read", { net: card.name, rows: mine.rows }, (some) => { found = some.letters; });
      const { stopped } = await work.done;
      if (stopped || mine !== tokens) return null;
      letters = found;
      show();
      return enter("done", letters.length ? `Read as “${letters.map((one) => one.letter).join("")}”.` : "No letter in it yet.");
    } catch (error) { return enter("failed", error.message); }
  }

  // Each token belongs to the letter that was said nearest to it; ink of one letter has one colour.
  function show() {
    over.replaceChildren();
    out.replaceChildren();
    if (!letters.length) return;
    const middle = letters.slice(1).map(({ token }, k) => (token + letters[k].token) / 2);
    const owner = tokens.rows.map((_, t) => middle.filter((m) => t > m).length);
    const strokes = pad.strokes.filter((stroke) => stroke.length);
    const pieces = new Map();
    tokens.at.forEach(([s, point], t) => {
      const key = `${s} ${owner[t]}`, piece = pieces.get(key) ?? pieces.set(key, { s, letter: owner[t], from: point, to: point }).get(key);
      piece.to = point;
    });
    const all = [...pieces.values()];
    for (const [k, piece] of all.entries()) {      // what lies between two letters belongs to the later one
      const last = all[k - 1];
      const from = last?.s === piece.s ? last.end : 0, after = all[k + 1]?.s === piece.s;
      piece.end = after ? Math.round((piece.to + all[k + 1].from) / 2) : strokes[piece.s].length - 1;
      const ink = strokes[piece.s].slice(from, piece.end + 1), faint = lit >= 0 && lit !== piece.letter;
      make("path", over, { d: line(ink), style: `stroke:var(--sa-${HUES[piece.letter % HUES.length]})`, opacity: faint ? 0.15 : 1 });
    }
    letters.forEach(({ letter, sure }, k) => {
      const key = button(out, letter === " " ? "\u00a0" : letter, () => { lit = lit === k ? -1 : k; show(); }, {
        "aria-label": `${letter === " " ? "space" : letter}, ${Math.round(100 * sure)} % sure`, "aria-pressed": String(lit === k),
        style: `min-width:1.6rem;padding:.1rem .3rem;font:inherit;border:0;border-bottom:4px solid var(--sa-${HUES[k % HUES.length]});background:none;color:var(--sa-text)` });
      if (lit === k) key.style.fontWeight = "bold";
    });
  }

  pad.load(onPad(model.get("opening"), WIDE, high).strokes);
  quiet = false;
  tokens = penTokens(pad.strokes, group, spacing);
  const begins = [0];
  pad.strokes.forEach((stroke, s) => begins.push(begins[s] + stroke.length));
  const away = ([s, point], place) => Math.abs(begins[s] + point - place);
  letters = model.get("letters").map(({ place, ...one }) => {
    const token = tokens.at.reduce((best, at, t) => (away(at, place) < away(tokens.at[best], place) ? t : best), 0);
    return { ...one, token };
  });
  show();
  enter("idle", "Clear the pad, and write something of your own.");
}

export default { render };
