// The reader's own text: how much each letter surprises the network, what it expects next, and how it would go on.
// State: text, and logits (a row for each beginning of it, from Python, so that the page opens without the network); net, its card;
// bits, what a letter of the held-out pages costs it; seed, temperature.
import { button, make, numbers, slider, sum } from "./kit.js";
import { lender } from "./machine.js";
import { ALPHABET, softmax } from "./net.js";

const LONGEST = 110, MORE = 90, BARS = 6, BIT = 1.7;      // signs typed, signs written, bars of the chart, pixels a bit
const shown = (c) => (c === "\n" ? "↵" : c);
const named = (c) => (c === " " ? "␣" : shown(c));

export default {
  render({ model, el }) {
    const net = model.get("net"), megabytes = `${(net.bytes / 1e6).toFixed(1)} MB`;
    const state = { text: model.get("text"), temperature: model.get("temperature") ?? 0.8, seed: model.get("seed") ?? 1, mark: 0 };
    // rows[k] = {code, logits}: after k signs; those beyond the text the network wrote itself
    let rows = model.get("logits").map((logits, k) => ({ code: k ? ALPHABET.indexOf(state.text[k - 1]) : -1, logits }));
    let awake = false, work = null, due = 0;
    state.mark = state.text.length;

    make("p", el, { class: "sa-note" }, "Type your own text: the network says how much each letter surprised it, and goes on.");
    const words = make("textarea", make("label", el, {}, "your text "), { rows: 2, maxlength: LONGEST, spellcheck: "false", autocomplete: "off",
      style: "display:block;width:100%;resize:none;font:inherit;padding:.3rem .5rem;border:1px solid var(--sa-muted);border-radius:6px;background:var(--sa-panel);color:var(--sa-text)" });
    const line = make("p", el, { style: "font-family:ui-monospace,monospace;font-size:.95rem;line-height:2.35;margin:.3rem 0 .2rem;cursor:pointer;overflow-wrap:anywhere;min-height:7rem" });
    const chart = make("div", el, { role: "img" });
    const bars = Array.from({ length: BARS }, () => {
      const row = make("div", chart, { style: "display:flex;align-items:center;gap:.5em;height:1.4em" });
      const name = make("span", row, { style: "font-family:ui-monospace,monospace;width:1.6em;text-align:center" });
      const bar = make("div", make("div", row, { style: "flex:1;height:.85em" }), { style: "height:100%;min-width:1px" });
      const value = make("span", row, { style: "width:4.4em;white-space:nowrap;text-align:right;font-variant-numeric:tabular-nums" });
      return { name, bar, value };
    });
    const row = make("div", el, { class: "sa-row" });
    const go = button(row, "Go on", () => run());
    button(row, "Other dice", () => { state.seed += 1; run(); });
    const dice = make("span", row, { class: "sa-note" });
    const controls = make("div", el, { style: "display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:.3rem 1rem" });
    const place = slider(controls, "mark after letter", { min: 0, step: 1 }, (k) => { state.mark = k; draw(); });
    const heat = slider(controls, "temperature", { min: 0.1, max: 2, step: 0.1 }, (t) => {
      state.temperature = t;
      draw();
      if (awake) run();
    });
    const said = make("p", el, { class: "sa-note", role: "status" });
    const heard = make("p", el, { class: "sa-note" });

    // ---- the network

    const lent = lender(net, (part) => { heard.textContent = `Fetching the network, ${megabytes}: ${Math.round(100 * part)} %.`; });

    async function run() {
      work?.stop();
      const mine = work = { stop() { this.stopped = true; } };
      try {
        if (!awake) el.dataset.state = "loading";
        const machine = await lent();
        if (mine.stopped) return;
        awake = true;
        el.dataset.state = "running";
        const codes = trim();
        let at = 0;
        const job = machine.run("goOn", { net: net.name, codes, temperature: state.temperature, seed: state.seed, count: MORE }, (one) => {
          rows[at] = one;
          at += 1;
          later();
        });
        mine.stop = () => { mine.stopped = true; job.stop(); };
        const { rate } = await job.done;
        if (mine.stopped) return;
        el.dataset.rate = Math.round(rate);
        el.dataset.state = "done";
        draw();
      } catch (error) {
        if (mine.stopped) return;
        el.dataset.state = "failed";
        heard.textContent = `It cannot read: ${error.message}. In Python, softattn.prediction does.`;
        console.warn(error);
      }
    }

    // Keep the rows of the beginning that stays, so that nothing is blanked which is still true; the codes of the text.
    function trim() {
      const codes = [...state.text].map((c) => ALPHABET.indexOf(c));
      let n = 1;
      while (n <= codes.length && rows[n]?.code === codes[n - 1]) n += 1;
      rows.length = Math.min(rows.length, n);
      return codes;
    }

    function typed() {
      state.text = [...words.value].filter((c) => ALPHABET.includes(c)).join("").slice(0, LONGEST);
      state.mark = state.text.length;
      trim();
      draw();
      run();
    }

    // ---- what is seen

    const letters = [];
    function letter(k, character, bits, written, marked) {               // touched only where something has changed
      const span = letters[k] ??= make("span", line, { style: "padding-bottom:1.15rem;background-repeat:no-repeat;background-position:0 1.35em" });
      const key = `${character}|${bits?.toFixed(2)}|${written}|${marked}`;
      if (span.dataset.key === key) return;
      span.dataset.key = key;
      span.textContent = shown(character);
      const ink = `var(--sa-${written ? "sky" : "orange"})`, high = bits === null ? 0 : Math.max(1, Math.min(10, bits) * BIT);
      span.style.backgroundImage = `linear-gradient(${ink}, ${ink})`;
      span.style.backgroundSize = `100% ${high.toFixed(1)}px`;
      span.style.color = written ? "var(--sa-muted)" : "var(--sa-text)";
      span.style.boxShadow = marked ? "inset 2px 0 0 var(--sa-vermillion)" : "none";
    }
    line.addEventListener("click", ({ target }) => {
      const k = letters.indexOf(target);
      if (k < 0) return;
      state.mark = k;
      draw();
    });

    function later() {
      due ||= requestAnimationFrame(() => {
        due = 0;
        draw();
      });
    }

    const surprise = (k, code) => (rows[k] ? -Math.log2(softmax(Array.from(rows[k].logits))[code]) : null);

    function draw() {
      const N = state.text.length, own = [...state.text].map((c) => ALPHABET.indexOf(c));
      const codes = [...own, ...rows.slice(N + 1).map((one) => one.code)];
      const mark = Math.min(state.mark, codes.length, rows.length - 1);          // what is not read yet has no expectation
      const bits = codes.map((code, k) => surprise(k, code));
      codes.forEach((code, k) => letter(k, ALPHABET[code], bits[k], k >= N, k === mark));
      if (mark === codes.length) letter(codes.length, "▁", null, true, true);
      const keep = codes.length + (mark === codes.length);
      for (const old of letters.splice(keep)) old.remove();

      const p = softmax(Array.from(rows[mark].logits, (v) => v / state.temperature)), truth = codes[mark] ?? -1;
      const order = p.map((_, i) => i).sort((a, b) => p[b] - p[a] || a - b);
      bars.forEach(({ name, bar, value }, i) => {
        const code = order[i];
        name.textContent = named(ALPHABET[code]);
        name.style.fontWeight = code === truth ? "bold" : "normal";
        name.style.textDecoration = code === truth ? "underline" : "none";
        bar.style.width = `${100 * p[code]}%`;
        bar.style.background = code === truth ? "var(--sa-orange)" : "var(--sa-blue)";
        value.textContent = `${(100 * p[code]).toFixed(1)} %`;
      });
      const best = order.slice(0, 3).map((i) => `${named(ALPHABET[i])} ${(100 * p[i]).toFixed(0)} %`).join(", ");
      chart.setAttribute("aria-label", `Likeliest next letters: ${best}`);

      place.input.max = Math.max(1, Math.min(codes.length, rows.length - 1));
      place.show(mark);
      heat.show(state.temperature, state.temperature.toFixed(1));
      dice.textContent = `seed ${state.seed}`;
      const known = bits.slice(0, N).filter((b) => b !== null), mean = known.length ? sum(known) / known.length : 0;
      const entropy = -sum(p.map((v) => (v > 0 ? v * Math.log2(v) : 0)));
      const one = truth < 0 ? "" : `“${named(ALPHABET[truth])}” at the mark: ${bits[mark].toFixed(2)} bits. `;
      const whole = known.length ? `Your ${N} letters: ${mean.toFixed(2)} bits each` : "Nothing typed yet";
      const odd = [...new Set(words.value)].filter((c) => !ALPHABET.includes(c)).slice(0, 5).join(" ");
      said.textContent = `${one}${whole}; held-out pages of this book: ${model.get("bits").toFixed(2)}.${odd ? ` It has no sign for ${odd}: left out.` : ""}`;
      if (el.dataset.state !== "loading" && el.dataset.state !== "failed") {
        heard.textContent = awake ? `Orange: bits of surprise. Blue: what the network wrote${el.dataset.rate ? `, at ${Number(el.dataset.rate).toLocaleString("en")} letters a second` : ""}.`
          : `Orange: bits of surprise. Type, or press Go on: the network, ${megabytes}, is fetched once. Licence: ${net.licence}.`;
      }
      numbers(el, { text: state.text, mark, temperature: state.temperature, seed: state.seed, entropy, bits, mean, probabilities: p,
        written: codes.slice(N).map((code) => ALPHABET[code]).join("") });
    }

    words.value = state.text;
    words.addEventListener("input", typed);
    words.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) go.click();
    });
    el.dataset.state = "idle";
    draw();
    return () => work?.stop();
  },
};
