// Wide blocks scroll inside themselves: let the keyboard reach them.
document.addEventListener("DOMContentLoaded", () => {
  const mark = () => {
    for (const block of document.querySelectorAll(".bd-article pre, .bd-article .pst-scrollable-table-container, .bd-article dl.py > dt")) {
      if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
    }
  };
  mark();
  addEventListener("resize", mark);
});
