// Twenty lines in the reader's own hand: a line to write, a pad, and a network that says what it read.
// State: lines, the prompts. Where `softattn collect` serves the page: kept, the numbers of lines that are in its folder, and folder.
// Elsewhere: card, the reader's, as page_card makes it; what is kept stays in this browser, until a file of it is saved.

import { Pad, fromPad, keep, wrapped } from "./ink.js";
import { button, clip, make, numbers, sum } from "./kit.js";
import { Machine, fetchWeights } from "./machine.js";
import { penTokens } from "./readers.js";

const WIDE = 640, PACES = [4, 100], PITCH = 430;      // pad units; points a character; raw units from line to line of a file
const DOUBT = 0.34;      // of a line's letters: beyond, it is offered to be written again
const STORE = "softattn-hand";

// A text on so many rows, as even as its words allow.
export function evenly(text, rows) {
  for (let columns = Math.ceil(text.length / rows); ; columns += 1) {
    const some = wrapped(text, columns);
    if (some.length <= rows && some.join(" ") === text) return some;
  }
}

// Strokes on the pad's rows as one line: each row goes on a space behind the one before it.
export function joined(strokes, pieces, pitch) {
  const row = (stroke) => clip(Math.floor(sum(stroke.map(([, y]) => y)) / stroke.length / pitch), 0, pieces.length - 1);
  const rows = strokes.map(row), edges = pieces.map((_, k) => {
    const across = strokes.filter((_, s) => rows[s] === k).flat().map(([x]) => x);
    return [Math.min(...across), Math.max(...across)];
  });
  const empty = edges.findIndex(([low]) => low === Infinity);
  if (empty >= 0) throw new Error(pieces.length > 1 ? `Row ${empty + 1} is empty: write “${pieces[empty]}” on it.` : "The pad is empty: write on it first.");
  const space = sum(edges.map(([low, high]) => high - low)) / sum(pieces.map((piece) => piece.length));
  let end = edges[0][0] - space;
  const shifts = edges.map(([low, high]) => {
    const shift = end + space - low;
    end = high + shift;
    return shift;
  });
  return strokes.map((stroke, s) => stroke.map(([x, y, t]) => [x + shifts[rows[s]], y - rows[s] * pitch, t]));
}

// Which letters of a text were not read: the fewest that must be left out, replaced or put in between turn it into `read`.
export function unread(text, read) {
  const far = [...text, ""].map((_, i) => [...read, ""].map((_, j) => i + j));      // from the first i letters to the first j
  for (let i = 1; i <= text.length; i += 1) {
    for (let j = 1; j <= read.length; j += 1) {
      far[i][j] = Math.min(far[i - 1][j] + 1, far[i][j - 1] + 1, far[i - 1][j - 1] + (text[i - 1] === read[j - 1] ? 0 : 1));
    }
  }
  const lost = new Set();
  for (let i = text.length, j = read.length; i > 0;) {
    if (j > 0 && text[i - 1] === read[j - 1] && far[i][j] === far[i - 1][j - 1]) [i, j] = [i - 1, j - 1];
    else if (j > 0 && far[i][j] === far[i][j - 1] + 1) j -= 1;
    else {
      lost.add(i - 1);
      if (j > 0 && far[i][j] === far[i - 1][j - 1] + 1) j -= 1;
      i -= 1;
    }
  }
  return { lost, distance: far[text.length][read.length] };
}

// Lines {text, offsets} as a page of the book's JSON: one below the other, and how many points each has.
export function pageOf(lines) {
  let [x, y] = [0, 0];
  const offsets = lines.flatMap(({ offsets: own }, n) => own.map(([dx, dy, end], t) => {
    const step = t ? [dx, dy] : [-x, n * PITCH - y];      // to the left margin, a line down
    [x, y] = [x + step[0], y + step[1]];
    return [...step.map((v) => Math.round(100 * v) / 100 + 0), end];
  }));
  return { text: lines.map(({ text }) => text).join("\n"), source: "your hand", lines: lines.map(({ text, offsets: own }) => [own.length, text]), offsets };
}

// ---- Two places that lines may go to. hand(number, text, strokes) -> {read, why}: kept, and what was read

// The program that served this page.
class Served {
  constructor(kept) { this.kept = new Set(kept); }

  async ask(door, said) {
    const gone = () => { throw new Error("Nobody answers: is softattn collect still running? The line is not kept; start it again and reload this page."); };
    const answer = await fetch(door, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(said) }).catch(gone);
    const found = await answer.json();
    if (found.fault) throw new Error(found.fault);
    return found;
  }

  async hand(number, text, strokes) {
    const found = await this.ask("line", { number, strokes });
    this.kept = new Set(found.kept);
    return found;
  }
}

