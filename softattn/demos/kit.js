// What the demos share: elements, sliders, pointer drags, the theme, a play button. Nothing here computes a figure.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "g", "path", "line", "rect", "circle", "text"]);

// A new element, of HTML or SVG, at the end of `parent` (null: nowhere yet). `text` goes in as text, never as markup.
export function make(tag, parent = null, attributes = {}, text = "") {
  const node = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  parent?.append(node);
  return node;
}

// A slider under its words and its value: <label>words <b>value</b><input></label>. `heard` gets each number that it is moved to.
export function slider(parent, words, range, heard) {
  const label = make("label", parent, {}, `${words} `), value = make("b", label);
  const input = make("input", label, { type: "range", ...range });
  let touch = null;      // a finger that has not yet gone across: if it scrolls the page past, it has moved nothing
  const say = () => heard(Number(input.value));
  const settle = () => {
    const moved = touch && input.value !== touch.value;
    touch = null;
    if (moved) say();
  };
  input.addEventListener("input", () => { if (!touch) say(); });
  input.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") touch = { value: input.value, x: event.clientX, y: event.clientY };
  });
  input.addEventListener("pointermove", (event) => {
    if (touch && Math.abs(event.clientX - touch.x) > Math.abs(event.clientY - touch.y)) settle();
  });
  input.addEventListener("pointerup", () => setTimeout(settle));
  input.addEventListener("pointercancel", () => {
    if (touch) input.value = touch.value;
    touch = null;
  });
  const show = (number, reading = String(number)) => {
    input.value = number;
    value.textContent = reading;
  };
  return { label, value, input, show };
}

// A menu beside its words; `entries` are [value, text]. `heard` gets the value that is chosen, a text.
export function menu(parent, words, entries, heard) {
  const select = make("select", make("label", parent, {}, `${words} `));
  for (const [value, text] of entries) make("option", select, { value }, text);
  select.addEventListener("change", () => heard(select.value));
  return select;
}

export function button(parent, words, pressed, attributes = {}) {
  const node = make("button", parent, { type: "button", ...attributes }, words);
  node.addEventListener("click", pressed);
  return node;
}

// Where a pointer is over a box, as shares of its width and height.
export function share(node, event) {
  const box = node.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

// Where a pointer is in the units of an SVG picture.
export function inside(svg, event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
}

// A drag that stays with its node when the pointer leaves it. `begin`, `move` and `end` get the event. A vertical swipe scrolls the
// page, and a finger counts only once it does not; what is written on takes every touch: it sets touch-action to none beforehand.
export function drag(node, { begin, move, end }) {
  node.style.touchAction ||= "pan-y";
  const patient = node.style.touchAction !== "none";
  let down = null, begun = false;
  const start = () => {
    begun = true;
    begin(down);
  };
  node.addEventListener("pointerdown", (event) => {
    [down, begun] = [event, false];
    try { node.setPointerCapture(event.pointerId); } catch { /* a pointer that a test made up has none */ }
    if (!patient || event.pointerType !== "touch") start();
  });
  node.addEventListener("pointermove", (event) => {
    if (!down) return;
    const across = Math.abs(event.clientX - down.clientX), along = Math.abs(event.clientY - down.clientY);
    if (!begun && across <= along) return;                      // it may become a swipe
    if (!begun) start();
    move(event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    node.addEventListener(name, (event) => {
      if (down && !begun && name === "pointerup") start();      // a tap
      if (down && begun) end?.(event);
      down = null;
    });
  }
}

// A colour of the page, light or dark: colour(el, "blue").
export const colour = (el, name) => getComputedStyle(el).getPropertyValue(`--sa-${name}`).trim();

// Call `redraw` when the page turns dark or light, for what is painted and not styled; what it returns ends that.
export function themed(redraw) {
  const watcher = new MutationObserver(redraw);
  watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "theme"] });
  return () => watcher.disconnect();
}

export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// A button that plays: `tick` gets the milliseconds since it was pressed and says whether to go on. Where a reader wants
// no motion it gets Infinity once. What is returned stops it.
export function play(parent, words, tick) {
  let frame = 0;
  const stop = () => cancelAnimationFrame(frame);
  button(parent, words, () => {
    stop();
    if (still()) {
      tick(Infinity);
      return;
    }
    const start = performance.now();
    const next = (now) => { if (tick(now - start)) frame = requestAnimationFrame(next); };
    frame = requestAnimationFrame(next);
  });
  return stop;
}

// What the tests compare with Python.
export const numbers = (el, found) => { el.dataset.numbers = JSON.stringify(found); };

export const sum = (values) => values.reduce((a, b) => a + b, 0);
export const clip = (value, low, high) => Math.min(high, Math.max(low, value));

// mulberry32: small, and the same in every browser
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
