"""The address and everything that repeats it; publishing to a local bare repository under two owners."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tools import address, publish, repository
from tools.build_site import JUPYTER_BOOK
from tools.repository import AddressError

ROOT = Path(__file__).resolve().parent.parent

SHA = "0123456789abcdef0123456789abcdef01234567"
OTHER_SHA = "f" * 40


def git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def house(tmp_path) -> Path:
    """A small repository with two chapters, one page without code, and files that repeat the address."""
    root = tmp_path / "house"
    (root / "book").mkdir(parents=True)
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n  - file: book/one\n  - file: book/two\n", encoding="utf-8"
    )
    (root / "_config.yml").write_text(
        "title: A book  # https://github.com/elsewhere/other stays\n"
        "# the one address\nrepository:   # kept\n"
        "  url: https://github.com/__OWNER__/softattn  # here\n  branch: main\nhtml: {use_repository_button: true}\n",
        encoding="utf-8",
    )
    (root / "README.md").write_text(
        'pip install "softattn @ git+https://github.com/__OWNER__/softattn"\n'
        "[site](https://__OWNER__.github.io/softattn/) [other](https://github.com/__OWNER__/softattn-extras)\n"
        "![badge](https://colab.research.google.com/github/__OWNER__/softattn/blob/notebooks/one.ipynb)\n",
        encoding="utf-8",
    )
    (root / "book" / "index.md").write_text("# The book\n", encoding="utf-8")
    for name in ("one", "two"):
        (root / "book" / f"{name}.md").write_text(
            "---\njupytext: {text_representation: {extension: .md, format_name: myst}}\n"
            "kernelspec: {display_name: Python 3, language: python, name: python3}\n---\n"
            f"# Chapter {name}\n\n```{{code-cell}} python\n1 + 1\n```\n",
            encoding="utf-8",
        )
    git("init", "-q", "-b", "main", cwd=root)
    git("add", "-A", cwd=root)
    git("-c", "user.name=A", "-c", "user.email=a@b.invalid", "commit", "-qm", "Begin", cwd=root)
    return root


@pytest.fixture
def bare(tmp_path) -> Path:
    git("init", "-q", "--bare", "remote.git", cwd=tmp_path)
    return tmp_path / "remote.git"


def install_cell(text: str) -> str:
    """The first code cell of a notebook."""
    cells = json.loads(text)["cells"]
    return "".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"])


# -- the address -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://github.com/a/b", "does not begin with https://"),
        ("git@github.com:a/b.git", "does not begin with https://"),
        ("https://github.com/a/b/", "ends in a slash"),
        ("https://github.com/a/b.git", "leave .git out"),
        ("https://github.com/a", "not host, owner and repository"),
        ("https://github.com/a/b/c", "not host, owner and repository"),
        ("https://github.com/a b/c", "not host, owner and repository"),
        ("https://github.com/-a/c", "not an account name"),
        ("https://github.com/__OTHER__/c", "not an account name"),
    ],
)
def test_a_malformed_address_is_refused_with_advice(url, says):
    with pytest.raises(AddressError, match=re.escape(says)):
        repository.parse(url)


def test_a_malformed_ref_is_refused():
    with pytest.raises(AddressError, match="not a branch, a tag or a commit"):
        repository.parse("https://github.com/a/b", "a branch")


def test_links_of_an_address():
    here = repository.parse("https://github.com/ada/softattn", SHA)
    assert repository.colab_url(here, "lstm") == (
        "https://colab.research.google.com/github/ada/softattn/blob/notebooks/lstm.ipynb"
    )
    assert repository.site_url(here) == "https://ada.github.io/softattn"
    assert repository.site_url(repository.parse("https://github.com/ada/ada.github.io")) == "https://ada.github.io"
    assert repository.install_line(here) == f"softattn[book] @ git+https://github.com/ada/softattn@{SHA}"
    assert repository.file_url(here, "a/b.py") == f"https://github.com/ada/softattn/blob/{SHA}/a/b.py"
    assert not here.placeholder and repository.parse("https://github.com/__OWNER__/x").placeholder


def test_setting_the_address_changes_it_everywhere_and_nothing_else(house):
    assert address.main(["https://github.com/ada/pen", "--ref", "stable"], house) == 0
    config = (house / "_config.yml").read_text(encoding="utf-8")
    assert config == (
        "title: A book  # https://github.com/elsewhere/other stays\n"
        "# the one address\nrepository:   # kept\n"
        "  url: https://github.com/ada/pen  # here\n  branch: stable\nhtml: {use_repository_button: true}\n"
    )
    assert (house / "README.md").read_text(encoding="utf-8") == (
        'pip install "softattn @ git+https://github.com/ada/pen"\n'
        "[site](https://ada.github.io/pen/) [other](https://github.com/__OWNER__/softattn-extras)\n"
        "![badge](https://colab.research.google.com/github/ada/pen/blob/notebooks/one.ipynb)\n"
    )
    assert "softattn[book] @ git+https://github.com/ada/pen@stable" in install_cell(
        (house / "notebooks" / "one.ipynb").read_text(encoding="utf-8")
    )
    assert repository.address(house) == repository.parse("https://github.com/ada/pen", "stable")
    before = {p: p.read_bytes() for p in house.rglob("*") if p.is_file() and ".git" not in p.parts}
    assert address.main(["https://github.com/ada/pen"], house) == 0  # a second time changes nothing
    assert before == {p: p.read_bytes() for p in house.rglob("*") if p.is_file() and ".git" not in p.parts}
    assert address.main(["https://github.com/__OWNER__/softattn", "--ref", "main"], house) == 0  # and back again
    assert "__OWNER__" in (house / "README.md").read_text(encoding="utf-8")


def test_a_repository_in_braces_is_set_too():
    here = repository.parse("https://github.com/ada/pen")
    text = "repository: {url: https://github.com/__OWNER__/softattn, branch: trunk}\nurl: https://x.invalid/a/b\n"
    assert repository.configured(text, here) == (
        "repository: {url: https://github.com/ada/pen, branch: main}\nurl: https://x.invalid/a/b\n"
    )


@pytest.mark.parametrize("text", ["title: A book\n", "repository:\n  branch: main\nurl: https://x.invalid\n"])
def test_a_config_without_an_address_says_so(text, house):
    with pytest.raises(AddressError, match="_config.yml"):
        repository.configured(text, repository.parse("https://github.com/ada/pen"))
    (house / "_config.yml").write_text(text, encoding="utf-8")
    with pytest.raises(AddressError, match="repository.url"):
        repository.address(house)


def test_check_finds_another_address(house, capsys):
    assert address.main(["--check"], house) == 0
    (house / "book" / "one.md").write_text("# One\n\n\nhttps://github.com/mallory/softattn.git\n", encoding="utf-8")
    assert address.main(["--check"], house) == 1
    assert "book/one.md:4: https://github.com/mallory/softattn is not the address" in capsys.readouterr().err
    (house / "book" / "one.md").write_text("# One\n\nhttps://mallory.github.io/softattn/x\n", encoding="utf-8")
    assert address.main(["--check"], house) == 1


def test_the_tree_carries_one_address():
    assert repository.strangers(ROOT) == []


# -- publishing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["ada", "Grace-Hopper"])
def test_publishing_reaches_the_branch_with_links_and_install_cells(house, bare, owner):
    url = f"https://github.com/{owner}/softattn"
    status = git("status", "--porcelain", cwd=house)
    assert publish.main(["--remote", str(bare), "--url", url, "--sha", SHA], house) == 0
    names = git("ls-tree", "-r", "--name-only", "notebooks", cwd=bare).split()
    assert names == ["README.md", "one.ipynb", "two.ipynb"]
    readme = git("show", "notebooks:README.md", cwd=bare)
    for name in ("one", "two"):
        text = git("show", f"notebooks:{name}.ipynb", cwd=bare)
        _check_install(install_cell(text), owner, SHA)
        assert "__OWNER__" not in text
        link = repository.colab_url(repository.parse(url), name)
        assert link == f"https://colab.research.google.com/github/{owner}/softattn/blob/notebooks/{name}.ipynb"
        assert link in readme
        path = link.split("/blob/notebooks/")[1]
        assert path in names  # the link leads to a file of the branch
    assert git("status", "--porcelain", cwd=house) == status  # the working tree and the index are as they were


def _check_install(cell: str, owner: str, sha: str) -> None:
    assert f"git+https://github.com/{owner}/softattn@{sha}" in cell
    python = TransformerManager().transform_cell(cell)
    tree = ast.parse(python)
    compile(tree, "install", "exec")
    (branch,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(branch.test) == "importlib.util.find_spec('softattn') is None"
    assert "run_line_magic('pip'" in ast.unparse(branch.body[0])


def test_every_notebook_of_the_book_publishes_with_its_install_cell(bare, tmp_path):
    """The real chapters, from a clone, so that nothing here is touched."""
    made = publish.notebooks.collect([], ROOT, repository.parse("https://github.com/ada/softattn", SHA))
    assert made
    for name, text in made.items():
        _check_install(install_cell(text), "ada", SHA)
        assert "__OWNER__" not in text, name


def test_publishing_again_commits_only_a_change(house, bare):
    url = "https://github.com/ada/softattn"
    here = repository.parse(url, SHA)
    first = publish.publish(str(bare), here, house)
    assert git("rev-parse", "notebooks", cwd=bare) == first
    assert publish.publish(str(bare), here, house) is None
    second = publish.publish(str(bare), repository.parse(url, OTHER_SHA), house)
    assert git("rev-list", "notebooks", cwd=bare).split() == [second, first]  # the history stays
    assert git("merge-base", "--is-ancestor", first, second, cwd=bare) == ""


@pytest.mark.slow
def test_published_notebooks_carry_what_their_cells_show(house, bare):
    """Figures as pictures that every viewer shows, demos as theirs, streams as they are; no script, no progress bar."""
    picture = "<img class='softattn-figure' alt='A &lt; B' src='data:image/svg+xml;base64,PHN2Zy8+'>".replace("'", '"')
    demo = f'<style>a</style>\n<div class="softattn-demo" id="x" data-demo="y">{picture}</div>\n<script>1</script>'
    (house / "book" / "_ext").mkdir()
    shutil.copy(ROOT / "book" / "_ext" / "cache_key.py", house / "book" / "_ext")
    cells = [
        "from IPython.display import HTML, display",
        f"display({{'text/html': {picture!r}, 'text/plain': 'A < B'}}, raw=True)",
        f"display({{'text/html': {demo!r}, 'text/plain': 'x'}}, raw=True)",
        "import sys; print('hello'); print('bar', file=sys.stderr)",
        "1 + 1",
    ]
    hidden = "```{code-cell} python\n:tags: [remove-cell]\n\nprint('not in the notebook')\n```\n\n"
    text = (house / "book" / "one.md").read_text(encoding="utf-8").partition("```")[0] + hidden
    blocks = [f"```{{code-cell}} python\n{cell}\n```\n" for cell in cells]
    blocks[1] = blocks[1].replace("python\n", "python\n:tags: [remove-input]\n\n")
    (house / "book" / "one.md").write_text(text + "\n".join(blocks), encoding="utf-8")
    before = dict(os.environ)
    command = ["--remote", str(bare), "--url", "https://github.com/ada/softattn", "--sha", SHA, "--outputs"]
    assert publish.main(command, house) == 0
    book = nbformat.reads(git("show", "notebooks:one.ipynb", cwd=bare), as_version=4)
    assert dict(os.environ) == before, "the caller's environment comes back"
    outputs = [cell["outputs"] for cell in book["cells"] if cell["cell_type"] == "code"]
    assert outputs[0] == [] and outputs[1] == []  # the installation and the import
    ((figure,), (still,), (hello,), (two,)) = outputs[2:]
    assert figure["data"] == {"image/svg+xml": "<svg/>", "text/plain": "A < B"}
    assert still["data"]["image/svg+xml"] == "<svg/>" and "when this cell is run" in still["data"]["text/plain"]
    assert hello["text"] == "hello\n" and two["data"]["text/plain"] == "2"
    assert "<script" not in str(outputs)


def test_a_chapter_that_is_gone_leaves_the_branch(house, bare):
    url = "https://github.com/ada/softattn"
    publish.publish(str(bare), repository.parse(url, SHA), house)
    toc = house / "_toc.yml"
    toc.write_text(toc.read_text(encoding="utf-8").replace("  - file: book/two\n", ""), encoding="utf-8")
    publish.publish(str(bare), repository.parse(url, OTHER_SHA), house)
    assert git("ls-tree", "-r", "--name-only", "notebooks", cwd=bare).split() == ["README.md", "one.ipynb"]


@pytest.mark.parametrize(("name", "says"), [("thesis.tex", "thesis.tex"), ("README.md", "did not write")])
def test_a_foreign_branch_is_left_alone(house, bare, tmp_path, name, says, capsys):
    other = tmp_path / "other"
    git("clone", "-q", str(bare), str(other), cwd=tmp_path)
    git("checkout", "-q", "-b", "notebooks", cwd=other)
    (other / name).write_text("mine\n", encoding="utf-8")
    git("add", "-A", cwd=other)
    git("-c", "user.name=A", "-c", "user.email=a@b.invalid", "commit", "-qm", "Mine", cwd=other)
    git("push", "-q", "origin", "notebooks", cwd=other)
    before = git("rev-parse", "notebooks", cwd=bare)
    status = publish.main(["--remote", str(bare), "--url", "https://github.com/ada/softattn", "--sha", SHA], house)
    assert status == 1 and says in capsys.readouterr().err
    assert git("rev-parse", "notebooks", cwd=bare) == before


def test_the_placeholder_and_a_short_sha_are_not_published(house, bare, capsys):
    assert publish.main(["--remote", str(bare), "--sha", SHA], house) == 1
    assert "address is still" in capsys.readouterr().err
    assert publish.main(["--remote", str(bare), "--url", "https://github.com/a/b", "--sha", "abc123"], house) == 1
    assert "not a full commit id" in capsys.readouterr().err
    assert git("branch", "--list", cwd=bare) == ""


def test_a_broken_chapter_publishes_nothing(house, bare, capsys):
    (house / "book" / "one.md").write_text("# One\n\n{nope}`x`\n\n```{code-cell} python\n1\n```\n", encoding="utf-8")
    assert publish.main(["--remote", str(bare), "--url", "https://github.com/a/b", "--sha", SHA], house) == 1
    assert "book/one.md:3: role {nope}" in capsys.readouterr().err
    assert git("branch", "--list", cwd=bare) == ""


def test_a_remote_that_is_not_there_is_an_error(house, tmp_path, capsys):
    missing = str(tmp_path / "missing.git")
    assert publish.main(["--remote", missing, "--url", "https://github.com/a/b", "--sha", SHA], house) == 1
    assert "missing.git" in capsys.readouterr().err


# -- the pages' launch links -----------------------------------------------------------------------------------------


@pytest.mark.site
def test_the_pages_launch_links_open_the_published_notebooks():
    here = repository.address(ROOT)
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = (ROOT / "_build" / "html" / "book" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        links = set(re.findall(r'href="(https://colab[^"]*)"', page))
        chapters = {repository.colab_url(here, other.stem) for other in (ROOT / "notebooks").glob("*.ipynb")}
        if here.placeholder:  # nothing is published: nothing leads there
            assert not links and "__OWNER__" not in page
            continue
        # the title page's table lists the chapters; any other page opens itself and nothing else
        own = {repository.colab_url(here, notebook.stem)}
        assert own <= links <= (chapters if notebook.stem == "index" else own)


@pytest.mark.slow
@pytest.mark.parametrize("owner", ["ada", "Grace-Hopper"])
def test_a_forks_pages_link_to_the_forks_notebooks(house, owner):
    """Build the small book with the real extension: each launch link is the one that publish.py serves."""
    assert address.main([f"https://github.com/{owner}/softattn"], house) == 0
    shutil.copytree(ROOT / "book" / "_ext", house / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tools", house / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    config = house / "_config.yml"
    config.write_text(
        config.read_text(encoding="utf-8")
        + "only_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
        + "launch_buttons: {colab_url: https://colab.research.google.com}\n"
        + "sphinx: {local_extensions: {page_links: book/_ext}}\n",
        encoding="utf-8",
    )
    command = [sys.executable, *JUPYTER_BOOK, "build", "."]
    done = subprocess.run(command, cwd=house, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("one", "two"):
        page = (house / "_build" / "html" / "book" / f"{name}.html").read_text(encoding="utf-8")
        links = set(re.findall(r'href="(https://colab[^"]*)"', page))
        assert links == {f"https://colab.research.google.com/github/{owner}/softattn/blob/notebooks/{name}.ipynb"}
