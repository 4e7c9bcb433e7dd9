# Generated from book/museum.md by tools/export.py. Edit the chapter, not this file.
"""A museum of bugs.

Faults that were published, each as one changed line, with the picture that it breaks and the test that sees it.

The chapter book/museum.md builds this module and explains each line.
"""

import json
import types
from functools import cache
from importlib import resources
from typing import NamedTuple

__all__ = ["broken"]


# -- One line --
class Fault(NamedTuple):
    """A published fault as one changed line.

    Args:
        hall: of the museum. module: of the package.
        before, after: the line, right and wrong. test: that goes red.
        where: in what kind of program it was seen.
    """

    hall: str
    module: str
    before: str
    after: str
    test: str
    where: str


@cache
def faults() -> dict[str, Fault]:
    """The museum's faults, by name: softattn/data/faults.json."""
    path = resources.files("softattn") / "data" / "faults.json"
    rows = json.loads(path.read_text("utf-8"))["faults"]
    return {name: Fault(**row) for name, row in rows.items()}


# -- One line --
def broken(name: str) -> types.ModuleType:
    """A module of the package with one of the museum's faults in it.

    Args:
        name: of the fault; `museum.faults()` holds them.

    Returns:
        A module of its own; the real one stays as it is.

    Raises:
        ValueError: if there is no such fault, or its line is gone.
    """
    code = compile(faulty_text(name), f"<{name}>", "exec")
    module = types.ModuleType(f"softattn.{faults()[name].module}")
    exec(code, vars(module))
    return module


# -- One line --
def faulty_text(name: str) -> str:
    """The text of the module with the fault's line exchanged."""
    if not isinstance(name, str) or name not in faults():
        known = ", ".join(faults())
        raise ValueError(f"broken: no fault {name!r:.60}; there are {known}")
    fault = faults()[name]
    path = resources.files("softattn") / f"{fault.module}.py"
    text = path.read_text("utf-8")
    if text.count(fault.before) != 1:
        raise ValueError(
            f"broken: {fault.module}.py holds the line of {name!r} {text.count(fault.before)} times, expected once"
        )
    return text.replace(fault.before, fault.after)
