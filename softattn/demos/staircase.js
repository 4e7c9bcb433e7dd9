// Move the bias of the step: a window with one bell walks along a line whose letters are known; arrows are the gradient of each step.
import { button, clip, make, numbers, slider, sum } from "./kit.js";

const WIDTH = 640, HEIGHT = 270, LEFT = 34, TOP = 8, BOTTOM = 30, DEAF = 1e-6, ARROWS = 28;

// Graves' eq. 46, 47 and 51 with one bell of alpha 1, along all steps; the loss asks for the letter of each point. With its
// gradient with respect to each step's own kappa-hat, backwards: eq. window-dphi, window-dkappa and window-dback.
function walk(letters, truth, beta, bias) {
  const codes = letters.map((letter) => letters.indexOf(letter)), step = Math.exp(bias), steps = [];
  let kappa = 0, loss = 0;
  for (const at of truth) {
    kappa += step;
    const phi = letters.map((_, i) => Math.exp(-beta * (kappa - i - 1) ** 2)), off = letters.map(() => 0);
    phi.forEach((p, i) => { off[codes[i]] += p; });
    off[codes[at]] -= 1;  // w minus the vector of the right letter
    loss += sum(off.map((v) => v * v));
    steps.push({ kappa, phi, slope: sum(phi.map((p, i) => 2 * off[codes[i]] * p * -2 * beta * (kappa - i - 1))) });
  }
  let heard = 0;
  for (const one of steps.toReversed()) {
    heard += one.slope;          // handed on undiminished
    one.pull = -heard * step;    // where this step's kappa-hat should go
  }
  return { steps, loss };
}

export default {
  render({ model, el }) {
    const letters = [...model.get("text")], truth = model.get("truth"), beta = model.get("beta");
    const T = truth.length, U = letters.length, pitch = (WIDTH - LEFT) / T, rise = (HEIGHT - TOP - BOTTOM) / (U + 1);
    let bias = model.get("bias"), stride = 0.3, before = 0;
    const x = (t) => LEFT + (t + 0.5) * pitch, y = (u) => HEIGHT - BOTTOM - u * rise;

    make("p", el, { class: "sa-note" }, "Move the bias: where does the window walk, and who tells it to go faster or slower?");
    const svg = make("svg", el, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    const cells = truth.map((_, t) => letters.map((_, i) => make("rect", svg,
      { x: x(t) - pitch / 2, y: y(i + 1.5), width: pitch + 0.3, height: rise, style: "fill:var(--sa-sky)" })));
    letters.forEach((letter, i) => make("text", svg, { x: LEFT - 8, y: y(i + 1) + 6, "text-anchor": "end", style: "font-size:20px" }, letter === " " ? "␣" : letter));
    make("text", svg, { x: WIDTH - 4, y: HEIGHT - 8, "text-anchor": "end", style: "font-size:20px" }, "points of the pen, in time");
    let top = -1, stairs = "";
    truth.forEach((at, t) => {
      if (at < top) make("circle", svg, { cx: x(t), cy: y(at + 1), r: 2.2, style: "fill:var(--sa-text, currentColor)" });
      else stairs += `${stairs ? "L" : "M"}${x(t).toFixed(1)} ${y(at + 1).toFixed(1)}`;
      top = Math.max(top, at);
    });
    make("path", svg, { d: stairs, style: "fill:none;stroke:currentColor;stroke-width:2" });
    const place = make("path", svg, { style: "fill:none;stroke:var(--sa-blue);stroke-width:3;stroke-dasharray:7 4" });
    const arrows = make("g", svg);
    const status = make("div", el, { role: "status", class: "sa-equations" });

    const controls = make("div", el, { class: "sa-controls" });
    const move = slider(controls, "bias of κ̂", { min: -7, max: 1, step: 0.1 }, (v) => { [bias, stride, before] = [v, 0.3, 0]; draw(); });
    button(controls, "One step along the arrows", () => {
      const total = sum(found.steps.map((one) => one.pull));
      if (total * before < 0) stride /= 2; // it went too far
      bias = clip(bias + clip(0.02 * total, -stride, stride), -7, 1);
      before = total;
      draw();
    });
    make("p", el, { class: "sa-note" },
      "Solid: the letter of each point; dots: late strokes. Dashed: the place κ. Shade: the weights φ. Arrow up: this step should have been longer; " +
      "arrow down: shorter; a dot: deaf, nothing that the loss says arrives there.");

    let found = null;
    function draw() {
      found = walk(letters, truth, beta, bias);
      const { steps, loss } = found, largest = Math.max(DEAF, ...steps.map((one) => Math.abs(one.pull)));
      steps.forEach((one, t) => one.phi.forEach((p, i) => cells[t][i].setAttribute("fill-opacity", p.toFixed(3))));
      const inside = steps.map((one) => Math.min(one.kappa, U + 1));
      place.setAttribute("d", "M" + inside.map((u, t) => `${x(t).toFixed(1)} ${y(u).toFixed(1)}`).join("L"));
      arrows.replaceChildren();
      for (let n = 0; n < ARROWS; n++) {
        const t = Math.floor(((n + 0.5) * T) / ARROWS), at = y(inside[t]), pull = steps[t].pull;
        if (Math.abs(pull) < DEAF) {
          make("circle", arrows, { cx: x(t), cy: at, r: 4, style: "fill:none;stroke:var(--sa-vermillion);stroke-width:2" });
          continue;
        }
        const end = at - Math.sign(pull) * (8 + (34 * Math.abs(pull)) / largest), back = Math.sign(pull) * 6;
        make("path", arrows, {
          d: `M${x(t)} ${at}L${x(t)} ${end}M${x(t) - 4} ${end + back}L${x(t)} ${end}L${x(t) + 4} ${end + back}`,
          style: "fill:none;stroke:var(--sa-vermillion);stroke-width:2",
        });
      }
      const deaf = steps.filter((one) => Math.abs(one.pull) < DEAF).length, total = sum(steps.map((one) => one.pull));
      const end = steps[T - 1].kappa, asks = Math.abs(total) < DEAF ? "nothing" : total > 0 ? "a larger bias" : "a smaller bias";
      move.show(bias, bias.toFixed(1));
      status.textContent = `κ ends at ${end.toFixed(1)} of ${U} letters; deaf steps: ${deaf} of ${T}; loss ${loss.toFixed(1)}; all steps together ask for ${asks}`;
      svg.setAttribute("aria-label", `Bias ${bias.toFixed(1)}: ${status.textContent}.`);
      numbers(el, { bias, loss, deaf, total, kappa: end, pull: steps.map((one) => one.pull), last: steps[T - 1].phi });
    }

    draw();
  },
};
