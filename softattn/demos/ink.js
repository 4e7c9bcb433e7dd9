// What demos with ink share: a pad to write on, its strokes as the networks want them, lines of text, and files to keep.

import { clip, inside, make, still, sum } from "./kit.js";

// ---- What a pad records, as softattn.page.from_pad makes strokes of it ----

export const RATE = 100;                              // points a second
const WIDTH = 8.25 * 20.92, PACE = [12, 35];          // raw units a character; points a character

// A stroke, rows [x, y, seconds], as points [x, y, end] at RATE; its clock is stretched.
export function resample(rows, stretch = 1) {
  const clock = rows.map(([, , t]) => (t - rows[0][2]) * stretch), last = rows.length - 1;
  const count = Math.floor(clock[last] * RATE + 1e-3) + 1;
  let j = 0;
  return Array.from({ length: count }, (_, k) => {
    while (j < last && clock[j + 1] <= k / RATE) j += 1;
    const next = rows[Math.min(j + 1, last)], part = j < last ? (k / RATE - clock[j]) / (clock[j + 1] - clock[j]) : 0;
    return [rows[j][0] + part * (next[0] - rows[j][0]), rows[j][1] + part * (next[1] - rows[j][1]), k === count - 1 ? 1 : 0];
  });
}

// Strokes of a pad and their text as offsets [dx, dy, end] in the corpus' units.
export function fromPad(strokes, text) {
  const rows = strokes.flat(), across = rows.map(([x]) => x), letters = [...text].length;
  const wide = Math.max(...across) - Math.min(...across);
  if (!text.trim()) throw new Error("Say in words what you wrote.");
  if (rows.length < 2) throw new Error("The pad is empty: write on it first.");
  if (wide === 0) throw new Error("All points stand above each other: write from left to right.");
  const seconds = sum(strokes.map((s) => s[s.length - 1][2] - s[0][2])), pace = RATE * seconds / letters;
  const stretch = pace > 0 ? clip(pace, ...PACE) / pace : 1, scale = WIDTH * letters / wide;
  const points = strokes.flatMap((s) => resample(s, stretch)).map(([x, y, end]) => [x * scale, y * scale, end]);
  return points.map(([x, y, end], t) => {
    const [u, v] = points[Math.max(t - 1, 0)];
    return [Math.fround(x - u), Math.fround(y - v), end];
  });
}

// Offsets as strokes on a pad of this size, RATE points a second, as large as fits: {strokes, zoom}, pad units for each raw one.
export function onPad(offsets, wide, high) {
  let x = 0, y = 0;
  const places = offsets.map(([dx, dy]) => [x += dx, y += dy]), side = (axis) => places.map((place) => place[axis]);
  const [left, top, right, low] = [Math.min(...side(0)), Math.min(...side(1)), Math.max(...side(0)), Math.max(...side(1))];
  const zoom = Math.min(0.9 * wide / (right - left || 1), 0.8 * high / (low - top || 1)), strokes = [[]];
  places.forEach(([u, v], t) => {
    const place = [wide / 2 + zoom * (u - (left + right) / 2), high / 2 + zoom * (v - (top + low) / 2)].map(tenth);
    strokes[strokes.length - 1].push([...place, t / RATE]);
    if (offsets[t][2] && t + 1 < offsets.length) strokes.push([]);
  });
  return { strokes, zoom };
}

