"""softattn: the package that the book *Soft Attention, from the pen to the picture* exports.

Each module is generated from a chapter and named after it: ``from softattn.lstm import PeepholeLSTM``.
Importing the package itself loads neither torch nor matplotlib; the names below load what they need when first used.
"""

__version__ = "0.2.0"

# name -> module that defines it; imported when the name is first asked for
_LAZY = {
    "load": "softattn.hub",
    "read": "softattn.reading",
    "styles": "softattn.page",
    "write": "softattn.proofreading",
}

__all__ = ["__version__", *sorted(_LAZY)]


def __getattr__(name: str):
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(
        f"softattn has no attribute {name!r}; its modules are imported by name: from softattn.lstm import ..."
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
