"""Begin a chapter: `make new NAME=glimpse` writes book/glimpse.md and tests/test_glimpse.py, ready to be filled.

python -m tools.new NAME [--part "IV Draw"] [--title "..."]

The skeleton holds each part that a chapter has, in order, and runs as it stands. The chapter is entered in _toc.yml at
the end of its part; then `make export notebooks` writes its module and its notebook.
"""

import argparse
import keyword
import re
import sys
from pathlib import Path

from tools import toc

ROOT = toc.ROOT

CHAPTER = '''\
---
jupytext:
  text_representation: {{extension: .md, format_name: myst}}
kernelspec: {{display_name: Python 3, language: python, name: python3}}
softattn:
  module: {name}
  subtitle: One line about what the module offers.
  headline: "{title}, in the words that a search engine is asked"
  terms: [{name}]
---

# {title}

```{{code-cell}} python
:tags: [remove-input]

from softattn.pictures import figure, show_figure

_fig, _ax = figure(height=2.5)
_ax.plot([0, 1, 2], [0, 1, 4])
_ax.set(xlabel="what goes in", ylabel="what comes out")
show_figure(_fig, alt="A curve that rises faster and faster: the picture that this chapter explains.")
```

What the picture shows, in two sentences.

**You will** build what draws it. **You will learn** the one idea of this chapter. **You need** what came before.
**Time** 45 minutes of reading; the cells take a few seconds on one core.

```{{code-cell}} python
import torch
```

Letters: `B` examples.

## One example, with a loop

```{{admonition}} Predict
What does the loop return for 3? (a) 3; (b) 6; (c) 9.
```

```{{code-cell}} python
total = 0
for _ in range(3):
    total += 3
print(total)
assert total == 9
```

(c): the loop adds its number as often as the number says.

## The module

The formula stands one line above the code that is it.

```{{math}}
:label: {name}-square
y = x^2
```

```{{code-cell}} python
:tags: [export]

from torch import Tensor


def {name}_square(x: Tensor) -> Tensor:
    """Square each number.

    Args:
        x: numbers, any shape.

    Returns:
        Their squares, shape of x.

    Source: this chapter, equation {name}-square.
    """
    return x * x
```

```{{code-cell}} python
assert {name}_square(torch.tensor(3.0)) == total  # the rung below
```

## Summary

- One sentence for each thing that a reader should keep.

## Exercises
{exercises}
## Further reading

What to read next, and why.
'''

EXERCISE = """
```{{exercise-start}} {kind_title}
:label: {name}-{kind}
```

*Easy, 5 minutes.* {words}

```{{admonition}} First hint
:class: dropdown
Where to look.
```

```{{admonition}} Second hint
:class: dropdown
What to do there, all but the last step.
```

```{{code-cell}} python
---
tags: [exercise]
wrong: [answer_{kind} = 3.0, answer_{kind} = 6.0]
says: [times itself, times itself]
---
answer_{kind} = None
```

```{{code-cell}} python
:tags: [check]

if answer_{kind} is None:
    print("not tried yet")
elif answer_{kind} != 9.0:
    raise ValueError(f"{{answer_{kind}}}: a square is a number times itself")
else:
    print("right")
```

```{{exercise-end}}
```

```{{solution-start}} {name}-{kind}
:class: dropdown
```

```{{code-cell}} python
:tags: [solution]

answer_{kind} = 9.0
```

```{{solution-end}}
```
"""

KINDS = {
    "predict": "Say what will come out before you run it.",
    "implement": "Write it yourself.",
    "break": "Find an input for which it fails, and say why.",
    "measure": "Measure it.",
    "extend": "Take it one step further.",
}

TEST = '''\
"""{title}: the exported code against independent ways to the same numbers."""

import torch

from softattn.{name} import {name}_square


def test_the_square_is_a_product(device):
    x = torch.randn(5, device=device, dtype=torch.float64)
    assert torch.equal({name}_square(x), torch.stack([value * value for value in x]))
'''


class NewError(Exception):
    """The chapter cannot be begun; the message says why."""


def begin(name: str, part: str, title: str, root: Path = ROOT) -> list[Path]:
    """Write the skeleton of a chapter and of its test, and enter it in _toc.yml.

    Args:
        name: of chapter, module and test; a Python name in lower case.
        part: the caption of its part in _toc.yml.
        title: of the chapter.
        root: the repository.

    Returns:
        The files that were written.

    Raises:
        NewError: if the name will not do, is taken, or there is no such part.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
        raise NewError(f"NAME={name!r}: choose a Python name in lower case that the standard library does not have")
    chapter, test = root / "book" / f"{name}.md", root / "tests" / f"test_{name}.py"
    if taken := [path for path in (chapter, test, root / "softattn" / f"{name}.py") if path.exists()]:
        raise NewError(f"{taken[0].relative_to(root)} is there already: choose another name")
    captions = list(dict.fromkeys(page.part for page in toc.chapters(root) if page.part))
    if part not in captions:
        raise NewError(f"no part {part!r} in _toc.yml; there are: {', '.join(captions)}")
    exercises = "".join(
        EXERCISE.format(name=name, kind=kind, kind_title=kind.capitalize(), words=words)
        for kind, words in KINDS.items()
    )
    chapter.write_text(CHAPTER.format(name=name, title=title, exercises=exercises), encoding="utf-8", newline="\n")
    test.write_text(TEST.format(name=name, title=title), encoding="utf-8", newline="\n")
    enter(name, part, root / "_toc.yml")
    return [chapter, test]


def enter(name: str, part: str, path: Path) -> None:
    """Add a file at the end of a part of _toc.yml, whose other lines stay as they are."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if re.search(rf"caption:\s*[\"']?{re.escape(part)}[\"']?\s*$", line))
    last = start
    for number in range(start + 1, len(lines)):
        if "caption:" in lines[number]:
            break
        if re.match(r"\s*- file:", lines[number]):
            last = number
    indent = re.match(r"\s*", lines[last] if last > start else lines[start] + "      ")
    lines.insert(last + 1, f"{indent[0] if indent else ''}- file: book/{name}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name")
    parser.add_argument("--part", default="Toolbox", help="caption of its part in _toc.yml")
    parser.add_argument("--title", help="of the chapter (default: its name)")
    options = parser.parse_args(argv)
    try:
        made = begin(options.name, options.part, options.title or options.name.capitalize())
    except NewError as err:
        print(f"new: {err}", file=sys.stderr)
        return 2
    print("wrote " + ", ".join(path.relative_to(ROOT).as_posix() for path in made) + " and entered it in _toc.yml")
    print("next: its row in README.md, then `make export notebooks` and `make quick`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
