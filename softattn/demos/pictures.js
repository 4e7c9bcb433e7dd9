// Palettes as an eye without green receptors sees them. State: palettes, palette, matrix (3 x 3), severity.
import { make, menu, numbers, slider } from "./kit.js";

// '#rrggbb' -> light in [0, 1], three channels
function light(colour) {
  return [1, 3, 5].map((k) => {
    const c = parseInt(colour.slice(k, k + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
}

function screen(c) {
  const stored = c.map((v) => Math.round(255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055)));
  return `rgb(${stored.join(", ")})`;
}

function seen(c, matrix, severity) {
  return matrix.map((row, i) => {
    const through = row.reduce((sum, m, j) => sum + m * c[j], 0);
    return Math.min(1, Math.max(0, (1 - severity) * c[i] + severity * through));
  });
}

function lab(c) {
  const to = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]];
  const white = [0.9505, 1.0, 1.089];
  const f = to.map((row, i) => {
    const t = row.reduce((sum, m, j) => sum + m * c[j], 0) / white[i];
    return t > (6 / 29) ** 3 ? Math.cbrt(t) : t / (3 * (6 / 29) ** 2) + 4 / 29;
  });
  return [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])];
}

function closest(names, points) {
  let best = [Infinity, "", ""];
  for (let i = 0; i < names.length; i++)
    for (let j = i + 1; j < names.length; j++) {
      const gap = Math.hypot(...points[i].map((p, k) => p - points[j][k]));
      if (gap < best[0]) best = [gap, names[i], names[j]];
    }
  return best;
}

function render({ model, el }) {
  make("p", el, { class: "sa-note" }, "Take the green receptors away, and see which colours fall together.");
  const svg = make("svg", el, { viewBox: "0 0 640 300", role: "img" });
  const controls = make("div", el, { class: "sa-controls" });
  const put = (key) => (value) => {
    model.set(key, value);
    model.save_changes();
  };
  const missing = slider(controls, "green receptors missing:", { min: 0, max: 1, step: 0.01 }, put("severity"));
  const choice = menu(controls, "palette", Object.keys(model.get("palettes")).map((name) => [name, name]), put("palette"));
  choice.before(make("br"));
  choice.value = model.get("palette");
  const verdict = make("p", el, { "aria-live": "polite" });

  function draw() {
    const palette = model.get("palettes")[model.get("palette")];
    const severity = model.get("severity");
    const names = Object.keys(palette);
    const colours = names.map((name) => seen(light(palette[name]), model.get("matrix"), severity));
    const [gap, one, other] = closest(names, colours.map(lab));

    svg.replaceChildren();
    make("rect", svg, { width: 640, height: 300, rx: 8, style: "fill: #fff" });
    const step = 236 / (names.length - 1);
    names.forEach((name, k) => {
      const y = 44 + step * k;
      let d = "";
      for (let n = 0; n <= 80; n++) {
        const x = n / 80;
        d += `${n ? "L" : "M"}${16 + 450 * x} ${y + 13 * Math.cos(9) - 13 * Math.cos(9 * x)}`;
      }
      make("path", svg, { d, fill: "none", stroke: screen(colours[k]), "stroke-width": 8, "stroke-linecap": "round" });
      make("text", svg, { x: 484, y: y + 8, style: "fill: #1f2328; font-size: 25px" }, name);
    });
    svg.setAttribute("aria-label", `${names.length} curves in the colours ${names.join(", ")}, as seen at severity ${severity.toFixed(2)}`);
    missing.show(severity, `${Math.round(100 * severity)} %`);
    verdict.textContent = `Hardest to tell apart: ${one} and ${other}, at distance ${gap.toFixed(1)}.`;
    numbers(el, { severity, palette: model.get("palette"), distance: gap, pair: [one, other] });
  }

  model.on("change:severity", draw);
  model.on("change:palette", draw);
  draw();
}

export default { render };
