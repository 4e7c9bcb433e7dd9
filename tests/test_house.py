"""The house itself: README, licences, pins, workflows, make targets, and what may never stand in a tracked file."""

import ast
import graphlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"not a git checkout: {done.stderr.strip()}")
    return done.stdout


def tracked() -> list[Path]:
    return [path for name in git("ls-files", "-z").split("\0") if name and (path := ROOT / name).is_file()]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# -- README ------------------------------------------------------------------------------------------------------------


def chapters() -> list[tuple[str, str]]:
    """(part, name) of every page of _toc.yml that has code cells, in order."""
    toc = yaml.safe_load(read("_toc.yml"))
    pages = [(part["caption"], Path(page["file"]).name) for part in toc["parts"] for page in part["chapters"]]
    return [(part, name) for part, name in pages if "{code-cell}" in read(f"book/{name}.md")]


def test_the_readme_lists_the_chapters_of_the_toc_in_order():
    table = read("README.md").split("| chapter | module | notebook |")[1].split("\n\n")[0]
    part, listed = "", []
    for row in table.strip().splitlines()[1:]:
        first, module, notebook, *_ = (cell.strip() for cell in row.strip("|").split("|"))
        if heading := re.fullmatch(r"\*\*(.+)\*\*", first):
            part = heading[1]
            continue
        name = re.match(r"\[(\w+)\]\(book/\1\.md\): \w", first)[1]
        exports = (ROOT / "softattn" / f"{name}.py").exists()  # a chapter may build on others' modules alone
        assert module == (f"[`softattn.{name}`](softattn/{name}.py)" if exports else "")
        assert notebook == f"[{name}.ipynb](notebooks/{name}.ipynb)"
        listed.append((part, name))
    assert listed == chapters(), "README.md: bring the table of chapters in line with _toc.yml"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "THIRD_PARTY.md"])
def test_links_to_files_of_the_repository_lead_somewhere(name):
    links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", read(name)) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert links or name != "README.md"


def test_the_readme_shows_a_picture_and_says_what_it_shows():
    alt, path = re.search(r"!\[([^\]]+)\]\((book/_static/[\w.]+)\)", read("README.md")).groups()
    assert len(alt) > 40 and (ROOT / path).stat().st_size < 200_000
    assert f" {path}" in read("Makefile"), "a make target draws the picture"


