"""The command line: `softattn write`, `read`, `ink`, `collect`, `train`, `styles`, `weights`, `--version`.

`--version` and `--help` need nothing but Python; the commands need typer, the extra `cli`. What a command does is a
function of the book: `softattn.write`, `softattn.read`, `softattn.ink.load_ink` and `save_ink`,
`softattn.collect.collect`, `softattn.own_hand.fine_tune`.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from softattn import __version__

ABOUT = "Soft attention, from the pen to the picture: the modules that the book's chapters export."
WITHOUT_TYPER = "the commands need typer, which is not installed here (the extra `cli`): pip install typer"
LONG = 3  # lines from which on writing shows a progress bar, at a terminal
TEXT_BYTES = 2_000_000
DASH = 'a text that begins with "-" stands after "--": softattn write -o a.svg -- "-5 degrees"'


def at_terminal() -> bool:
    """Whether a person looks at standard error; under a pipe nothing moves."""
    return sys.stderr.isatty()


def _text_of(text: str | None, file: Path | None) -> str:
    """What to write: the argument, a file, or standard input for "-"."""
    if (text is None) == (file is None):
        both = "both a text and a file" if text is not None else "no text"
        raise ValueError(f"{both}: give a text, or -f FILE, or - to read standard input")
    if file is None and text != "-":
        return str(text)
    from softattn.hub import read_file
    from softattn.ink import decoded

    if file is None or str(file) == "-":
        data = sys.stdin.buffer.read(TEXT_BYTES + 1)
        if len(data) > TEXT_BYTES:
            raise ValueError(f"standard input holds more than {TEXT_BYTES:,} bytes of text")
    else:
        if not file.exists():
            raise ValueError(f"there is no file {file} to read the text from")
        data = read_file(file, TEXT_BYTES)
    return decoded(data).rstrip("\r\n")


def _read_prime(path: Path, text: str | None, number: int | None) -> Any:
    """Read a priming line: ink of any kind that softattn.ink reads, one of its lines."""
    from softattn.ink import load_ink

    try:
        lines, told = load_ink(path, text)
    except ValueError as err:
        why = str(err).partition("is no ink: ")[2] or str(err)
        raise ValueError(f"{path} is not a line to prime with: {why}") from err
    line = _one_of(lines, number, path)
    if not line.text.strip():
        raise ValueError(f"{path} is not a line to prime with: its text is missing; give it with --prime-text")
    if number is None and len(lines) > 1:
        told += f"; line {lines.index(line) + 1} of {len(lines)} is taken, {line.text!r}: --line chooses"
    print(f"prime: {told}", file=sys.stderr)
    return line


def _one_of(lines: list, number: int | None, path: Path) -> Any:
    """A line by its number, from 1 on; without one, that with the longest text."""
    if number is None:
        return max(lines, key=lambda line: len(line.text))
    if number > len(lines):
        raise ValueError(f"{path} holds {len(lines)} lines, there is no line {number}")
    return lines[number - 1]


def _layout(out: Path | None, layout: dict[str, Any], look: dict[str, Any]) -> Any:
    """Judge a file's ending, folder, lengths, colour and pixels before anything is written; the lengths."""
    from softattn import ink, paper

    if layout["margin"] is None:
        layout["margin"] = 10.0 if layout["paper"] else 3.0
    form = paper.format_of(**layout)
    if out is None:
        return form
    kinds = (*ink._TEXTS, *paper.PAPER_KINDS)
    kind = paper.check_target("-o", out, kinds).suffix.lower()
    if kind in paper.PAPER_KINDS:
        import numpy as np

        wide, tall = form.paper or (10.0, 10.0)
        paper._encoded(kind, [paper.Sheet(wide, tall, (np.zeros((1, 2)),))], *_options(kind, look))
    return form


def _options(kind: str, look: dict[str, Any]) -> tuple[dict, dict, dict]:
    """How ink looks, what a picture asks, what a plotter asks."""
    how = {name: look[name] for name in ("pen", "color", "smooth", "swell")}
    more = {name: look[name] for name in ("transparent", "dpi", "width")}
    plotter = {name: look[name] for name in ("feed", "up", "down", "bed")} if kind in (".gcode", ".nc") else {}
    return how, more, plotter


