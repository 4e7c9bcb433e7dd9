"""Build what a release holds: sdist, wheel, a list of what is in them, checksums, and a bill of materials.

    python -m tools.release            all of it, in _build/release
    python -m tools.release --tag v1.2.3    the same, and red unless the tag names the package's version

The wheel may weigh MOST at most, with all weights. The bill of materials (CycloneDX) is made from requirements.lock by
`cyclonedx-py`, which lives in a virtual environment of its own, .venv-release: the package needs nothing of it.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import softattn
from softattn.hub import atomic_write

ROOT = Path(__file__).resolve().parent.parent
MOST = 45_000_000  # bytes of the wheel
BILL_MAKER = "cyclonedx-bom==7.5.0"


class ReleaseError(Exception):
    """Something that a release must not go out with, in one sentence."""


def right_tag(tag: str) -> None:
    """Make sure that the tag names this version.

    Raises:
        ReleaseError: with both.
    """
    if tag != f"v{softattn.__version__}":
        version = softattn.__version__
        raise ReleaseError(f"the tag is {tag}, the package's version {version}: tag v{version}")


def parts(wheel: Path) -> dict[str, int]:
    """Bytes of a wheel's members as they are packed, by folder; modules and the rest apart."""
    sizes: Counter[str] = Counter()
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            folder = member.filename.rsplit("/", 1)[0]
            name = Path(member.filename)
            weights = name.suffix == ".safetensors"
            sizes[f"{folder}/{name.name}" if weights else folder] += member.compress_size
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def light_enough(wheel: Path, most: int = MOST) -> None:
    """Make sure that the wheel is not too heavy.

    Raises:
        ReleaseError: with its weight and its heaviest parts.
    """
    size = wheel.stat().st_size
    if size > most:
        heavy = ", ".join(f"{name} {n / 1e6:.1f} MB" for name, n in list(parts(wheel).items())[:3])
        raise ReleaseError(f"{wheel.name} weighs {size / 1e6:.1f} MB, at most {most / 1e6:.0f} are allowed: {heavy}")


def checksums(folder: Path) -> str:
    """SHA-256 of each file, as `sha256sum --check` reads it."""
    rows = []
    for path in sorted(folder.iterdir()):
        if path.name != "SHA256SUMS":
            rows.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return "".join(rows)


def bill(folder: Path, root: Path) -> None:
    """Write the bill of materials of the locked environment."""
    venv = root / ".venv-release"
    maker = venv / "bin" / "cyclonedx-py"
    if not maker.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "python", "-m", "pip", "install", "-q", BILL_MAKER], check=True)
    out = folder / "softattn.cdx.json"
    lock = str(root / "requirements.lock")
    subprocess.run(
        [maker, "requirements", lock, "--pyproject", str(root / "pyproject.toml"), "--output-reproducible",
         "--of", "JSON", "-o", str(out)],
        check=True,
    )  # fmt: skip
    told = json.loads(out.read_text("utf-8"))
    wanted = sum("==" in line for line in Path(lock).read_text("utf-8").splitlines())
    if len(told.get("components", [])) < wanted:
        raise ReleaseError(f"the bill names {len(told.get('components', []))} parts, requirements.lock {wanted}")


def release(root: Path = ROOT) -> Path:
    """Build all of it in _build/release; the folder.

    Raises:
        ReleaseError: if something must not go out like this.
    """
    out = root / "_build" / "release"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, root], check=True, stdout=subprocess.DEVNULL
    )
    (wheel,) = out.glob("*.whl")
    light_enough(wheel)
    bill(out, root)
    with atomic_write(out / "SHA256SUMS") as beside:
        beside.write_text(checksums(out), "utf-8")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, of which")
    for name, size in list(parts(wheel).items())[:12]:
        print(f"{size / 1e6:8.2f} MB  {name}")
    print(f"all of it: {out}")
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tag", help="the tag that this release is made from")
    args = parser.parse_args(argv)
    try:
        if args.tag is not None:
            right_tag(args.tag)
        release()
    except ReleaseError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
