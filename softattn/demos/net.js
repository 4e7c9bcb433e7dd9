// The networks of this book in plain JavaScript: weights, products, layers, noise, a pen and a painter.
// The chapter `in_the_page` explains it; the numbers are those of the Python modules, to float32's rounding.

import { clip, random } from "./kit.js";

// ---- Products: y = W x + b, by 238 bytes of WebAssembly, or plainly ----

const KERNEL =
  "AGFzbQEAAAABCQFgBX9/f39/AAMCAQAFAwEAAQcVAgZtZW1vcnkCAAhtdWx0aXBseQAACrgBAbUBAgJ/AnsDQCABIQUgACAEaiEG/QwAAAAAAAAA" +
  "AAAAAAAAAAAAIQf9DAAAAAAAAAAAAAAAAAAAAAAhCANAIAcgAP0ABAAgBf0ABAD95gH95AEhByAIIAD9AAQQIAX9AAQQ/eYB/eQBIQggBUEgaiEF" +
  "IABBIGoiACAGSQ0ACyAHIAj95AEhByACIAIqAgAgB/0fACAH/R8BkiAH/R8CIAf9HwOSkpI4AgAgAkEEaiICIANJDQALCw==";

let kernel = null, heap = null, top = 0;

// Take the kernel where the machine has SIMD; `wanted` false: leave it. Matrices made before keep to their way.
export function useSimd(wanted = true) {
  kernel = null;
  const bytes = Uint8Array.from(atob(KERNEL), (c) => c.charCodeAt(0));
  if (!wanted || typeof WebAssembly === "undefined" || !WebAssembly.validate(bytes)) return false;
  kernel = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  heap = new Float32Array(kernel.memory.buffer);
  top = 0;
  return true;
}
useSimd();

// Room for n numbers in the kernel's memory, zeros; where it begins, a multiple of eight.
function reserve(n) {
  const at = top;
  top += 8 * Math.ceil(n / 8);
  if (top > heap.length) {
    kernel.memory.grow(Math.ceil((top - heap.length) / 16384));
    heap = new Float32Array(kernel.memory.buffer);
  }
  return at;
}

// A matrix (rows, columns) with a bias. `fill(put)` calls put(row, column, number); rows are padded to a multiple of eight.
export class Matrix {
  constructor(rows, columns, bias, fill) {
    Object.assign(this, { rows, columns, wide: 8 * Math.ceil(columns / 8), out: new Float32Array(rows), kernel });
    this.bias = bias ?? new Float32Array(rows);
    this.W = kernel ? reserve(rows * this.wide) : 0;
    this.x = kernel ? reserve(this.wide) : new Float32Array(this.wide);
    this.y = kernel ? reserve(rows) : 0;
    const cells = this.cells = kernel ? heap : new Float32Array(rows * this.wide);
    fill((row, column, number) => { cells[this.W + row * this.wide + column] = number; });
    if (kernel) this.cells = null;
  }

  // W x + b for x given in pieces, side by side; what comes back is overwritten by the next call.
  times(...pieces) {
    let at = 0;
    const x = this.kernel ? heap.subarray(this.x, this.x + this.wide) : this.x;
    for (const piece of pieces) {
      x.set(piece, at);
      at += piece.length;
    }
    if (at !== this.columns) throw new Error(`a product got ${at} numbers, expected ${this.columns}`);
    if (!this.kernel) return this.plainly(x);
    heap.set(this.bias, this.y);
    const end = this.y + this.rows;
    this.kernel.multiply(4 * this.W, 4 * this.x, 4 * this.y, 4 * end, 4 * this.wide);
    this.out.set(heap.subarray(this.y, end));
    return this.out;
  }

  // Four rows at a time: each x is fetched once for four products, and four sums need not wait for each other.
  plainly(x) {
    const { cells: W, wide, rows, bias, out } = this;
    for (let row = 0; row < rows; row += 4) {
      const p = row * wide, q = p + wide * (row + 1 < rows), r = q + wide * (row + 2 < rows), s = r + wide * (row + 3 < rows);
      let a = 0, b = 0, c = 0, d = 0;
      for (let k = 0; k < wide; k += 1) {
        const v = x[k];
        a += W[p + k] * v;
        b += W[q + k] * v;
        c += W[r + k] * v;
        d += W[s + k] * v;
      }
      out[row] = a + bias[row];
      if (row + 1 < rows) out[row + 1] = b + bias[row + 1];
      if (row + 2 < rows) out[row + 2] = c + bias[row + 2];
      if (row + 3 < rows) out[row + 3] = d + bias[row + 3];
    }
    return out;
  }
}

