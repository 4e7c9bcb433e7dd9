// A pad to write on with mouse, pen or finger. It records (x, y, seconds, end) for each point.
// State: text, what is to be written; trace, what was (set here, read by Python where there is one).

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 640, HIGH = 200;

function make(tag, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

function render({ model, el }) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
  svg.setAttribute("role", "img");
  Object.assign(svg.style, { width: "100%", touchAction: "none", cursor: "crosshair", border: "1px solid var(--sa-line, #9aa4ae)", borderRadius: "6px", display: "block" });
  const base = document.createElementNS(SVG, "path");
  base.setAttribute("d", `M20 ${0.66 * HIGH}H${WIDE - 20}`);
  base.setAttribute("stroke-dasharray", "4 6");
  base.style.stroke = "var(--sa-line, #9aa4ae)";
  const ink = document.createElementNS(SVG, "path");
  for (const [name, value] of [["fill", "none"], ["stroke-width", 2.5], ["stroke-linecap", "round"], ["stroke-linejoin", "round"]]) ink.setAttribute(name, value);
  ink.style.stroke = "var(--sa-text, currentColor)";
  svg.append(base, ink);

  const label = make("label", {}, "what I write ");
  const words = make("input", { type: "text", maxlength: 40, style: "max-width:100%" });
  words.value = model.get("text") ?? "";
  label.append(words);
  const row = make("div", { class: "sa-row" });
  const clear = make("button", { type: "button" }, "Clear");
  const undo = make("button", { type: "button" }, "Take back a stroke");
  const copy = make("button", { type: "button" }, "Show as Python");
  row.append(label, clear, undo, copy);
  const said = make("p", { class: "sa-note", role: "status" });
  const code = make("textarea", { rows: 4, readonly: "", "aria-label": "the line as Python code", style: "width:100%;box-sizing:border-box", hidden: "" });
  el.append(svg, row, said, code);

  let strokes = [], current = null, zero = 0;

  function trace() {
    return strokes.filter((s) => s.length).flatMap((s) => s.map(([x, y, t], k) => [x, y, t, k === s.length - 1 ? 1 : 0]));
  }

  function python() {
    const rows = trace().map((p) => `[${p.join(",")}]`).join(",");
    return `from softattn import write\nfrom softattn.synthesis import from_pad\nmine = from_pad([${rows}], ${JSON.stringify(words.value)})\nwrite("any text", prime=mine).plot()`;
  }

  function show() {
    ink.setAttribute("d", strokes.filter((s) => s.length).map((s) => `M${s.map(([x, y]) => `${x} ${y}`).join("L")}${s.length === 1 ? "h0" : ""}`).join(""));
    const rows = trace();
    said.textContent = rows.length ? `${strokes.length} strokes, ${rows.length} points, ${rows[rows.length - 1][2].toFixed(1)} s` : `Write “${words.value}” on the line.`;
    svg.setAttribute("aria-label", rows.length ? `A pad with ${strokes.length} strokes on it.` : "An empty pad with a line to write on.");
    if (!code.hidden) code.value = python();
    el.dataset.numbers = JSON.stringify({ text: words.value, strokes: strokes.length, trace: rows });
  }

  function publish() {
    show();
    model.set("text", words.value);
    model.set("trace", trace());
    model.save_changes();
  }

  function add(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    if (!zero) zero = event.timeStamp;
    const seconds = Math.round(event.timeStamp - zero) / 1000;
    current.push([Math.round(10 * at.x) / 10, Math.round(10 * at.y) / 10, seconds]);
  }

  svg.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    try { svg.setPointerCapture(event.pointerId); } catch { /* a pointer that is made up has none */ }
    current = [];
    strokes.push(current);
    add(event);
    show();
  });
  svg.addEventListener("pointermove", (event) => {
    if (!current) return;
    for (const one of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) add(one);
    show();
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    svg.addEventListener(kind, () => {
      if (!current) return;
      current = null;
      publish();
    });
  }
  clear.addEventListener("click", () => { strokes = []; zero = 0; code.hidden = true; publish(); });
  undo.addEventListener("click", () => { strokes.pop(); publish(); });
  copy.addEventListener("click", () => { code.hidden = !code.hidden; show(); if (!code.hidden) code.select(); });
  words.addEventListener("input", publish);
  show();
}

export default { render };
