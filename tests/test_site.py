"""The built pages, the extensions that make them, and the driver that builds and serves them."""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tools import build_site, execute, markdown, repository, toc

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"

bs4 = pytest.importorskip("bs4")

PAGES = [f"{chapter.path.parent.name}/{chapter.name}" for chapter in toc.chapters(ROOT)]
CHAPTERS = [page for page in PAGES if (ROOT / "notebooks" / f"{Path(page).name}.ipynb").exists()]


@cache
def soup(path: Path):
    return bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def page(name: str):
    path = HTML / f"{name}.html"
    assert path.exists(), f"{name} stands in _toc.yml and was not built"
    return soup(path)


def external(url: str | None) -> bool:
    return bool(url) and (url.startswith("//") or urlsplit(url).scheme in ("http", "https", "ws", "wss"))


def names(module: str) -> list[str]:
    import importlib

    return importlib.import_module(f"softattn.{module}").__all__


# The pages


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole(name):
    article = page(name).select_one("article.bd-article")
    assert article is not None
    (title,) = article.find_all("h1")
    assert title.get_text().strip("# \n")
    prose = bs4.BeautifulSoup(str(article), "html.parser")
    for code in prose.find_all(["pre", "code", "script", "style", "mjx-container"]):
        code.decompose()
    for math in prose.select(".math"):
        math.decompose()
    text = prose.get_text()
    for raw in (
        "{cite",
        "{doc}",
        "{ref}",
        "{eq}",
        "{math}",
        "```",
        ":::",
        "{exercise",
        "{solution",
        ":class:",
        "% chapters",
    ):
        assert raw not in text, f"raw markup on {name}: {raw}"
    assert not re.search(r"^\([\w-]+\)=", text, re.M)
    for output in article.select(".cell_output"):
        assert "Traceback (most recent call last)" not in output.get_text()
        assert str(ROOT) not in output.get_text(), "a path of the machine that built the page"
    assert not article.select(".output.stderr")
    assert not article.select("p.system-message, .problematic")


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES)
def test_every_image_is_there_and_has_words(name):
    html = page(name)
    for image in html.find_all("img"):
        assert image.get("src"), f"an image without a source on {name}"
        if image.find_parent("article") is not None:
            assert (image.get("alt") or "").strip(), f"an image without words on {name}: {str(image)[:200]}"
        source = image["src"]
        if source.startswith("data:"):
            assert len(source) > 500
        elif not external(source):
            file = (HTML / f"{name}.html").parent / unquote(urlsplit(source).path)
            assert file.stat().st_size > 0
    for image in html.select("article img:not(.softattn-figure)"):
        assert "cell_output" not in " ".join(c for p in image.parents for c in p.get("class", [])), (
            "go through show_figure"
        )