// ---- Weights: a safetensors file is eight bytes, a table in JSON, and numbers ----

// bfloat16 is the upper half of a float32; float16 is re-based by 2^112.
function widened(kind, buffer) {
  if (kind === "F32") return new Float32Array(buffer);
  const half = new Uint16Array(buffer), bits = new Uint32Array(half.length), numbers = new Float32Array(bits.buffer);
  if (kind === "BF16") for (let i = 0; i < half.length; i += 1) bits[i] = half[i] << 16;
  else if (kind === "F16") {
    for (let i = 0; i < half.length; i += 1) bits[i] = ((half[i] & 0x8000) << 16) | ((half[i] & 0x7fff) << 13);
    for (let i = 0; i < numbers.length; i += 1) numbers[i] *= 2 ** 112;
  } else throw new Error(`numbers are ${kind}; this page reads BF16, F16 and F32`);
  return numbers;
}

// name -> {shape, data: Float32Array} of a file's bytes (an ArrayBuffer).
export function readSafetensors(bytes) {
  const size = Number(new DataView(bytes).getBigUint64(0, true)), tensors = {};
  if (size > bytes.byteLength - 8) throw new Error("the weights are cut short");
  const table = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, size)));
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(table)) {
    if (name === "__metadata__") continue;
    const piece = bytes.slice(8 + size + from, 8 + size + to);
    tensors[name] = { shape, data: widened(dtype, piece) };
    if (tensors[name].data.length !== shape.reduce((a, b) => a * b, 1)) throw new Error(`${name} is cut short`);
  }
  return tensors;
}

// A matrix of tensors side by side, stored (in, out) as the book's LSTM has them, or `turned`: (out, in), as nn.Linear.
export function matrix(tensors, names, bias = null, turned = false) {
  const parts = names.map((name) => tensors[name] ?? tensors[`there is no ${name} in the weights`].data);
  const rows = parts[0].shape[turned ? 0 : 1], columns = parts.map((part) => part.shape[turned ? 1 : 0]);
  return new Matrix(rows, columns.reduce((a, b) => a + b), bias && tensors[bias].data, (put) => {
    let first = 0;
    parts.forEach(({ data }, n) => {
      for (let k = 0; k < columns[n]; k += 1) {
        for (let row = 0; row < rows; row += 1) put(row, first + k, data[turned ? row * columns[n] + k : k * rows + row]);
      }
      first += columns[n];
    });
  });
}

export const linear = (tensors, name) => matrix(tensors, [`${name}.weight`], tensors[`${name}.bias`] ? `${name}.bias` : null, true);

// ---- Layers ----

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));
export const tanh = (x) => 2 / (1 + Math.exp(-2 * x)) - 1;

export function softmax(values) {
  const peak = values.reduce((a, b) => Math.max(a, b)), raised = Array.from(values, (v) => Math.exp(v - peak));
  const total = raised.reduce((a, b) => a + b);
  return raised.map((v) => v / total);
}

// LSTMCell and PeepholeLSTM, a step at a time; Graves (2013), eq. 7-11.
export class LSTM {
  constructor(tensors, prefix = "", inputs = ["weight_x"]) {
    this.matrix = matrix(tensors, [...inputs, "weight_h"].map((name) => prefix + name), `${prefix}bias`);
    const H = this.size = this.matrix.rows / 4;
    this.peephole = tensors[`${prefix}peephole`]?.data ?? new Float32Array(3 * H);
    this.h = new Float32Array(H);
    this.c = new Float32Array(H);
  }

  begin(h = null, c = null) {
    h ? this.h.set(h) : this.h.fill(0);
    c ? this.c.set(c) : this.c.fill(0);
  }

  step(...inputs) {
    const z = this.matrix.times(...inputs, this.h), { size: H, peephole: p, h, c } = this;
    for (let n = 0; n < H; n += 1) {
      const i = sigmoid(z[n] + p[n] * c[n]), f = sigmoid(z[H + n] + p[H + n] * c[n]);
      c[n] = f * c[n] + i * tanh(z[2 * H + n]);
      h[n] = sigmoid(z[3 * H + n] + p[2 * H + n] * c[n]) * tanh(c[n]);
    }
    return h;
  }
}

