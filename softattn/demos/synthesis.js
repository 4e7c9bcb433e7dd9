// A line as the network wrote it. Scrub through time: the ink grows, and the letters light up as loud as the window heard them.
// State: lines [{text, points: [[x, y, end], ...], peak, phi: one string per point, per character a
// sign from 0 to z for the square root of its share of the peak}], line, point.

const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

function draw(tag, attributes, parent) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

// points from `from` to `to`, both counted, as one path; a lone point is a dot
function path(points, from, to) {
  let d = "", lifted = true;
  for (let t = from; t <= to; t += 1) {
    const [x, y, end] = points[t];
    if (lifted && (end || t === to)) d += `M${x} ${y}h0`;
    else d += `${lifted ? "M" : "L"}${x} ${y}`;
    lifted = end === 1;
  }
  return d;
}

function render({ model, el }) {
  const lines = model.get("lines");
  const state = { line: model.get("line") ?? 0, point: model.get("point") ?? -1 };

  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("role", "img");
  Object.assign(svg.style, { width: "100%", display: "block", touchAction: "pan-y", cursor: "crosshair" });
  const pen = { fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" };
  const faint = draw("path", pen, svg), ink = draw("path", pen, svg), tip = draw("circle", {}, svg);
  faint.style.stroke = "var(--sa-line)";
  ink.style.stroke = "var(--sa-text)";
  tip.style.fill = "var(--sa-vermillion)";

  // the alignment: a column for each point, a row for each character, the last one on top
  const map = make("div", { style: "display:grid;grid-template-columns:auto 1fr;gap:0 .4rem;margin:.4rem 0" });
  const names = make("div", { "aria-hidden": "true", style: "display:flex;flex-direction:column-reverse;font:.72rem/1 ui-monospace,monospace;text-align:center" });
  const field = make("div", { role: "img", style: "position:relative;cursor:crosshair;touch-action:pan-y;border:1px solid var(--sa-line)" });
  const canvas = make("canvas", { style: "display:block;width:100%;height:100%;position:absolute;image-rendering:pixelated" });
  const now = make("div", { style: "position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;background:var(--sa-vermillion)" });
  field.append(canvas, now);
  map.append(names, field);

  const text = make("div", { role: "img", style: "display:flex;flex-wrap:wrap;justify-content:center;margin:.4rem 0;font-family:ui-monospace,monospace;font-size:1.35rem" });
  const pick = make("label", {}, "line ");
  const select = make("select", { style: "max-width:100%" });
  lines.forEach((one, k) => select.append(make("option", { value: k }, one.text)));
  pick.append(select);
  const scrub = make("label", {}, "point ");
  const value = make("b");
  const slider = make("input", { type: "range", min: 1, step: 1 });
  scrub.append(value, slider);
  const controls = make("div", { class: "sa-controls" });
  controls.append(pick, scrub);
  const row = make("div", { class: "sa-row" });
  const button = make("button", { type: "button" }, "Write it");
  const said = make("span", { class: "sa-note", role: "status" });
  row.append(button, said);
  el.append(svg, text, map, controls, row);

  let letters = [], box = [0, 0, 1, 1];
  function choose() {
    const { points, text: words } = lines[state.line];
    const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
    const margin = 60;
    const left = Math.min(...xs) - margin, top = Math.min(...ys) - margin;
    box = [left, top, Math.max(...xs) + margin - left, Math.max(...ys) + margin - top];
    svg.setAttribute("viewBox", box.join(" "));
    svg.style.maxHeight = "12rem";
    const thick = box[2] / 240;
    faint.setAttribute("stroke-width", thick);
    ink.setAttribute("stroke-width", 1.4 * thick);
    tip.setAttribute("r", 2.6 * thick);
    faint.setAttribute("d", path(points, 0, points.length - 1));
    letters = [...words].map((c) => {
      const cell = make("span", { style: "position:relative;min-width:.8em;text-align:center;white-space:pre;padding:.1em .05em 1.1em" });
      const bar = make("span", { style: "position:absolute;left:12%;right:12%;bottom:0;background:var(--sa-orange);border-radius:2px 2px 0 0" });
      cell.append(make("span", {}, c), bar);
      return { cell, bar };
    });
    text.replaceChildren(...letters.map((one) => one.cell));
    names.replaceChildren(...[...words].map((c) => make("span", { style: "height:.85rem;white-space:pre" }, c)));
    field.setAttribute("aria-label", `How much the window weighs each character of ${words} at each point: a band that climbs from the first to the last.`);
    paint();
    slider.max = points.length - 1;
    if (state.point < 0 || state.point > points.length - 1) state.point = points.length - 1;
    show();
  }

  function paint() {
    const { phi, text: words } = lines[state.line];
    const brush = canvas.getContext("2d");
    canvas.width = phi.length;
    canvas.height = words.length;
    brush.fillStyle = getComputedStyle(el).getPropertyValue("--sa-blue") || "#0072B2";
    phi.forEach((row, t) => [...row].forEach((sign, u) => {
      brush.globalAlpha = parseInt(sign, 36) / 35;
      if (sign !== "0") brush.fillRect(t, words.length - 1 - u, 1, 1);
    }));
  }

  function show() {
    const { points, phi, peak, text: words } = lines[state.line];
    const weights = [...phi[state.point]].map((sign) => (parseInt(sign, 36) / 35) ** 2 * peak);
    const loudest = weights.reduce((best, w, u) => (w > weights[best] ? u : best), 0);
    weights.forEach((w, u) => {
      letters[u].bar.style.height = `${(w / (weights[loudest] || 1)).toFixed(3)}em`;      // next to the loudest of this moment
      letters[u].cell.style.fontWeight = u === loudest && w > 0 ? "700" : "400";
    });
    ink.setAttribute("d", path(points, 0, state.point));
    const [x, y, end] = points[state.point];
    tip.setAttribute("cx", x);
    tip.setAttribute("cy", y);
    now.style.left = `${(100 * (state.point + 0.5)) / points.length}%`;
    slider.value = state.point;
    value.textContent = `${state.point} of ${points.length - 1}`;
    const hears = weights[loudest] > 0 ? `the window weighs “${words[loudest]}” most, ${weights[loudest].toFixed(2)}` : "the window sees nothing";
    said.textContent = `${hears}${end ? "; the pen lifts" : ""}`;
    svg.setAttribute("aria-label", `The words ${words}, written up to point ${state.point} of ${points.length - 1}.`);
    text.setAttribute("aria-label", `${words}: ${hears}.`);
    el.dataset.numbers = JSON.stringify({ line: state.line, point: state.point, x, y, end, phi: weights, loudest });
  }

  // the point of the ink that lies nearest to the pointer
  function nearest(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = 1, least = Infinity;
    lines[state.line].points.forEach(([x, y], t) => {
      const away = Math.hypot(x - at.x, y - at.y);
      if (t > 0 && away < least) [best, least] = [t, away];
    });
    return best;
  }

  let frame = 0;
  const stop = () => cancelAnimationFrame(frame);
  for (const kind of ["pointermove", "pointerdown"]) {
    field.addEventListener(kind, (event) => {
      const box = field.getBoundingClientRect();
      const last = lines[state.line].points.length - 1;
      stop();
      state.point = Math.max(1, Math.min(last, Math.floor(((event.clientX - box.left) / box.width) * (last + 1))));
      show();
    });
    svg.addEventListener(kind, (event) => { stop(); state.point = nearest(event); show(); });
  }
  select.addEventListener("change", () => { stop(); state.line = Number(select.value); state.point = -1; choose(); });
  slider.addEventListener("input", () => { stop(); state.point = Number(slider.value); show(); });
  button.addEventListener("click", () => {
    stop();
    const last = lines[state.line].points.length - 1;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) { state.point = last; show(); return; }
    const begin = performance.now();
    const tick = (now) => {
      state.point = Math.max(1, Math.min(last, Math.round((now - begin) / 10)));      // as fast as the corpus' pens: 100 points a second
      show();
      if (state.point < last) frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
  });
  select.value = state.line;
  choose();
  return stop;
}

export default { render };