@pytest.mark.slow
def test_the_picture_is_what_its_command_draws(tmp_path):
    command = re.search(r"^cover:.*\n\t\$\(PY\) -m tools\.cover (\w+) (\S+)$", read("Makefile"), re.M)
    drawn = tmp_path / "cover.svg"
    done = subprocess.run(
        [sys.executable, "-m", "tools.cover", command[1], str(drawn)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

    def coordinates(text):
        return [float(n) for d in re.findall(r' d="([^"]+)"', text) for n in re.findall(r"-?\d+\.?\d*", d)]

    assert coordinates(drawn.read_text()) == pytest.approx(coordinates(read(command[2])), abs=0.5), "run `make cover`"


def test_the_readme_names_what_has_never_run_and_installs_from_git():
    text = read("README.md")
    never = text.split("## What has never run")[1].split("\n## ")[0]
    for word in ("workflows", "Pages", "Colab", "GPU", "Python 3.12"):
        assert word in never
    installs = re.findall(r"pip install[^\n`]*", text)
    assert installs and all("git+https://" in line for line in installs)
    assert "make address URL=" in text
    for file in ("LICENSE", "THIRD_PARTY.md", "CITATION.cff", "CONTRIBUTING.md", "softattn/weights/LICENSE"):
        assert f"({file})" in text


# -- make --------------------------------------------------------------------------------------------------------------


def rules() -> set[str]:
    return set(re.findall(r"^([a-z]+):(?!=)", read("Makefile"), re.M))


def test_every_target_is_phony_and_in_the_help():
    phony = set(re.search(r"^\.PHONY: (.*)$", read("Makefile"), re.M)[1].split())
    assert phony == rules()
    done = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^  make (\w+) +\S", done.stdout, re.M)) == rules()


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", ".ci/run", *(f"{w.relative_to(ROOT)}" for w in WORKFLOWS)]
)
def test_commands_that_are_named_exist(name):
    text = read(name)
    quoted = re.findall(r"`make ([a-z ]+)[^`]*`", text) + re.findall(r"^(?:[- ]*run: )?make ([a-z ]+)", text, re.M)
    named = {word for words in quoted for word in words.split()}
    assert named <= rules(), f"{name} names make targets that are not there: {sorted(named - rules())}"
    assert named or name == ".ci/run"


def test_tools_that_the_targets_call_exist():
    texts = [
        read("Makefile"),
        read("tools/stages.py"),
        read(".pre-commit-config.yaml"),
        *map(Path.read_text, WORKFLOWS),
    ]
    called = [name for text in texts for name in re.findall(r"-m ((?:tools|bench|recipes)\.\w+)", text)]
    assert len(set(called)) > 8
    assert [name for name in called if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []


def test_the_workshop_is_made_of_packages():
    """`python -m tools.export` from the root; no module takes a name of the standard library or changes sys.path."""
    for folder in ("tools", "recipes", "bench"):
        assert (ROOT / folder / "__init__.py").exists()
        assert [path.name for path in (ROOT / folder).glob("*.py") if path.stem in sys.stdlib_module_names] == []
    for path in tracked():
        if path.suffix == ".py":
            nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if hasattr(node, "value")]
            assert "sys.path" not in {ast.unparse(node.value) for node in nodes if isinstance(node, ast.Attribute)}, (
                path
            )


PACKAGES = ("softattn", "tools", "recipes", "bench")


def imports() -> dict[str, set[str]]:
    """Module -> the modules of the house that it imports, at its head or within a function."""
    names = {f"{folder}.{path.stem}": path for folder in PACKAGES for path in sorted((ROOT / folder).glob("*.py"))}
    found: dict[str, set[str]] = {}
    for name, path in names.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found[name] |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
            elif isinstance(node, ast.Import):
                found[name] |= {one.name for one in node.names}
        found[name] &= names.keys() - {name}
    return found


def test_no_module_imports_itself_through_others():
    """TopologicalSorter names the circle; imports within functions count, for they only hide one."""
    assert len(list(graphlib.TopologicalSorter(imports()).static_order())) > 80


def test_files_are_written_by_one_writer():
    """softattn.hub.atomic_write alone renames what it wrote into its place."""
    renames = re.compile(
        r"os\.(?:replace|rename)\(|NamedTemporaryFile\(.*delete=False|mkstemp\(|\.replace\(\w*path\w*\)"
    )
    paths = [path for folder in PACKAGES for path in sorted((ROOT / folder).glob("*.py"))]
    assert [path.name for path in paths if renames.search(path.read_text(encoding="utf-8"))] == ["hub.py"]


def test_make_says_which_python_it_needs():
    fake = "import sys; sys.version_info = (3, 10)\n"
    check = re.search(r"\$\(PYTHON\) -c '([^']+)'", read("Makefile"))[1]
    done = subprocess.run([sys.executable, "-c", fake + check.replace("import sys; ", "")])
    assert done.returncode == 1
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
    minimum = tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    assert minimum == ">=3.11" and "(3, 11)" in check


# -- stages ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stages():
    from tools import stages

    return stages


def test_stages_stop_at_the_first_red_one_and_end_with_pytests_closing_lines(stages, monkeypatch, capsys):
    closing = "3 passed, 1 skipped in 0.12s"
    monkeypatch.setitem(
        stages.STAGES,
        "test",
        [
            stages.Stage("good", f"-c \"print('=== {closing} ===')\""),
            stages.Stage("bad", "-c \"import sys; print('9 failed in 1s'); sys.exit(3)\""),
            stages.Stage("never", "-c \"print('unreachable')\""),
        ],
    )
    assert stages.main(["test"]) == 3
    lines = capsys.readouterr().out.strip().splitlines()
    assert not any(line == "unreachable" for line in lines)
    assert lines[-2:] == [f"=== {closing} ===", "9 failed in 1s"]
    assert re.fullmatch(r" +[\d.]+  in all; stopped: `bad` is red \(status 3\)", lines[-3])
    assert [line.split()[-1] for line in lines[-5:-3]] == ["good", "bad"]


def test_only_tests_see_the_licensed_data(stages, monkeypatch, capsys):
    monkeypatch.setenv("SOFTATTN_DATA", "somewhere")
    command = "-c \"import os; print(os.environ.get('SOFTATTN_DATA'))\""
    for data, seen in [(False, "None"), (True, "somewhere")]:
        assert stages.run(stages.Stage("look", command, data=data)).status == 0
        assert capsys.readouterr().out.splitlines()[-1] == seen
    with_data = [stage.name for stage in stages.STAGES["test"] if stage.data]
    assert with_data == ["tests"]


def test_stages_side_by_side_all_end_and_speak_one_by_one(stages, monkeypatch, capsys):
    say = "-c \"import sys, time; print('{0} begins'); time.sleep(0.3); print('{0} ends'); sys.exit({1})\""
    monkeypatch.setattr(stages, "WORKERS", 2)
    monkeypatch.setitem(
        stages.STAGES,
        "quick",
        [
            stages.Stage("a", say.format("a", 4), beside="style"),
            stages.Stage("b", say.format("b", 0), beside="style"),
            stages.Stage("c", say.format("c", 0)),
        ],
    )
    assert stages.main(["quick"]) == 4
    lines = capsys.readouterr().out.splitlines()
    for name in "ab":
        assert lines[lines.index(f"{name} begins") + 1] == f"{name} ends"
    assert "c begins" not in lines


def test_the_chapters_are_executed_twice_at_most(stages):
    commands = [stage.command for stage in stages.STAGES["test"]]
    assert sum("tools.run_notebooks" in command for command in commands) == 1
    assert sum("tools.build_site build" in command for command in commands) == 1
    quick = " ".join(stage.command for stage in stages.STAGES["quick"])
    assert "build_site" not in quick and "run_notebooks" not in quick


def test_every_test_belongs_to_one_stage(stages):
    """Each pytest expression is one side of the same cut, so no test runs twice and none is left out."""
    expressions = [re.search(r'-m "([^"]+)"$', stage.command) for stage in stages.STAGES["test"]]
    assert [match[1] for match in expressions if match] == ["not site and not browser", "site or browser"]


# -- CI ----------------------------------------------------------------------------------------------------------------


def test_workflows_are_valid():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.stem for path in WORKFLOWS] == ["publish", "release", "test", "weekly"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_are_pinned_and_have_least_permissions(path):
    text, flow = path.read_text(), yaml.safe_load(path.read_text())
    assert flow["permissions"] == {"contents": "read"}
    uses = re.findall(r"uses: *(.*)", text)
    assert uses
    for use in uses:
        assert re.fullmatch(r"(actions/[\w-]+|pypa/gh-action-pypi-publish)@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), (
            f"pin by full SHA, version beside: {use}"
        )
    writes = {
        (job, scope)
        for job, body in flow["jobs"].items()
        for scope, level in body.get("permissions", {}).items()
        if level == "write"
    }
    allowed = {
        "publish": {("pages", "pages"), ("pages", "id-token"), ("notebooks", "contents")},
        "release": {("attach", "contents"), ("upload", "id-token")},
    }
    assert writes == allowed.get(path.stem, set())
    for job, body in flow["jobs"].items():
        assert body["timeout-minutes"] <= 90, job
        for step in body["steps"]:
            # what a stranger can choose (a branch's name, say) never becomes part of a command
            assert "${{" not in step.get("run", "")
            keeps = ("notebooks",) if path.stem == "publish" else ()
            if "checkout" in step.get("uses", "") and job not in keeps:
                assert step["with"]["persist-credentials"] is False
    assert "not run" in text.split("\nname:")[0]


def test_one_action_has_one_version():
    pins = re.findall(r"uses: *([\w/-]+)@(\S+)", "".join(path.read_text() for path in WORKFLOWS))
    assert len(dict(pins)) == len(set(pins))


def test_workflows_try_the_versions_and_do_what_the_readme_says():
    test, publish, weekly = (yaml.safe_load(read(f".github/workflows/{n}.yml")) for n in ("test", "publish", "weekly"))
    assert test["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert set(test[True]) == {"push", "pull_request"}  # YAML 1.1 reads the key `on` as true

    def commands(flow, job):
        return [step["run"] for step in flow["jobs"][job]["steps"] if "run" in step]

    assert ".ci/run" in commands(test, "test") and "make colab" in commands(test, "colab")
    here = '"$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"'
    build = commands(publish, "build")
    assert build.index(f"make address URL={here}") < build.index("make book")
    assert (
        f"--url {here}" in commands(publish, "notebooks")[-1]
        and '--sha "$GITHUB_SHA"' in commands(publish, "notebooks")[-1]
    )
    assert publish["jobs"]["pages"]["environment"]["name"] == "github-pages"
    assert {"make book", "make links"} <= set(commands(weekly, "from-nothing")) and "make colab" in commands(
        weekly, "colab"
    )
    for step in weekly["jobs"]["from-nothing"]["steps"]:
        assert "cache" not in step.get("with", {})


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    assert script.stat().st_mode & 0o111
    lines = script.read_text().strip().splitlines()
    assert "set -euo pipefail" in lines and lines[-1].startswith("make test")


# -- pins --------------------------------------------------------------------------------------------------------------


def pins(name: str) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in read(name).splitlines()]
    found = {}
    for line in filter(None, lines):
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)", line)
        assert match, f"{name}: {line!r} is no exact pin (and `+cpu` stands nowhere)"
        key = re.sub(r"[-_.]+", "-", match[1]).lower()
        assert key not in found, f"{name}: {key} twice"
        found[key] = match[2]
    return found