// Strokes as a grey picture of size * size pixels, as large as MNIST's digits and centred by mass: softattn.images.rasterise.
// {ink, place}: place(x, y) is where a place of the picture, in pixels from 0, lies on the pad; scale: pixels for each unit of the pad.
export function rasterise(strokes, thickness = 2.5, size = 28) {
  const pieces = strokes.flatMap((s) => (s.length > 1 ? s.slice(1).map((b, k) => [s[k], b]) : [[s[0], s[0]]]));
  const edges = [0, 1].map((axis) => strokes.flat().map((point) => point[axis])).map((side) => [Math.min(...side), Math.max(...side)]);
  const scale = (size * 20 / 28 - thickness) / Math.max(...edges.map(([low, high]) => high - low), 1e-9), middle = (size - 1) / 2;
  const shift = edges.map(([low, high]) => middle - scale * (low + high) / 2), reach = thickness / 2 + 0.5, ink = new Float32Array(size * size);
  const fill = () => {
    ink.fill(0);
    for (const [a, b] of pieces) {
      const [[ax, bx], [ay, by]] = [0, 1].map((axis) => [a, b].map((end) => scale * end[axis] + shift[axis]));
      const [dx, dy] = [bx - ax, by - ay], square = Math.max(dx * dx + dy * dy, 1e-12);
      const rows = [Math.max(0, Math.ceil(Math.min(ay, by) - reach)), Math.min(size - 1, Math.max(ay, by) + reach)];
      const columns = [Math.max(0, Math.ceil(Math.min(ax, bx) - reach)), Math.min(size - 1, Math.max(ax, bx) + reach)];
      for (let y = rows[0]; y <= rows[1]; y += 1) {
        for (let x = columns[0]; x <= columns[1]; x += 1) {
          const along = clip(((x - ax) * dx + (y - ay) * dy) / square, 0, 1), away = Math.hypot(x - ax - along * dx, y - ay - along * dy);
          ink[y * size + x] = Math.max(ink[y * size + x], clip(reach - away, 0, 1));
        }
      }
    }
  };
  fill();
  const whole = Math.max(sum(ink), 1e-9), mass = [sum(ink.map((v, k) => v * (k % size))) / whole, sum(ink.map((v, k) => v * Math.floor(k / size))) / whole];
  edges.forEach(([low, high], axis) => {      // no ink leaves the picture
    const near = scale * low + shift[axis], far = scale * high + shift[axis];
    shift[axis] += clip(middle - mass[axis], reach - 1 - near, size - reach - far);
  });
  fill();
  return { ink, scale, place: (x, y) => [(x - shift[0]) / scale, (y - shift[1]) / scale] };
}

// ---- The pad ----

const tenth = (value) => Math.round(10 * value) / 10;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 4;      // of a key, in the pad's units, a hundredth of a second long
const PALM = 1000;   // milliseconds: a hand that touches the pad so soon after a pen writes nothing

// One stroke as a path; a dot is seen too.
export const line = (stroke) => `M${stroke.map(([x, y]) => `${x} ${y}`).join("L")}${stroke.length === 1 ? "h0" : ""}`;

