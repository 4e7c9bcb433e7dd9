// A deck: one slide at a time, by keyboard, buttons or swipe; notes, an overview, dark, print. No other file is loaded.
(() => {
  const root = document.documentElement, body = document.body;
  const slides = [...document.querySelectorAll(".slide")], at = document.querySelector(".at");
  let now = 0, all = false;

  const stored = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = stored("mode");
  const dark = chosen === "dark" || (chosen !== "light" && system.matches);
  root.dataset.theme = dark ? "dark" : "light";

  const wake = (slide) => {                     // demos sleep until their slide is shown
    for (const demo of slide.querySelectorAll(".softattn-demo[data-script]")) {
      const script = document.createElement("script");
      script.src = demo.dataset.script;
      demo.removeAttribute("data-script");
      document.head.append(script);
    }
  };

  const fit = () => {                           // what is too long for the screen gets smaller letters, down to a half
    const slide = slides[now], face = slide.querySelector(".face"), inside = slide.querySelector(".body");
    if (all) return;
    const stage = slide.querySelector(".stage-demo");
    if (stage) {                                // a demo is drawn smaller, down to 0.6, rather than cut
      const before = Number(stage.style.zoom) || 1, high = stage.getBoundingClientRect().height / before;
      const rest = inside.scrollHeight - stage.getBoundingClientRect().height;
      const zoom = Math.max(0.6, Math.min(1.25, (inside.clientHeight - Math.max(0, Math.min(rest, 150))) / (high || 1)));
      if (innerWidth > 700 && Math.abs(zoom - before) > 0.02) stage.style.zoom = zoom.toFixed(3);
      return;
    }
    let size = 1;
    inside.style.fontSize = "";
    const cut = (box) => box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1;
    while (size > 0.5 && (cut(inside) || cut(face))) {
      size -= 0.05;
      inside.style.fontSize = `${size}em`;
    }
  };

  const show = (to, focus = false) => {
    now = Math.max(0, Math.min(slides.length - 1, to));
    for (const [k, slide] of slides.entries()) slide.hidden = !all && k !== now;
    at.textContent = `${now + 1} / ${slides.length}`;
    history.replaceState(null, "", `#${now + 1}`);
    body.classList.toggle("all", all);
    if (all) {
      if (focus) slides[now].scrollIntoView({ block: "center" });
    } else {
      wake(slides[now]);
      scrollTo(0, 0);
      fit();
      if (focus) { slides[now].tabIndex = -1; slides[now].focus({ preventScroll: true }); }
    }
  };

  const actions = {
    notes: () => { body.classList.toggle("with-notes"); fit(); },
    all: () => { all = !all; show(now, true); },
    dark: () => {
      root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("mode", root.dataset.theme); localStorage.setItem("theme", root.dataset.theme); } catch { /* private */ }
    },
  };

  document.querySelector(".bar").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.go) show(now + Number(button.dataset.go));
    if (button?.dataset.do) actions[button.dataset.do]();
  });

  const steps = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const busy = event.target.closest?.("input, select, textarea, [contenteditable], .softattn-demo");
    if (busy || (event.key === " " && event.target.closest?.("button, a"))) return;
    const key = event.key;
    if (key in steps) show(now + steps[key], true);
    else if (key === "Home") show(0, true);
    else if (key === "End") show(slides.length - 1, true);
    else if (key === "n") actions.notes();
    else if (key === "o") actions.all();
    else if (key === "d") actions.dark();
    else return;
    event.preventDefault();
  });

  for (const [k, slide] of slides.entries()) {
    slide.addEventListener("click", () => { if (all) { all = false; show(k, true); } });
  }

  let touch = null;
  addEventListener("touchstart", (event) => {
    const free = !event.target.closest(".softattn-demo, .notes, .bar") && event.touches.length === 1;
    touch = free ? { x: event.touches[0].clientX, y: event.touches[0].clientY } : null;
  }, { passive: true });
  addEventListener("touchend", (event) => {
    if (!touch || all) return;
    const x = event.changedTouches[0].clientX - touch.x, y = event.changedTouches[0].clientY - touch.y;
    if (Math.abs(x) > 50 && Math.abs(x) > 2 * Math.abs(y)) show(now + (x < 0 ? 1 : -1));
  });

  const grown = new ResizeObserver(() => requestAnimationFrame(fit));
  for (const stage of document.querySelectorAll(".stage-demo")) grown.observe(stage);
  addEventListener("resize", fit);
  addEventListener("hashchange", () => show((Number(location.hash.slice(1)) || 1) - 1));
  addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(fit));
  show((Number(location.hash.slice(1)) || 1) - 1);
  body.classList.add("alive");
})();
