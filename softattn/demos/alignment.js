// A translated date: point at an output character, and the input characters that it looked at light up.
import { make, menu, numbers, slider } from "./kit.js";

function render({ model, el }) {
  const items = model.get("items");                                  // {source, output, weights: [sign][letter]}
  const state = { item: 0, sign: model.get("sign") ?? 0 };
  const glyph = "display:inline-block;min-width:.66em;padding:.1em 0;text-align:center;white-space:pre;border-radius:3px;";
  const font = "font-size:clamp(1rem, 3.9vw, 1.35rem);line-height:1.9;font-family:ui-monospace,monospace;";

  make("p", el, { class: "sa-note" }, "Point at a sign of the answer: the letters that it was read from light up.");
  menu(el, "date", items.map((item, k) => [k, item.source]), (k) => { state.item = Number(k); build(); });
  make("p", el, { class: "sa-note" }, "what was read");
  const input = make("div", el, { style: font, role: "img" });
  make("p", el, { class: "sa-note" }, "what was written: point at a sign");
  const output = make("div", el, { style: font + "cursor:pointer;touch-action:pan-y" });
  const place = slider(el, "output sign", { min: 0, step: 1 }, (t) => { state.sign = t; draw(); });
  const said = make("p", el, { class: "sa-note", role: "status" });

  let letters = [], signs = [];
  function build() {
    const item = items[state.item];
    input.replaceChildren();
    output.replaceChildren();
    letters = [...item.source].map((c) => make("span", input, { style: glyph }, c));
    signs = [...item.output].map((c, t) => {
      const node = make("span", output, { style: glyph + "min-width:1em" }, c);
      for (const event of ["pointerenter", "pointerdown"]) node.addEventListener(event, () => { state.sign = t; draw(); });
      return node;
    });
    place.input.max = signs.length - 1;
    state.sign = Math.min(state.sign, signs.length - 1);
    draw();
  }

  function draw() {
    const item = items[state.item];
    const weights = item.weights[state.sign];
    let best = 0;
    weights.forEach((w, u) => {
      if (w > weights[best]) best = u;
      letters[u].style.background = `color-mix(in srgb, var(--sa-orange) ${(85 * w).toFixed(1)}%, transparent)`;
      letters[u].style.boxShadow = w > 0.02 ? `inset 0 -${(0.08 + 0.3 * w).toFixed(3)}em 0 var(--sa-blue)` : "none";
    });
    signs.forEach((node, t) => {
      node.style.boxShadow = t === state.sign ? "inset 0 0 0 2px var(--sa-blue)" : "none";
      node.style.fontWeight = t === state.sign ? "700" : "400";
    });
    place.show(state.sign, `${state.sign + 1}: ${item.output[state.sign]}`);
    const words = `To write ${item.output[state.sign]} it gave ${(100 * weights[best]).toFixed(0)} % of its weight to “${item.source[best]}”, letter ${best + 1}.`;
    said.textContent = words;
    input.setAttribute("aria-label", `${item.source}. ${words}`);
    numbers(el, { item: state.item, sign: state.sign, best, weights });
  }

  build();
}

export default { render };