@pytest.mark.site
@pytest.mark.parametrize("name", [*PAGES, "search", "genindex"])
def test_nothing_is_loaded_from_elsewhere(name):
    html = page(name)
    for tag, attribute in [("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("embed", "src")]:
        for element in html.find_all(tag):
            assert not external(element.get(attribute)), element.get(attribute)
    for link in html.find_all("link"):
        loads = set(link.get("rel", [])) - {"canonical", "author", "license", "next", "prev", "index", "search"}
        assert not (loads and external(link.get("href"))), link
    for script in html.find_all("script"):
        assert not re.search(r"https?://(?!www\.w3\.org/|localhost)", script.string or ""), (script.string or "")[:300]
    for style in html.find_all("style"):
        assert "http" not in (style.string or "")


@pytest.mark.site
def test_style_sheets_load_nothing_from_elsewhere():
    for sheet in HTML.glob("_static/**/*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import\s+)[\"']?(https?:)?//", text), sheet


@pytest.mark.site
@pytest.mark.parametrize("name", [*PAGES, "genindex"])
def test_internal_links_and_anchors_resolve(name):
    here = HTML / f"{name}.html"
    for link in page(name).find_all("a", href=True):
        href = link["href"]
        parts = urlsplit(href)
        if parts.scheme or parts.netloc or not href or href == "#":
            continue
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        target = target / "index.html" if target.is_dir() else target
        assert target.exists(), f"{name}: {href} leads nowhere"
        if parts.fragment and target.suffix == ".html":
            found = soup(target).find(id=unquote(parts.fragment))
            assert found is not None, f"{name}: {href} has no such anchor"


@pytest.mark.site
@pytest.mark.parametrize("name", [*PAGES, "search", "genindex"])
def test_no_link_leads_to_an_address_that_is_not_set(name):
    if repository.address(ROOT).placeholder:
        assert [a["href"] for a in page(name).find_all("a", href=True) if "__OWNER__" in a["href"]] == []


@pytest.mark.site
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_leads_to_colab_its_notebook_and_its_source(name):
    html = page(name)
    short = Path(name).name
    here = repository.address(ROOT)
    colab = f"https://colab.research.google.com/github/{here.owner}/{here.repo}/blob/notebooks/{short}.ipynb"
    header = [a["href"] for a in html.select(".bd-header-article a[href], .article-header-buttons a[href]")]
    assert (colab in header) is not here.placeholder
    line = html.select_one("ul.chapter-links")
    links = {a.get_text(): a["href"] for a in line.find_all("a")}
    assert links.get("Open in Colab") == (None if here.placeholder else colab)
    base = (HTML / f"{name}.html").parent
    notebook = json.loads((base / links["Download notebook"]).read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4 and notebook == json.loads((ROOT / "notebooks" / f"{short}.ipynb").read_text())
    assert (base / links["Source"]).read_text(encoding="utf-8") == (ROOT / f"{name}.md").read_text(encoding="utf-8")
    downloads = [h for h in header if h.endswith(".ipynb") and not external(h)]
    assert downloads and all((base / h).exists() and "notebooks/" in h for h in downloads)
    if (ROOT / "softattn" / f"{short}.py").exists():
        assert links[f"softattn.{short}"].endswith(f"#api-{short.replace('_', '-')}")


@pytest.mark.site
@pytest.mark.parametrize("name", [p for p in PAGES if p not in CHAPTERS])
def test_a_page_without_notebook_has_no_colab_button(name):
    assert not [a for a in page(name).select(".bd-header-article a[href]") if "colab" in a["href"]]


@pytest.mark.site
def test_the_title_page_lists_every_chapter():
    table = page("book/index").select_one("article table")
    expected, part = [], ""
    for chapter in toc.chapters(ROOT):
        if chapter.name == "index" or f"book/{chapter.name}" not in CHAPTERS:
            continue
        expected += [chapter.name] if chapter.part == part else [chapter.part, chapter.name]
        part = chapter.part
    rows = [row.find_all("td") for row in table.select("tbody tr")]
    assert [cells[0].a["href"].split(".")[0] if cells[0].a else cells[0].get_text() for cells in rows] == expected
    for cells in rows:
        if cells[0].a:
            name = cells[0].a["href"].split(".")[0]
            assert cells[0].get_text().strip().endswith("."), f"{name}: a sentence in its front matter says what it is"
            assert 10 <= int(cells[1].get_text()) <= 180, f"{name}: **Time** in minutes or hours"
            assert f"{name}.ipynb" in cells[2].get_text()


def test_a_chapter_says_its_minutes_in_words_that_the_title_page_understands():
    import page_links

    for text, value in {
        "**Time** an hour and a quarter to read; the cells": 75,
        "**Time** two hours with a sheet of paper; the": 120,
        "**Time** 2 hours; the": 120,
        "**Time** 70 minutes of reading; the": 70,
        "**Time** 40 minutes, on": 40,
        "**Time** half an hour; the": 30,
        "**Time** soon; the": None,
        "no such line": None,
    }.items():
        assert page_links.minutes(text) == value, text
    for name in CHAPTERS:
        if name != "book/index":
            assert page_links.minutes((ROOT / f"{name}.md").read_text(encoding="utf-8")), f"{name}: no **Time**"


@pytest.mark.site
def test_every_exported_name_has_an_anchor():
    import api_reference

    html = page("book/api")
    modules = api_reference.modules(ROOT)
    assert {"lstm", "prediction", "pictures", "training"} <= set(modules)
    for module in modules:
        assert html.find(id=f"api-{module.replace('_', '-')}") is not None
        for name in names(module):
            found = html.find(id=f"softattn.{module}.{name}")
            assert found is not None, f"softattn.{module}.{name} is exported and not in the reference"
            assert len(found.find_next_sibling("dd").get_text().split()) > 2, f"{name} has no words"


@pytest.mark.site
def test_search_index_knows_the_chapters():
    text = (HTML / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\);?\s*", text, re.S)[1])
    assert set(PAGES) <= set(index["docnames"])
    assert "gradient" in index["terms"]


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_found_and_shared(name):
    html, here = page(name), repository.address(ROOT)
    front = toc.read(ROOT / f"{name}.md").metadata.get("softattn", {})
    assert len(html.select('meta[name="viewport"]')) == 1
    (title,) = html.select("head > title")
    heading = re.sub(r"^[\d.]+\s*", "", html.select_one("article h1").get_text())  # without the chapter's number
    assert title.get_text().strip().startswith(front.get("headline") or heading[:6])
    said = {tag.get("name") or tag.get("property"): tag.get("content") for tag in html.select("head > meta")}
    assert 40 <= len(said["description"]) <= 320 and said["og:description"] == said["description"]
    assert said["og:title"] and said["og:image"].endswith("_static/share.png")
    assert (HTML / "_static" / "share.png").stat().st_size > 10_000
    canonical = [link["href"] for link in html.select('link[rel="canonical"]')]
    assert canonical == ([] if here.placeholder else [f"{repository.site_url(here)}/{name}.html"])
    if here.placeholder:
        assert not [a["href"] for a in html.find_all("a", href=True) if repository.PLACEHOLDER in a["href"]]


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light(name):
    """600 kB at most, packed; pictures are files that load as they are reached; no script draws icons."""
    text = (HTML / f"{name}.html").read_bytes()
    assert len(gzip.compress(text)) <= 600_000
    html = page(name)
    for image in html.select("img.softattn-figure"):
        assert not image["src"].startswith("data:") and image["loading"] == "lazy", f"{name}: {image['alt'][:60]}"
    assert b"fontawesome.js" not in text
    icons = sum(file.stat().st_size for file in (HTML / "_static" / "vendor" / "fontawesome").rglob("*.*"))
    assert icons < 30_000 and not (HTML / "_static" / "scripts" / "fontawesome.js").exists()


@pytest.mark.site
def test_a_chapter_without_a_number_says_where_it_stands():
    for chapter in toc.chapters(ROOT):
        mark = page(f"book/{chapter.name}").select_one("p.chapter-part")
        expected = chapter.part if chapter.part in (toc.ENGINE, toc.TOOLBOX) else None
        assert (mark.get_text() if mark else None) == expected, chapter.name


def test_pictures_leave_the_page_and_know_whether_they_turn_dark(tmp_path):
    import light

    def tag(content: bytes, kind: str = "svg+xml") -> str:
        data = base64.b64encode(content).decode()
        return f'<img class="softattn-figure" alt="A" width="672" height="9" src="data:image/{kind};base64,{data}">'

    html = light.boxed(
        light.outside(
            '<div class="output text_html">' + tag(b"<svg/>") + "</div>" + tag(b"<svg><image/></svg>"),
            tmp_path,
            "../i/",
        )
    )
    first, second = bs4.BeautifulSoup(html, "html.parser").find_all("img")
    assert first["class"] == ["softattn-figure", "line-art"] and second["class"] == ["softattn-figure"]
    assert first.parent["class"] == ["figure-box"] and first.parent["style"] == "--width: 672px"
    assert (tmp_path / Path(first["src"]).name).read_bytes() == b"<svg/>" and first["src"].startswith("../i/")
    assert light.outside(html, tmp_path, "../i/") == html
    names, points = light.used(
        ['<i class="fa-solid fa-bars">'], '.fa-bars:before{content:"\\f0c9"}.fa-x:before{content:"\\f00d"}'
    )
    assert "fa-bars" in names and 0xF0C9 in points and 0xF00D not in points


def test_a_demo_of_the_gallery_is_its_chapters_and_sleeps(tmp_path):
    import moves

    demo = '<style>a {}</style>\n<div class="softattn-demo" id="demo-1-1" data-demo="pen"><img></div>\n'
    demo += '<script type="module">\nawait 1; f("#demo-1-1");\n</script>'
    (html,) = moves.asleep(demo + demo.replace("-1-1", "-1-2"), tmp_path, "../s/")  # twice on its page, once here
    node = bs4.BeautifulSoup(html, "html.parser").find("div")
    assert node["id"] == "demo-1-1-gallery" and node.img and not node.find("script")
    script = (tmp_path / Path(node["data-script"]).name).read_text()
    assert script == '(async () => {\nawait 1; f("#demo-1-1-gallery");\n})();\n'


@pytest.mark.site
def test_equations_are_set_by_our_own_mathjax():
    script = HTML / "_static" / "vendor" / "mathjax" / "tex-chtml.js"
    assert script.stat().st_size > 500_000
    assert len(list(script.parent.rglob("*.woff"))) > 15
    assert (
        sum(f.stat().st_size for f in script.parent.rglob("*") if f.is_file()) < 4e6
    )  # trimmed: the package has 24 MB
    assert not (HTML / "_static" / "mathjax").exists()


@pytest.mark.site
def test_the_chapters_ran_without_warnings():
    for path in (ROOT / "_build" / "jupyter_execute").rglob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                assert output["output_type"] != "error", path
                if output.get("name") == "stderr":
                    assert "Warning" not in "".join(output["text"]), f"{path.name}: {''.join(output['text'])[:500]}"


# The extensions


def test_the_digest_knows_what_a_chapter_reads():
    import cache_key

    root = ROOT
    files = {path.relative_to(root).as_posix() for path in cache_key.inputs("pictures", root)}
    assert {"softattn/pictures.py", "softattn/demos/pictures.js", "softattn/demos/kit.js", "requirements.lock"} <= files
    assert "softattn/lstm.py" not in files
    assert cache_key.digest("pictures", root) == cache_key.digest("pictures", root)


@pytest.mark.parametrize(
    "front",
    [
        "---\nkernelspec: {display_name: Python 3, name: python3}\nx: 1\n---\n",
        "---\nx: 1\nkernelspec:\n  display_name: Python 3\n  name: python3\n---\n",
    ],
)
def test_the_digest_goes_into_the_kernelspec_and_nowhere_else(front):
    import cache_key
    import yaml

    text = front + "\nText: kernelspec: {no}\n"
    new = cache_key.with_digest(text, "1234")
    head, tail = (yaml.safe_load(part.split("---\n")[1]) for part in (new, text))
    assert head["kernelspec"].pop("softattn_digest") == "d1234"
    assert head == tail and new.endswith("\nText: kernelspec: {no}\n")
    assert cache_key.with_digest("# no front matter\n", "1234") == "# no front matter\n"


@pytest.mark.slow
def test_the_cache_knows_the_package(tmp_path):
    """Unchanged: nothing runs. A module, a demo, a lock changes: only the chapters that read it run again."""
    for folder in ("book/_ext", "softattn/demos", "softattn/weights", "tools"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "book/_ext/cache_key.py", tmp_path / "book/_ext")
    shutil.copytree(ROOT / "tools", tmp_path / "tools", dirs_exist_ok=True)
    (tmp_path / "softattn/__init__.py").write_text("")
    (tmp_path / "softattn/base.py").write_text("value = 1\n")
    (tmp_path / "softattn/alpha.py").write_text("from softattn.base import value\n")
    (tmp_path / "softattn/beta.py").write_text("value = 2\n")
    (tmp_path / "softattn/demos/spin.js").write_text("1")
    (tmp_path / "requirements.lock").write_text("a==1\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/one\nchapters:\n  - file: book/two\n")
    front = "---\njupytext:\n  text_representation: {extension: .md, format_name: myst}\n"
    front += "kernelspec: {display_name: Python 3, name: python3}\n---\n"
    ran = tmp_path / "ran"
    for name, module, more in [("one", "alpha", ""), ("two", "beta", 'def show(name): ...\nshow("spin")\n')]:
        code = f'from softattn.{module} import value\nopen({str(ran)!r}, "a").write("{name} ")\n{more}print(value)'
        (tmp_path / f"book/{name}.md").write_text(f"{front}# {name}\n\n```{{code-cell}} python\n{code}\n```\n")
    (tmp_path / "conf.py").write_text(
        "extensions = ['myst_nb', 'cache_key']\nroot_doc = 'book/one'\n"
        "nb_execution_mode = 'cache'\nnb_execution_cache_path = '_build/.jupyter_cache'\n"
        "nb_execution_raise_on_error = True\nexclude_patterns = ['out']\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{tmp_path / 'book/_ext'}", "OMP_NUM_THREADS": "1"}

    def executed() -> list[str]:
        ran.write_text("")
        command = [sys.executable, "-m", "sphinx", "-q", "-E", "-b", "html", ".", "out"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return ran.read_text().split()

    assert executed() == ["one", "two"]
    assert executed() == []
    (tmp_path / "softattn/base.py").write_text("value = 10\n")  # read by one, through alpha
    assert executed() == ["one"]
    assert "10" in (tmp_path / "out/book/one.html").read_text()
    (tmp_path / "softattn/demos/spin.js").write_text("2")  # shown by two
    assert executed() == ["two"]
    (tmp_path / "requirements.lock").write_text("a==2\n")
    assert executed() == ["one", "two"]
    assert executed() == []
    (tmp_path / "softattn/base.py").write_text("value = 11\n")
    ran.write_text("")
    command = [sys.executable, "-m", "tools.execute"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("chapters to execute: 1, 1 at a time; outputs known: 1\n")
    assert ran.read_text().split() == ["one"], "executed before the build, which then runs nothing"
    assert executed() == []
    assert "11" in (tmp_path / "out/book/one.html").read_text()
    (tmp_path / "softattn/base.py").write_text("raise ValueError('no value today')\n")
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "one  FAILED" in done.stdout and "no value today" in done.stdout


# The driver


def test_the_reader_knows_what_the_pages_parser_knows():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert set(config["parse"]["myst_enable_extensions"]) == markdown.EXTENSIONS
    assert config["execute"]["timeout"] == execute.TIMEOUT


def test_a_second_build_of_the_same_sources_does_nothing(tmp_path, monkeypatch, capsys):
    for folder in ("book", "softattn", "_build/html"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book/one.md").write_text("# One\n")
    steps = []

    def run(command, **how):
        steps.append(command)
        (tmp_path / "_build/html").mkdir(exist_ok=True)
        (tmp_path / "_build/html/index.html").write_text("")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(build_site.subprocess, "run", run)
    assert build_site.build(tmp_path) == 0 and len(steps) == 3
    assert len(capsys.readouterr().out.splitlines()) <= 12
    assert build_site.build(tmp_path) == 0 and len(steps) == 3
    assert "nothing has changed" in capsys.readouterr().out
    (tmp_path / "book/one.md").write_text("# Two\n")
    assert build_site.build(tmp_path) == 0 and len(steps) == 6
    assert build_site.build(tmp_path, fresh=True) == 0 and len(steps) == 9


def test_a_build_that_fails_says_why_and_leaves_no_site(tmp_path, monkeypatch, capsys):
    (tmp_path / "_build/html").mkdir(parents=True)

    def run(command, stdout, **how):
        stdout.write("".join(f"line {n}\n" for n in range(99)) + "book/one.md:3: WARNING: broken\n")
        return subprocess.CompletedProcess(command, 2)

    monkeypatch.setattr(build_site.subprocess, "run", run)
    assert build_site.build(tmp_path) == 2
    told = capsys.readouterr().err
    assert "book/one.md:3: WARNING: broken" in told and "build.log" in told and "line 3\n" not in told
    assert not (tmp_path / "_build/html").exists()


def test_serve_answers_on_this_machine_only(tmp_path):
    (tmp_path / "_build/html").mkdir(parents=True)
    (tmp_path / "_build/html/index.html").write_text("the title page")
    (tmp_path / "tools").mkdir()
    for name in ("__init__", "build_site"):
        shutil.copy(ROOT / f"tools/{name}.py", tmp_path / "tools")
    command = [sys.executable, "-m", "tools.build_site", "serve", "--port", "0"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = server.stdout.readline().split()[0]
        assert url.startswith("http://127.0.0.1:")
        assert urllib.request.urlopen(url).read() == b"the title page"
    finally:
        server.terminate()
        server.wait()


def test_serve_says_when_there_is_no_site(tmp_path):
    (tmp_path / "tools").mkdir()
    for name in ("__init__", "build_site"):
        shutil.copy(ROOT / f"tools/{name}.py", tmp_path / "tools")
    done = subprocess.run(
        [sys.executable, "-m", "tools.build_site", "serve"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1 and "there is no site at" in done.stderr and "make book" in done.stderr