// This browser; the reader comes along with the page.
class Browser {
  constructor(card, lines, tell) {
    Object.assign(this, { card, tell, machine: null, ready: null, inks: new Map() });
    try {
      const stored = JSON.parse(localStorage.getItem(STORE) ?? "[]");
      for (const [number, ink] of stored) if (ink.text === lines[number - 1]) this.inks.set(number, ink);
    } catch { this.inks.clear(); }      // no store, or something else in it
  }

  get kept() { return new Set(this.inks.keys()); }

  store() {
    try { localStorage.setItem(STORE, JSON.stringify([...this.inks])); } catch { this.fleeting = true; }
  }

  forget() {
    this.inks.clear();
    try { localStorage.removeItem(STORE); } catch { /* nothing is there */ }
  }

  async hand(number, text, strokes) {
    const offsets = fromPad(strokes, text).map(([dx, dy, end]) => [Math.round(100 * dx) / 100, Math.round(100 * dy) / 100, end]);
    this.inks.set(number, { text, offsets });
    this.store();
    try { return { read: await this.read(strokes) }; } catch (error) { return { read: null, why: error.message }; }
  }

  async read(strokes) {
    this.ready ??= (async () => {
      const bytes = await fetchWeights(this.card, (part) => this.tell(`Kept. The reader is fetched, once: ${Math.round(100 * part)} %.`));
      this.machine = new Machine();
      await this.machine.run("load", { card: this.card, bytes }).done;
    })();
    this.ready.catch(() => { this.ready = null; });
    await this.ready;
    const { group = 5, spacing = 0.33 } = this.card.config, { rows } = penTokens(strokes, group, spacing);
    let letters = [];
    await this.machine.run("read", { net: this.card.name, rows }, (some) => { letters = some.letters; }).done;
    return letters.map(({ letter }) => letter).join("");
  }

  save() { keep("my hand", "json", new Blob([JSON.stringify(pageOf([...this.inks].sort(([a], [b]) => a - b).map(([, ink]) => ink)))], { type: "application/json" })); }
}