// A pad for mouse, pen, finger and keys: arrows move its pen, Space lowers and lifts it, Backspace takes a stroke back, Ctrl+Y gives it again.
// strokes holds [x, y, seconds] of each point; `heard` gets "down", "move" or "up" as the pen goes, "anew" when strokes vanish.
export class Pad {
  constructor(parent, { wide = 640, high = 240, words, thick = 3, heard = () => {} }) {
    Object.assign(this, { wide, high, words, thick, heard, strokes: [], paths: [], down: null, zero: null, undone: [], stylus: -Infinity, at: null, held: new Set() });
    const svg = this.svg = make("svg", parent, { viewBox: `0 0 ${wide} ${high}`, role: "application", tabindex: 0, "aria-roledescription": "pad",
      style: "touch-action:none;user-select:none;-webkit-user-select:none;cursor:crosshair;border:1px solid var(--sa-muted, #6e7781);border-radius:6px;display:block;width:100%" });
    this.under = make("g", svg);
    this.sheet = make("g", svg, { fill: "none", "stroke-width": thick, "stroke-linecap": "round", "stroke-linejoin": "round", style: "stroke:var(--sa-text, currentColor)" });
    this.tip = make("circle", svg, { r: 6, fill: "none", "stroke-width": 2, style: "stroke:var(--sa-vermillion, #d55e00)", visibility: "hidden" });
    svg.addEventListener("pointerdown", (event) => this.begin(event));
    svg.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.down) return;
      const all = event.getCoalescedEvents?.() ?? [];
      for (const one of all.length ? all : [event]) this.put(one);
      this.heard("move");
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      svg.addEventListener(name, (event) => { if (event.pointerId === this.down) this.lift(); });
    }
    svg.addEventListener("keydown", (event) => this.key(event));
    svg.addEventListener("keyup", (event) => this.held.delete(event.key));
    svg.addEventListener("blur", () => {
      this.held.clear();
      this.tip.setAttribute("visibility", "hidden");
      if (this.down === "keys") this.lift();
    });
    this.told();
  }

  begin(event) {
    if (event.pointerType === "pen") this.stylus = event.timeStamp;
    const palm = event.pointerType === "touch" && event.timeStamp < this.stylus + PALM;
    if (event.button > 0 || palm || (this.down !== null && this.down !== "keys" && this.down !== "play")) return;
    if (this.down !== null) this.lift();
    event.preventDefault();
    this.svg.focus({ preventScroll: true });
    try { this.svg.setPointerCapture(event.pointerId); } catch { /* a pointer that a test made up has none */ }
    this.tip.setAttribute("visibility", "hidden");
    this.lower(event.pointerId);
    this.put(event);
    this.heard("down");
  }

  lower(who) {
    this.down = who;
    if (who === "keys" || who === "play") this.zero = null;      // the next pointer's time goes on from theirs
    this.undone = [];
    this.strokes.push([]);
    this.paths.push(make("path", this.sheet));
  }

  put(event) {
    const { x, y } = inside(this.svg, event), seconds = event.timeStamp / 1000;
    this.zero ??= seconds - this.time();
    this.write(x, y, seconds - this.zero);
    if (event.pointerType === "pen") this.stylus = event.timeStamp;
  }

  // When the last point was written; the clock begins with the first one, and never runs back.
  time() {
    const stroke = this.strokes.findLast((one) => one.length);
    return stroke ? stroke[stroke.length - 1][2] : 0;
  }

  // A point of the stroke at hand.
  write(x, y, seconds) {
    const stroke = this.strokes[this.strokes.length - 1];
    stroke.push([tenth(x), tenth(y), Math.max(this.time(), Math.round(1e4 * seconds) / 1e4)]);
    this.paths[this.paths.length - 1].setAttribute("d", line(stroke));
    this.at = [x, y];
  }

  lift() {
    this.down = null;
    this.told();
    this.heard("up");
  }

  key(event) {
    const letter = event.ctrlKey || event.metaKey ? event.key.toLowerCase() : "", again = letter === "y" || (letter === "z" && event.shiftKey);
    if (again) this.redo();
    else if (event.key === "Backspace" || letter === "z") this.undo();
    else if (event.ctrlKey || event.metaKey || event.altKey || (this.down !== null && this.down !== "keys")) return;
    else if (KEYS[event.key]) this.go(event);
    else if (event.key === " " && this.down === null) {
      this.clock = this.time() + 10 / RATE;
      this.lower("keys");
      this.write(...this.where(), this.clock);
      this.heard("down");
    } else if (event.key === " ") this.lift();
    else return;
    event.preventDefault();
    this.ring();
  }

  go(event) {
    this.held.add(event.key);
    const [x, y] = this.where(), far = STEP * (event.shiftKey ? 4 : 1), aim = [...this.held].map((name) => KEYS[name]).filter(Boolean);
    const [dx, dy] = [0, 1].map((axis) => sum(aim.map((one) => one[axis]))), long = Math.hypot(dx, dy) || 1;
    this.at = [clip(x + far * dx / long, 0, this.wide), clip(y + far * dy / long, 0, this.high)];
    if (this.down !== "keys") return;
    this.write(...this.at, this.clock += (event.shiftKey ? 4 : 1) / RATE);
    this.heard("move");
  }

  where() { return this.at ?? [0.06 * this.wide, 0.6 * this.high]; }

  ring() {
    const [cx, cy] = this.where();
    for (const [name, value] of Object.entries({ cx, cy, visibility: "visible", fill: this.down === "keys" ? "var(--sa-vermillion, #d55e00)" : "none" })) this.tip.setAttribute(name, value);
  }

  undo() {
    this.stop();
    if (this.strokes.length) this.undone.push(this.strokes.pop());
    this.paths.pop()?.remove();
    this.told();
    this.heard("anew");
  }

  // The stroke that was taken back last; what is written anew ends that.
  redo() {
    const stroke = this.undone.pop();
    if (!stroke) return;
    this.stop();
    this.strokes.push(stroke);
    this.paths.push(make("path", this.sheet, { d: line(stroke) }));
    this.told();
    this.heard("anew");
  }

  clear() { this.load([]); }

  // Other strokes, at once.
  load(strokes) {
    this.stop();
    this.paths.forEach((path) => path.remove());
    this.undone = [];
    this.strokes = strokes.map((stroke) => stroke.map((point) => [...point]));
    this.paths = strokes.map((stroke) => make("path", this.sheet, { d: line(stroke) }));
    this.at = this.zero = null;
    this.told();
    this.heard("anew");
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.down = null;
  }

  // Strokes, written as they were; where a reader wants no motion, at once. A pointer that comes ends it.
  play(strokes) {
    this.clear();
    if (still()) return this.load(strokes);
    const waiting = strokes.flatMap((stroke) => stroke.map((point, k) => [...point, k === 0, k === stroke.length - 1])), begun = performance.now();
    const next = (now) => {
      if (this.down !== null && this.down !== "play") return;
      let some = false;
      while (waiting.length && waiting[0][2] <= (now - begun) / 1000) {
        const [x, y, seconds, first, last] = waiting.shift();
        if (first) this.lower("play");
        this.write(x, y, seconds);
        if (first) this.heard("down");
        some = true;
        if (last) this.lift();
      }
      if (some && this.down) this.heard("move");
      if (waiting.length) this.frame = requestAnimationFrame(next);
    };
    this.frame = requestAnimationFrame(next);
    return null;
  }

  told() {
    const count = this.strokes.length, much = count ? `${count} stroke${count > 1 ? "s" : ""} on it` : "empty";
    this.svg.setAttribute("aria-label", `${this.words}: a pad, ${much}. Arrows move its pen, Space lowers and lifts it, Backspace takes a stroke back.`);
  }
}