def test_pins_are_exact_and_the_lock_holds_them():
    direct, lock = pins("requirements.txt"), pins("requirements.lock")
    assert {key: lock.get(key) for key in direct} == direct
    assert len(lock) > len(direct)


def test_the_package_asks_for_less_than_the_pins():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    direct = pins("requirements.txt") | pins("requirements-classroom.txt")
    bounds = [*project["dependencies"], *(b for extra in project["optional-dependencies"].values() for b in extra)]
    for bound in bounds:
        name, low = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,<[\d.]+)?", bound).groups()
        pinned = direct[re.sub(r"[-_.]+", "-", name).lower()]
        assert [int(n) for n in low.split(".")] <= [int(n) for n in re.findall(r"\d+", pinned)], bound


# -- licences ----------------------------------------------------------------------------------------------------------


def test_licences():
    text = read("LICENSE")
    assert "Copyright (c) 2026 The softattn authors" in text and "Permission is hereby granted, free of charge" in text
    assert "https://creativecommons.org/licenses/by/4.0/legalcode" in text
    assert len(read("softattn/weights/LICENSE")) > 500
    third = read("THIRD_PARTY.md")
    for name in ("Hershey", "MathJax", "pydoc_data", "sphinx-book-theme", "PyTorch"):
        assert name in third


