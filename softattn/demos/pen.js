// A pen goes through via points: overlapping minimum-jerk movements, as pen_path() of softattn.pen does it.
import { clip, make, numbers, play, slider } from "./kit.js";

const shareOf = (u) => {
  const v = clip(u, 0, 1);
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

export default {
  render({ model, el }) {
    const via = model.get("via");
    const first = model.get("first");
    const time = model.get("time");
    const text = model.get("text");
    const state = { overlap: model.get("overlap"), pace: 1, slant: 0, shown: 100 };

    make("p", el, { class: "sa-note" }, "Press Write it, or move the sliders: dots at equal times, rings where the pen lifts.");
    const svg = make("svg", el, { viewBox: "0 0 640 190", role: "img", style: "width: 100%" });
    const round = { "stroke-linecap": "round", "stroke-linejoin": "round" };
    const ink = make("path", svg, { fill: "none", "stroke-width": 2.5, ...round, style: "stroke: var(--sa-text)" });
    const air = make("path", svg, { fill: "none", "stroke-width": 1.5, "stroke-dasharray": "4 5", style: "stroke: var(--sa-orange)" });
    const dots = make("g", svg, { style: "fill: var(--sa-blue)" });
    const lifts = make("g", svg, { fill: "none", "stroke-width": 2, style: "stroke: var(--sa-vermillion)" });

    const controls = make("div", el, { class: "sa-controls" });
    const updates = [
      ["shown", "written", 1, 100, 1, (v) => `${v} %`],
      ["overlap", "overlap of movements", 0, 10, 0.5, (v) => `${v} samples`],
      ["pace", "time for each movement", 0.5, 2, 0.05, (v) => `x ${v.toFixed(2)}`],
      ["slant", "slant", -0.3, 0.5, 0.05, (v) => v.toFixed(2)],
    ].map(([key, words, min, max, step, reading]) => {
      const one = slider(controls, words, { min, max, step }, (v) => { state[key] = v; draw(); });
      return () => one.show(state[key], reading(state[key]));
    });
    const row = make("div", el, { class: "sa-row" });
    const stop = play(row, "Write it", (ms) => {
      state.shown = clip(Math.round(ms / 40), 1, 100);
      draw();
      return state.shown < 100;
    });
    const note = make("span", row, { class: "sa-note" });

    // One scale for the whole demo, so that the picture does not jump: room for every slant.
    const ys = via.map((p) => p[1]);
    const xs = [-0.3, 0, 0.5].flatMap((slant) => via.map(([x, y]) => x - slant * y));
    const left = Math.min(...xs);
    const top = Math.min(...ys);
    const scale = Math.min(620 / (Math.max(...xs) - left), 165 / (Math.max(...ys) - top));
    const px = (p) => [10 + (p.x - left) * scale, 12 + (p.y - top) * scale];
    const join = (ps) => `M${ps.map((p) => px(p).map((v) => v.toFixed(2)).join(" ")).join("L")}`;

    function draw() {
      for (const update of updates) update();
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
        make("circle", dots, { cx, cy, r: 2.4 });
        if (p.end) make("circle", lifts, { cx, cy, r: 6.5 });
      }
      const ends = seen.reduce((n, p) => n + p.end, 0);
      note.textContent = `${count} of ${path.length} points, ${ends} pen lift${ends === 1 ? "" : "s"}`;
      svg.setAttribute("aria-label", `A pen writing ${text}: ${note.textContent}; each point a dot, each pen lift a ring.`);
      let fastest = 0;
      for (let i = 1; i < path.length; i += 1) {
        if (!path[i - 1].end) fastest = Math.max(fastest, Math.hypot(path[i].x - path[i - 1].x, path[i].y - path[i - 1].y));
      }
      numbers(el, {
        ...state, points: path.length, written: count, ends, fastest,
        x: path.map((p) => p.x), y: path.map((p) => p.y),
      });
    }

    draw();
    return stop;
  },
};
