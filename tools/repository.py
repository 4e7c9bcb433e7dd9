"""The repository's one address, `repository.url` in _config.yml, and everything that repeats it: see tools.address."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from tools.files import write_text

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDER = "__OWNER__"  # not a legal account name: nobody has published the repository yet
NOTEBOOKS = "notebooks"  # the branch that the workflow publishes and the launch links point at

# Files that repeat the address; the notebooks are generated, so they follow by themselves.
REPEATING = ("README.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml", "THIRD_PARTY.md")


class AddressError(Exception):
    """The address is missing or malformed; the message says what to write instead."""


class Address(NamedTuple):
    """An address taken apart: https://host/owner/repo, and the branch of the sources."""

    url: str
    host: str
    owner: str
    repo: str
    ref: str = "main"

    @property
    def placeholder(self) -> bool:
        return self.owner == PLACEHOLDER


def parse(url: str, ref: str = "main") -> Address:
    """Check an address and take it apart.

    Args:
        url: https://HOST/OWNER/REPO.
        ref: branch, tag or commit.

    Returns:
        The `Address`.

    Raises:
        AddressError: if the address is not of that form.
    """
    hint = "expected https://github.com/OWNER/REPO"
    if not url.startswith("https://"):
        raise AddressError(f"address {url!r} does not begin with https://; {hint}")
    if url.endswith("/"):
        raise AddressError(f"address {url!r} ends in a slash; {hint}: leave the slash out")
    if url.endswith(".git"):
        raise AddressError(f"address {url!r} ends in .git; {hint}: leave .git out")
    match = re.fullmatch(r"https://([a-zA-Z0-9.-]+\.[a-zA-Z]+)/([\w.-]+)/([\w.-]+)", url)
    if not match:
        raise AddressError(f"address {url!r} is not host, owner and repository; {hint}")
    host, owner, repo = match.groups()
    if owner != PLACEHOLDER and not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", owner):
        raise AddressError(f"owner {owner!r} in {url!r} is not an account name: letters, digits and single hyphens")
    if not re.fullmatch(r"[\w][\w./-]*", ref):
        raise AddressError(f"ref {ref!r} is not a branch, a tag or a commit")
    return Address(url, host, owner, repo, ref)


def address(root: Path = ROOT) -> Address:
    """Read the one address, `repository.url` and `repository.branch` of _config.yml."""
    import yaml

    path = root / "_config.yml"
    if not path.exists():
        raise AddressError(f"{path.name} is not there; it holds the repository's address")
    repository = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("repository") or {}
    if not repository.get("url"):
        raise AddressError(
            "_config.yml has no repository.url; write `repository: {url: https://github.com/OWNER/REPO}`"
        )
    return parse(repository["url"], str(repository.get("branch", "main")))


def colab_url(where: Address, name: str) -> str:
    """The link that opens notebooks/NAME.ipynb in Colab, from the published branch."""
    return f"https://colab.research.google.com/github/{where.owner}/{where.repo}/blob/{NOTEBOOKS}/{name}.ipynb"


def download_url(where: Address, name: str) -> str:
    """The link that downloads the published notebook."""
    return f"https://raw.githubusercontent.com/{where.owner}/{where.repo}/{NOTEBOOKS}/{name}.ipynb"


def site_url(where: Address) -> str:
    """Where GitHub Pages serves the book."""
    home = f"https://{where.owner}.github.io"
    return home if where.repo.lower() == f"{where.owner}.github.io".lower() else f"{home}/{where.repo}"


def file_url(where: Address, path: str, kind: str = "blob") -> str:
    """The page of a file of the repository; kind "raw" gives its bytes."""
    if kind == "raw":
        return f"https://raw.githubusercontent.com/{where.owner}/{where.repo}/{where.ref}/{path}"
    return f"{where.url}/{kind}/{where.ref}/{path}"


def install_line(where: Address) -> str:
    """The requirement that pip installs the package from."""
    return f"softattn[book] @ git+{where.url}@{where.ref}"


