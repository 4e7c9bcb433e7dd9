// What a printed figure of Graves becomes in our unit, if his steps over some length were left out before he measured his.
import { clip, make, menu, numbers, slider, sum } from "./kit.js";

const WIDTH = 580, HEIGHT = 210, LEFT = 28, RIGHT = 28, AXIS = 150, LOW = -1420, HIGH = -900;

// Log densities of T points in units of `from`, said in units of `to`: the same densities.
const rescaled = (nats, points, from, to) => nats + points * sum(from.map((s, k) => Math.log(s) - Math.log(to[k])));

// Bits for a point on the lattice of raw units: no unit is left in them.
const bits = (nats, points, std) => (nats / points + sum(std.map(Math.log))) / Math.LN2;

export default {
  render({ model, el }) {
    const figures = model.get("figures"), limits = model.get("limits"), std = model.get("std");
    const points = model.get("points"), ours = model.get("ours");
    let which = model.get("which"), place = model.get("place"), unit = 0;
    const x = (nats) => LEFT + (clip(nats, LOW, HIGH) - LOW) * (WIDTH - LEFT - RIGHT) / (HIGH - LOW);

    make("p", el, { class: "sa-note" }, "Move the limit: where does his figure land on our axis?");
    const svg = make("svg", el, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    make("line", svg, { x1: LEFT, x2: WIDTH - RIGHT, y1: AXIS, y2: AXIS, style: "stroke:currentColor" });
    for (let nats = -1400; nats <= -900; nats += 100) {
      make("line", svg, { x1: x(nats), x2: x(nats), y1: AXIS, y2: AXIS + 6, style: "stroke:currentColor" });
      make("text", svg, { x: x(nats), y: AXIS + 26, "text-anchor": "middle", style: "font-size:18px" }, String(nats).replace("-", "−"));
    }
    make("text", svg, { x: WIDTH / 2, y: HEIGHT - 8, "text-anchor": "middle" }, "nats a line, in our unit (lower is better)");
    const path = make("path", svg, { style: "fill:none;stroke:var(--sa-orange);stroke-width:2;stroke-dasharray:5 4" });
    const spread = make("rect", svg, { y: AXIS - 8, height: 16, style: "fill:var(--sa-blue);opacity:0.35" });
    const mine = make("circle", svg, { cy: AXIS, r: 7, style: "fill:var(--sa-blue)" });
    const printed = make("circle", svg, { cy: AXIS - 52, r: 7, style: "fill:none;stroke:var(--sa-orange);stroke-width:3" });
    const moved = make("circle", svg, { cy: AXIS - 52, r: 7, style: "fill:var(--sa-orange)" });
    const says = make("text", svg, { y: AXIS - 76, "text-anchor": "middle" });
    const name = make("text", svg, { y: AXIS - 20, "text-anchor": "middle" }, "ours");
    const status = make("div", el, { role: "status", class: "sa-equations" });

    const controls = make("div", el, { class: "sa-controls" });
    const choose = menu(controls, "figure", figures.map((f, k) => [k, `${f.what}: ${f.value}`]), (v) => { which = Number(v); draw(); });
    choose.value = which;
    const limit = slider(controls, "steps left out over", { min: 0, max: limits.length - 1, step: 1 }, (v) => { place = v; draw(); });
    const scale = slider(controls, "our unit, times", { min: -1, max: 1, step: 0.1 }, (v) => { unit = v; draw(); });
    make("p", el, { class: "sa-note" },
      "Ring: as printed. Dot: the same densities in our unit. Bar: ours and its standard error. The last slider makes our unit larger or smaller: " +
      "all dots move alike, and the bits stay.");

    function draw() {
      const figure = figures[which], his = limits[place], factor = 10 ** unit, to = std.map((s) => s * factor);
      const nats = rescaled(figure.value, points, his.std, to), own = rescaled(ours[figure.ours].value, points, std, to);
      const error = ours[figure.ours].error, shown = (v) => v.toFixed(0).replace("-", "−");
      limit.show(place, his.limit === null ? "nothing" : `${his.limit} units`);
      scale.show(unit, factor.toFixed(2));
      mine.setAttribute("cx", x(own));
      spread.setAttribute("x", x(own - error));
      spread.setAttribute("width", Math.max(1, x(own + error) - x(own - error)));
      printed.setAttribute("cx", x(figure.value));
      moved.setAttribute("cx", x(nats));
      path.setAttribute("d", `M${x(figure.value)} ${AXIS - 52}L${x(nats)} ${AXIS - 52}`);
      says.setAttribute("x", clip(x(nats), 90, WIDTH - 90));
      says.textContent = `Graves: ${shown(nats)}`;
      name.setAttribute("x", x(own));
      const perPoint = bits(figure.value, points, his.std), ownBits = bits(own, points, to);
      status.textContent = `${figure.value.toFixed(1).replace("-", "−")} printed is ${shown(nats)} nats a line in our unit, ${perPoint.toFixed(2)} bits a point on the raw lattice; ` +
        `ours ${shown(own)} and ${ownBits.toFixed(2)} bits`;
      svg.setAttribute("aria-label", `${status.textContent}.`);
      numbers(el, { nats, own, bits: perPoint, ownBits, limit: his.limit, factor });
    }

    draw();
  },
};
