// Networks that read: a picture by looks, a date by two GRUs, a pen by an LSTM from both sides; and all networks by what their
// cards name.

import { clip } from "./kit.js";
import { DRAW, Filterbank, GRU, HandwritingPredictor, LSTM, PRINTABLE, Synthesizer, TextPredictor, bounded, linear, softmax, tanh } from "./net.js";

// ---- The glimpse reader: a patch, an LSTM without peepholes, an answer ----

export class GlimpseClassifier {
  constructor(tensors, { config }) {
    const { image_shape: [C, H, W] = [1, 100, 100], grid = 12 } = config;
    if (C !== 1) throw new Error(`the glimpse reader of this page reads one colour, not ${C}`);
    this.bank = new Filterbank(H, W, grid);
    this.features = linear(tensors, "features");
    this.cell = new LSTM(tensors, "cell.");
    this.aim = linear(tensors, "aim");
    this.head = linear(tensors, "head");
    this.start = tensors.start.data;
  }

  begin() { this.cell.begin(this.start.subarray(0, this.cell.size), this.start.subarray(this.cell.size)); }

  // One glimpse at an image (height * width): {logits, box, patch}.
  step(image) {
    const aim = bounded(this.aim.times(this.cell.h)), patch = this.bank.read(image, aim);
    const seen = this.features.times(patch).map((v) => Math.max(v, 0));
    return { logits: this.head.times(this.cell.step(seen)).slice(), box: this.bank.box(aim), patch };
  }
}

// ---- Dates: two GRUs read, a third writes and looks back; Bahdanau et al. (2015) ----

export const DATE_LETTERS = `_ ,;${PRINTABLE.slice(0, 62)}`;
const DATE_SIGNS = ".-;0123456789";

export class DateTranslator {
  constructor(tensors) {
    this.tensors = tensors;
    this.ahead = new GRU(tensors, "ahead", "_l0");
    this.back = new GRU(tensors, "back", "_l0");
    this.start = linear(tensors, "start");
    this.cell = new GRU(tensors, "cell");
    this.out = linear(tensors, "out");
    if (!tensors["attend.score.weight"]) return;
    for (const part of ["query", "key", "score"]) this[part] = linear(tensors, `attend.${part}`);
  }

  row(name, code) {
    const { data, shape: [, size] } = this.tensors[`${name}.weight`];
    return data.subarray(code * size, (code + 1) * size);
  }

  // The likeliest signs, one by one: {sign, weights}; the last one is the full stop.
  *translate({ text, longest = 80 }) {
    const codes = [...text].map((c) => DATE_LETTERS.indexOf(c)), strange = [...text].filter((c, u) => codes[u] < 1);
    if (strange.length || !text) throw new Error(text ? `no date holds ${strange[0]}` : "there is no date to read");
    const read = (gru, order) => {
      gru.h.fill(0);
      return order.map((code) => gru.step(this.row("embed", code)).slice());
    };
    const ahead = read(this.ahead, codes), back = read(this.back, [...codes].reverse()).reverse();
    const keys = ahead.map((h, u) => Float32Array.of(...h, ...back[u])), projected = this.key && keys.map((k) => this.key.times(k).slice());
    let context = Float32Array.of(...ahead[ahead.length - 1], ...back[0]), weights = null, sign = 0;
    this.cell.h.set(this.start.times(context).map(Math.tanh));
    for (let t = 0; t < longest; t += 1) {
      if (this.key) {
        const asked = this.query.times(this.cell.h).slice();
        weights = softmax(projected.map((p) => this.score.times(p.map((v, n) => Math.tanh(v + asked[n])))[0]));
        context = context.map((_, n) => keys.reduce((total, key, u) => total + weights[u] * key[n], 0));
      }
      const scores = this.out.times(this.cell.step(this.row("signs", sign), context), context);
      sign = scores.indexOf(Math.max(...scores));
      yield { sign: DATE_SIGNS[sign], weights };
      if (sign === 0) return;
    }
  }
}

// ---- Ink in equal steps, and who reads it: softattn.trace and softattn.reading ----

// Strokes [[x, y, ...], ...], y down, centred, level, and in heights of their own: `upright` of softattn.trace.
function upright(strokes) {
  const wide = (axis, rows) => Math.max(...rows.map((p) => p[axis])) - Math.min(...rows.map((p) => p[axis]));
  let parts = strokes.flatMap((s) => s.slice(1).map((b, k) => [s[k], b, Math.hypot(b[0] - s[k][0], b[1] - s[k][1])]));
  if (!parts.some(([, , weight]) => weight > 0)) parts = strokes.flat().map((p) => [p, p, 1]);
  const total = parts.reduce((all, [, , weight]) => all + weight, 0);
  const mean = (value) => parts.reduce((all, [a, b, weight]) => all + weight * value(a, b), 0) / total;
  const [cx, cy] = [0, 1].map((axis) => mean((a, b) => (a[axis] + b[axis]) / 2)), centre = [cx, cy];
  const about = (i, j) => mean((a, b) => ((a[i] + b[i]) / 2 - centre[i]) * ((a[j] + b[j]) / 2 - centre[j]) + (b[i] - a[i]) * (b[j] - a[j]) / 12);
  const xx = about(0, 0), yy = about(1, 1), xy = about(0, 1), slope = xy / Math.max(xx + 10 * yy, 1e-300);
  const level = strokes.map((s) => s.map(([x, y]) => [x - cx, y - cy - slope * (x - cx)]));
  const sizes = level.map((s) => Math.hypot(wide(0, s), wide(1, s))), sum = sizes.reduce((a, b) => a + b, 0);
  const large = sum > 0 ? sizes.reduce((a, b) => a + b * b, 0) / sum : Math.hypot(wide(0, level.flat()), wide(1, level.flat()));
  const height = Math.max(Math.sqrt(Math.max(yy - 2 * slope * xy + slope * slope * xx, 0)), 0.1 * large) || 1;
  return level.map((s) => s.map(([x, y]) => [x / height, y / height]));
}

