// A map of two latent numbers: wander, and the decoder of softattn.vae writes what stands there.
import { clip, colour, drag, make, numbers, share, slider, themed } from "./kit.js";

export default {
  render({ model, el }) {
    const [w1, b1, w2, b2] = ["w1", "b1", "w2", "b2"].map((key) => model.get(key));
    const places = model.get("places"), labels = model.get("labels"), z = [...model.get("z")], side = Math.sqrt(b2.length), SPAN = 3;

    // Linear, SiLU, Linear, sigmoid: VAE.decode with one hidden layer.
    function decode() {
      const hidden = w1.map(([a, b], k) => {
        const v = a * z[0] + b * z[1] + b1[k];
        return v / (1 + Math.exp(-v));
      });
      return w2.map((row, p) => 1 / (1 + Math.exp(-row.reduce((sum, w, k) => sum + w * hidden[k], b2[p]))));
    }

    const box = make("div", el);
    make("p", box, { class: "sa-note" }, "Wander on the map: the decoder writes what stands there.");
    const frame = make("div", box);
    frame.style.cssText = "display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 12px";
    const [chart, picture] = [0, 1].map(() => {
      const canvas = make("canvas", frame, { width: 448, height: 448, role: "img" });
      canvas.style.width = "100%";
      return canvas;
    });
    chart.style.cursor = "crosshair";
    const controls = make("div", box, { class: "sa-controls" });
    const updates = [0, 1].map((axis) => {
      const one = slider(controls, `z${"₁₂"[axis]}`, { min: -SPAN, max: SPAN, step: 0.05 }, (v) => { z[axis] = v; draw(); });
      return () => one.show(z[axis], z[axis].toFixed(2));
    });
    const note = make("p", box, { class: "sa-note", role: "status" });
    const px = (v) => ((v + SPAN) / (2 * SPAN)) * 448, py = (v) => 448 - px(v);

    function draw() {
      for (const update of updates) update();
      const g = chart.getContext("2d");
      g.clearRect(0, 0, 448, 448);
      g.strokeStyle = colour(el, "line");
      g.lineWidth = 1;
      for (let v = -SPAN; v <= SPAN; v += 1) {
        g.beginPath();
        g.moveTo(px(v), 0);
        g.lineTo(px(v), 448);
        g.moveTo(0, py(v));
        g.lineTo(448, py(v));
        g.stroke();
      }
      g.fillStyle = colour(el, "text");
      g.font = "22px sans-serif";
      g.textAlign = "center";
      g.textBaseline = "middle";
      places.forEach(([x, y], i) => g.fillText(labels[i], px(x), py(y)));
      g.strokeStyle = colour(el, "orange");
      g.lineWidth = 5;
      g.beginPath();
      g.arc(px(z[0]), py(z[1]), 17, 0, 2 * Math.PI);
      g.stroke();
      const pixels = decode(), p = picture.getContext("2d"), cell = 448 / side;
      pixels.forEach((v, i) => {
        const level = Math.round(255 * v);
        p.fillStyle = `rgb(${level},${level},${level})`;
        p.fillRect((i % side) * cell, Math.floor(i / side) * cell, cell + 0.5, cell + 0.5);
      });
      const sure = pixels.filter((v) => v < 0.1 || v > 0.9).length / pixels.length;
      note.textContent = `Numbers on the map: where the encoder puts test digits. ${Math.round(100 * sure)} % of the pixels are surer than 9 to 1.`;
      chart.setAttribute("aria-label", `A map of two latent numbers with test digits on it; you stand at ${z.map((v) => v.toFixed(2)).join(", ")}.`);
      picture.setAttribute("aria-label", `The picture that the decoder writes for ${z.map((v) => v.toFixed(2)).join(", ")}.`);
      numbers(el, { z, pixels, sure });
    }

    const go = (event) => {
      const [x, y] = share(chart, event), keep = (v) => clip(Math.round(20 * v) / 20, -SPAN, SPAN);
      z[0] = keep(x * 2 * SPAN - SPAN);
      z[1] = keep(SPAN - y * 2 * SPAN);
      draw();
    };
    drag(chart, { begin: go, move: go });
    draw();
    return themed(draw);
  },
};
