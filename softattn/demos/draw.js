// Pictures in the making, canvas by canvas: what stands after each step, where it wrote (solid box) and looked (dashed box).
// State: films [{title, frames: T rows of rows * columns numbers 0..255 (probability of ink), write and read: T boxes
// [centre x, centre y, width, height] in pixels from 0, or null, kl: T nats or null}], rows, columns; film and step (from 1), if given;
// net, the card of weights that paint another digit here, and seed; example, offsets of a digit: then there is a pad for the reader's own.

import { Pad, onPad, rasterise } from "./ink.js";
import { button, clip, colour, make, menu, numbers, share, slider, still, sum, themed } from "./kit.js";
import { lender } from "./machine.js";

const MARGIN = 2, SIDE = 320;      // pixels around a picture; units of the pad

export default {
  render({ model, el }) {
    const films = [...model.get("films")], net = model.get("net"), rows = model.get("rows"), columns = model.get("columns");
    const film = () => films[state.film], last = () => film().frames.length;
    const state = { film: model.get("film") ?? 0, step: 1 };
    state.step = clip(model.get("step") ?? last(), 1, last());

    const box = make("div", el), example = model.get("example"), pair = "display: grid; grid-template-columns: 1fr 1fr; gap: 0.6rem; max-width: 40rem; margin: 0 auto";
    const told = example ? "Draw a digit on the left, press Paint mine: the network looks at it, and paints it again. Or watch how others came about."
      : "Press Play, or step through the picture in the making.";
    make("p", box, { class: "sa-note" }, told);
    const sheets = example ? make("div", box, { style: pair }) : null;
    const pad = example ? new Pad(sheets, { wide: SIDE, high: SIDE, words: "Draw a digit", thick: 20, heard: (what) => drawn(what) }) : null;
    const frame = make("div", box, { style: "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 0.6rem 1.4rem; align-items: start" });
    const zoom = Math.max(4, Math.floor(800 / (Math.max(rows, columns) + 2 * MARGIN)));    // device pixels for each pixel
    const canvas = make("canvas", sheets ?? frame, { role: "img", width: (columns + 2 * MARGIN) * zoom, height: (rows + 2 * MARGIN) * zoom });
    Object.assign(canvas.style, { width: "100%", maxWidth: "26rem", justifySelf: "center", display: "block" });
    const small = make("canvas");
    [small.width, small.height] = [columns, rows];
    const side = make("div", frame);

    const keys = make("div", side, { class: "sa-row sa-note" });
    const legend = (line, text) => {
      const key = make("span", keys, { style: "display: inline-flex; align-items: center; gap: 0.4rem" });
      make("span", key, { "aria-hidden": "true", style: `width: 1.5rem; height: 0.9rem; border: 3px ${line}` });
      make("span", key, {}, text);
      return key;
    };
    const writes = legend("solid var(--sa-orange)", "writes here"), reads = legend("dashed var(--sa-blue)", "looks here");

    const controls = make("div", side, { class: "sa-controls" });
    const chooser = films.length < 2 && !net ? null : menu(controls, "film", films.map((one, k) => [k, one.title]), (k) => {
      stop();
      state.film = Number(k);
      state.step = Math.min(state.step, last());
      choose();
    });
    const steps = slider(controls, "step", { min: 1, step: 1 }, (step) => go(step));
    const live = net ? make("div", side, { class: "sa-row" }) : null;
    if (pad) {
      button(live, "Paint mine", () => mine());
      button(live, "Undo", () => pad.undo());
      button(live, "Clear", () => pad.clear());
      button(live, "Example", () => pad.play(onPad(example, SIDE, SIDE).strokes));
    }
    if (net) button(live, "Another digit", () => another());
    const heard = make("span", live, { class: "sa-note", role: "status" }, net ? `The network paints here; its weights, ${(net.bytes / 1e6).toFixed(1)} MB, are fetched once.` : "");
    const buttons = make("div", side, { class: "sa-row" });
    const back = button(buttons, "◀", () => go(state.step - 1), { "aria-label": "previous step" });
    const on = button(buttons, "▶", () => go(state.step + 1), { "aria-label": "next step" });
    const play = button(buttons, "Play", () => {
      if (timer !== null) return go(state.step);
      if (still()) return go(last());                                                      // straight to the end
      if (state.step === last()) state.step = 1;
      play.textContent = "Stop";
      note.setAttribute("aria-live", "off");                                               // no reader hears each frame
      timer = setInterval(() => {
        if (!el.isConnected) return stop();
        state.step += 1;
        if (state.step >= last()) return go(last());
        return show();
      }, clip(6000 / last(), 90, 400));
      show();
      return undefined;
    });
    play.style.minWidth = "4.5rem";

    const nats = make("div", side);
    const title = make("div", nats, { class: "sa-note" });
    const bars = make("svg", nats, { role: "img", viewBox: "0 0 640 150", preserveAspectRatio: "none" });
    Object.assign(bars.style, { width: "100%", height: "5.5rem", display: "block", cursor: "pointer" });
    const note = make("p", side, { class: "sa-note", role: "status" });

    let timer = null;
    function stop() {
      clearInterval(timer);
      timer = null;
      play.textContent = "Play";
      note.setAttribute("aria-live", "polite");
    }
    function go(step) {
      stop();
      state.step = clip(step, 1, last());
      show();
    }
    let marks = [], pointer = null;
    const place = (t) => [(640 * t) / last(), 640 / last()];
    function choose() {
      const { kl, write, read } = film(), T = last();
      steps.input.max = T;
      steps.input.disabled = T === 1;
      if (chooser) chooser.value = state.film;
      writes.style.display = write ? "inline-flex" : "none";
      reads.style.display = read ? "inline-flex" : "none";
      keys.style.display = write || read ? "" : "none";
      nats.style.display = kl ? "" : "none";
      bars.replaceChildren();
      if (kl) {
        const most = Math.max(...kl, 1e-9);
        make("line", bars, { x1: 0, x2: 640, y1: 130, y2: 130, style: "stroke: var(--sa-line)" });
        marks = kl.map((nat, t) => {
          const [x, wide] = place(t), tall = (124 * Math.max(0, nat)) / most;
          return make("rect", bars, { x: x + 0.1 * wide, width: 0.8 * wide, y: 130 - tall, height: tall });
        });
        pointer = make("path", bars, { style: "fill: var(--sa-text)" });
      }
      show();
    }
    bars.addEventListener("click", (event) => go(1 + Math.floor(share(bars, event)[0] * last())));

    function outline(g, [x, y, width, height], colour, dashed) {
      const at = [(x + 0.5 - width / 2 + MARGIN) * zoom, (y + 0.5 - height / 2 + MARGIN) * zoom, width * zoom, height * zoom];
      g.setLineDash(dashed ? [18, 12] : []);
      for (const [thick, paint] of [[11, "rgba(0, 0, 0, 0.55)"], [6, colour]]) {           // a dark rim: it shows on white ink too
        g.lineWidth = thick;
        g.strokeStyle = paint;
        g.strokeRect(...at);
      }
    }

    function show() {
      const { frames, kl, bits, write, read, title: name, given } = film(), t = state.step - 1, T = last(), pixels = frames[t];
      const g = canvas.getContext("2d"), s = small.getContext("2d");
      const image = s.createImageData(columns, rows);
      pixels.forEach((level, p) => image.data.set([level, level, level, 255], 4 * p));
      s.putImageData(image, 0, 0);
      g.fillStyle = colour(el, "panel");
      g.fillRect(0, 0, canvas.width, canvas.height);
      g.imageSmoothingEnabled = false;
      g.drawImage(small, MARGIN * zoom, MARGIN * zoom, columns * zoom, rows * zoom);
      if (write) outline(g, write[t], colour(el, "orange"), false);
      if (read) outline(g, read[t], colour(el, "blue"), true);
      if (pad) aim(film());
      steps.show(state.step, `${state.step} of ${T}`);
      for (const [end, at] of [[back, t === 0], [on, state.step === T]]) {                  // disabled, a button would lose the focus
        end.setAttribute("aria-disabled", at);
        end.style.opacity = at ? 0.5 : 1;
      }
      const ink = sum(pixels) / 255, told = kl ? sum(kl.slice(0, state.step)) : null, total = kl ? sum(kl) : null;
      if (kl) {
        title.textContent = `KL of each step; this one: ${kl[t].toFixed(2)} nats`;
        marks.forEach((mark, k) => { mark.style.fill = k === t ? "var(--sa-orange)" : "var(--sa-sky)"; });
        const [x, wide] = place(t), middle = x + wide / 2;
        pointer.setAttribute("d", `M${middle} 133l9 16h-18z`);
        bars.setAttribute("aria-label", `Bars: KL of each of ${T} steps, at most ${Math.max(...kl).toFixed(2)} nats; step ${state.step} has ${kl[t].toFixed(2)}.`);
      }
      const where = (b) => `${b[2].toFixed(1)} by ${b[3].toFixed(1)} pixels around ${b[0].toFixed(1)}, ${b[1].toFixed(1)}`;
      const parts = [`Ink: ${ink.toFixed(1)} pixels' worth.`];
      if (kl) parts.push(`Told so far: ${told.toFixed(1)} of ${total.toFixed(1)} nats.`);
      if (bits) parts.push(`With this canvas, its pixels would cost ${bits[t].toFixed(1)} more.`);
      note.textContent = parts.join(" ");
      canvas.setAttribute("aria-label", `${name}: the canvas after step ${state.step} of ${T}.`
        + (write ? ` It wrote ${where(write[t])}.` : "") + (read ? ` It looked at ${where(read[t])}.` : ""));
      numbers(el, {
        film: state.film, title: name, step: state.step, steps: T, ink, kl: kl ? kl[t] : null, kl_so_far: told, kl_total: total,
        write: write ? write[t] : null, read: read ? read[t] : null, playing: timer !== null,
        ...(given && { given: Array.from(given), bits: bits[t], strokes: pad.strokes }),
      });
    }

    // The network at work here, from noise of a seed. What comes later stops what goes on.
    let awake = false, seed = model.get("seed") ?? 1, work = null, own = null;
    function enter(state, words) {
      el.dataset.state = state;
      heard.textContent = words;
    }
    const lent = net && lender(net, (part) => { heard.textContent = `Fetching the weights: ${Math.round(100 * part)} %.`; });
    async function paint(film, args) {
      work?.stop();
      stop();
      const now = work = { stop() {} };
      try {
        if (!awake) enter("loading", "Fetching the weights.");
        const machine = await lent();
        awake = true;
        if (work !== now) return;
        enter("running", "Painting.");
        const seen = [], run = machine.run("paint", { net: net.name, ...args }, (step) => seen.push(step));
        now.stop = () => run.stop();
        const { rate } = await run.done;
        if (work === now) premiere({ ...film, seen }, rate);
      } catch (error) {
        enter("failed", `It cannot paint: ${error.message}.`);
        console.warn(error);
      }
    }
    function premiere({ seen, ...film }, rate) {
      stop();
      const of = (name) => (seen[0][name] === undefined ? null : seen.map((step) => step[name]));
      const at = film.given && own !== null ? own : films.length;
      if (at === films.length) make("option", chooser, { value: at }, film.title);
      if (film.given) own = at;
      films[at] = { ...film, frames: of("frame"), write: of("write"), read: of("read"), kl: of("kl"), bits: of("bits") };
      [state.film, state.step] = [at, 1];
      choose();
      el.dataset.rate = Math.round(rate);
      enter("done", `${seen.length} steps, computed at ${Math.round(rate)} a second.`);
      play.click();
    }
    const another = () => paint({ title: `painted here, seed ${seed}` }, { seed: seed++ });

    // The reader's own digit, in pixels as the network gets it; once it is awake, it paints after each stroke.
    const grid = pad && make("path", pad.under, { style: "fill:var(--sa-lit)" });
    const looked = pad && make("rect", pad.under, { fill: "none", "stroke-width": 4, "stroke-dasharray": "12 8", style: "stroke:var(--sa-blue)", visibility: "hidden" });
    let laid = null;
    function drawn(what) {
      looked.setAttribute("visibility", "hidden");
      if (what === "down") stop();
      if (what === "down" || what === "move") return;
      laid = pad.strokes.length ? rasterise(pad.strokes) : null;
      const lit = laid ? [...laid.ink.keys()].filter((k) => laid.ink[k] > 0.5) : [], side = laid ? 1 / laid.scale : 0;
      grid.setAttribute("d", lit.map((k) => `M${laid.place(k % columns - 0.5, Math.floor(k / columns) - 0.5)}h${side}v${side}h${-side}z`).join(""));
      if (what === "up" && awake) mine();
    }
    function mine() {
      if (!laid) return enter(el.dataset.state, "The pad is empty: draw a digit first, or press Example.");
      const given = laid.ink.map((v) => (v > 0.5 ? 1 : 0));
      return paint({ title: "yours, painted again", given, laid }, { seed: 1, image: given });
    }
    // Where this step looked, on the reader's own drawing.
    function aim({ laid: there, read }) {
      if (!there || there !== laid) return looked?.setAttribute("visibility", "hidden");
      const [cx, cy, wide, high] = read[state.step - 1], [x, y] = laid.place(cx - wide / 2, cy - high / 2);
      const found = { x, y, width: wide / laid.scale, height: high / laid.scale, visibility: "visible" };
      for (const [name, value] of Object.entries(found)) looked.setAttribute(name, value);
      return undefined;
    }

    const unwatch = themed(show);
    choose();
    if (net) el.dataset.state = "idle";
    return () => { stop(); unwatch(); };
  },
};
