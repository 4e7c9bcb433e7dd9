// A pad to write on with mouse, pen or finger. It records (x, y, seconds, end) for each point.
// State: text, what is to be written; trace, what was (set here, read by Python where there is one).

import { button, drag, inside, make, numbers } from "./kit.js";

const WIDE = 640, HIGH = 200;

function render({ model, el }) {
  make("p", el, { class: "sa-note" }, "Write on the dotted line, with mouse, pen or finger.");
  const svg = make("svg", el, { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img",
    style: "width:100%;touch-action:none;cursor:crosshair;border:1px solid var(--sa-line, #9aa4ae);border-radius:6px;display:block" });
  make("path", svg, { d: `M20 ${0.66 * HIGH}H${WIDE - 20}`, "stroke-dasharray": "4 6", style: "stroke:var(--sa-line, #9aa4ae)" });
  const round = { fill: "none", "stroke-width": 2.5, "stroke-linecap": "round", "stroke-linejoin": "round" };
  const ink = make("path", svg, { ...round, style: "stroke:var(--sa-text, currentColor)" });

  const row = make("div", el, { class: "sa-row" });
  const words = make("input", make("label", row, {}, "what I write "), { type: "text", maxlength: 40, style: "max-width:100%" });
  words.value = model.get("text") ?? "";
  button(row, "Clear", () => { strokes = []; zero = 0; code.hidden = true; publish(); });
  button(row, "Take back a stroke", () => { strokes.pop(); publish(); });
  button(row, "Show as Python", () => { code.hidden = !code.hidden; show(); if (!code.hidden) code.select(); });
  const said = make("p", el, { class: "sa-note", role: "status" });
  const code = make("textarea", el, { rows: 4, readonly: "", "aria-label": "the line as Python code", style: "width:100%;box-sizing:border-box", hidden: "" });

  let strokes = [], current = null, zero = 0;

  function trace() {
    return strokes.filter((s) => s.length).flatMap((s) => s.map(([x, y, t], k) => [x, y, t, k === s.length - 1 ? 1 : 0]));
  }

  function python() {
    const rows = trace().map((p) => `[${p.join(",")}]`).join(",");
    return `from softattn import write\nfrom softattn.page import from_pad\nmine = from_pad([${rows}], ${JSON.stringify(words.value)})\nwrite("any text", prime=mine).plot()`;
  }

  function show() {
    ink.setAttribute("d", strokes.filter((s) => s.length).map((s) => `M${s.map(([x, y]) => `${x} ${y}`).join("L")}${s.length === 1 ? "h0" : ""}`).join(""));
    const rows = trace();
    said.textContent = rows.length ? `${strokes.length} strokes, ${rows.length} points, ${rows[rows.length - 1][2].toFixed(1)} s` : `Write “${words.value}” on the line.`;
    svg.setAttribute("aria-label", rows.length ? `A pad with ${strokes.length} strokes on it.` : "An empty pad with a line to write on.");
    if (!code.hidden) code.value = python();
    numbers(el, { text: words.value, strokes: strokes.length, trace: rows });
  }

  function publish() {
    show();
    model.set("text", words.value);
    model.set("trace", trace());
    model.save_changes();
  }

  function add(event) {
    const at = inside(svg, event);
    if (!zero) zero = event.timeStamp;
    const seconds = Math.round(event.timeStamp - zero) / 1000;
    current.push([Math.round(10 * at.x) / 10, Math.round(10 * at.y) / 10, seconds]);
  }

  drag(svg, {
    begin(event) {
      event.preventDefault();
      current = [];
      strokes.push(current);
      add(event);
      show();
    },
    move(event) {
      for (const one of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) add(one);
      show();
    },
    end: publish,
  });
  words.addEventListener("input", publish);
  show();
}

export default { render };
