// Where the networks of net.js and readers.js work, and how their weights come: in a worker where there is one, in slices of 8 ms where not.

import { button, make } from "./kit.js";
import { normal, readSafetensors, sigmoid, writeLine } from "./net.js";
import { CLASSES, spelled } from "./readers.js";

export const nets = new Map();

// Generators by name: what one yields, the page hears. `nets` are those that `load` has built, by the names of their weights.
// A demo adds its own: its text runs in the worker, too.
export const JOBS = {
  *load({ card, bytes }) { nets.set(card.name, new CLASSES[card.class](readSafetensors(bytes), card)); },
  // Lines below each other, {line, offset, phi, ended} each; `follow`: the first one's hand goes on in those below.
  *write({ net, lines, seed, bias, prime, follow }) {
    let hand = prime;
    for (const [line, text] of lines.entries()) {
      const offsets = [];
      for (const point of writeLine(nets.get(net), { text, seed: seed + 7919 * line, bias, prime: hand })) {
        if (point) offsets.push(point.offset);
        yield point && { line, ...point };
      }
      if (follow) hand ??= { text, offsets };
    }
  },
  // Read a line as a writer would: {seen}, how many characters its window has come to at the end (softattn.synthesis.check_followed).
  *follow({ net, prime: { text, offsets } }) {
    const scribe = nets.get(net);
    let phi = null;
    scribe.begin(text);
    for (const offset of offsets) {
      phi = scribe.step(scribe.normal(offset)).slice(0, text.length);
      yield;
    }
    yield { seen: 1 + phi.indexOf(Math.max(...phi)) };
  },
  // DRAW from noise: {frame: 0..255 for each pixel, write} for each step; or of a picture, 0 and 1 (H * W): {frame, write, read, kl,
  // bits: nats that its pixels would cost if this canvas were the last}.
  *paint({ net, seed, image }) {
    const painter = nets.get(net), next = normal(seed), noise = () => Float32Array.from({ length: painter.latent }, next);
    const cost = (v, k) => Math.max(v, 0) - v * image[k] + Math.log1p(Math.exp(-Math.abs(v)));
    painter.begin();
    for (let t = 0; t < painter.steps; t += 1) {
      const { z, box: read, kl } = image ? painter.look(image, noise()) : { z: noise() }, write = painter.paint(z);
      const frame = Uint8Array.from(painter.canvas, (v) => Math.round(255 * sigmoid(v)));
      yield image ? { frame, write, read, kl, bits: painter.canvas.reduce((all, v, k) => all + cost(v, k), 0) } : { frame, write };
    }
  },
  // Read a line, tokens of penTokens: {letters} at last, each with its token.
  *read({ net, rows }) {
    const reader = nets.get(net);
    yield { letters: spelled(yield* reader.read(rows), reader.alphabet) };
  },
  *translate({ net, ...text }) { yield* nets.get(net).translate(text); },
  *goOn({ net, ...text }) { yield* nets.get(net).goOn(text); },
};

// Run a generator in slices; `tell` gets {some} of what it yields, then {done, rate} or {fault}. What is returned stops it.
export function inSlices(make, tell, slice = 8) {
  const channel = new MessageChannel(), begun = performance.now();
  let steps = null, count = 0;
  const finish = (last) => {
    channel.port1.close();
    tell(last);
  };
  channel.port1.onmessage = () => {
    if (channel.stopped) return finish({ done: true, stopped: true });
    const until = performance.now() + slice, some = [];
    try {
      steps ??= make();
      do {
        const { value, done } = steps.next();
        if (done) {
          if (some.length) tell({ some });
          return finish({ done: true, rate: 1000 * count / (performance.now() - begun) });
        }
        count += 1;
        if (value !== undefined) some.push(value);
      } while (performance.now() < until);
    } catch (error) { return finish({ fault: error.message }); }
    if (some.length) tell({ some });
    channel.port2.postMessage(0);
    return null;
  };
  channel.port2.postMessage(0);
  return () => { channel.stopped = true; };
}

// In a worker, this very text runs again, and answers.
if (typeof WorkerGlobalScope !== "undefined") {
  const running = new Map();
  self.onmessage = ({ data: { id, name, args, stop } }) => {
    if (stop) running.get(id)?.();
    else {
      running.set(id, inSlices(() => JOBS[name](args), (said) => {
        if (said.done || said.fault) running.delete(id);
        self.postMessage({ id, ...said });
      }));
    }
  };
  self.postMessage({ ready: true });
}

