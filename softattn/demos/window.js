// Three bells over the reader's own text: the weights phi, and the letters as the window sees them, blended.
import { button, clip, drag, inside, make, numbers, slider, sum } from "./kit.js";

const WIDTH = 640, TOP = 190, LONGEST = 24;
const COLOURS = ["blue", "vermillion", "green"], DASHES = ["", "9 5", "3 4"], NAMES = ["A", "B", "C"];
const LOUD = 3, BETA = [0.02, 5], GRIP = 42;      // bounds of alpha and beta; how near a pointer must come to a handle

// Graves' eq. 46, one bell at one place, counted from 1.
const bell = (alpha, beta, kappa, u) => alpha * Math.exp(-beta * (kappa - u) ** 2);

export default {
  render({ model, el }) {
    const alpha = [...model.get("alpha")], beta = [...model.get("beta")], kappa = [...model.get("kappa")];
    const wanted = [...kappa];  // places as the reader set them: they come back when a text that was shortened grows again
    let text = model.get("text");

    let held = null, frozen = 0, pitch = 0, top = 1;      // the handle under the pointer; the scale stands still meanwhile

    make("p", el, { class: "sa-note" }, "Drag a bell by its letter, widen it by its diamond; or type another text.");
    const svg = make("svg", el, { viewBox: `0 0 ${WIDTH} 232`, role: "img", style: "cursor:grab" });
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
        ["κ", kappa, 0, LONGEST + 1, 0.1], ["α", alpha, 0, LOUD, 0.05], ["β", beta, ...BETA, 0.02],
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

    const x = (u) => 10 + (u - 0.25) * pitch, y = (v) => TOP - (v / top) * (TOP - 26);
    // Where a bell is held: on top of it, and at its shoulder, where it has e^-1/2 of its height; both stay in the picture.
    const kept = (v) => clip(v, 16, WIDTH - 16);
    const crown = (k) => [kept(x(kappa[k])), Math.max(18, y(alpha[k]))];
    const shoulder = (k) => [kept(x(kappa[k] + Math.sqrt(0.5 / beta[k]))), Math.max(18, y(alpha[k] * Math.exp(-0.5)))];

    function draw() {
      const letters = [...text], U = letters.length, phi = letters.map((_, i) =>
        sum([0, 1, 2].map((k) => bell(alpha[k], beta[k], kappa[k], i + 1))));
      const total = sum(phi), place = sum(phi.map((p, i) => p * (i + 1))) / total;
      const w = {};
      letters.forEach((letter, i) => { w[letter] = (Object.hasOwn(w, letter) ? w[letter] : 0) + phi[i]; });

      pitch = Math.min(48, (WIDTH - 20) / Math.max(1, U + 0.5));
      const curve = (k) => Array.from({ length: 161 }, (_, i) => 0.25 + (i / 160) * (U + 0.5)).map((u) => [u, bell(alpha[k], beta[k], kappa[k], u)]);
      top = frozen || Math.max(1, ...phi, ...[0, 1, 2].flatMap((k) => curve(k).map((p) => p[1])));
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
      for (let k = 2; k >= 0; k--) {
        const [x0, y0] = crown(k), [x1, y1] = shoulder(k), paint = `fill:var(--sa-${COLOURS[k]});stroke:var(--sa-background);stroke-width:2.5`;
        make("path", svg, { d: `M${x1 - 11} ${y1}L${x1} ${y1 - 11}L${x1 + 11} ${y1}L${x1} ${y1 + 11}Z`, style: paint });
        make("circle", svg, { cx: x0, cy: y0, r: 15, style: paint });
        make("text", svg, { x: x0, y: y0 + 7, "text-anchor": "middle", style: "font-size:20px;font-weight:700;fill:var(--sa-background)" }, NAMES[k]);
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

    drag(svg, {
      begin(event) {
        const at = inside(svg, event), grips = [0, 1, 2].flatMap((k) => [[k, "crown", crown(k)], [k, "shoulder", shoulder(k)]]);
        const away = ([, , [gx, gy]]) => Math.hypot(gx - at.x, gy - at.y), nearest = grips.reduce((a, b) => (away(b) < away(a) ? b : a));
        held = away(nearest) < GRIP ? { k: nearest[0], part: nearest[1], dx: nearest[2][0] - at.x, dy: nearest[2][1] - at.y } : null;
        frozen = top;
      },
      move(event) {
        if (!held) return;
        const at = inside(svg, event), { k, part } = held, u = (at.x + held.dx - 10) / pitch + 0.25;
        if (part === "crown") {
          wanted[k] = kappa[k] = clip(u, 0, [...text].length + 1);
          alpha[k] = clip((TOP - at.y - held.dy) / (TOP - 26) * top, 0, LOUD);
        } else beta[k] = clip(0.5 / Math.max(u - kappa[k], 1e-3) ** 2, ...BETA);
        draw();
      },
      end() {
        [held, frozen] = [null, 0];
        draw();
      },
    });
    input.addEventListener("input", () => {
      text = [...input.value].slice(0, LONGEST).join("");
      for (let k = 0; k < 3; k++) kappa[k] = Math.min(wanted[k], [...text].length + 1);
      draw();
    });
    draw();
  },
};
