// A translated date: point at an output character, and the input characters that it looked at light up.

function make(tag, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

function render({ model, el }) {
  const items = model.get("items");                                  // {source, output, weights: [sign][letter]}
  const state = { item: 0, sign: model.get("sign") ?? 0 };
  const glyph = "display:inline-block;min-width:.66em;padding:.1em 0;text-align:center;white-space:pre;border-radius:3px;";

  const pick = make("label", {}, "date ");
  const select = make("select", { style: "max-width:100%" });
  items.forEach((item, k) => select.append(make("option", { value: k }, item.source)));
  pick.append(select);
  const font = "font-size:clamp(1rem, 3.9vw, 1.35rem);line-height:1.9;font-family:ui-monospace,monospace;";
  const input = make("div", { style: font, role: "img" });
  const output = make("div", { style: font + "cursor:pointer;touch-action:pan-y" });
  const label = make("label", {}, "output sign ");
  const value = make("b");
  const slider = make("input", { type: "range", min: 0, step: 1 });
  label.append(value, slider);
  const said = make("p", { class: "sa-note", role: "status" });
  el.append(pick, make("p", { class: "sa-note" }, "what was read"), input, make("p", { class: "sa-note" }, "what was written: point at a sign"), output, label, said);

  let letters = [], signs = [];
  function build() {
    const item = items[state.item];
    letters = [...item.source].map((c) => make("span", { style: glyph }, c));
    signs = [...item.output].map((c, t) => {
      const node = make("span", { style: glyph + "min-width:1em" }, c);
      for (const event of ["pointerenter", "pointerdown"]) node.addEventListener(event, () => { state.sign = t; draw(); });
      return node;
    });
    input.replaceChildren(...letters);
    output.replaceChildren(...signs);
    slider.max = signs.length - 1;
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
    slider.value = state.sign;
    value.textContent = `${state.sign + 1}: ${item.output[state.sign]}`;
    const words = `To write ${item.output[state.sign]} it gave ${(100 * weights[best]).toFixed(0)} % of its weight to “${item.source[best]}”, letter ${best + 1}.`;
    said.textContent = words;
    input.setAttribute("aria-label", `${item.source}. ${words}`);
    el.dataset.numbers = JSON.stringify({ item: state.item, sign: state.sign, best, weights });
  }

  select.addEventListener("change", () => { state.item = Number(select.value); build(); });
  slider.addEventListener("input", () => { state.sign = Number(slider.value); draw(); });
  build();
}

export default { render };
