// Five sliders aim a grid of Gaussian filters at a picture: the grid, the patch that it reads, the patch written back.
// Of stripes with a known frequency it also says how much of them passes, by the formula and in the patch.
import { clip, colour, drag, make, numbers, share, slider, sum, themed } from "./kit.js";

// Rows of F: a softmax over pixels 1..length, as Filterbank.filters does it; exact outside the image too.
function rows(g, delta, sigma, n, length) {
  return Array.from({ length: n }, (_, k) => {
    const mu = g + (k + 1 - n / 2 - 0.5) * delta, near = Math.min(length, Math.max(1, Math.round(mu)));
    const scores = Array.from({ length }, (_, p) => {
      const off = p + 1 - near;
      return (-off * (off + 2 * (near - mu))) / (2 * sigma * sigma);
    });
    const top = Math.max(...scores), weights = scores.map((v) => Math.exp(v - top));
    const total = sum(weights);
    return weights.map((w) => w / total);
  });
}

const multiply = (a, b) => a.map((row) => b[0].map((_, j) => row.reduce((total, v, k) => total + v * b[k][j], 0)));
const transpose = (a) => a[0].map((_, j) => a.map((row) => row[j]));

export default {
  render({ model, el }) {
    const image = model.get("image"), n = model.get("n"), size = image.length, frequency = model.get("frequency");
    const state = {};
    for (const key of ["gx", "gy", "delta", "sigma", "gamma"]) state[key] = model.get(key);
    const box = make("div", el);
    const names = ["the image and the grid", "the patch read", "written back"];
    make("p", box, { class: "sa-note" }, "Drag the grid over the picture; then move its stride and width.");
    const frame = make("div", box);
    frame.style.cssText = "display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px";
    const canvases = names.map((name) => {
      const cell = make("div", frame);
      make("div", cell, { class: "sa-note" }, name);
      const canvas = make("canvas", cell, { width: 336, height: 336, role: "img" });
      canvas.style.width = "100%";
      return canvas;
    });
    canvases[0].style.cursor = "move";
    const controls = make("div", box, { class: "sa-controls" });
    const note = make("p", box, { class: "sa-note", role: "status" });
    const updates = [
      ["gx", "centre across, g_X", -6, size + 7, 0.5, 1],
      ["gy", "centre down, g_Y", -6, size + 7, 0.5, 1],
      ["delta", "stride, δ", 0.2, 5, 0.1, 1],
      ["sigma", "width, σ", 0.1, 5, 0.05, 2],
      ["gamma", "strength, γ", 0.25, 4, 0.25, 2],
    ].map(([key, name, min, max, step, digits]) => {
      const one = slider(controls, name, { min, max, step }, (v) => { state[key] = v; draw(); });
      return () => one.show(state[key], state[key].toFixed(digits));
    });

    function paint(canvas, picture, top) {
      const g = canvas.getContext("2d"), h = picture.length, w = picture[0].length, cell = 336 / Math.max(h, w);
      for (let y = 0; y < h; y += 1) {
        for (let x = 0; x < w; x += 1) {
          const level = Math.round(255 * clip(picture[y][x] / top, 0, 1));
          g.fillStyle = `rgb(${level},${level},${level})`;
          g.fillRect(x * cell, y * cell, cell + 0.5, cell + 0.5);
        }
      }
      return [g, cell];
    }

    function draw() {
      for (const update of updates) update();
      const { gx, gy, delta, sigma, gamma } = state;
      const Fx = rows(gx, delta, sigma, n, size), Fy = rows(gy, delta, sigma, n, size);
      const patch = multiply(multiply(Fy, image), transpose(Fx)).map((row) => row.map((v) => gamma * v));
      const written = multiply(multiply(transpose(Fy), patch), Fx).map((row) => row.map((v) => v / gamma));
      const [g, cell] = paint(canvases[0], image, 1);
      g.fillStyle = g.strokeStyle = colour(el, "orange");
      g.lineWidth = 1;
      for (let j = 0; j < n; j += 1) {
        for (let i = 0; i < n; i += 1) {
          const x = (gx - 0.5 + (i + 0.5 - n / 2) * delta) * cell, y = (gy - 0.5 + (j + 0.5 - n / 2) * delta) * cell;
          g.beginPath();
          g.arc(x, y, 2.6, 0, 2 * Math.PI);
          g.fill();
          if ((i === 0 || i === n - 1) && (j === 0 || j === n - 1)) {   // the width, as a ring at each corner
            g.beginPath();
            g.arc(x, y, sigma * cell, 0, 2 * Math.PI);
            g.stroke();
          }
        }
      }
      const brightest = Math.max(...written.flat(), 1e-9);
      paint(canvases[1], patch, 1);
      paint(canvases[2], written, brightest);
      const columns = Array.from({ length: size }, (_, a) => sum(Fx.map((row) => row[a])));
      const inkIn = sum(patch.flat()), inkOut = sum(written.flat());
      const ratio = sigma / delta;
      note.textContent = `Brightest pixel: image 1.00, patch ${Math.max(...patch.flat()).toFixed(2)}, written ${brightest.toFixed(2)} (shown as white). `
        + `Column sums of F_X from ${Math.min(...columns).toFixed(2)} to ${Math.max(...columns).toFixed(2)}. σ/δ = ${ratio.toFixed(2)}`
        + (ratio < 0.3 ? ": points so sharp that they miss ink." : ratio > 1.2 ? ": neighbours read nearly the same." : ".");
      let passes, seen;
      if (frequency) {   // e^(-2 pi^2 f^2 sigma^2), and black to white in the patch, away from its edges
        const inner = patch[n >> 1].slice(1, n - 1);
        passes = Math.exp(-2 * (Math.PI * frequency * sigma) ** 2);
        seen = Math.max(...inner) - Math.min(...inner);
        note.textContent = `Stripes, ${frequency} a pixel. The formula exp(−2π²f²σ²) lets ${passes.toFixed(2)} of them pass; `
          + `from darkest to lightest the patch shows ${seen.toFixed(2)}. σ/δ = ${ratio.toFixed(2)}.`;
      }
      canvases[0].setAttribute("aria-label", `${frequency ? "Stripes" : "A digit"} under a grid of ${n} by ${n} points, centre ${gx}, ${gy}, stride ${delta}, width ${sigma} pixels.`);
      canvases[1].setAttribute("aria-label", `The patch of ${n} by ${n} pixels that the grid reads.`);
      canvases[2].setAttribute("aria-label", "The patch written back into the image through the same grid.");
      numbers(el, { ...state, patch, written, columns, passes, seen, ink_patch: inkIn, ink_written: inkOut });
    }

    const place = (event) => share(canvases[0], event).map((v) => v * size + 0.5);
    let held = [0, 0];
    drag(canvases[0], {
      begin(event) {
        const [x, y] = place(event);
        held = [state.gx - x, state.gy - y];
      },
      move(event) {
        const [x, y] = place(event), keep = (v) => clip(Math.round(2 * v) / 2, -6, size + 7);
        [state.gx, state.gy] = [keep(x + held[0]), keep(y + held[1])];
        draw();
      },
    });
    draw();
    return themed(draw);
  },
};