def test_third_parties_name_every_dependency_of_the_package():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    third = read("THIRD_PARTY.md").lower().replace("pytorch", "torch")
    bounds = [*project["dependencies"], *(b for extra in project["optional-dependencies"].values() for b in extra)]
    assert [b for b in bounds if re.match(r"[\w-]+", b)[0].lower() not in third] == []


def test_the_citation_is_valid_and_of_this_version():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format"]
    done = subprocess.run([*command, str(ROOT / "CITATION.cff")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    citation = yaml.safe_load(read("CITATION.cff"))
    import softattn

    assert str(citation["version"]) == softattn.__version__
    assert citation["authors"] == [{"name": "The softattn authors"}]
    assert citation["repository-code"] == yaml.safe_load(read("_config.yml"))["repository"]["url"]


# -- what may not stand in a tracked file ------------------------------------------------------------------------------

# What it is, a pattern, and the files that may hold it. The words are put together from pieces: this file holds none.
HOSTS = ["py" + r"pi\.org", "python" + r"hosted\.", "npm" + r"js\.(?:org|com)", "deb" + r"\.debian\.org"]
FOLDERS = ["wo" + "rk", "ro" + "ot", "ho" + "me"]
FORBIDDEN = [
    ("a registry's host", r"\b(?:" + "|".join(HOSTS) + r")", ()),
    ("a path of one machine", r"(?<![\w./<>-])/(?:" + "|".join(FOLDERS) + r")(?:/|\b(?![\w-]))", ()),
    ("a path beside the checkout", r"\.\./" + "shared", (".ci/run",)),
    ("unfinished work", r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b", ()),
    ("one build of torch", r"\d\+" + r"cpu\b", ()),
    (
        "how the repository came about",
        r"(?i)\b(?:this|last|previous|next|(?:work|coding)(?:ing)?) ses" + r"sions?\b",
        (),
    ),
]
TEXT = set(".md .py .js .css .toml .yml .yaml .json .ipynb .txt .lock .cff .bib .svg".split()) | {""}


def faults(texts: dict[str, str]) -> list[str]:
    """Where a forbidden pattern stands."""
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0]!r}"
        for what, pattern, allowed in FORBIDDEN
        for name, text in texts.items()
        if name not in allowed
        for match in re.finditer(pattern, text)
    ]