// A stroke walked in equal steps of about `spacing`: {place, count, near}; near is the point at or behind each place.
function walk(stroke, spacing) {
  const along = [0];
  stroke.slice(1).forEach(([x, y], k) => along.push(along[k] + Math.hypot(x - stroke[k][0], y - stroke[k][1])));
  const length = along[along.length - 1], count = Math.max(1, Math.round(length / spacing)), place = [], near = [];
  for (let k = 0, at = 0; k <= count; k += 1) {
    const where = Math.min(length * k / count, length);
    while (at < stroke.length - 1 && along[at] < where - 1e-9) at += 1;
    const from = Math.max(at - 1, 0), step = along[at] - along[from], part = step > 0 ? clip((where - along[from]) / step, 0, 1) : 1;
    place.push([0, 1].map((axis) => stroke[from][axis] + part * (stroke[at][axis] - stroke[from][axis])));
    near.push(at);
  }
  return { place, count, near };
}

// Tokens of a line: {rows: numbers of each, as `pen_tokens`; at: [stroke, point] in the middle of each}.
export function penTokens(strokes, group = 5, spacing = 0.33) {
  const rows = [], at = [];
  let before = null;
  upright(strokes).forEach((stroke, s) => {
    const { place, count, near } = walk(stroke, spacing), add = (middle) => {
      rows.push(new Float32Array(2 * group + 4));
      at.push([s, near[middle]]);
      return rows[rows.length - 1];
    };
    const height = (y) => clip(y, -6, 6) / 2;
    if (before) {
      const row = add(0);
      row.set([height(place[0][1]), 1, Math.asinh(place[0][0] - before[0]), Math.asinh(place[0][1] - before[1])], 2 * group);
    }
    for (let k = 0; k < count; k += group) {
      const here = Math.min(group, count - k), row = add(k + Math.floor(here / 2));
      for (let j = 0; j < here; j += 1) for (const axis of [0, 1]) row[2 * j + axis] = (place[k + j + 1][axis] - place[k + j][axis]) / spacing;
      row[2 * group] = height(place[k][1]);
    }
    before = place[count];
  });
  return { rows, at };
}

// nn.LSTM, one layer and one way, a step at a time.
class PlainLSTM extends LSTM {
  constructor(tensors, prefix) {
    const names = ["ih", "hh"].map((side) => [`${prefix}weight_${side}_l0`, tensors[`${prefix}bias_${side}_l0`].data]);
    const rows = names[0][1].length, own = Object.fromEntries(names.map(([name], n) => {
      const { data, shape: [, columns] } = tensors[name], turned = new Float32Array(data.length);
      for (let row = 0; row < rows; row += 1) for (let k = 0; k < columns; k += 1) turned[k * rows + row] = data[row * columns + k];
      return [["weight_x", "weight_h"][n], { data: turned, shape: [columns, rows] }];
    }));
    super({ ...own, bias: { data: names[0][1].map((v, k) => v + names[1][1][k]), shape: [rows] } });
  }
}

export class HandwritingReader {
  constructor(tensors, { config }) {
    Object.assign(this, { alphabet: PRINTABLE, group: 5, spacing: 0.33, ...config, layers: [] });
    for (let n = 0; tensors[`ahead.${n}.weight_ih_l0`]; n += 1) {
      this.layers.push(["ahead", "back"].map((side) => new PlainLSTM(tensors, `${side}.${n}.`)));
    }
    this.output = linear(tensors, "output");
  }

  // Tokens, row by row; takes a breath at each, and comes to raw scores (1 + characters) of each.
  *read(rows) {
    let x = rows;
    for (const [ahead, back] of this.layers) {
      const ways = [];
      for (const [layer, order] of [[ahead, x], [back, [...x].reverse()]]) {
        layer.begin();
        const out = [];
        for (const row of order) {
          out.push(layer.step(row).slice());
          yield;
        }
        ways.push(out);
      }
      ways[1].reverse();
      x = ways[0].map((h, t) => Float32Array.of(...h, ...ways[1][t]));
    }
    return x.map((h) => this.output.times(h).slice());
  }
}

// The best path of such scores, repeats merged and blanks dropped: [{letter, token, sure}].
export function spelled(scores, alphabet) {
  const found = [];
  let last = 0;
  scores.forEach((row, token) => {
    const best = row.indexOf(Math.max(...row));
    if (best && best !== last) found.push({ letter: alphabet[best - 1], token, sure: softmax(row)[best] });
    last = best;
  });
  return found;
}

// Which class a card names.
export const CLASSES = {
  "softattn.synthesis.HandwritingSynthesizer": Synthesizer, "softattn.handwriting.HandwritingPredictor": HandwritingPredictor,
  "softattn.prediction.PredictionNetwork": TextPredictor,
  "softattn.draw.DRAW": DRAW, "softattn.glimpse.GlimpseClassifier": GlimpseClassifier, "softattn.alignment.DateTranslator": DateTranslator,
  "softattn.reading.HandwritingReader": HandwritingReader,
};
