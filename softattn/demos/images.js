// The path of a pen becomes cells of ink: rasterise() of softattn.images, with sliders.
import { clip, colour, make, numbers, slider, sum, themed } from "./kit.js";

// Ink of the pieces [[ax, ay, bx, by], ...] on size x size cells; the nearest piece decides.
function inkOf(pieces, thickness, size) {
  const out = new Float64Array(size * size);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      let nearest = Infinity;
      for (const [ax, ay, bx, by] of pieces) {
        const dx = bx - ax, dy = by - ay, length = Math.max(dx * dx + dy * dy, 1e-12);
        const s = clip(((x - ax) * dx + (y - ay) * dy) / length, 0, 1);
        nearest = Math.min(nearest, (x - ax - s * dx) ** 2 + (y - ay - s * dy) ** 2);
      }
      out[y * size + x] = clip(thickness / 2 - Math.sqrt(nearest) + 0.5, 0, 1);
    }
  }
  return out;
}

function rasterise(path, thickness, size) {
  const box = (size * 20) / 28, middle = (size - 1) / 2;
  const pieces = path.flatMap((line) => (line.length > 1
    ? line.slice(1).map((q, i) => [line[i][0], line[i][1], q[0], q[1]])
    : [[line[0][0], line[0][1], line[0][0], line[0][1]]]));
  const xs = pieces.flatMap((p) => [p[0], p[2]]), ys = pieces.flatMap((p) => [p[1], p[3]]);
  const low = [Math.min(...xs), Math.min(...ys)], high = [Math.max(...xs), Math.max(...ys)];
  const scale = (box - thickness) / Math.max(high[0] - low[0], high[1] - low[1], 1e-9);
  const place = (v, axis) => (v - (low[axis] + high[axis]) / 2) * scale + middle;
  const fitted = pieces.map(([ax, ay, bx, by]) => [place(ax, 0), place(ay, 1), place(bx, 0), place(by, 1)]);
  const first = inkOf(fitted, thickness, size);
  let total = 0, mx = 0, my = 0;
  first.forEach((v, i) => { total += v; mx += v * (i % size); my += v * Math.floor(i / size); });
  const mass = [mx / Math.max(total, 1e-9), my / Math.max(total, 1e-9)], edge = thickness / 2 - 0.5;
  const shift = mass.map((m, axis) => {
    const values = fitted.flatMap((p) => [p[axis], p[axis + 2]]);
    return Math.min(size - 1 - edge - Math.max(...values), Math.max(edge - Math.min(...values), middle - m));
  });
  const moved = fitted.map(([ax, ay, bx, by]) => [ax + shift[0], ay + shift[1], bx + shift[0], by + shift[1]]);
  return { pieces: moved, pixels: inkOf(moved, thickness, size) };
}

export default {
  render({ model, el }) {
    const paths = model.get("paths");
    const state = { digit: model.get("digit"), thickness: model.get("thickness"), slant: model.get("slant"), size: model.get("size") };
    const box = make("div", el);
    make("p", box, { class: "sa-note" }, "Choose a digit and a pen: left its path, right the cells of ink that it leaves.");
    const canvas = make("canvas", box, { width: 640, height: 310, role: "img" });
    canvas.style.width = "100%";
    const controls = make("div", box, { class: "sa-controls" });
    const note = make("p", box, { class: "sa-note", role: "status" });
    const updates = [
      ["digit", "digit", 0, 9, 1, (v) => v],
      ["thickness", "thickness of the pen", 1, 6, 0.1, (v) => `${v.toFixed(1)} of 28`],
      ["slant", "slant", -0.5, 0.8, 0.05, (v) => v.toFixed(2)],
      ["size", "cells", 7, 56, 1, (v) => `${v} × ${v}`],
    ].map(([key, name, min, max, step, words]) => {
      const one = slider(controls, name, { min, max, step }, (v) => { state[key] = v; draw(); });
      return () => one.show(state[key], words(state[key]));
    });

    function draw() {
      for (const update of updates) update();
      const { digit, thickness, slant, size } = state;
      const leaning = paths[digit].map((line) => line.map(([x, y]) => [x - slant * y, y]));
      const pen = (thickness * size) / 28;   // the pen's thickness keeps its share of the picture
      const { pieces, pixels } = rasterise(leaning, pen, size);
      const g = canvas.getContext("2d");
      const side = 300, cell = side / size, at = (v) => (v + 0.5) * cell;
      g.clearRect(0, 0, 640, 310);
      [g.strokeStyle, g.lineWidth] = [colour(el, "line"), 1];
      g.strokeRect(5.5, 5.5, side - 1, side - 1);
      g.strokeStyle = colour(el, "blue");
      g.lineWidth = 2.5;
      g.lineCap = "round";
      for (const [ax, ay, bx, by] of pieces) {
        g.beginPath();
        g.moveTo(5 + at(ax), 5 + at(ay));
        g.lineTo(5 + at(bx), 5 + at(by));
        g.stroke();
      }
      pixels.forEach((v, i) => {
        const level = Math.round(255 * v), column = i % size, row = Math.floor(i / size);
        const [x, y, right, bottom] = [column, row, column + 1, row + 1].map((k) => Math.round(k * cell));   // no seams
        g.fillStyle = `rgb(${level},${level},${level})`;
        g.fillRect(335 + x, 5 + y, right - x, bottom - y);
      });
      const mean = sum(pixels) / pixels.length;
      const grey = pixels.reduce((a, v) => a + (v > 0 && v < 1), 0), inked = pixels.reduce((a, v) => a + (v > 0), 0);
      note.textContent = `mean ink ${mean.toFixed(3)}; ${grey} of ${inked} inked cells are grey: there a coin would decide.`;
      canvas.setAttribute("aria-label", `Left the path of a pen that wrote ${digit}, right the same digit as ${size} by ${size} grey cells.`);
      numbers(el, { ...state, pen, mean, grey, inked, pixels: [...pixels] });
    }
    draw();
    return themed(draw);
  },
};