def _save(out: Path, ink: Any, layout: dict[str, Any], look: dict[str, Any]) -> None:
    """Write a file of ink; lines that were squeezed are told, and several files are named."""
    import warnings

    from softattn.ink import save_ink
    from softattn.paper import PAPER_KINDS

    kind, how = out.suffix.lower(), {}
    if kind in PAPER_KINDS:
        for part in (layout, *_options(kind, look)):
            how |= part
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        files = save_ink(out, ink, **how)
    for one in told:
        print("softattn: " + " ".join(str(one.message).split()), file=sys.stderr)
    if len(files) > 1:
        print(f"{len(files)} sheets: {files[0].name} to {files[-1].name}", file=sys.stderr)


def _write(
    text: str | None, file: Path | None, out: Path | None, prime: tuple, layout: dict, look: dict, **how: Any
) -> None:
    """What `softattn write` does: check all that can be checked, write, save, report."""
    words = _text_of(text, file)
    form = _layout(out, layout, look)
    from softattn.page import WIDTH, wrap
    from softattn.proofreading import write

    if how["columns"] is None:
        how["columns"] = max(8, form.columns(WIDTH))
    path, said, number = prime
    if path is None and (said is not None or number is not None):
        raise ValueError("--prime-text and --line belong to --prime FILE")
    line = None if path is None else _read_prime(path, said, number)
    shown = at_terminal() and len(wrap(words, max(8, how["columns"]))) > LONG
    with redirect_stdout(sys.stderr), _told():  # the terms of the weights must not stand in the JSON
        page: Any = write(words, prime=line, progress=shown, **how)
    again = {0: "", 1: ", 1 other draft read"}.get(page.redraws, f", {page.redraws} other drafts read")
    print(f"seed {page.seed}{again}", file=sys.stderr)
    if out is None:
        print(page.to_json())
    else:
        _save(out, page, layout, look)


def _ink(path: Path, out: Path | None, check: bool, number: int | None, layout: dict, look: dict, **how: Any) -> None:
    """What `softattn ink` does: read, tell, write."""
    _layout(None if check else out, layout, look)
    from softattn.ink import load_ink

    lines, told = load_ink(path, **how)
    print(told, file=sys.stdout if check or out is None else sys.stderr)
    if check or out is None:
        for k, line in enumerate(lines):
            print(f"line {k + 1}: {line.text!r}, {len(line)} points, {int(line.offsets[:, 2].sum())} strokes")
        if out is not None:
            print(f"{out} is not written: --check only tells", file=sys.stderr)
        return
    some = [_one_of(lines, number, path)] if number is not None else lines
    _save(out, some[0] if len(some) == 1 else some, layout, look)


def _read(path: Path, model: str, details: bool, y_up: bool, **how: Any) -> None:
    """What `softattn read` does: one line of text for each line of ink."""
    import json

    from softattn.hub import load
    from softattn.ink import load_ink
    from softattn.proofreading import legible
    from softattn.reading import read

    lines = load_ink(path, y_up=True if y_up else None).lines
    with redirect_stdout(sys.stderr):  # the terms of the weights must not stand among what was read
        reader: Any = load(model)
        found = read(lines, model=reader, **how)
    for number, line in enumerate(found, 1):
        print(json.dumps(line._asdict()) if details else line.text)
        if not legible(line, reader):
            said = (
                f"the reader is less sure ({line.confidence:.2f}) than of most people's lines"
                if line.text
                else "no letter was found"
            )
            print(f"softattn: line {number} may not be writing: {said}; look before you trust it", file=sys.stderr)


SAMPLE = "this is my own hand"
SAMPLE_SECONDS = 60.0


