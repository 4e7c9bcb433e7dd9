// Three bells over the reader's own text: the weights phi, and the letters as the window sees them, blended.
import { button, make, numbers, slider, sum } from "./kit.js";

const WIDTH = 640, TOP = 190, LONGEST = 24;
const COLOURS = ["blue", "vermillion", "green"], DASHES = ["", "9 5", "3 4"], NAMES = ["A", "B", "C"];

// Graves' eq. 46, one bell at one place, counted from 1.
const bell = (alpha, beta, kappa, u) => alpha * Math.exp(-beta * (kappa - u) ** 2);

export default {
  render({ model, el }) {
    const alpha = [...model.get("alpha")], beta = [...model.get("beta")], kappa = [...model.get("kappa")];
    const wanted = [...kappa];  // places as the reader set them: they come back when a text that was shortened grows again
    let text = model.get("text");

    make("p", el, { class: "sa-note" }, "Move the bells over the text, or type another one.");
    const svg = make("svg", el, { viewBox: `0 0 ${WIDTH} 232`, role: "img" });
    const lines = make("div", el, { class: "sa-equations" });
    const said = make("div", lines, { role: "status" });
    make("div", lines, {}, "What the network sees, loudest first:");
    const blend = make("div", lines, { style: "display:flex;flex-wrap:wrap;align-items:flex-end;gap:.3em .9em;min-height:4.2em" });

    const head = make("div", el, { class: "sa-row" });
    const input = make("input", make("label", head, {}, "Your text "), { type: "text", maxlength: LONGEST, size: 18 });
    input.value = text;
    button(head, "All bells half a letter on", () => {
      const end = [...text].length + 1;
      for (let k = 0; k < 3; k++) wanted[k] = kappa[k] = kappa[k] >= end ? 0 : Math.min(end, kappa[k] + 0.5);
      draw();
    });

    const sliders = [];
    for (let k = 0; k < 3; k++) {
      const columns = "grid-template-columns:repeat(3,minmax(0,1fr));gap:.5rem";
      const controls = make("div", el, { class: "sa-controls", role: "group", "aria-label": `Bell ${NAMES[k]}`, style: columns });
      for (const [letter, values, low, high, step] of [
        ["κ", kappa, 0, LONGEST + 1, 0.1], ["α", alpha, 0, 3, 0.05], ["β", beta, 0.02, 5, 0.02],
      ]) {
        const one = slider(controls, `${letter} of ${NAMES[k]}`, { min: low, max: high, step }, (v) => {
          values[k] = v;
          if (letter === "κ") wanted[k] = v;
          draw();
        });
        one.label.setAttribute("style", `border-left:4px solid var(--sa-${COLOURS[k]});padding-left:.5rem`);
        sliders.push(() => {
          if (letter === "κ") one.input.max = Math.max(1, [...text].length) + 1;
          one.show(values[k], values[k].toFixed(2));
        });
      }
    }
    make("p", el, { class: "sa-note" },
      "κ: place; α: importance; β: inverse width. Bars: the weight φ of each letter, the sum of the bells A (whole line), B (dashed) and C (dotted). " +
      "Under the picture, a letter's size and number are its volume in w; a letter that occurs twice is heard once, with both weights.");

    function draw() {
      const letters = [...text], U = letters.length, phi = letters.map((_, i) =>
        sum([0, 1, 2].map((k) => bell(alpha[k], beta[k], kappa[k], i + 1))));
      const total = sum(phi), place = sum(phi.map((p, i) => p * (i + 1))) / total;
      const w = {};
      letters.forEach((letter, i) => { w[letter] = (Object.hasOwn(w, letter) ? w[letter] : 0) + phi[i]; });

      const pitch = Math.min(48, (WIDTH - 20) / Math.max(1, U + 0.5)), x = (u) => 10 + (u - 0.25) * pitch;
      const curve = (k) => Array.from({ length: 161 }, (_, i) => 0.25 + (i / 160) * (U + 0.5)).map((u) => [u, bell(alpha[k], beta[k], kappa[k], u)]);
      const top = Math.max(1, ...phi, ...[0, 1, 2].flatMap((k) => curve(k).map((p) => p[1]))), y = (v) => TOP - (v / top) * (TOP - 26);
      svg.replaceChildren();
      make("line", svg, { x1: 0, x2: WIDTH, y1: TOP, y2: TOP, style: "stroke:var(--sa-line)" });
      make("text", svg, { x: WIDTH - 4, y: 18, "text-anchor": "end", style: "font-size:22px" }, `top: ${top.toFixed(2)}`);
      letters.forEach((letter, i) => {
        make("rect", svg, { x: x(i + 1) - pitch * 0.36, width: pitch * 0.72, y: y(phi[i]), height: TOP - y(phi[i]), style: "fill:var(--sa-sky);opacity:.55" });
        make("text", svg, { x: x(i + 1), y: TOP + 30, "text-anchor": "middle", style: "font-size:24px" }, letter === " " ? "␣" : letter);
      });
      for (let k = 0; k < 3; k++) {
        const d = "M" + curve(k).map(([u, v]) => `${x(u).toFixed(1)} ${y(v).toFixed(1)}`).join("L");
        make("path", svg, { d, style: `fill:none;stroke:var(--sa-${COLOURS[k]});stroke-width:3;stroke-dasharray:${DASHES[k]}` });
      }
      const loud = Object.entries(w).sort((a, b) => b[1] - a[1]);
      svg.setAttribute("aria-label", `Weights over the text ${text || "(empty)"}: ` +
        (loud.length ? `loudest is ${loud[0][0]} with ${loud[0][1].toFixed(2)}; they add up to ${total.toFixed(2)}.` : "there is nothing to see."));
      said.textContent = U === 0 ? "no text, nothing to see"
        : `sum of φ = ${total.toFixed(3)}, no probability; centre of φ at ${total > 0 ? place.toFixed(2) : "nowhere"}`;
      blend.replaceChildren();
      for (const [letter, volume] of loud.filter((entry) => entry[1] >= 0.01).slice(0, 8)) {
        const box = make("span", blend, { style: "display:inline-flex;flex-direction:column;align-items:center" });
        make("span", box, { style: `font-size:${(0.7 + 1.6 * Math.min(1, volume / top)).toFixed(2)}rem;line-height:1.1` }, letter === " " ? "␣" : letter);
        make("span", box, { style: "font-size:.85rem" }, volume.toFixed(2));
      }
      for (const update of sliders) update();
      numbers(el, { text, alpha, beta, kappa, phi, w, sum: total, place: total > 0 ? place : null });
    }

    input.addEventListener("input", () => {
      text = [...input.value].slice(0, LONGEST).join("");
      for (let k = 0; k < 3; k++) kappa[k] = Math.min(wanted[k], [...text].length + 1);
      draw();
    });
    draw();
  },
};
