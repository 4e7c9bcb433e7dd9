"""The book's build tools, one module each: `python -m tools.export`, `python -m tools.notebooks` and so on."""
