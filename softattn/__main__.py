"""The command line: `softattn --version`, `softattn weights`.

`--version` and `--help` need nothing but Python; the commands need typer, the extra `cli`.
"""

from __future__ import annotations

import argparse
import sys

from softattn import __version__

ABOUT = "Soft attention, from the pen to the picture: the modules that the book's chapters export."
WITHOUT_TYPER = "the commands need typer, which is not installed here (the extra `cli`): pip install typer"


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

    @app.callback()
    def common(
        version: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Print the version."),
    ) -> None:
        pass

    @app.command("weights")
    def weights() -> None:
        """List the pretrained weights that softattn.load(NAME) knows."""
        from softattn import _files

        try:
            cards = _files.weights()
        except ValueError as err:
            print(err, file=sys.stderr)
            raise typer.Exit(1) from err
        if not cards:
            print("no weights come with this version")
        width = max(map(len, cards), default=0)
        for name, card in cards.items():
            metric = card["metric"]
            terms = "non-commercial" if card["non_commercial"] else card["licence"]
            print(
                f"{name:{width}}  {card['summary']} ({card['bytes'] / 1e6:.1f} MB; "
                f"{metric['name']} {metric['value']:.4g} on {metric['split']}; {terms})"
            )

    try:
        app(arguments, prog_name="softattn", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