def test_nothing_forbidden_stands_in_a_tracked_file():
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in tracked()
        if path.suffix in TEXT
    }
    assert len(texts) > 20
    assert faults(texts) == []


@pytest.mark.parametrize(
    "line",
    [
        "https://py" + "pi.org/simple",
        "https://files.python" + "hosted.org/x",
        "see /wo" + "rk/main",
        "'/ro" + "ot/.cache'",
        "cd /ho" + "me/x",
        "open('../sha" + "red/data')",
        "# TO" + "DO later",
        "torch==2.13.0+" + "cpu",
        "in the last ses" + "sion we",
        "a working ses" + "sion",
    ],
)
def test_the_search_finds_what_it_looks_for(line):
    assert faults({"a.md": line})


@pytest.mark.parametrize(
    "line",
    [
        "home/works",
        "the root/leaf",
        "a training session of an hour",
        "framework",
        "https://x.org/work/1",
        "net/work",
        "</root>",
    ],
)
def test_the_search_lets_ordinary_words_pass(line):
    assert faults({"a.md": line}) == []


def test_no_file_is_large():
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in tracked()}
    assert {name: size for name, size in sizes.items() if size > 10_000_000} == {}


def test_the_weights_of_the_whole_history_stay_below_200_megabytes():
    """A clone carries every weights file that ever was."""
    listed = git("log", "--all", "--raw", "--no-abbrev", "--no-renames", "--format=", "--", "softattn/weights")
    blobs = {line.split()[3] for line in listed.splitlines() if line} - {"0" * 40}
    sizes = subprocess.run(
        ["git", "cat-file", "--batch-check=%(objectsize)"],
        cwd=ROOT,
        input="\n".join(blobs) + "\n" if blobs else "",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert len(sizes) == len(blobs)
    assert sum(map(int, sizes)) <= 200_000_000


def test_lines_end_as_unix_does_and_the_last_one_ends():
    bad = []
    for path in tracked():
        if path.suffix in TEXT:
            data = path.read_bytes()
            if b"\r\n" in data or (data and not data.endswith(b"\n")):
                bad.append(path.relative_to(ROOT).as_posix())
    assert bad == []