// nn.GRU and nn.GRUCell, a step at a time; gates in PyTorch's order r, z, n.
export class GRU {
  constructor(tensors, prefix, suffix = "") {
    const name = (kind, side) => `${prefix}.${kind}_${side}${suffix}`;
    this.input = matrix(tensors, [name("weight", "ih")], name("bias", "ih"), true);
    this.hidden = matrix(tensors, [name("weight", "hh")], name("bias", "hh"), true);
    this.h = new Float32Array(this.hidden.columns);
  }

  step(...inputs) {
    const a = this.input.times(...inputs), b = this.hidden.times(this.h), { h } = this, H = h.length;
    for (let n = 0; n < H; n += 1) {
      const r = sigmoid(a[n] + b[n]), z = sigmoid(a[H + n] + b[H + n]), news = tanh(a[2 * H + n] + r * b[2 * H + n]);
      h[n] = (1 - z) * news + z * h[n];
    }
    return h;
  }
}

// The soft window over codes of characters; Graves (2013), eq. 46-51. A code from A on is a place without a character.
export class SoftWindow {
  constructor(tensors, prefix, A) {
    this.matrix = matrix(tensors, [`${prefix}weight`], `${prefix}bias`);
    this.kappa = new Float32Array(this.matrix.rows / 3);
    this.w = new Float32Array(A);
  }

  begin(codes) {
    this.codes = codes;
    this.kappa.fill(0);
    this.w.fill(0);
  }

  look(h) {
    const raw = this.matrix.times(h), { kappa, w, codes } = this, K = kappa.length, phi = new Float32Array(codes.length);
    const held = (value) => Math.exp(Math.min(value, 10));
    for (let k = 0; k < K; k += 1) {
      const alpha = held(raw[k]), beta = held(raw[K + k]);
      kappa[k] += held(raw[2 * K + k]);
      const reach = Math.sqrt(60 / beta) + 1, from = Math.max(0, Math.floor(kappa[k] - reach - 1));
      for (let u = from; u < codes.length && u < kappa[k] + reach; u += 1) phi[u] += alpha * Math.exp(-beta * (kappa[k] - u - 1) ** 2);
    }
    w.fill(0);
    codes.forEach((code, u) => { if (code < w.length) w[code] += phi[u]; });
    return phi;
  }
}

// PredictionNetwork: a deep LSTM whose layers all see the input and all feed the output; Graves (2013), figure 1.
export class PredictionNetwork {
  constructor(tensors, prefix = "") {
    this.layers = [];
    for (let n = 0; tensors[`${prefix}layers.${n}.bias`]; n += 1) this.layers.push(new LSTM(tensors, `${prefix}layers.${n}.`));
    this.output = linear(tensors, `${prefix}output`);
    this.size = tensors[`${prefix}layers.0.weight_x`].shape[0];
  }

  begin(state = []) { this.layers.forEach((layer, n) => layer.begin(...(state[n] ?? []))); }

  state() { return this.layers.map(({ h, c }) => [h.slice(), c.slice()]); }

  step(x) {
    this.layers.forEach((layer, n) => layer.step(x, ...(n ? [this.layers[n - 1].h] : [])));
    return this.output.times(...this.layers.map((layer) => layer.h));
  }
}

// ---- A pen: mixture, noise, and the lines they write ----

// Four numbers a point, two uniform and two normal, from a seed: softattn.in_the_page.page_noise has the same.
export function penNoise(seed) {
  const next = random(seed);
  return () => {
    const [one, two, three, four] = [next(), next(), next(), next()], radius = Math.sqrt(-2 * Math.log1p(-three));
    return [one, two, radius * Math.cos(2 * Math.PI * four), radius * Math.sin(2 * Math.PI * four)];
  };
}

// What 6M + 1 raw outputs say; Graves (2013), eq. 18-22.
export function mixture(raw, bias = 0) {
  const M = (raw.length - 1) / 6, part = (n) => Array.from(raw.subarray(1 + n * M, 1 + (n + 1) * M));
  const spread = (v) => Math.exp(clip(v, -14, 14) - bias), pi = softmax(part(0).map((v) => v * (1 + bias)));
  return { end: sigmoid(-raw[0]), pi, mu: [part(1), part(2)], sigma: [part(3).map(spread), part(4).map(spread)],
    rho: part(5).map((v) => Math.tanh(clip(v, -14, 14))) };
}

