"""How the tools write a file: whole or not at all."""

from contextlib import ExitStack
from pathlib import Path

from softattn.hub import atomic_write


def write_text(path: Path, text: str) -> None:
    """Write one text, the same bytes on every system."""
    write_texts({path: text})


def write_texts(texts: dict[Path, str]) -> None:
    """Write several texts: none of them stands before all of them are written under other names."""
    with ExitStack() as stack:
        for path, text in texts.items():
            stack.enter_context(atomic_write(path)).write_text(text, encoding="utf-8", newline="\n")