def configured(text: str, where: Address) -> str:
    """_config.yml with another address and branch; only these two values change, comments stay.

    Args:
        text: the file as it is; `repository:` as a block or in braces.
        where: the new address.

    Returns:
        The new text.
    """
    match = re.search(
        r"^repository:[^\n]*\n(?:(?:[ \t]+[^\n]*)?\n)*", text if text.endswith("\n") else text + "\n", re.M
    )
    if not match:
        raise AddressError("_config.yml has no `repository:` block to set the address in")
    block = match[0]
    new, count = re.subn(r"((?:^|[{,\s])url:\s*)([\"']?)[^\s\"'#,}]+\2", rf"\g<1>\g<2>{where.url}\g<2>", block, count=1)
    if not count:
        raise AddressError("_config.yml: the `repository:` block has no `url:`")
    new = re.sub(r"((?:^|[{,\s])branch:\s*)([\"']?)[^\s\"'#,}]+\2", rf"\g<1>\g<2>{where.ref}\g<2>", new, count=1)
    return text.replace(block, new, 1)


def replaced(text: str, old: Address, new: Address) -> str:
    """A text with everything that names the old repository naming the new one."""
    for pattern in (
        "https://{host}/{owner}/{repo}",
        "https://colab.research.google.com/github/{owner}/{repo}",
        "https://raw.githubusercontent.com/{owner}/{repo}",
        "https://mybinder.org/v2/gh/{owner}/{repo}",
    ):
        before = pattern.format(**old._asdict())
        text = re.sub(re.escape(before) + r"(?![\w-]|\.\w)", pattern.format(**new._asdict()), text)
    home = re.escape(site_url(old).removeprefix("https://"))
    return re.sub(rf"https://{home}(?![\w-]|\.\w)", site_url(new), text)


def set_address(new: Address, root: Path = ROOT) -> list[str]:
    """Set the address in _config.yml and in every file that repeats it; returns the names of those that changed."""
    old = address(root)
    files = {}
    for name in ("_config.yml", *REPEATING):
        path = root / name
        if path.exists():
            text = path.read_text(encoding="utf-8")
            files[path] = (text, configured(text, new) if name == "_config.yml" else replaced(text, old, new))
    changed = []
    for path, (before, after) in files.items():
        if before != after:
            write_text(path, after)
            changed.append(path.relative_to(root).as_posix())
    return changed


def tracked(root: Path = ROOT) -> list[Path]:
    """Text files that git tracks, as they are on disk."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    endings = {".md", ".py", ".toml", ".cff", ".yml", ".yaml", ".ipynb", ".txt", ".js", ".css", ".html", ".json", ""}
    paths = [root / name for name in listed.split("\0") if name]
    return [p for p in paths if p.suffix in endings and p.is_file()]


def strangers(root: Path = ROOT) -> list[str]:
    """Places in tracked files where a repository of this name stands under another owner.

    Tests may: they publish to owners that they make up.
    """
    here = address(root)
    examples = {"OWNER", "YOU"}  # in usage lines
    name = re.escape(here.repo)
    patterns = [
        re.compile(
            rf"https://(?:{re.escape(here.host)}|raw\.githubusercontent\.com)/([\w.-]+)/{name}(?![\w-]|\.(?!git)\w)"
        ),
        re.compile(rf"https://(?:colab\.research\.google\.com/github|mybinder\.org/v2/gh)/([\w.-]+)/{name}(?![\w-])"),
        re.compile(rf"https://([\w-]+)\.github\.io/{name}(?![\w-])"),
    ]
    found = []
    for path in tracked(root):
        relative = path.relative_to(root)
        if relative.parts[0] in ("tests", "_build"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            for pattern in patterns:
                for match in pattern.finditer(line):
                    if match[1] not in examples and match[1].lower() != here.owner.lower():
                        found.append(f"{relative.as_posix()}:{number}: {match[0]} is not the address {here.url}")
    return found