def _watch(sample: Path | None, count: int) -> Any:
    """What tells of a training: a line at a terminal, and a sample of ink every minute."""
    import time

    from softattn.ink import save_ink
    from softattn.synthesis import sample_lines

    due = [time.monotonic() + SAMPLE_SECONDS]

    def tell(look: Any) -> None:
        if at_terminal():
            better = look.base - look.best
            words = f"step {look.step} of at most {look.steps}: {look.nats:.1f} nats a line on {count} held-out lines"
            print(f"\r{words}, at best {better:.1f} better than before ", end="", file=sys.stderr, flush=True)
        if sample is not None and (time.monotonic() >= due[0]):
            save_ink(sample, sample_lines(look.model, [SAMPLE], [1], 0.75)[0].strokes)
            due[0] = time.monotonic() + SAMPLE_SECONDS

    return tell


def _train(folder: Path, out: Path, model: str, sample: Path | None, device: str | None, **how: Any) -> None:
    """What `softattn train` does: read the lines, learn, store, report."""
    from softattn.hub import load
    from softattn.own_hand import fine_tune, hold_out, read_hand
    from softattn.paper import PAPER_KINDS, check_target

    if sample is not None:
        check_target("--sample", sample, (".json", ".inkml", ".csv", *PAPER_KINDS))
    lines = read_hand(folder)
    held = len(hold_out(lines, how["seed"])[1]) if len(lines) > 1 else 0
    with redirect_stdout(sys.stderr):  # the terms of the base
        base = load(model, device)
    try:
        tuned: Any = fine_tune(base, lines, out, progress=_watch(sample, held), **how)  # pyright: ignore[reportArgumentType]
    finally:
        if at_terminal():
            print(file=sys.stderr)
    nats = tuned.card["curve"]["rows"]
    print(
        f"{out}: {len(lines)} lines, {held} of them held out, on which it is {nats[0] - min(nats):.1f} nats a line "
        f"better than {model}; write with it: softattn write TEXT --model {out} -o a.svg"
    )


