// A coloured map of two latent numbers: go there, and the decoder of softattn.vae writes what stands there.
// State: w1, b1, w2, b2, the decoder's layers; places and labels, where the encoder puts test digits; z, where to begin.
import { button, clip, colour, drag, make, numbers, share, slider, themed } from "./kit.js";

const SPAN = 3, SIZE = 448, CELLS = 64, NEAR = 0.28, TILES = 14;      // the map's half width, its pixels, cells of colour, reach of a digit

// Ten hues that differ in lightness too, from 0 to 9: the groups carry their numbers, colour is never alone.
const HUES = [[200, 45], [20, 60], [120, 40], [265, 62], [45, 52], [330, 45], [170, 62], [0, 45], [235, 50], [80, 62]];

export default {
  render({ model, el }) {
    const [w1, b1, b2] = ["w1", "b1", "b2"].map((key) => model.get(key)), w2 = model.get("w2").map((row) => Float64Array.from(row));
    const places = model.get("places"), labels = model.get("labels"), z = [...model.get("z")], pin = [...z], side = Math.sqrt(b2.length);
    let everywhere = false;

    // Linear, SiLU, Linear, sigmoid: VAE.decode with one hidden layer.
    function decode(z0, z1) {
      const hidden = Float64Array.from(w1, ([a, b], k) => {
        const v = a * z0 + b * z1 + b1[k];
        return v / (1 + Math.exp(-v));
      });
      return w2.map((row, p) => {
        let v = b2[p];
        for (let k = 0; k < row.length; k += 1) v += row[k] * hidden[k];
        return 1 / (1 + Math.exp(-v));
      });
    }

    // Whose country a place is: the weight of each label around it, and of all together.
    function country(x, y) {
      const votes = new Float64Array(10);
      places.forEach(([px, py], i) => { votes[labels[i]] += Math.exp(-((px - x) ** 2 + (py - y) ** 2) / (2 * NEAR ** 2)); });
      const total = votes.reduce((a, b) => a + b, 0);
      return { votes, total, label: votes.indexOf(Math.max(...votes)) };
    }

    make("p", el, { class: "sa-note" }, "Wander on the map with finger, mouse or sliders: the decoder writes what stands there.");
    const frame = make("div", el, { style: "display:grid;grid-template-columns:repeat(auto-fit,minmax(min(17rem,100%),1fr));gap:.6rem 1.2rem;align-items:start" });
    const chart = make("canvas", frame, { width: SIZE, height: SIZE, role: "img", style: "width:100%;max-width:26rem;justify-self:center;cursor:crosshair;border-radius:6px" });
    const beside = make("div", frame, { style: "display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.5rem 1rem;align-items:center" });
    const picture = make("canvas", beside, { width: 280, height: 280, role: "img", style: "width:100%;max-width:17rem;border-radius:6px" });
    const controls = make("div", beside);
    const updates = [0, 1].map((axis) => {
      const one = slider(controls, `z${"₁₂"[axis]}`, { min: -SPAN, max: SPAN, step: 0.05 }, (v) => {
        pin[axis] = v;
        put(pin);
      });
      return () => one.show(z[axis], z[axis].toFixed(2));
    });
    const all = button(controls, "Write everywhere", () => {
      everywhere = !everywhere;
      all.setAttribute("aria-pressed", String(everywhere));
      draw();
    }, { "aria-pressed": "false" });
    const note = make("p", el, { class: "sa-note", role: "status" });
    const px = (v) => ((v + SPAN) / (2 * SPAN)) * SIZE, py = (v) => SIZE - px(v);

    // ---- the country, painted once for each theme

    const ground = make("canvas", null, { width: CELLS, height: CELLS }), tiles = make("canvas", null, { width: SIZE, height: SIZE });
    const rgb = (h, l) => {                                              // hsl at 65 %, as numbers
      const a = 0.65 * Math.min(l, 100 - l) / 100, f = (n) => 255 * (l / 100 - a * Math.max(-1, Math.min((n + h / 30) % 12 - 3, 9 - (n + h / 30) % 12, 1)));
      return [f(0), f(8), f(4)];
    };
    const inks = HUES.map(([h, l]) => rgb(h, l));
    const at = (k, n) => ((k + 0.5) / n) * 2 * SPAN - SPAN;
    const lands = Array.from({ length: CELLS * CELLS }, (_, i) => country(at(i % CELLS, CELLS), -at(Math.floor(i / CELLS), CELLS)));
    (function survey() {
      const g = ground.getContext("2d"), image = g.createImageData(CELLS, CELLS);
      lands.forEach(({ votes, total }, i) => {
        for (let k = 0; k < 3; k += 1) image.data[4 * i + k] = votes.reduce((mix, v, label) => mix + v * inks[label][k], 0) / Math.max(total, 1e-9);
        image.data[4 * i + 3] = 190 * (1 - Math.exp(-1.5 * total));
      });
      g.putImageData(image, 0, 0);
    })();
    let written = false;
    function writeAll() {                                                // a picture in each tile, in the colour of its country
      if (written) return;
      written = true;
      const g = tiles.getContext("2d"), one = make("canvas", null, { width: side, height: side }), s = one.getContext("2d"), tile = SIZE / TILES;
      for (let j = 0; j < TILES; j += 1) {
        for (let i = 0; i < TILES; i += 1) {
          const pixels = decode(at(i, TILES), -at(j, TILES)), { votes, total } = country(at(i, TILES), -at(j, TILES)), image = s.createImageData(side, side);
          const ink = [0, 1, 2].map((k) => votes.reduce((mix, v, label) => mix + v * inks[label][k], 0) / Math.max(total, 1e-9));
          const far = Math.exp(-1.5 * total);                            // where no digit lies, grey
          pixels.forEach((v, p) => image.data.set([...ink.map((c) => 0.45 * (c * (1 - far) + 90 * far) * (1 - v) + 255 * v), 255], 4 * p));
          s.putImageData(image, 0, 0);
          g.drawImage(one, i * tile, j * tile, tile - 1, tile - 1);
        }
      }
    }

    const small = make("canvas", null, { width: side, height: side });
    function draw() {
      for (const update of updates) update();
      const g = chart.getContext("2d");
      g.clearRect(0, 0, SIZE, SIZE);
      g.fillStyle = colour(el, "panel");
      g.fillRect(0, 0, SIZE, SIZE);
      g.imageSmoothingEnabled = true;
      if (everywhere) {
        writeAll();
        g.drawImage(tiles, 0, 0);
      } else {
        g.drawImage(ground, 0, 0, SIZE, SIZE);
        Object.assign(g, { fillStyle: colour(el, "text"), font: "bold 21px sans-serif", textAlign: "center", textBaseline: "middle" });
        places.forEach(([x, y], i) => g.fillText(labels[i], px(x), py(y)));
      }
      for (const [line, thick] of [[colour(el, "background"), 10], [colour(el, "orange"), 5]]) {
        Object.assign(g, { strokeStyle: line, lineWidth: thick });
        g.beginPath();
        g.arc(px(z[0]), py(z[1]), 17, 0, 2 * Math.PI);
        g.stroke();
      }
      const pixels = decode(...z), s = small.getContext("2d"), image = s.createImageData(side, side), p = picture.getContext("2d");
      pixels.forEach((v, i) => {
        const level = Math.round(255 * v);
        image.data.set([level, level, level, 255], 4 * i);
      });
      s.putImageData(image, 0, 0);
      p.imageSmoothingEnabled = false;
      p.drawImage(small, 0, 0, picture.width, picture.height);
      const sure = pixels.filter((v) => v < 0.1 || v > 0.9).length / pixels.length, { label, total } = country(...z);
      const near = total > 0.5 ? `among the encoder's ${label}s` : "far from every digit that it was shown";
      note.textContent = `You stand ${near}. ${Math.round(100 * sure)} % of the pixels are surer than 9 to 1. Numbers: where the encoder puts test digits; colour: which are near.`;
      chart.setAttribute("aria-label", `A map of two latent numbers with test digits on it, coloured by digit; you stand at ${z.map((v) => v.toFixed(2)).join(", ")}, ${near}.`);
      picture.setAttribute("aria-label", `The picture that the decoder writes for ${z.map((v) => v.toFixed(2)).join(", ")}.`);
      numbers(el, { z, pixels, sure, country: label, everywhere });
    }

    // A press stays; a mouse that only passes over the map shows what it meets, and leaves the place as it was.
    let held = false;
    const put = (place) => {
      [z[0], z[1]] = place;
      draw();
    };
    const aim = (event) => {
      const [x, y] = share(chart, event), keep = (v) => clip(Math.round(20 * v) / 20, -SPAN, SPAN);
      return [keep(x * 2 * SPAN - SPAN), keep(SPAN - y * 2 * SPAN)];
    };
    const go = (event) => {
      [pin[0], pin[1]] = aim(event);
      put(pin);
    };
    drag(chart, {
      begin(event) {
        held = true;
        go(event);
      },
      move: go,
      end() { held = false; },
    });
    chart.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse" && !held) put(aim(event)); });
    chart.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse" && !held) put(pin); });
    draw();
    return themed(draw);
  },
};