// The density of an offset (x, y) per unit of area; eq. 23-25.
export function density({ pi, mu, sigma, rho }, x, y) {
  let total = 0;
  for (let m = 0; m < pi.length; m += 1) {
    const a = (x - mu[0][m]) / sigma[0][m], b = (y - mu[1][m]) / sigma[1][m], rest = 1 - rho[m] ** 2;
    total += pi[m] * Math.exp(-(a * a + b * b - 2 * rho[m] * a * b) / (2 * rest)) / (2 * Math.PI * sigma[0][m] * sigma[1][m] * Math.sqrt(rest));
  }
  return total;
}

// One point (dx, dy, end) from raw outputs, Graves' bias and four numbers; eq. 61-62. Only what was chosen is worked out. A bias
// above 1 leaves the weights as at 1, above 3 all: see `soften` of softattn.fast_writer.
export function drawPoint(raw, bias, [choice, lift, one, other]) {
  const M = (raw.length - 1) / 6, pi = softmax(raw.subarray(1, 1 + M).map((v) => v * (1 + Math.min(bias, 1))));
  let m = 0, ladder = pi[0];
  while (ladder <= choice && m < M - 1) ladder += pi[m += 1];
  const of = (n) => raw[1 + n * M + m], spread = (n) => Math.exp(clip(of(n), -14, 14) - Math.min(bias, 3)), rho = Math.tanh(clip(of(5), -14, 14));
  const turned = rho * one + Math.sqrt(1 - rho * rho) * other;
  return Float32Array.of(of(1) + spread(3) * one, of(2) + spread(4) * turned, lift < sigmoid(-raw[0]) ? 1 : 0);
}

// What both models of the pen share: offsets in raw units become mean 0, std 1, and back.
class Pen {
  constructor({ config: { mean, std } }) { Object.assign(this, { mean, std }); }

  normal([dx, dy, end]) { return Float32Array.of((dx - this.mean[0]) / this.std[0], (dy - this.mean[1]) / this.std[1], end); }

  raw([x, y, end]) { return [x * this.std[0] + this.mean[0], y * this.std[1] + this.mean[1], end]; }
}

export class HandwritingPredictor extends Pen {
  constructor(tensors, card) {
    super(card);
    this.network = new PredictionNetwork(tensors, "network.");
  }

  begin() { this.network.begin(); }

  step(x) { return this.network.step(x); }
}

// What can be written; the place of a character is its code.
export const PRINTABLE = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ";
const VOCABULARY = PRINTABLE.length + 1;      // with a code for what is none of them

// ---- Text: softattn.prediction over the signs of softattn.text ----

export const ALPHABET = `\n ${PRINTABLE.slice(0, -1)}`;

export class TextPredictor extends PredictionNetwork {
  constructor(tensors) {
    super(tensors);
    this.read = [];      // of each sign so far, the empty beginning first: its code, what is expected after it, and the state
  }

  next(code) {
    const x = new Float32Array(this.size);
    if (code >= 0) x[code] = 1;
    this.read.push({ code, logits: this.step(x).slice(), state: this.state() });
    return this.read[this.read.length - 1];
  }

  // Read codes, then write `count` more, drawn as softattn.prediction.sample does, the dice from a seed: {code, logits} for each,
  // what is expected after it; the first stands for the empty beginning. What the last text began with is not read again.
  *goOn({ codes, temperature = 1, seed = 0, count = 0 }) {
    const { read } = this, wanted = [-1, ...codes], dice = random(seed);
    let n = 0;
    while (n < wanted.length && read[n]?.code === wanted[n]) n += 1;
    read.length = n;
    this.begin(read[n - 1]?.state);
    for (let t = 0; t < wanted.length + count; t += 1) {
      const { code, logits } = read[t] ?? this.next(t < wanted.length ? wanted[t] : drawSign(read[t - 1].logits, temperature, dice()));
      yield { code, logits };
    }
  }
}

