// A pen goes through via points: overlapping minimum-jerk movements, as pen_path() of softattn.pen does it.

const shareOf = (u) => {
  const v = Math.min(1, Math.max(0, u));
  return v * v * v * (10 + v * (6 * v - 15));
};

// via: [[x, y], ...], first: [bool], time: [samples], overlap: samples -> [{x, y, end, stroke}]
function penPath(via, first, time, overlap) {
  const out = [];
  let from = 0;
  for (let stroke = 0; from < via.length; stroke += 1) {
    let to = from + 1;
    while (to < via.length && !first[to]) to += 1;
    const clock = [0];
    for (let i = from + 1; i < to; i += 1) clock.push(clock[clock.length - 1] + time[i]);
    const lead = 0.42 * overlap;
    const span = clock[clock.length - 1] + 2 * lead;
    const count = to - from === 1 ? 1 : Math.max(2, Math.floor(span) + 1);
    const zero = -lead + (span - count + 1) / 2;
    for (let k = 0; k < count; k += 1) {
      let [x, y] = via[from];
      for (let i = from + 1; i < to; i += 1) {
        const begin = clock[i - from] - time[i] - overlap / 2;
        const share = shareOf((k + zero - begin) / Math.max(time[i] + overlap, 1e-6));
        x += share * (via[i][0] - via[i - 1][0]);
        y += share * (via[i][1] - via[i - 1][1]);
      }
      out.push({ x, y, end: k === count - 1 ? 1 : 0, stroke });
    }
    from = to;
  }
  return out;
}

const make = (name, attributes = {}, parent = null) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.append(node);
  return node;
};

export default {
  render({ model, el }) {
    const via = model.get("via");
    const first = model.get("first");
    const time = model.get("time");
    const text = model.get("text");
    const state = { overlap: model.get("overlap"), pace: 1, slant: 0, shown: 100 };

    const svg = make("svg", { viewBox: "0 0 640 190", role: "img" });
    svg.style.width = "100%";
    const ink = make("path", { fill: "none", "stroke-width": 2.5, "stroke-linecap": "round", "stroke-linejoin": "round" }, svg);
    ink.style.stroke = "var(--sa-text)";
    const air = make("path", { fill: "none", "stroke-width": 1.5, "stroke-dasharray": "4 5" }, svg);
    air.style.stroke = "var(--sa-orange)";
    const dots = make("g", {}, svg);
    dots.style.fill = "var(--sa-blue)";
    const lifts = make("g", { fill: "none", "stroke-width": 2 }, svg);
    lifts.style.stroke = "var(--sa-vermillion)";

    const controls = document.createElement("div");
    controls.className = "sa-controls";
    const sliders = {};
    const add = (key, label, min, max, step, show) => {
      const wrap = document.createElement("label");
      const input = document.createElement("input");
      const value = document.createElement("b");
      Object.assign(input, { type: "range", min, max, step, value: state[key] });
      wrap.append(`${label} `, value, input);
      controls.append(wrap);
      sliders[key] = { input, value, show };
      input.addEventListener("input", () => {
        state[key] = Number(input.value);
        draw();
      });
    };
    add("shown", "written", 1, 100, 1, (v) => `${v} %`);
    add("overlap", "overlap of movements", 0, 10, 0.5, (v) => `${v} samples`);
    add("pace", "time for each movement", 0.5, 2, 0.05, (v) => `x ${v.toFixed(2)}`);
    add("slant", "slant", -0.3, 0.5, 0.05, (v) => v.toFixed(2));

    const row = document.createElement("div");
    row.className = "sa-row";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Write it";
    const note = document.createElement("span");
    note.className = "sa-note";
    row.append(button, note);
    el.append(svg, controls, row);

    // One scale for the whole demo, so that the picture does not jump: room for every slant.
    const ys = via.map((p) => p[1]);
    const xs = [-0.3, 0, 0.5].flatMap((slant) => via.map(([x, y]) => x - slant * y));
    const left = Math.min(...xs);
    const top = Math.min(...ys);
    const scale = Math.min(620 / (Math.max(...xs) - left), 165 / (Math.max(...ys) - top));
    const px = (p) => [10 + (p.x - left) * scale, 12 + (p.y - top) * scale];
    const join = (ps) => `M${ps.map((p) => px(p).map((v) => v.toFixed(2)).join(" ")).join("L")}`;

    function draw() {
      for (const [key, { value, show }] of Object.entries(sliders)) value.textContent = show(state[key]);
      const slanted = via.map(([x, y]) => [x - state.slant * y, y]);
      const path = penPath(slanted, first, time.map((t) => t * state.pace), state.overlap);
      const count = Math.max(1, Math.round((path.length * state.shown) / 100));
      const seen = path.slice(0, count);
      const strokes = [];
      for (const p of seen) (strokes[p.stroke] ??= []).push(p);
      ink.setAttribute("d", strokes.map((s) => join(s.length > 1 ? s : [s[0], s[0]])).join(""));
      air.setAttribute("d", strokes.slice(1).map((s, i) => join([strokes[i][strokes[i].length - 1], s[0]])).join(""));
      dots.replaceChildren();
      lifts.replaceChildren();
      for (const p of seen) {
        const [cx, cy] = px(p);
        make("circle", { cx, cy, r: 2.4 }, dots);
        if (p.end) make("circle", { cx, cy, r: 6.5 }, lifts);
      }
      const ends = seen.reduce((n, p) => n + p.end, 0);
      note.textContent = `${count} of ${path.length} points, ${ends} pen lift${ends === 1 ? "" : "s"}`;
      svg.setAttribute("aria-label", `A pen writing ${text}: ${note.textContent}; each point a dot, each pen lift a ring.`);
      let fastest = 0;
      for (let i = 1; i < path.length; i += 1) {
        if (!path[i - 1].end) fastest = Math.max(fastest, Math.hypot(path[i].x - path[i - 1].x, path[i].y - path[i - 1].y));
      }
      el.dataset.numbers = JSON.stringify({
        ...state, points: path.length, written: count, ends, fastest,
        x: path.map((p) => p.x), y: path.map((p) => p.y),
      });
    }

    let frame = 0;
    button.addEventListener("click", () => {
      cancelAnimationFrame(frame);
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
        state.shown = 100;
        sliders.shown.input.value = 100;
        draw();
        return;
      }
      const begin = performance.now();
      const tick = (now) => {
        state.shown = Math.max(1, Math.min(100, (now - begin) / 40));
        sliders.shown.input.value = state.shown;
        state.shown = Number(sliders.shown.input.value);
        draw();
        if (state.shown < 100) frame = requestAnimationFrame(tick);
      };
      frame = requestAnimationFrame(tick);
    });
    draw();
    return () => cancelAnimationFrame(frame);
  },
};
