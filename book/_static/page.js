// What pages need beside the theme. Wide blocks scroll inside themselves: let the keyboard reach them.
document.addEventListener("DOMContentLoaded", () => {
  const wide = ".bd-article pre, .bd-article .pst-scrollable-table-container, .bd-article dl.py > dt, .bd-article .figure-box, .bd-article div.math, " +
    ".bd-article mjx-container[display=true]";
  const mark = () => {
    for (const block of document.querySelectorAll(wide)) {
      const over = block.scrollWidth > block.clientWidth || block.scrollHeight > block.clientHeight;
      const held = over && getComputedStyle(block).overflowX !== "visible";
      if (held) block.tabIndex = 0;
      else if (block.tabIndex === 0) block.removeAttribute("tabindex");
    }
  };
  mark();
  addEventListener("resize", mark);
  document.fonts?.ready.then(mark);
  const watch = new ResizeObserver(mark);             // what is laid out late has its width late
  for (const block of document.querySelectorAll(wide)) watch.observe(block);
  document.addEventListener("toggle", mark, true);   // what was folded has no width
  addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark));

  // Links to a heading itself are for the mouse: a chapter has forty, and the table of contents holds the same.
  for (const link of document.querySelectorAll(".bd-article a.headerlink")) link.tabIndex = -1;

  // Demos of the gallery wake when they come near.
  const asleep = document.querySelectorAll(".softattn-demo[data-script]");
  const wake = (demo) => {
    const node = document.createElement("script");
    node.src = demo.dataset.script;
    demo.removeAttribute("data-script");
    document.head.append(node);
  };
  const near = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      wake(target);
    }
  }, { rootMargin: "600px" });
  for (const demo of asleep) near.observe(demo);
});
