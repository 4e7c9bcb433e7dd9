// A canvas that the reader arranges, and the looks of the network of this chapter on it; or the same looks by the reader's own hand.
import { button, clip, colour, drag, make, menu, numbers, random, share, slider, themed } from "./kit.js";
import { askedWeights } from "./machine.js";
import { Filterbank, readSafetensors, softmax } from "./net.js";
import { GlimpseClassifier } from "./readers.js";

const DIGIT = 28, SCRAP = 8, ZOOM = 5;

// Bytes of a text in base64.
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

// The network's file: in the state, or by its card when the reader asks for it.
function weights(model, el) {
  const card = model.get("net");
  if (!card) return bytes(model.get("weights")).buffer;
  numbers(el, { awake: false, bytes: card.bytes });
  return askedWeights(el, card, `Wake it, and drag the digit. Its weights, ${(card.bytes / 1e6).toFixed(1)} MB, are fetched once.`);
}

export default {
  async render({ model, el }) {
    const file = await weights(model, el);
    const config = model.get("config"), [, H, W] = config.image_shape, looks = config.glimpses;
    const network = new GlimpseClassifier(readSafetensors(file), { config });
    const bank = new Filterbank(H, W, config.grid);
    const labels = model.get("labels"), digits = bytes(model.get("digits")), scraps = bytes(model.get("scraps"));
    const state = { look: looks, held: 0, playing: false, answer: null, mine: [], you: 0, it: 0, rounds: 0, aim: null };
    let pieces = model.get("pieces").map((piece) => ({ ...piece })), next = random(model.get("seed"));
    let image = null, story = null;

    // ---- What lies on the canvas, and what the network makes of it ----

    const side = (piece) => (piece.kind === "digit" ? DIGIT : SCRAP);
    const ink = (piece) => {
      const n = side(piece) ** 2, from = piece.kind === "digit" ? digits : scraps;
      return from.subarray(piece.index * n, (piece.index + 1) * n);
    };
    function compose() {
      image = new Float32Array(H * W);
      for (const piece of pieces) {
        const n = side(piece), from = ink(piece);
        for (let y = 0; y < n; y += 1) for (let x = 0; x < n; x += 1) image[(piece.y + y) * W + piece.x + x] += from[y * n + x] / 255;
      }
      image = image.map((v) => Math.min(v, 1));
      network.begin();
      story = Array.from({ length: looks }, () => {
        const { logits, box, patch } = network.step(image);
        return { box, patch, chance: softmax(logits) };
      });
    }
    const label = () => labels[pieces[0].index];
    const guess = (chance) => chance.indexOf(Math.max(...chance));
    function scatter() {
      const below = (n) => Math.floor(next() * n), place = (n) => ({ x: below(W - n + 1), y: below(H - n + 1) });
      pieces = [{ kind: "digit", index: below(labels.length), ...place(DIGIT) }];
      for (let k = 0; k < model.get("distractors"); k += 1) pieces.push({ kind: "scrap", index: below(scraps.length / SCRAP ** 2), ...place(SCRAP) });
    }

    // ---- The page: the canvas, then the controls ----

    const frame = make("div", el, { style: "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 0.6rem 1.4rem; align-items: start" });
    const canvas = make("canvas", frame, { role: "img", width: W * ZOOM, height: H * ZOOM });
    Object.assign(canvas.style, { width: "100%", maxWidth: "26rem", justifySelf: "center", borderRadius: "6px", cursor: "move", touchAction: "none" });
    const panel = make("div", frame);
    const note = make("p", panel, { class: "sa-note", role: "status", style: "min-height: 4.2em" });
    const bars = make("svg", panel, { role: "img", viewBox: "0 0 400 110" });
    Object.assign(bars.style, { width: "100%", height: "6.5rem" });
    const controls = make("div", panel, { class: "sa-controls" });
    const look = slider(controls, "look", { min: 1, max: looks, step: 1 }, (t) => { state.look = t; show(); });
    const held = menu(controls, "move", [], (k) => { state.held = Number(k); show(); });
    const across = slider(controls, "across", { min: 0, step: 1 }, (v) => move(v, null));
    const down = slider(controls, "down", { min: 0, step: 1 }, (v) => move(null, v));
    const size = slider(controls, "size", { min: 11, max: Math.max(H, W) - 1, step: 1 }, (v) => { state.aim.side = v; show(); });
    const row = make("div", panel, { class: "sa-row" });
    const fresh = button(row, "New canvas", () => { scatter(); begin(); });
    const start = button(row, "Play against it", () => {
      state.playing = !state.playing;
      if (state.playing) scatter();
      begin();
    });
    const peek = button(row, "Look", () => glance());
    const answers = make("div", panel, { class: "sa-row", role: "group", "aria-label": "What digit is it?" });
    for (let k = 0; k < 10; k += 1) button(answers, String(k), () => decide(k), { style: "min-width: 2.4rem; padding: 0.2rem 0.5rem" });

    function begin() {
      Object.assign(state, { look: looks, held: 0, answer: null, mine: [] });
      state.aim = { x: (W - 1) / 2, y: (H - 1) / 2, side: Math.max(H, W) - 1 };
      held.replaceChildren();
      pieces.forEach((piece, k) => make("option", held, { value: k }, piece.kind === "digit" ? "the digit" : `scrap ${k}`));
      compose();
      show();
    }

    // ---- Moving things, and the reader's own looks ----

    function move(x, y) {
      if (state.playing) {
        Object.assign(state.aim, { x: x ?? state.aim.x, y: y ?? state.aim.y });
      } else {
        const piece = pieces[state.held], n = side(piece);
        if (x !== null) piece.x = clip(Math.round(x), 0, W - n);
        if (y !== null) piece.y = clip(Math.round(y), 0, H - n);
        compose();
      }
      show();
    }
    const open = () => state.playing && state.answer === null;
    function glance() {
      if (!open() || state.mine.length >= looks) return;
      const { x, y, side: wide } = state.aim, delta = wide / (config.grid - 1), unit = (Math.max(H, W) - 1) / (config.grid - 1);
      const raw = [2 * (x + 1) / (W + 1) - 1, 2 * (y + 1) / (H + 1) - 1, 2 * Math.log(delta / 2), Math.log(delta / unit), 0];
      state.mine.push({ box: bank.box(raw), patch: bank.read(image, raw) });
      show();
    }
    function decide(k) {
      if (!open()) return;
      state.answer = k;
      state.rounds += 1;
      state.you += k === label();
      state.it += guess(story[looks - 1].chance) === label();
      show();
    }
    let grip = [0, 0];
    const at = (event) => share(canvas, event).map((v, k) => v * (k ? H : W) - 0.5);
    drag(canvas, {
      begin(event) {
        const [x, y] = at(event);
        if (state.playing) return move(x, y);
        const inside = (piece) => x >= piece.x - 1 && y >= piece.y - 1 && x <= piece.x + side(piece) && y <= piece.y + side(piece);
        const found = pieces.findLastIndex(inside);
        if (found >= 0) state.held = found;
        grip = found < 0 ? null : [pieces[found].x - x, pieces[found].y - y];
        return show();
      },
      move(event) {
        const [x, y] = at(event);
        if (state.playing) move(clip(x, 0, W - 1), clip(y, 0, H - 1));
        else if (grip) move(x + grip[0], y + grip[1]);
      },
    });

    // ---- Painting ----

    const small = make("canvas");
    function stamp(g, values, rows, columns, [x, y, wide, high], smooth) {   // grey numbers from 0 to 1, into a box
      [small.width, small.height] = [columns, rows];
      const s = small.getContext("2d"), grey = s.createImageData(columns, rows);
      values.forEach((v, k) => { const level = 255 * clip(v, 0, 1); grey.data.set([level, level, level, 255], 4 * k); });
      s.putImageData(grey, 0, 0);
      g.imageSmoothingEnabled = smooth;
      g.drawImage(small, x * ZOOM, y * ZOOM, wide * ZOOM, high * ZOOM);
    }
    function outline(g, [x, y, wide, high], paint, thick, alpha = 1) {
      const place = [(x + 0.5 - wide / 2) * ZOOM, (y + 0.5 - high / 2) * ZOOM, wide * ZOOM, high * ZOOM];
      g.globalAlpha = alpha;
      for (const [line, shade] of [[thick + 3, "rgba(0, 0, 0, 0.55)"], [thick, paint]]) {
        Object.assign(g, { lineWidth: line, strokeStyle: shade });
        g.strokeRect(...place);
      }
      g.globalAlpha = 1;
    }
    function show() {
      const g = canvas.getContext("2d"), dark = open(), { playing } = state;
      const told = story[state.look - 1], best = guess(told.chance);
      if (dark) {
        g.fillStyle = "#10151c";
        g.fillRect(0, 0, canvas.width, canvas.height);
        for (const { box: [x, y, wide, high], patch } of state.mine) {
          const cell = wide / (config.grid - 1);
          stamp(g, patch, config.grid, config.grid, [x + 0.5 - (wide + cell) / 2, y + 0.5 - (high + cell) / 2, wide + cell, high + cell], true);
        }
        const { x, y, side: wide } = state.aim;
        outline(g, [x, y, wide, wide], colour(el, "sky"), 3);
      } else {
        stamp(g, image, H, W, [0, 0, W, H], false);
        if (playing) state.mine.forEach(({ box }) => outline(g, box, colour(el, "sky"), 2, 0.8));
        story.slice(0, state.look).forEach(({ box }, t) => outline(g, box, colour(el, "orange"), t + 1 === state.look ? 5 : 2, t + 1 === state.look ? 1 : 0.55));
        if (!playing) {
          const piece = pieces[state.held], n = side(piece);
          g.setLineDash([6, 6]);
          Object.assign(g, { lineWidth: 2, strokeStyle: colour(el, "green") });
          g.strokeRect(piece.x * ZOOM, piece.y * ZOOM, n * ZOOM, n * ZOOM);
          g.setLineDash([]);
        }
      }
      const piece = pieces[state.held], n = side(piece), round = (v) => Math.round(v);
      across.input.max = playing ? W - 1 : W - n;
      down.input.max = playing ? H - 1 : H - n;
      across.show(playing ? round(state.aim.x) : piece.x);
      down.show(playing ? round(state.aim.y) : piece.y);
      size.show(round(state.aim.side));
      look.show(state.look, `${state.look} of ${looks}`);
      held.value = state.held;
      look.label.style.display = dark ? "none" : "";
      held.parentElement.style.display = playing ? "none" : "";
      for (const one of [across, down]) one.label.style.display = playing && !dark ? "none" : "";
      size.label.style.display = peek.style.display = dark ? "" : "none";
      peek.textContent = `Look (${looks - state.mine.length} left)`;
      peek.disabled = state.mine.length >= looks;
      answers.style.display = dark ? "" : "none";
      bars.style.display = dark ? "none" : "";
      fresh.style.display = dark ? "none" : "";
      start.textContent = playing ? "Stop playing" : "Play against it";
      chances(told.chance, best);
      const score = state.rounds ? ` You ${state.you}, network ${state.it}, of ${state.rounds}.` : "";
      const said = `After look ${state.look} the network reads ${best} (${Math.round(100 * told.chance[best])} %).`;
      if (dark) note.textContent = `A digit is hidden here. Aim the box, look ${looks} times at most through the same ${config.grid} × ${config.grid} points, then say what it is.${score}`;
      else if (playing) note.textContent = `It was ${label()}; you said ${state.answer}, the network ${guess(story[looks - 1].chance)}.${score} "New canvas" for another.`;
      else note.textContent = `Drag the digit or a scrap. ${said}`;
      canvas.setAttribute("aria-label", dark ? `A dark canvas; ${state.mine.length} of ${looks} looks taken.`
        : `A canvas with the digit ${label()} and ${pieces.length - 1} scraps. ${said} Its box: ${told.box.map((v) => v.toFixed(1)).join(", ")}.`);
      numbers(el, { playing, dark, label: label(), pieces, look: state.look, held: state.held, boxes: story.map((s) => s.box), chances: story.map((s) => s.chance),
        answer: state.answer, mine: state.mine.map(({ box, patch }) => ({ box, patch: Array.from(patch) })), you: state.you, it: state.it, rounds: state.rounds, aim: state.aim });
    }
    function chances(chance, best) {
      bars.replaceChildren();
      chance.forEach((p, k) => {
        make("rect", bars, { x: 40 * k + 6, y: 84 - 80 * p, width: 28, height: 80 * p + 1, style: `fill: var(--sa-${k === best ? "orange" : "sky"})` });
        make("text", bars, { x: 40 * k + 20, y: 104, "text-anchor": "middle" }, String(k));
      });
      bars.setAttribute("aria-label", `Chances of the digits after look ${state.look}: ${chance.map((p, k) => `${k}: ${p.toFixed(2)}`).join(", ")}.`);
    }
    begin();
    return themed(show);
  },
};