// One for each demo. run(name, args, heard) -> {stop, done}; done is a promise of {rate, stopped}.
export class Machine {
  constructor() {
    this.heard = new Map();
    this.count = 0;
    this.ready = new Promise((resolve) => {
      try {
        const worker = new Worker(import.meta.url, { type: "module" });
        worker.onerror = () => resolve(null);
        worker.onmessage = ({ data: { id, ready, ...said } }) => (ready ? resolve(worker) : this.heard.get(id)(said));
      } catch { resolve(null); }
    });
  }

  run(name, args, heard = () => {}) {
    const id = this.count += 1, work = { stop() { work.stopped = true; } };
    work.done = new Promise((resolve, reject) => {
      this.heard.set(id, ({ some, fault, done, ...last }) => {
        if (some && !work.stopped) some.forEach(heard);
        if (fault || done) this.heard.delete(id);
        if (fault) reject(new Error(fault));
        if (done) resolve(last);
      });
    });
    this.ready.then((worker) => {
      if (worker) worker.postMessage({ id, name, args });
      const stop = worker ? () => worker.postMessage({ id, stop: true }) : inSlices(() => JOBS[name](args), this.heard.get(id));
      if (work.stopped) stop();
      work.stop = () => {
        work.stopped = true;
        stop();
      };
    });
    return work;
  }
}

// ---- Weights on their way: asked for once, kept, and from file:// as a script ----

const pause = () => new Promise((resolve) => setTimeout(resolve));

async function streamed(address, size, heard) {
  const answer = await fetch(address), bytes = new Uint8Array(size);
  if (!answer.ok) throw new Error(`${address} answers ${answer.status}`);
  let got = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { value, done } = await reader.read();
    if (done) break;
    if (got + value.length <= size) bytes.set(value, got);      // what is too long is told by its length
    heard((got += value.length) / size);
  }
  if (got !== size) throw new Error(`${address} holds ${got} bytes, its card says ${size}`);
  return bytes.buffer;
}

// NAME.js is a list of pieces in base64, each of whole bytes; decoded in small bites.
async function scripted(address, name, size, heard) {
  await new Promise((resolve, reject) => {
    const node = document.createElement("script");
    Object.assign(node, { src: `${address}.js`, onload: resolve, onerror: () => reject(new Error(`the weights ${name} are not beside this page`)) });
    document.head.append(node);
  });
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of globalThis.softattnWeights[name].splice(0)) {
    const text = atob(piece);
    for (let k = 0; k < text.length; k += 1) bytes[at + k] = text.charCodeAt(k);
    heard((at += text.length) / size);
    await pause();
  }
  return bytes.buffer;
}

// The bytes of weights by their card {name, bytes, sha256, ...}; `heard` gets the share that is here.
export async function fetchWeights(card, heard = () => {}) {
  const kept = (globalThis.softattnKept ??= {});
  kept[card.name] ??= (async () => {
    const root = document.documentElement.dataset.content_root ?? "./";
    const address = new URL(`${root}_static/weights/${card.name}`, document.baseURI).href, key = `${address}.safetensors?${card.sha256.slice(0, 12)}`;
    const store = await globalThis.caches?.open("softattn").catch(() => null), known = await store?.match(key);
    if (known) return known.arrayBuffer();
    const local = location.protocol === "file:";
    const bytes = local ? await scripted(address, card.name, card.bytes, heard) : await streamed(key, card.bytes, heard);
    if (bytes.byteLength !== card.bytes) throw new Error(`the weights ${card.name} hold ${bytes.byteLength} bytes, their card says ${card.bytes}`);
    await store?.put(key, new Response(bytes.slice(0))).catch(() => null);
    return bytes;
  })();
  kept[card.name].catch(() => delete kept[card.name]);
  return kept[card.name];
}

// What a demo asks when it needs the network of a card: a promise of its Machine. The weights are fetched the first time; `heard`
// gets the share of them that is here.
export function lender(card, heard) {
  let lent = null;
  return () => {
    lent ??= (async () => {
      const machine = new Machine(), bytes = await fetchWeights(card, heard);
      await machine.run("load", { card, bytes }).done;
      return machine;
    })();
    lent.catch(() => { lent = null; });
    return lent;
  };
}

// The bytes once the reader has asked for them; until then Python's picture stands, with words and a button below it.
export async function askedWeights(el, card, words, pressed = "Wake the network") {
  el.dataset.state = "idle";
  const row = make("div", el, { class: "sa-row" }), heard = make("span", row, { class: "sa-note", role: "status" }, words);
  await new Promise((resolve) => { button(row, pressed, resolve); });
  el.dataset.state = "loading";
  try {
    return await fetchWeights(card, (part) => { heard.textContent = `Fetching the weights: ${Math.round(100 * part)} %.`; });
  } catch (error) {
    el.dataset.state = "failed";
    throw error;
  } finally { row.remove(); }
}
