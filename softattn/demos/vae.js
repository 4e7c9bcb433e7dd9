// A map of two latent numbers: wander, and the decoder of softattn.vae writes what stands there.

const make = (tag, parent, attributes = {}, text = "") => {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  parent.append(node);
  return node;
};

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
    const frame = make("div", box);
    frame.style.cssText = "display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 12px";
    const [chart, picture] = [0, 1].map(() => {
      const canvas = make("canvas", frame, { width: 448, height: 448, role: "img" });
      canvas.style.width = "100%";
      return canvas;
    });
    chart.style.touchAction = "none";
    chart.style.cursor = "crosshair";
    const controls = make("div", box, { class: "sa-controls" });
    const updates = [0, 1].map((axis) => {
      const label = make("label", controls, {}, `z${"₁₂"[axis]} `);
      const value = make("b", label), input = make("input", label, { type: "range", min: -SPAN, max: SPAN, step: 0.05 });
      input.addEventListener("input", () => { z[axis] = Number(input.value); draw(); });
      return () => { input.value = z[axis]; value.textContent = z[axis].toFixed(2); };
    });
    const note = make("p", box, { class: "sa-note", role: "status" });
    const px = (v) => ((v + SPAN) / (2 * SPAN)) * 448, py = (v) => 448 - px(v);

    function draw() {
      for (const update of updates) update();
      const css = getComputedStyle(el), colour = (name) => css.getPropertyValue(name), g = chart.getContext("2d");
      g.clearRect(0, 0, 448, 448);
      g.strokeStyle = colour("--sa-line");
      g.lineWidth = 1;
      for (let v = -SPAN; v <= SPAN; v += 1) {
        g.beginPath();
        g.moveTo(px(v), 0);
        g.lineTo(px(v), 448);
        g.moveTo(0, py(v));
        g.lineTo(448, py(v));
        g.stroke();
      }
      g.fillStyle = colour("--sa-text");
      g.font = "22px sans-serif";
      g.textAlign = "center";
      g.textBaseline = "middle";
      places.forEach(([x, y], i) => g.fillText(labels[i], px(x), py(y)));
      g.strokeStyle = colour("--sa-orange");
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
      el.dataset.numbers = JSON.stringify({ z, pixels, sure });
    }

    let down = false;
    const go = (event) => {
      const r = chart.getBoundingClientRect(), keep = (v) => Math.min(SPAN, Math.max(-SPAN, Math.round(20 * v) / 20));
      z[0] = keep(((event.clientX - r.left) / r.width) * 2 * SPAN - SPAN);
      z[1] = keep(SPAN - ((event.clientY - r.top) / r.height) * 2 * SPAN);
      draw();
    };
    chart.addEventListener("pointerdown", (event) => { down = true; chart.setPointerCapture(event.pointerId); go(event); });
    chart.addEventListener("pointermove", (event) => { if (down) go(event); });
    for (const name of ["pointerup", "pointercancel"]) chart.addEventListener(name, () => { down = false; });
    const watcher = new MutationObserver(draw);
    watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "theme"] });
    draw();
    return () => watcher.disconnect();
  },
};
