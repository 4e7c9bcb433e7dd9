// The next character after any point of a text, at a temperature of the reader's choice.
// State: text, alphabet, logits (one row per character of text, from the network), position, temperature,
//        samples { "0.5": text } that the network wrote after the whole text.
import { button, make, numbers, random, slider, sum } from "./kit.js";

const shown = (c) => (c === "\n" ? "\u21b5" : c === " " ? "\u2423" : c);

function softmax(row, temperature) {
  const top = Math.max(...row);
  const raised = row.map((v) => Math.exp((v - top) / temperature));
  const total = sum(raised);
  return raised.map((v) => v / total);
}

export default {
  render({ model, el }) {
    const text = model.get("text");
    const alphabet = model.get("alphabet");
    const logits = model.get("logits");
    const samples = model.get("samples") ?? {};
    const temperatures = Object.keys(samples).sort((a, b) => a - b);
    const next = random(1);   // the same draws for everyone who presses as often
    let drawn = "";

    // The text, with a mark where the network stands. A click moves the mark; so does the slider.
    const line = make("p", el, { style: "font-family: monospace; font-size: 1.05em; overflow-wrap: anywhere; margin: 0.3em 0" });
    const letters = [...text].map((character, i) => {
      const span = make("span", line, { style: "cursor: pointer; white-space: pre-wrap" }, character === "\n" ? "\u21b5\n" : character);
      span.addEventListener("click", () => set("position", i));
      return span;
    });

    const controls = make("div", el, { class: "sa-controls" });
    const place = slider(controls, "Characters read", { min: 0, max: text.length - 1, step: 1 }, (v) => set("position", v));
    const heat = slider(controls, "Temperature", { min: 0.1, max: 2, step: 0.1 }, (v) => set("temperature", v));

    const chart = make("div", el, { role: "img" });
    const bars = Array.from({ length: 8 }, () => {
      const row = make("div", chart, { style: "display: flex; align-items: center; gap: 0.5em; height: 1.5em" });
      const name = make("span", row, { style: "font-family: monospace; width: 1.6em; text-align: center" });
      const bar = make("div", make("div", row, { style: "flex: 1; height: 0.9em" }), { style: "height: 100%; min-width: 1px" });
      const value = make("span", row, { style: "width: 4.4em; white-space: nowrap; text-align: right; font-variant-numeric: tabular-nums" });
      return { name, bar, value };
    });

    const note = make("p", el, { class: "sa-note", style: "margin: 0.4em 0" });
    const row = make("div", el, { class: "sa-row" });
    button(row, "Draw 40 times", () => {
      const p = softmax(logits[Number(model.get("position"))], Number(model.get("temperature")));
      drawn = Array.from({ length: 40 }, () => {
        let u = next();
        const i = p.findIndex((v) => (u -= v) < 0);
        return shown(alphabet[i < 0 ? p.length - 1 : i]);
      }).join("");
      draw();
    });
    const draws = make("output", row, { "aria-label": "characters drawn", style: "font-family: monospace; font-weight: normal; overflow-wrap: anywhere" });
    const title = make("p", el, { class: "sa-note", style: "margin: 0.6em 0 0" });
    const written = make("p", el, {
      style: "font-family: monospace; white-space: pre-wrap; overflow-wrap: anywhere; min-height: 6em; margin: 0.2em 0",
    });

    function draw() {
      const position = Number(model.get("position"));
      const temperature = Number(model.get("temperature"));
      const p = softmax(logits[position], temperature);
      const order = p.map((_, i) => i).sort((a, b) => p[b] - p[a] || a - b);
      const entropy = -sum(p.map((v) => (v > 0 ? v * Math.log2(v) : 0)));
      const truth = alphabet.indexOf(text[position]);
      const surprise = -Math.log2(p[truth]);

      letters.forEach((span, i) => {
        span.style.color = i < position ? "var(--sa-text)" : "var(--sa-muted)";
        span.style.borderLeft = i === position ? "3px solid var(--sa-vermillion)" : "none";
      });
      place.show(position);
      heat.show(temperature, temperature.toFixed(1));
      bars.forEach(({ name, bar, value }, i) => {
        const code = order[i];
        name.textContent = shown(alphabet[code]);
        name.style.fontWeight = code === truth ? "bold" : "normal";
        name.style.textDecoration = code === truth ? "underline" : "none";
        bar.style.width = `${100 * p[code]}%`;
        bar.style.background = code === truth ? "var(--sa-orange)" : "var(--sa-blue)";
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
      numbers(el, { position, temperature, entropy, surprise, probabilities: p, drawn });
    }

    function set(name, value) {
      drawn = "";
      model.set(name, value);
      model.save_changes();
    }

    model.on("change:position", draw);
    model.on("change:temperature", draw);
    draw();
  },
};