function render({ model, el }) {
  const lines = model.get("lines"), folder = model.get("folder"), narrow = el.clientWidth < 520;
  const desk = folder === undefined ? new Browser(model.get("card"), lines, (text) => enter("loading", text)) : new Served(model.get("kept"));
  const pitch = narrow ? 170 : 150, pieces = lines.map((text) => evenly(text, narrow ? 3 : 2));
  let number = firstOpen() ?? lines.length, read = null, ended = false, busy = false;

  make("p", el, { class: "sa-note" }, "Write the line below on the pad, as you always write, with pen, finger or mouse; then press Keep.");
  const head = make("div", el, { class: "sa-row", style: "justify-content:space-between" });
  const where = make("b", head), bar = make("progress", head, { max: lines.length, "aria-label": "lines that are kept", style: "flex:1 1 8rem;min-width:6rem" });
  const prompt = make("p", el, { style: "font:1.35rem/1.5 ui-monospace,monospace;margin:.4rem 0;min-height:1.5em" });
  const pad = new Pad(el, { wide: WIDE, high: pieces[0].length * pitch, words: "Write the line", heard });
  pad.svg.style.width = "100%";
  const rules = make("g", pad.under);
  const row = make("div", el, { class: "sa-row" });
  const keeps = button(row, "Keep", () => hand(), { style: "font-weight:600" });
  const back = button(row, "Undo", () => pad.undo()), forth = button(row, "Redo", () => pad.redo());
  button(row, "Clear", () => pad.clear());
  const said = make("p", el, { class: "sa-note", role: "status", style: "min-height:2.8em" });
  const steps = make("div", el, { class: "sa-row" });
  const before = button(steps, "Line before", () => go(number - 1)), after = button(steps, "Next line", () => go(number + 1));
  const last = make("div", el, { class: "sa-row" });
  const done = folder === undefined ? button(last, "Save the file", () => save()) : button(last, "Done", () => end());
  const forgets = folder === undefined ? button(last, "Forget my lines", () => forget()) : null;
  make("p", el, { class: "sa-note" }, folder === undefined
    ? "Nothing is sent: the lines stay in this browser until you forget them, and the reader works here."
    : `Nothing leaves this machine: each line is written to ${folder} as soon as you press Keep.`);

  function firstOpen() {
    const open = lines.findIndex((_, k) => !desk.kept.has(k + 1));
    return open < 0 ? null : open + 1;
  }

  function enter(state, text) {
    el.dataset.state = state;
    said.textContent = text;
    show();
  }

  function show() {
    const text = lines[number - 1], lost = read === null ? new Set() : unread(text, read).lost;
    where.textContent = `Line ${number} of ${lines.length}${desk.kept.has(number) ? ", kept" : ""}`;
    bar.value = desk.kept.size;
    bar.textContent = `${desk.kept.size} of ${lines.length}`;
    prompt.replaceChildren();
    for (const [k, letter] of [...text].entries()) {
      if (lost.has(k)) make("mark", prompt, { style: "background:var(--sa-lit);color:inherit;text-decoration:underline" }, letter);
      else prompt.append(letter);
    }
    before.disabled = busy || number === 1;
    after.disabled = busy || number === lines.length;
    back.disabled = busy || !pad.strokes.length;
    forth.disabled = busy || !pad.undone.length;
    keeps.disabled = busy || ended || !pad.strokes.length;
    done.disabled = busy || ended || (folder === undefined && !desk.kept.size);
    if (forgets) forgets.disabled = busy || !desk.kept.size;
    numbers(el, { number, text, read, kept: [...desk.kept].sort((a, b) => a - b), strokes: pad.strokes, state: el.dataset.state });
  }

  // Faint lines to write on, and on each what belongs there.
  function rule() {
    const some = pieces[number - 1];
    rules.replaceChildren();
    pad.high = some.length * pitch;
    pad.svg.setAttribute("viewBox", `0 0 ${WIDE} ${pad.high}`);
    for (const [k, piece] of some.entries()) {
      const y = (k + 0.7) * pitch;
      make("path", rules, { d: `M16 ${y}H${WIDE - 16}`, "stroke-dasharray": "4 6", style: "stroke:var(--sa-muted)" });
      if (some.length > 1) make("text", rules, { x: 18, y: (k + 0.17) * pitch, style: `fill:var(--sa-muted);font-size:${narrow ? 26 : 18}px` }, piece);
    }
  }

  function heard(what) {
    if (what === "down" || what === "anew") read = null;
    if (what !== "move") show();
  }

  function go(to) {
    number = clip(to, 1, lines.length);
    rule();
    pad.clear();
    enter("idle", desk.kept.has(number) ? "This line is kept. What you write here takes its place." : "");
  }

  async function hand() {
    const text = lines[number - 1], mine = number;
    let strokes = null;
    try {
      strokes = joined(pad.strokes.filter((stroke) => stroke.length), pieces[number - 1], pitch);
      const pace = fromPad(strokes, text).length / text.length;
      if (pace < PACES[0] || pace > PACES[1]) throw new Error(`${Math.round(pace)} points a letter: do your strokes write “${text}”?`);
    } catch (error) { return enter("failed", error.message); }
    busy = true;
    enter("running", "Keeping the line, and reading it.");
    try {
      const found = await desk.hand(mine, text, strokes);
      busy = false;
      return judged(mine, found);
    } catch (error) {
      busy = false;
      return enter("failed", error.message);
    }
  }

  // What the reader said: on to the next line, or the offer to write this one again.
  function judged(mine, { read: seen, why }) {
    const text = lines[mine - 1], next = firstOpen();
    if (seen !== null && unread(text, seen).distance > DOUBT * text.length) {
      read = seen;
      return enter("done", `Kept, and read as “${seen}”. If a letter went wrong, press Clear and write the line again; if it is as you meant it, go on with Next line: the reader knows other people's hands.`);
    }
    const told = seen === null ? `Line ${mine} is kept; the reader is not here (${why}).` : `Line ${mine} is kept, and read as “${seen}”.`;
    const lost = desk.fleeting ? " This browser stores nothing: save the file before you leave the page." : "";
    if (next !== null) go(mine < lines.length && !desk.kept.has(mine + 1) ? mine + 1 : next);
    else pad.clear();
    return enter("done", next === null ? `${told} These were all lines: press ${folder === undefined ? "Save the file" : "Done"}.${lost}` : told + lost);
  }

  function save() {
    desk.save();
    enter("done", `Saved, ${desk.kept.size} of ${lines.length} lines: my hand.json. It is a copy of your hand: keep it as you keep a key.`);
  }

  function forget() {
    desk.forget();
    go(1);
    enter("idle", "This browser has forgotten your lines.");
  }

  async function end() {
    try {
      const { kept } = await desk.ask("done", {});
      ended = true;
      enter("done", `${kept.length} of ${lines.length} lines are in ${folder}. You can close this window. In a terminal: softattn train ${folder} -o me.safetensors`);
    } catch (error) { enter("failed", error.message); }
  }

  rule();
  const many = desk.kept.size;
  enter("idle", many === lines.length ? "All lines are kept." : many ? `${many} of ${lines.length} lines are kept; it goes on here.` : "");
  return () => pad.stop();
}

export default { render };
