// A pad to write on with mouse, pen, finger or keys. It records (x, y, seconds, end) for each point.
// State: text, what is to be written; trace, what was (set here, read by Python where there is one).

import { Pad } from "./ink.js";
import { button, make, numbers } from "./kit.js";

const WIDE = 640, HIGH = 200;

function render({ model, el }) {
  make("p", el, { class: "sa-note" }, "Write on the dotted line, with mouse, pen or finger.");
  const pad = new Pad(el, { wide: WIDE, high: HIGH, words: "Write on the line", heard: (what) => (what === "move" || what === "down" ? show() : publish()) });
  make("path", pad.under, { d: `M20 ${0.66 * HIGH}H${WIDE - 20}`, "stroke-dasharray": "4 6", style: "stroke:var(--sa-line, #9aa4ae)" });

  const row = make("div", el, { class: "sa-row" });
  const words = make("input", make("label", row, {}, "what I write "), { type: "text", maxlength: 40, style: "max-width:100%" });
  words.value = model.get("text") ?? "";
  button(row, "Clear", () => { code.hidden = true; pad.clear(); });
  button(row, "Take back a stroke", () => pad.undo());
  button(row, "Show as Python", () => { code.hidden = !code.hidden; show(); if (!code.hidden) code.select(); });
  const said = make("p", el, { class: "sa-note", role: "status" });
  const code = make("textarea", el, { rows: 4, readonly: "", "aria-label": "the line as Python code", style: "width:100%;box-sizing:border-box", hidden: "" });

  const trace = () => pad.strokes.flatMap((stroke) => stroke.map(([x, y, t], k) => [x, y, t, k === stroke.length - 1 ? 1 : 0]));

  function python() {
    const rows = trace().map((p) => `[${p.join(",")}]`).join(",");
    return `from softattn import write\nfrom softattn.page import from_pad\nmine = from_pad([${rows}], ${JSON.stringify(words.value)})\nwrite("any text", prime=mine).plot()`;
  }

  function show() {
    const rows = trace(), count = pad.strokes.length;
    said.textContent = count ? `${count} strokes, ${rows.length} points, ${rows[rows.length - 1][2].toFixed(1)} s` : `Write “${words.value}” on the line.`;
    if (!code.hidden) code.value = python();
    numbers(el, { text: words.value, strokes: count, trace: rows });
  }

  function publish() {
    show();
    model.set("text", words.value);
    model.set("trace", trace());
    model.save_changes();
  }

  words.addEventListener("input", publish);
  show();
  return () => pad.stop();
}

export default { render };
