"""Set the repository's address, print it, or look for others.

python -m tools.address URL [--ref REF]   set the address (and the branch) everywhere
python -m tools.address --check           exit 1 if a tracked file carries another address
python -m tools.address                   print it
"""

import argparse
import sys
from pathlib import Path

from tools import notebooks
from tools.repository import ROOT, AddressError, address, parse, set_address, strangers


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("url", nargs="?", help="https://github.com/OWNER/REPO")
    parser.add_argument("--ref", help="branch of the sources (default: the one set now)")
    parser.add_argument("--check", action="store_true", help="exit 1 if a tracked file carries another address")
    options = parser.parse_args(argv)
    try:
        if options.url:
            new = parse(options.url, options.ref or address(root).ref)
            changed = set_address(new, root)
            changed += notebooks.regenerate(root)
            print(f"address: {new.url}@{new.ref}; changed: " + (", ".join(changed) or "nothing"))
        if options.check:
            faults = strangers(root)
            for fault in faults:
                print(fault, file=sys.stderr)
            return 1 if faults else 0
        if not options.url:
            print(address(root).url)
    except AddressError as err:
        print(f"address: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
