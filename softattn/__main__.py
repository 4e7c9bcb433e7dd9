"""The command line: `softattn write`, `softattn read`, `softattn styles`, `softattn weights`, `softattn --version`.

`--version` and `--help` need nothing but Python; the commands need typer, the extra `cli`.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from softattn import __version__

ABOUT = "Soft attention, from the pen to the picture: the modules that the book's chapters export."
WITHOUT_TYPER = "the commands need typer, which is not installed here (the extra `cli`): pip install typer"
LONG = 3  # lines from which on writing shows a progress bar


def _read_prime(path: Path) -> Any:
    """Read a priming line: a JSON file with `text` and `offsets`, as `softattn write -o FILE.json` writes it."""
    from softattn.hub import read_file
    from softattn.strokes import Strokes

    try:
        line = Strokes.from_json(read_file(path, 64_000_000))
        return dataclasses.replace(line, source=str(path))
    except ValueError as err:
        raise ValueError(f"{path} is not a line to prime with: {err}") from err


def _write(text: str, out: Path | None, prime: Path | None, width: int | None, model: str, **how: Any) -> None:
    """What `softattn write` does: check all that can be checked, write, save, report."""
    kind = out.suffix.lower() if out else ".json"
    if kind not in (".svg", ".png", ".json"):
        raise ValueError(f"{out}: the picture's kind is {kind or 'missing'}, expected .svg, .png or .json")
    if out:
        from softattn.hub import writable_target

        writable_target(out)  # found out now, not after all is written
    if kind == ".png":
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            raise ValueError(
                "png needs Matplotlib (the extra `book`): pip install matplotlib; svg needs nothing"
            ) from None
    from softattn.page import wrap
    from softattn.synthesis import write

    line = None if prime is None else _read_prime(prime)
    with redirect_stdout(sys.stderr):  # the terms of the weights must not stand in the JSON
        page: Any = write(
            text,
            prime=line,
            model=model,
            progress=len(wrap(text, max(8, how["columns"]))) > LONG,
            **how,
        )
    again = f", {page.redraws} lines drawn again" if page.redraws else ""
    print(f"seed {page.seed}{again.replace('1 lines', '1 line') if page.redraws == 1 else again}", file=sys.stderr)
    if out is None:
        print(page.to_json())
    else:
        page.save(out, width)


def _read(path: Path, model: str, details: bool, **how: Any) -> None:
    """What `softattn read` does: one line of text for each line of ink."""
    import json

    from softattn.hub import read_file
    from softattn.reading import read
    from softattn.strokes import Strokes
    from softattn.trace import split_lines

    if path.suffix.lower() != ".json":
        kind = path.suffix or "nothing"
        raise ValueError(f"{path}: its name ends in {kind}, expected .json, as `softattn write` makes it")
    try:
        ink = Strokes.from_json(read_file(path, 64_000_000))
    except ValueError as err:
        raise ValueError(f"{path} is no ink: {err}") from err
    with redirect_stdout(sys.stderr):  # the terms of the weights must not stand among what was read
        found = read(split_lines(ink), model=model, **how)
    for line in found:
        print(json.dumps(line._asdict()) if details else line.text)


@contextmanager
def _terminated() -> Iterator[None]:
    """End at SIGTERM as at an error, so that no temporary file stays."""
    if threading.current_thread() is not threading.main_thread():  # only it may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; those of the process when None.

    Returns:
        The exit status: 0 done, 1 the command failed, 2 the arguments are wrong.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments == ["--version"]:
        print(f"softattn {__version__}")
        return 0
    try:
        import typer
    except ImportError:
        parser = argparse.ArgumentParser("softattn", description=ABOUT, epilog=f"Note: {WITHOUT_TYPER}")
        parser.add_argument("--version", action="version", version=f"softattn {__version__}")
        _, commands = parser.parse_known_args(arguments)
        if commands:
            print(f"softattn {commands[0]}: {WITHOUT_TYPER}", file=sys.stderr)
            return 1
        parser.print_help()
        return 0

    app = typer.Typer(help=ABOUT, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

    def version(wanted: bool) -> None:
        if wanted:
            print(f"softattn {__version__}")
            raise typer.Exit

    def fail(err: Exception) -> typer.Exit:
        print("softattn: " + " ".join(str(err).split()), file=sys.stderr)
        return typer.Exit(1)

    @app.callback()
    def common(
        version: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Print the version."),
    ) -> None:
        pass

    @app.command("write")
    def write_command(
        text: str = typer.Argument(help="What to write: printable ASCII and line breaks."),
        out: Path | None = typer.Option(  # noqa: B008
            None, "-o", "--out", help="File to write: .svg, .png or .json. Without it, JSON goes to standard output."
        ),
        bias: float = typer.Option(0.75, help="0 is as varied as the training data; more is neater."),
        style: str | None = typer.Option(None, help="A hand that comes along; `softattn styles` lists them."),
        prime: Path | None = typer.Option(  # noqa: B008
            None, help="A JSON file with a line in the hand to write in."
        ),
        seed: int | None = typer.Option(None, help="The same seed writes the same; without it, one is drawn and told."),
        width: int | None = typer.Option(
            None, min=16, max=20_000, help="Width of the picture, in pixels; without it, letters have always one size."
        ),
        columns: int = typer.Option(48, help="Characters per line, at least 8; longer texts are wrapped."),
        model: str = typer.Option("synthesis", help="The weights; `softattn weights` lists them."),
    ) -> None:
        """Write a text by hand."""
        try:
            _write(text, out, prime, width, model, bias=bias, style=style, seed=seed, columns=columns)
        except (ValueError, TypeError, RuntimeError, OSError) as err:  # TypeError: weights of another kind of model
            raise fail(err) from err

    @app.command("read")
    def read_command(
        path: Path = typer.Argument(help="A JSON file of ink, as `softattn write -o FILE.json` makes it."),  # noqa: B008
        beam: int = typer.Option(1, min=1, max=1000, help="Beginnings kept in the search; 1 takes the best path."),
        language: bool = typer.Option(False, "--language", help="Let the book's character model weigh in."),
        y_up: bool = typer.Option(False, "--y-up", help="The ink's y points up."),
        details: bool = typer.Option(False, "--details", help="JSON: text, confidence, place of each letter."),
        model: str = typer.Option("reading", help="The weights; `softattn weights` lists them."),
    ) -> None:
        """Read handwriting: its text, a line for each line of ink."""
        try:
            _read(path, model, details, beam=beam, language=language, y_up=y_up)
        except (ValueError, TypeError, RuntimeError, OSError) as err:
            raise fail(err) from err

    @app.command("styles")
    def styles_command() -> None:
        """List the hands that `softattn write --style NAME` knows."""
        try:
            from softattn.page import styles

            known = styles()
        except (ValueError, OSError) as err:
            raise fail(err) from err
        width = max(map(len, known), default=0)
        for name, line in known.items():
            print(f"{name:{width}}  {line.text!r}, {len(line) / len(line.text):.0f} points per character")

    @app.command("weights")
    def weights() -> None:
        """List the pretrained weights that softattn.load(NAME) knows."""
        from softattn import hub

        try:
            cards = hub.weights()
        except ValueError as err:
            print(err, file=sys.stderr)
            raise typer.Exit(1) from err
        if not cards:
            print("no weights come with this version")
        width = max(map(len, cards), default=0)
        for name, card in cards.items():
            metric = card.get("metric")
            figure = f"{metric['name']} {metric['value']:.4g} on {metric['split']}; " if metric else ""
            terms = "non-commercial" if card["non_commercial"] else card["licence"]
            what = card.get("summary") or card["class"].rpartition(".")[2]
            print(f"{name:{width}}  {what} ({card['bytes'] / 1e6:.1f} MB; {figure}{terms})")

    try:
        with _terminated():
            app(arguments, prog_name="softattn", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