// A code by its share of the logits at a temperature, from one uniform number.
function drawSign(logits, temperature, u) {
  const shares = softmax(Array.from(logits, (v) => v / temperature)), code = shares.findIndex((share) => (u -= share) < 0);
  return code < 0 ? shares.length - 1 : code;
}

export class Synthesizer extends Pen {
  constructor(tensors, card) {
    super(card);
    this.first = new LSTM(tensors, "first.", ["weight_x", "weight_w"]);
    this.window = new SoftWindow(tensors, "first.window.", VOCABULARY);
    this.layers = [];
    for (let n = 0; tensors[`layers.${n}.bias`]; n += 1) this.layers.push(new LSTM(tensors, `layers.${n}.`));
    this.output = linear(tensors, "output");
  }

  // Begin a text, with one place more behind it, where the end is seen.
  begin(text) {
    const code = (c) => (PRINTABLE.includes(c) ? PRINTABLE.indexOf(c) : VOCABULARY - 1);
    this.window.begin([...[...text].map(code), VOCABULARY]);
    [this.first, ...this.layers].forEach((layer) => layer.begin());
  }

  // Read a normalised point; the window's weights. `predict` then says what is expected next.
  step(x) {
    const phi = this.window.look(this.first.step(x, this.window.w));
    this.layers.forEach((layer, n) => layer.step(x, this.window.w, (n ? this.layers[n - 1] : this.first).h));
    return phi;
  }

  predict() { return this.output.times(this.first.h, ...this.layers.map((layer) => layer.h)); }
}

const GRACE = 8; // points in which the pen may still lift after the sign of the end

// Write a text, point by point: {offset: [dx, dy, end] in raw units, phi}. A prime {text, offsets} is read before, and its
// hand goes on. The same rules as softattn.synthesis: the line ends when the window is loudest behind the text and the pen lifts;
// if it does not within GRACE points, the line ended there. Till then the points are held back.
export function* writeLine(net, { text, seed = 0, bias = 0, prime = null }) {
  const before = prime ? `${prime.text} ` : "", noise = penNoise(seed), limit = 200 + 60 * text.length;
  net.begin(before + text);
  const read = prime ? prime.offsets : [[0, 0, 0]];
  let x = null, phi = null, over = null, held = [];
  for (const offset of read) {
    phi = net.step(x = net.normal(offset));
    if (prime) yield;      // a breath, for who stops or waits
  }
  for (let t = 0; t <= limit; t += 1) {
    const behind = phi[phi.length - 1], heard = phi.reduce((a, b) => a + b);
    if (over === null && t > 0 && 2 * behind > heard) over = t;
    const lifts = over !== null && (x[2] > 0 || heard < 1e-3), late = over !== null && t - over === GRACE;
    if (t > 0 || !prime) {
      const offset = net.raw(x);
      if (t === (prime ? 1 : 0)) offset[0] = offset[1] = 0;
      held.push({ offset, phi: phi.slice(before.length), ended: false });
    }
    if (late && !lifts) held = held.slice(0, 1);
    if (lifts || late || t === limit) {
      const last = held[held.length - 1];
      [last.offset[2], last.ended] = [1, lifts || late];
      yield* held;
      return;
    }
    if (over === null) yield* held.splice(0);
    x = drawPoint(net.predict(), bias, noise());
    phi = net.step(x);
  }
}

// ---- A grid of filters: Gregor et al. (2015), eq. 19-29 ----

export const bounded = (raw) => raw.map((v, n) => (n < 2 ? v : 5 * Math.tanh(v / 5)));

export class Filterbank {
  constructor(height, width, n) { Object.assign(this, { height, width, n }); }

  params([gx, gy, logSigma2, logDelta, logGamma]) {
    const { height, width, n } = this, delta = Math.exp(logDelta) * (Math.max(height, width) - 1) / (n - 1);
    return { x: (gx + 1) * (width + 1) / 2, y: (gy + 1) * (height + 1) / 2, delta, sigma2: Math.exp(logSigma2), gamma: Math.exp(logGamma) };
  }

  // Centre x, y, width, height, in pixels from 0, as the Python's `box`.
  box(raw) {
    const { x, y, delta } = this.params(raw), side = delta * (this.n - 1);
    return [x - 1, y - 1, side, side];
  }