@contextmanager
def _told() -> Iterator[None]:
    """Let a warning take one line on standard error, without the place in the code that gave it."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        yield
    for one in found:
        if str(one.message).startswith(("write: ", "collect: ")):
            print("softattn: " + " ".join(str(one.message).split()), file=sys.stderr)
        else:
            warnings.showwarning(one.message, one.category, one.filename, one.lineno)


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


def _dashed(arguments: list[str]) -> bool:
    """Whether an argument looks like a text that begins with a dash."""
    known = re.compile(r"-|-[of]|--|--[a-z][a-z-]*(=.*)?", re.S)
    return "--" not in arguments and any(a.startswith("-") and not known.fullmatch(a) for a in arguments)


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

    app = typer.Typer(help=ABOUT, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

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

    # Options that several commands share.
    size = typer.Option("7mm", help="Height of a tall letter, an l, above its line: 7mm, 0.3in, 20pt.")
    paper = typer.Option(None, help="A4, A5, letter, or 100mmx150mm; without it, as large as the ink.")
    margin = typer.Option(None, help="On each side; 10mm on a paper, 3mm without.")
    line_height = typer.Option(None, help="From line to line; twice the size if not said.")
    align = typer.Option("left", help="left, centre or right.")
    pen = typer.Option("0.5mm", help="Width of the pen.")
    color = typer.Option("black", "--ink", help='Colour of the ink: blue, "#0066cc".')
    smooth = typer.Option(True, "--smooth/--straight", help="Curves through the points, or straight lines.")
    swell = typer.Option(0.0, help="0 to 2: how much wider slow ink is than fast ink.")
    transparent = typer.Option(False, "--transparent", help="No white paper behind the ink of a .png.")
    dpi = typer.Option(300.0, help="Dots per inch of a .png.")
    width = typer.Option(None, min=16, max=20_000, help="Pixels across, of .svg and .png, instead of millimetres.")
    feed = typer.Option(1500.0, help="G-code: speed on the paper, mm a minute.")
    up = typer.Option("G0 Z5", "--pen-up", help="G-code: what lifts the pen.")
    down = typer.Option("G1 Z0 F500", "--pen-down", help="G-code: what lowers it.")
    bed = typer.Option(None, help="G-code: the plotter's bed, A4 or 300x200; ink beyond it is an error.")
    kinds = ".svg, .png, .pdf, .gcode, .json, .inkml or .csv"

    def parts(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The lengths of a layout, and how ink looks."""
        layout = ("size", "paper", "margin", "line_height", "align")
        look = ("pen", "color", "smooth", "swell", "transparent", "dpi", "width", "feed", "up", "down", "bed")
        return {name: given[name] for name in layout}, {name: given[name] for name in look}

    @app.command("write")
    def write_command(
        text: str | None = typer.Argument(
            None, help="What to write; - reads standard input; after -- it may begin so."
        ),
        file: Path | None = typer.Option(None, "-f", "--file", help="Read the text from a file."),  # noqa: B008
        out: Path | None = typer.Option(  # noqa: B008
            None, "-o", "--out", help=f"File to write: {kinds}. Without it, JSON goes to standard output."
        ),
        bias: float = typer.Option(0.75, help="0 is as varied as the training data; more is neater."),
        style: str | None = typer.Option(None, help="A hand that comes along; `softattn styles` lists them."),
        prime: Path | None = typer.Option(  # noqa: B008
            None, help="Ink in the hand to write in: JSON, InkML, SVG, .npy, UNIPEN or CSV, with its text beside it."
        ),
        prime_text: str | None = typer.Option(None, help="What the priming ink says."),
        line: int | None = typer.Option(None, min=1, help="Which line of the priming ink, from 1 on."),
        seed: int | None = typer.Option(None, help="The same seed writes the same; without it, one is drawn and told."),
        columns: int | None = typer.Option(None, help="Characters per line, at least 8; as the paper has room, or 48."),
        model: str = typer.Option(
            "synthesis", help="The weights: a name of `softattn weights`, or a .safetensors file."
        ),
        size: str = size,
        paper: str | None = paper,
        margin: str | None = margin,
        line_height: str | None = line_height,
        align: str = align,
        pen: str = pen,
        color: str = color,
        smooth: bool = smooth,
        swell: float = swell,
        transparent: bool = transparent,
        dpi: float = dpi,
        width: int | None = width,
        feed: float = feed,
        up: str = up,
        down: str = down,
        bed: str | None = bed,
        check: bool = typer.Option(True, help="Read what was written, and draw again what the reader is not sure of."),
        strict: bool = typer.Option(False, "--strict", help="A line that never reads as its text is an error."),
    ) -> None:
        """Write a text by hand: softattn write "Dear Anna," -o a.svg"""
        layout, look = parts(locals())
        how = {"bias": bias, "style": style, "seed": seed, "columns": columns, "model": model}
        how |= {"check": check, "strict": strict}
        try:
            _write(text, file, out, (prime, prime_text, line), layout, look, **how)
        except (ValueError, TypeError, RuntimeError, OSError, ImportError) as err:  # TypeError: weights of another kind
            raise fail(err) from err

    @app.command("ink")
    def ink_command(
        path: Path = typer.Argument(help="Ink: InkML, UNIPEN, SVG, .npy, CSV, or JSON of this book."),  # noqa: B008
        out: Path | None = typer.Argument(None, help=f"File to write: {kinds}. Without it, only tell."),  # noqa: B008
        check: bool = typer.Option(False, "--check", help="Only tell what was found."),
        text: str | None = typer.Option(None, help="What is written; without it, as the file or one beside it says."),
        line: int | None = typer.Option(None, min=1, help="Write this line alone, from 1 on."),
        y_up: bool | None = typer.Option(None, "--y-up/--y-down", help="Where y points, if it is not found right."),
        rate: float | None = typer.Option(None, help="Points a second, if they are not found right."),
        scale: float | None = typer.Option(None, help="Raw units for a unit of the file, if it is not found right."),
        level: bool | None = typer.Option(None, "--level/--as-it-is", help="Whether to turn a line that climbs."),
        size: str = size,
        paper: str | None = paper,
        margin: str | None = margin,
        line_height: str | None = line_height,
        align: str = align,
        pen: str = pen,
        color: str = color,
        smooth: bool = smooth,
        swell: float = swell,
        transparent: bool = transparent,
        dpi: float = dpi,
        width: int | None = width,
        feed: float = feed,
        up: str = up,
        down: str = down,
        bed: str | None = bed,
    ) -> None:
        """Read ink of another program, tell what it is, and write it as another kind."""
        layout, look = parts(locals())
        how = {"text": text, "y_up": y_up, "rate": rate, "scale": scale, "level": level}
        try:
            _ink(path, out, check, line, layout, look, **how)
        except (ValueError, TypeError, RuntimeError, OSError, ImportError) as err:
            raise fail(err) from err

    @app.command("read")
    def read_command(
        path: Path = typer.Argument(help="Ink: JSON, InkML, UNIPEN, SVG, .npy or CSV."),  # noqa: B008
        beam: int = typer.Option(1, min=1, max=1000, help="Beginnings kept in the search; 1 takes the best path."),
        language: bool = typer.Option(False, "--language", help="Let the book's character model weigh in."),
        y_up: bool = typer.Option(False, "--y-up", help="The ink's y points up; without it, found out."),
        details: bool = typer.Option(False, "--details", help="JSON: text, confidence, place of each letter."),
        model: str = typer.Option("reading", help="The weights; `softattn weights` lists them."),
    ) -> None:
        """Read handwriting: its text, a line for each line of ink."""
        try:
            _read(path, model, details, y_up, beam=beam, language=language)
        except (ValueError, TypeError, RuntimeError, OSError, ImportError) as err:
            raise fail(err) from err

    @app.command("collect")
    def collect_command(
        out: Path = typer.Option(..., "-o", "--out", help="Folder for the lines; made if it is not there."),  # noqa: B008
        lines: int = typer.Option(20, min=1, max=60, help="How many lines to ask for."),
        port: int = typer.Option(0, min=0, max=65_535, help="Port of 127.0.0.1; 0 takes a free one."),
        browser: bool = typer.Option(True, help="Whether to open the page in the browser."),
    ) -> None:
        """Collect a hand: a page on this machine to write lines on, kept as InkML and JSON."""
        try:
            with _told():
                from softattn.collect import collect

                collect(out, lines, port=port, browser=browser)
        except (ValueError, TypeError, RuntimeError, OSError, ImportError) as err:
            raise fail(err) from err

    @app.command("train")
    def train_command(
        folder: Path = typer.Argument(  # noqa: B008
            help="Five lines or more of one hand, with texts: a folder as `softattn collect` leaves it, or a file."
        ),
        out: Path = typer.Option(..., "-o", "--out", help="File to write: NAME.safetensors, a card beside it."),  # noqa: B008
        model: str = typer.Option("synthesis", help="The weights to begin with; `softattn weights` lists them."),
        layers: str = typer.Option("adapters", help="What is learned: adapters, the last layer, or all weights."),
        rank: int = typer.Option(8, min=1, max=400, help="Rank of the adapters."),
        steps: int = typer.Option(60, min=1, max=10_000, help="At most so many; it stops by itself when it is best."),
        minutes: float = typer.Option(20.0, min=0, help="After so many the best so far is taken."),
        seed: int = typer.Option(0, min=0, max=2**31, help="Chooses the lines that are held out, and the order."),
        sample: Path | None = typer.Option(None, help="File of ink, written anew every minute: .svg or .png."),  # noqa: B008
        device: str | None = typer.Option(None, help="Where to learn: cpu, cuda."),
    ) -> None:
        """Teach the pen one hand: softattn train mine/ -o me.safetensors; stopped, the same command goes on."""
        how = {"layers": layers, "rank": rank, "steps": steps, "minutes": minutes, "seed": seed}
        try:
            _train(folder, out, model, sample, device, **how)
        except (ValueError, TypeError, RuntimeError, OSError, ImportError, ArithmeticError) as err:
            raise fail(err) from err
        except KeyboardInterrupt as err:
            print(f"softattn: stopped; the same command goes on from {out.with_suffix('.state')}", file=sys.stderr)
            raise typer.Exit(130) from err

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
        if end.code == 2 and arguments[:1] == ["write"] and _dashed(arguments[1:]):
            print(f"softattn: {DASH}", file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
