"""Time the networks in the page: points a second, first ink and the longest pause, in headless Chromium, one worker.

    python -m bench.page            both synthesizers, with SIMD and without
    python -m bench.page --quick    the small one, few rounds

The demo of `synthesis` is opened as a reader opens it, with its weights beside it, and its button is pressed. A round
is one line. "points" is what the demo says of itself (its data-rate): steps of the network by the time that they took
in the worker. "first ink" runs from the press to the first stroke that is drawn, the weights being there. "pause" is
the longest time in which the page's own thread did not come round, while a line was written, whoever kept it: the
system too. "task" is what its longest piece of work took, in processor time, as Chromium's trace has it. PyTorch's rate
is of the same line, one thread. Run it alone: it needs two cores, one for the page and one for the worker.
"""

import functools
import http.server
import json
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

import torch

from bench._result import Result, parser
from softattn import load
from softattn.in_the_page import page_card, page_noise
from softattn.pictures import demo_html
from softattn.synthesis import HandwritingSynthesizer, sample_lines
from tools.site_weights import copy_weights

TEXT, BIAS = "a thin line of ink", 0.75
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking".split()
HEAD = '<!doctype html><html lang="en"><head><link rel="icon" href="data:,"></head><body>'
WATCH = """() => {
  const demo = document.querySelector(".softattn-demo"), [, ink] = demo.querySelectorAll("svg path");
  const seen = window.seen = { first: null, pause: 0 };
  let last = performance.now(), on = true;
  const beat = () => {
    const now = performance.now();
    seen.pause = Math.max(seen.pause, now - last);
    last = now;
    if (on) setTimeout(beat);
  };
  const begun = performance.now();
  ink.setAttribute("d", "");
  const watcher = new MutationObserver(() => {
    if (!(ink.getAttribute("d") || "").includes("L")) return;
    seen.first ??= performance.now() - begun;
    watcher.disconnect();
  });
  demo.querySelector("button").click();
  watcher.observe(ink, { attributes: true });
  beat();
  return new Promise((resolve) => {
    const ask = () => {
      if (demo.dataset.state === "running" || !demo.dataset.rate) return setTimeout(ask, 20);
      on = false;
      return resolve([Number(demo.dataset.rate), seen.first, seen.pause]);
    };
    setTimeout(ask, 50);
  });
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def longest_task(trace: bytes) -> float:
    """Processor time of the longest task of the page's thread, in milliseconds, from a trace of Chromium."""
    events = json.loads(trace)["traceEvents"]
    named = [e for e in events if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"]
    threads = {(e["pid"], e["tid"]) for e in named}
    tasks = [e for e in events if e["name"].endswith("RunTask") and (e["pid"], e["tid"]) in threads]
    return max(e.get("tdur", 0) for e in tasks) / 1000


def measured(browser, address: str, rounds: int) -> list[float]:
    """Medians of points a second and of milliseconds to the first ink; longest pause, longest task, in milliseconds."""
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.set_default_timeout(600_000)
    page.goto(address)
    page.wait_for_selector("[data-state=idle]")
    speed = page.get_by_role("slider", name="speed")
    speed.focus()
    page.keyboard.press("End")
    page.locator("button").first.click()  # fetches the weights, and warms up
    page.wait_for_selector("[data-state=done]")
    seen = [page.evaluate(WATCH) for _ in range(rounds)]
    browser.start_tracing(page=page, categories=["toplevel"])
    page.evaluate(WATCH)
    task = longest_task(browser.stop_tracing())
    page.close()
    points, first, pause = zip(*seen, strict=True)
    return [statistics.median(points), statistics.median(first), max(pause), task]


def in_python(name: str, rounds: int) -> float:
    """Points a second of the same line, alone, on one thread."""
    model, rates = load(name, cls=HandwritingSynthesizer), []
    torch.set_num_threads(1)
    for _ in range(rounds + 1):  # the first one packs the weights
        start = time.perf_counter()
        (draft,) = sample_lines(model, [TEXT], [1], BIAS, noise=page_noise)
        rates.append(len(draft.strokes) / (time.perf_counter() - start))
    return statistics.median(rates[1:])


def main() -> None:
    from playwright.sync_api import sync_playwright

    args = parser(__doc__, raw=True).parse_args()
    rounds = args.rounds or (3 if args.quick else 7)
    result, rows = Result("page", 1, rounds), []
    names = ["synthesis-free"] if args.quick else ["synthesis-free", "synthesis"]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        site = Path(folder)
        copy_weights(site)
        for name in names:
            page = (
                HEAD + demo_html("synthesis", nets=[page_card(name)], text=TEXT, seed=1, bias=BIAS) + "</body></html>"
            )
            (site / f"{name}-simd.html").write_text(page, "utf-8")
            assert page.count("AGFzbQEAAAAB") == 1
            (site / f"{name}-plain.html").write_text(page.replace("AGFzbQEAAAAB", "BGFzbQEAAAAB"), "utf-8")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        for name in names:
            python = in_python(name, rounds)
            result.figure(f"{name}-python", python, "points/s", f"{name}, PyTorch, one line, one thread")
            for way in ("simd", "plain"):
                address = f"http://127.0.0.1:{server.server_port}/{name}-{way}.html"
                points, first, pause, task = measured(browser, address, rounds)
                result.figure(f"{name}-{way}", points, "points/s", f"{name} in Chromium, {way}")
                result.figure(f"{name}-{way}-first", first, "ms", f"{name}, {way}: from the press to the first ink")
                result.figure(f"{name}-{way}-pause", pause, "ms", f"{name}, {way}: longest pause of the page's thread")
                result.figure(f"{name}-{way}-task", task, "ms", f"{name}, {way}: its longest task, processor time")
                times = (f"{first:.0f}", f"{pause:.0f}", f"{task:.1f}")
                rows.append([name, way, f"{points:,.0f}", f"{points / python:.2f}", *times])
        browser.close()
        server.shutdown()
    head = ["weights", "way", "points/s", "by PyTorch's", "first ink, ms", "longest pause, ms", "longest task, ms"]
    result.table("A line in the page", head, rows)
    result.finish(args)


if __name__ == "__main__":
    main()