// ---- Texts ----

const PLAIN = { "‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "--", "…": "...", "ß": "ss", "×": "x", "−": "-" };

// Typographic signs and accents become what the pen knows, as in softattn.text.
export const plain = (text) => [...text].map((c) => PLAIN[c] ?? c).join("").normalize("NFKD").replace(/\p{M}/gu, "");

// Words in lines; what is longer than a line is cut.
export function wrapped(text, columns) {
  const lines = [];
  for (const word of text.split(/\s+/).filter(Boolean).flatMap((w) => w.match(new RegExp(`.{1,${columns}}`, "g")))) {
    const last = lines.length - 1;
    if (last >= 0 && lines[last].length + 1 + word.length <= columns) lines[last] += ` ${word}`;
    else lines.push(word);
  }
  return lines;
}

// ---- Written lines: points {line, x, y, end, phi} ----

// points from 0 to `to` as one path; a lone point is a dot
export function path(points, to = points.length - 1) {
  let d = "";
  for (let t = 0; t <= to; t += 1) {
    const { x, y, end, line: row } = points[t], up = t === 0 || points[t - 1].end || points[t - 1].line !== row;
    d += up ? `M${x} ${y}${end || t === to ? "h0" : ""}` : `L${x} ${y}`;
  }
  return d;
}

// Which characters the window passed over too lightly, as softattn.synthesis.faults judges.
export function missed(points, text, shares) {
  const peaks = new Float64Array(text.length);
  for (const { phi } of points) {
    const whole = shares ? Math.max(0.1, phi.slice(0, text.length).reduce((a, b) => a + b, 0)) : 1;
    for (let u = 0; u < text.length; u += 1) peaks[u] = Math.max(peaks[u], phi[u] / whole);
  }
  return [...text].filter((sign, u) => peaks[u] < 0.5 * Math.max(...peaks) && !(shares && sign === " "));
}

// ---- Files to keep ----

// Hand the reader a file; its name is made of a title.
export function keep(title, kind, blob) {
  const address = URL.createObjectURL(blob);
  make("a", null, { href: address, download: `${title.replace(/[^\w ]/g, "").trim() || "line"}.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// Ink as a picture, "svg" or "png"; box: its left, top, right and lower edge.
export function keepPicture(title, kind, d, [left, top, right, low]) {
  const size = [right - left + 80, low - top + 80].map(Math.ceil), copy = make("svg", null, {
    xmlns: "http://www.w3.org/2000/svg", viewBox: `${Math.floor(left - 40)} ${Math.floor(top - 40)} ${size.join(" ")}`, width: size[0], height: size[1] });
  make("path", copy, { d, fill: "none", stroke: "#000", "stroke-width": 9, "stroke-linecap": "round", "stroke-linejoin": "round" });
  const file = new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
  if (kind === "svg") return keep(title, kind, file);
  const picture = new Image(), address = URL.createObjectURL(file);
  picture.onload = () => {
    const sheet = make("canvas", null, { width: size[0], height: size[1] }), brush = sheet.getContext("2d");
    brush.fillStyle = "#fff";
    brush.fillRect(0, 0, ...size);
    brush.drawImage(picture, 0, 0);
    sheet.toBlob((blob) => keep(title, kind, blob));
    URL.revokeObjectURL(address);
  };
  picture.src = address;
  return null;
}
