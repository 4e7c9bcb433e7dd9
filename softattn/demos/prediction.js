// The next character after any point of a text, at a temperature of the reader's choice.
// State: text, alphabet, logits (one row per character of text, from the network), position, temperature,
//        samples { "0.5": text } that the network wrote after the whole text.

const shown = (c) => (c === "\n" ? "\u21b5" : c === " " ? "\u2423" : c);

function softmax(row, temperature) {
  const top = Math.max(...row);
  const raised = row.map((v) => Math.exp((v - top) / temperature));
  const sum = raised.reduce((a, b) => a + b, 0);
  return raised.map((v) => v / sum);
}

function make(tag, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

function slider(caption, attributes) {
  const label = make("label", {}, caption + " ");
  const output = make("b");
  const input = make("input", { type: "range", ...attributes });
  label.append(output, input);
  return { label, output, input };
}

export default {
  render({ model, el }) {
    const text = model.get("text");
    const alphabet = model.get("alphabet");
    const logits = model.get("logits");
    const samples = model.get("samples") ?? {};
    const temperatures = Object.keys(samples).sort((a, b) => a - b);
    let seed = 1;
    let drawn = "";

    // The text, with a mark where the network stands. A click moves the mark; so does the slider.
    const line = make("p", { style: "font-family: monospace; font-size: 1.05em; overflow-wrap: anywhere; margin: 0.3em 0" });
    const letters = [...text].map((character, i) => {
      const span = make("span", { style: "cursor: pointer; white-space: pre-wrap" }, character === "\n" ? "\u21b5\n" : character);
      span.addEventListener("click", () => set("position", i));
      line.append(span);
      return span;
    });

    const controls = make("div", { class: "sa-controls" });
    const place = slider("Characters read", { min: 0, max: text.length - 1, step: 1 });
    const heat = slider("Temperature", { min: 0.1, max: 2, step: 0.1 });
    controls.append(place.label, heat.label);

    const chart = make("div", { role: "img" });
    const bars = Array.from({ length: 8 }, () => {
      const row = make("div", { style: "display: flex; align-items: center; gap: 0.5em; height: 1.5em" });
      const name = make("span", { style: "font-family: monospace; width: 1.6em; text-align: center" });
      const track = make("div", { style: "flex: 1; height: 0.9em" });
      const bar = make("div", { style: "height: 100%; min-width: 1px" });
      const value = make("span", { style: "width: 4.4em; white-space: nowrap; text-align: right; font-variant-numeric: tabular-nums" });
      track.append(bar);
      row.append(name, track, value);
      chart.append(row);
      return { name, bar, value };
    });

    const note = make("p", { class: "sa-note", style: "margin: 0.4em 0" });
    const row = make("div", { class: "sa-row" });
    const button = make("button", { type: "button" }, "Draw 40 times");
    const draws = make("output", { "aria-label": "characters drawn", style: "font-family: monospace; font-weight: normal; overflow-wrap: anywhere" });
    row.append(button, draws);
    const title = make("p", { class: "sa-note", style: "margin: 0.6em 0 0" });
    const written = make("p", {
      style: "font-family: monospace; white-space: pre-wrap; overflow-wrap: anywhere; min-height: 6em; margin: 0.2em 0",
    });
    el.append(line, controls, chart, note, row, title, written);

    const random = () => {
      // mulberry32: the same draws for everyone who presses as often
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };

    function draw() {
      const position = Number(model.get("position"));
      const temperature = Number(model.get("temperature"));
      const p = softmax(logits[position], temperature);
      const order = p.map((_, i) => i).sort((a, b) => p[b] - p[a] || a - b);
      const entropy = -p.reduce((sum, v) => sum + (v > 0 ? v * Math.log2(v) : 0), 0);
      const next = alphabet.indexOf(text[position]);
      const surprise = -Math.log2(p[next]);

      letters.forEach((span, i) => {
        span.style.color = i < position ? "var(--sa-text)" : "var(--sa-muted)";
        span.style.borderLeft = i === position ? "3px solid var(--sa-vermillion)" : "none";
      });
      place.input.value = position;
      place.output.textContent = position;
      heat.input.value = temperature;
      heat.output.textContent = temperature.toFixed(1);
      bars.forEach(({ name, bar, value }, i) => {
        const code = order[i];
        name.textContent = shown(alphabet[code]);
        name.style.fontWeight = code === next ? "bold" : "normal";
        name.style.textDecoration = code === next ? "underline" : "none";
        bar.style.width = `${100 * p[code]}%`;
        bar.style.background = code === next ? "var(--sa-orange)" : "var(--sa-blue)";
        value.textContent = `${(100 * p[code]).toFixed(1)} %`;
      });
      const best = order.slice(0, 3).map((i) => `${shown(alphabet[i])} ${(100 * p[i]).toFixed(0)} %`).join(", ");
      chart.setAttribute("aria-label", `Likeliest next characters: ${best}`);
      note.textContent =
        `The text goes on with ${shown(text[position])} (underlined): surprise ${surprise.toFixed(2)} bits. ` +
        `The distribution as a whole holds ${entropy.toFixed(2)} bits.`;
      draws.textContent = drawn;
      let nearest = temperatures[0];
      for (const t of temperatures) if (Math.abs(t - temperature) < Math.abs(nearest - temperature) - 1e-9) nearest = t;
      title.textContent = nearest === undefined ? "" : `Written by the network after the whole line, at temperature ${nearest}:`;
      written.textContent = nearest === undefined ? "" : samples[nearest];
      el.dataset.numbers = JSON.stringify({ position, temperature, entropy, surprise, probabilities: p, drawn });
    }

    function set(name, value) {
      drawn = "";
      model.set(name, value);
      model.save_changes();
    }

    place.input.addEventListener("input", () => set("position", Number(place.input.value)));
    heat.input.addEventListener("input", () => set("temperature", Number(heat.input.value)));
    button.addEventListener("click", () => {
      const p = softmax(logits[Number(model.get("position"))], Number(model.get("temperature")));
      drawn = Array.from({ length: 40 }, () => {
        let u = random();
        const i = p.findIndex((v) => (u -= v) < 0);
        return shown(alphabet[i < 0 ? p.length - 1 : i]);
      }).join("");
      draw();
    });
    model.on("change:position", draw);
    model.on("change:temperature", draw);
    draw();
  },
};
