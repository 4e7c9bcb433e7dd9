// A line as the network wrote it. Scrub through time: the ink grows, and the letters light up as loud as the window heard them.
// State: lines [{text, points: [[x, y, end], ...], peak, phi: one string per point, per character a
// sign from 0 to z for the square root of its share of the peak}], line, point.

import { clip, colour, inside, make, menu, numbers, play, share, slider } from "./kit.js";

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

  const svg = make("svg", el, { role: "img", style: "width:100%;display:block;touch-action:pan-y;cursor:crosshair" });
  const pen = { fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" };
  const faint = make("path", svg, { ...pen, style: "stroke:var(--sa-line)" });
  const ink = make("path", svg, { ...pen, style: "stroke:var(--sa-text)" });
  const tip = make("circle", svg, { style: "fill:var(--sa-vermillion)" });

  const text = make("div", el, { role: "img", style: "display:flex;flex-wrap:wrap;justify-content:center;margin:.4rem 0;font-family:ui-monospace,monospace;font-size:1.35rem" });

  // the alignment: a column for each point, a row for each character, the last one on top
  const map = make("div", el, { style: "display:grid;grid-template-columns:auto 1fr;gap:0 .4rem;margin:.4rem 0" });
  const names = make("div", map, { "aria-hidden": "true", style: "display:flex;flex-direction:column-reverse;font:.72rem/1 ui-monospace,monospace;text-align:center" });
  const field = make("div", map, { role: "img", style: "position:relative;cursor:crosshair;touch-action:pan-y;border:1px solid var(--sa-line)" });
  const canvas = make("canvas", field, { style: "display:block;width:100%;height:100%;position:absolute;image-rendering:pixelated" });
  const now = make("div", field, { style: "position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;background:var(--sa-vermillion)" });

  const last = () => lines[state.line].points.length - 1;
  const go = (point) => { stop(); state.point = point; show(); };
  const controls = make("div", el, { class: "sa-controls" });
  const pick = menu(controls, "line", lines.map((one, k) => [k, one.text]), (k) => {
    stop();
    state.line = Number(k);
    state.point = -1;
    choose();
  });
  const scrub = slider(controls, "point", { min: 1, step: 1 }, go);
  const row = make("div", el, { class: "sa-row" });
  const stop = play(row, "Write it", (ms) => {
    state.point = clip(Math.round(ms / 10), 1, last());      // as fast as the corpus' pens: 100 points a second
    show();
    return state.point < last();
  });
  const said = make("span", row, { class: "sa-note", role: "status" });

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
    text.replaceChildren();
    letters = [...words].map((c) => {
      const cell = make("span", text, { style: "position:relative;min-width:.8em;text-align:center;white-space:pre;padding:.1em .05em 1.1em" });
      make("span", cell, {}, c);
      const bar = make("span", cell, { style: "position:absolute;left:12%;right:12%;bottom:0;background:var(--sa-orange);border-radius:2px 2px 0 0" });
      return { cell, bar };
    });
    names.replaceChildren(...[...words].map((c) => make("span", null, { style: "height:.85rem;white-space:pre" }, c)));
    field.setAttribute("aria-label", `How much the window weighs each character of ${words} at each point: a band that climbs from the first to the last.`);
    paint();
    scrub.input.max = last();
    if (state.point < 0 || state.point > last()) state.point = last();
    show();
  }

  function paint() {
    const { phi, text: words } = lines[state.line];
    const brush = canvas.getContext("2d");
    canvas.width = phi.length;
    canvas.height = words.length;
    brush.fillStyle = colour(el, "blue") || "#0072B2";
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
    scrub.show(state.point, `${state.point} of ${last()}`);
    const hears = weights[loudest] > 0 ? `the window weighs “${words[loudest]}” most, ${weights[loudest].toFixed(2)}` : "the window sees nothing";
    said.textContent = `${hears}${end ? "; the pen lifts" : ""}`;
    svg.setAttribute("aria-label", `The words ${words}, written up to point ${state.point} of ${points.length - 1}.`);
    text.setAttribute("aria-label", `${words}: ${hears}.`);
    numbers(el, { line: state.line, point: state.point, x, y, end, phi: weights, loudest });
  }

  // the point of the ink that lies nearest to the pointer
  function nearest(event) {
    const at = inside(svg, event);
    let best = 1, least = Infinity;
    lines[state.line].points.forEach(([x, y], t) => {
      const away = Math.hypot(x - at.x, y - at.y);
      if (t > 0 && away < least) [best, least] = [t, away];
    });
    return best;
  }

  for (const kind of ["pointermove", "pointerdown"]) {
    field.addEventListener(kind, (event) => go(clip(Math.floor(share(field, event)[0] * (last() + 1)), 1, last())));
    svg.addEventListener(kind, (event) => go(nearest(event)));
  }
  pick.value = state.line;
  choose();
  return stop;
}

export default { render };
