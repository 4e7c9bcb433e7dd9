"""Oracle tests of softattn.draw: autograd, double loops in NumPy, torch.distributions, quadrature, shipped weights."""

import json

import pytest
import torch

# -- the demo ----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_demo_steps_through_films():
    from playwright.sync_api import sync_playwright

    from softattn.pictures import demo_html

    g = torch.Generator().manual_seed(0)
    T, rows, columns = 6, 9, 7
    ink = torch.randint(256, (2, T, rows * columns), generator=g)
    boxes = 4 * torch.rand(2, T, 4, generator=g, dtype=torch.float64) + 1
    kl = 3 * torch.rand(T, generator=g, dtype=torch.float64)
    films = [
        dict(
            title="<b>one</b>", frames=ink[0].tolist(), write=boxes[0].tolist(), read=boxes[1].tolist(), kl=kl.tolist()
        ),
        dict(title="two", frames=ink[1, :3].tolist(), write=None, read=None, kl=None),
    ]
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags.split())
        page = browser.new_page(viewport={"width": 390, "height": 1200})
        page.set_content(demo_html("draw", films=films, rows=rows, columns=columns))
        demo = page.locator(".softattn-demo[data-demo=draw]").first
        page.wait_for_function("document.querySelector('.softattn-demo').dataset.numbers")

        def numbers():
            return json.loads(demo.get_attribute("data-numbers"))

        def check(step, film=0):
            n = numbers()
            assert (n["film"], n["step"], n["title"]) == (film, step, films[film]["title"])
            assert n["ink"] == pytest.approx(ink[film, step - 1].sum().item() / 255, abs=1e-9)
            if film == 0:
                assert n["kl"] == pytest.approx(kl[step - 1].item()) and n["kl_total"] == pytest.approx(kl.sum().item())
                assert n["kl_so_far"] == pytest.approx(kl[:step].sum().item())
                assert n["write"] == boxes[0, step - 1].tolist() and n["read"] == boxes[1, step - 1].tolist()
            else:
                assert [n[key] for key in ("kl", "kl_so_far", "kl_total", "write", "read")] == [None] * 5
            assert not n["playing"]

        check(T)  # it starts finished, and at rest
        assert demo.locator("b", has_text="one").count() == 0  # a title is text, not HTML
        slider = demo.locator("input[type=range]")
        slider.fill("2")
        check(2)
        slider.press("ArrowRight")
        check(3)
        back, on = (demo.locator(f"button[aria-label='{name} step']") for name in ("previous", "next"))
        back.focus()
        page.keyboard.press("Enter")
        check(2)
        on.focus()
        for step in (3, 4, 5, 6, 6):  # the last press does nothing, and the button keeps the focus
            page.keyboard.press("Enter")
            check(step)
        bars = demo.locator("svg")
        box = bars.bounding_box()
        page.mouse.click(box["x"] + box["width"] * 1.5 / T, box["y"] + box["height"] / 2)
        check(2)
        demo.locator("select").select_option("1")
        check(2, 1)
        levels = page.evaluate(  # the middles of the pixels, from the canvas itself
            """([rows, columns]) => {
              const c = document.querySelector(".softattn-demo canvas"), g = c.getContext("2d");
              const zoom = c.width / (columns + 4);
              const level = (y, x) => g.getImageData((x + 2.5) * zoom, (y + 2.5) * zoom, 1, 1).data[1];
              return Array.from({ length: rows * columns }, (_, p) => level(Math.floor(p / columns), p % columns));
            }""",
            [rows, columns],
        )
        assert levels == ink[1, 1].tolist()
        assert not bars.is_visible() and demo.get_by_text("writes here").is_hidden()
        demo.locator("select").select_option("0")
        check(2)

        demo.get_by_role("button", name="Play").click()
        assert numbers()["playing"] and demo.get_by_role("button", name="Stop").count() == 1
        page.wait_for_function("!JSON.parse(document.querySelector('.softattn-demo').dataset.numbers).playing")
        check(T)
        demo.get_by_role("button", name="Play").click()  # at the end: from the start
        assert numbers()["step"] < T
        demo.get_by_role("button", name="Stop").click()
        step = numbers()["step"]
        page.wait_for_timeout(500)
        check(step)
        slider.fill("1")
        page.emulate_media(reduced_motion="reduce")
        demo.get_by_role("button", name="Play").click()  # nothing moves: straight to the end
        check(T)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()