  // n rows of `length` numbers that sum to 1, for one direction.
  rows(centre, delta, sigma2, length) {
    return Array.from({ length: this.n }, (_, i) => {
      const mu = centre + delta * (i + 1 - this.n / 2 - 0.5), c = clip(Math.round(mu), 1, length);
      const score = Array.from({ length }, (_, a) => (a + 1 - c) * (a + 1 - c + 2 * (c - mu)));
      return softmax(score.map((s) => Math.max(-s / (2 * sigma2), -30)));
    });
  }

  filters(raw) {
    const { x, y, delta, sigma2, gamma } = this.params(raw);
    return { F_x: this.rows(x, delta, sigma2, this.width), F_y: this.rows(y, delta, sigma2, this.height), gamma };
  }

  // gamma F_Y image F_X^T: a patch of n x n numbers, row by row, from an image of height x width numbers.
  read(image, raw) {
    const { F_x, F_y, gamma } = this.filters(raw), { n, width } = this, patch = new Float32Array(n * n);
    for (let j = 0; j < n; j += 1) {
      const across = new Float64Array(width);
      F_y[j].forEach((f, b) => { if (f > 1e-13) for (let a = 0; a < width; a += 1) across[a] += f * image[b * width + a]; });
      for (let i = 0; i < n; i += 1) patch[j * n + i] = gamma * F_x[i].reduce((sum, f, a) => sum + f * across[a], 0);
    }
    return patch;
  }

  // F_Y^T patch F_X / gamma, added to `image`.
  write(patch, raw, image) {
    const { F_x, F_y, gamma } = this.filters(raw), { n, width } = this;
    for (let j = 0; j < n; j += 1) {
      const across = new Float64Array(width);
      for (let i = 0; i < n; i += 1) F_x[i].forEach((f, a) => { across[a] += f * patch[j * n + i] / gamma; });
      F_y[j].forEach((f, b) => { if (f > 1e-13) for (let a = 0; a < width; a += 1) image[b * width + a] += f * across[a]; });
    }
    return image;
  }
}

// ---- DRAW: Gregor et al. (2015), eq. 3-8 and 14-16 ----

export class DRAW {
  constructor(tensors, { config }) {
    const { image_shape: [, H, W], latent, hidden, steps } = config;
    Object.assign(this, { tensors, latent, hidden, steps });
    this.reader = new Filterbank(H, W, config.read_size);
    this.writer = new Filterbank(H, W, config.write_size);
    this.encoder = new LSTM(tensors, "encoder.");
    this.decoder = new LSTM(tensors, "decoder.");
    this.posterior = linear(tensors, "posterior");
    this.head = linear(tensors, "write_head");
  }

  begin() {
    const start = this.tensors.start.data, part = (n) => start.subarray(n * this.hidden, (n + 1) * this.hidden);
    this.canvas = this.tensors.canvas.data.slice();      // log odds of ink
    this.encoder.begin(part(0), part(1));
    this.decoder.begin(part(2), part(3));
    this.said = this.head.times(this.decoder.h).slice();
  }

  // Paint what z says: the box of this write.
  paint(z) {
    this.said = this.head.times(this.decoder.step(z)).slice();
    const aim = bounded(this.said.subarray(5, 10));
    this.writer.write(this.said.subarray(10), aim, this.canvas);
    return this.writer.box(aim);
  }

  // Look at the picture and at what is missing; z from the posterior with this noise (Z,), the box of the look, and z's nats.
  look(image, noise) {
    const aim = bounded(this.said.subarray(0, 5)), error = image.map((v, k) => v - sigmoid(this.canvas[k]));
    const seen = [this.reader.read(image, aim), this.reader.read(error, aim)];
    const q = this.posterior.times(this.encoder.step(...seen, this.decoder.h)), mu = q.subarray(0, this.latent), log = q.subarray(this.latent);
    const kl = mu.reduce((all, m, k) => all + (m * m + Math.exp(2 * log[k]) - 1) / 2 - log[k], 0);      // eq. 10-11
    return { z: noise.map((e, k) => mu[k] + Math.exp(log[k]) * e), box: this.reader.box(aim), kl };
  }
}

// Standard normal numbers from a seed: the last two columns of softattn.in_the_page.page_noise, row by row.
export function normal(seed) {
  const pairs = penNoise(seed), kept = [];
  return () => {
    if (!kept.length) kept.push(...pairs().slice(2));
    return kept.shift();
  };
}
