"""Repeat what chapters claim of their trainings with other seeds and thread counts.

python -m bench.seeds [CHAPTER ...]                    3 seeds, 1 thread, all chapters or those named
python -m bench.seeds --seeds 20 --threads 1 2         takes two hours; with --write, a table of `scoreboard`
python -m bench.seeds --quick                          one seed

The code is the chapter's own. Its cells with the tag `seeds` run once for every seed k, with k added to each seed that
stands in them as a number (`manual_seed(0)`, `seed=0`); cells that define what these use run as they stand. Every
assertion in them is counted, not obeyed, and what a comparison measures is shown from its lowest to its highest value.
"""

import ast
import contextlib
import io
import sys
import time
from pathlib import Path

import torch

from bench._result import Result, parser
from tools import exercises, toc


class Shifted(ast.NodeTransformer):
    """Add k to the seeds of a cell, and turn its assertions into calls of `_claim`."""

    def __init__(self, k: int):
        self.k = k

    def _plus(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return ast.copy_location(ast.Constant(node.value + self.k), node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "manual_seed":
            node.args = [self._plus(argument) for argument in node.args]
        for keyword in node.keywords:
            if keyword.arg == "seed":
                keyword.value = self._plus(keyword.value)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.Expr:
        self.generic_visit(node)
        parts = [node.test.left, *node.test.comparators] if isinstance(node.test, ast.Compare) else []
        left = next((part for part in parts if not isinstance(part, ast.Constant)), ast.Constant(None))
        words = ast.Constant(ast.unparse(node.test))
        call = ast.Call(ast.Name("_claim", ast.Load()), [words, node.test, left], [])
        return ast.copy_location(ast.Expr(call), node)


def repeat(path: Path, seeds: range) -> tuple[dict[str, list], float]:
    """Run the marked cells of a chapter once for each seed.

    Returns:
        For each assertion, in order, (whether it held, what it measures or None) for each seed; and the
        seconds of one seed.
    """
    source = toc.read(path)
    marked = [cell for cell in source.cells if "seeds" in cell.tags]
    others = [cell for cell in source.cells if not (exercises.SKIPPED | {"seeds"}) & set(cell.tags)]
    before = [(cell.line, cell.source, False) for cell in others if cell.line < marked[-1].line]
    claims: dict[str, list] = {}

    def claim(words, held, left):
        number = left.item() if isinstance(left, torch.Tensor) and left.numel() == 1 else left
        claims.setdefault(words, []).append((bool(held), number if isinstance(number, int | float) else None))

    lines = {line for line, _ in exercises.needed([[cell.source for cell in marked]], before)}
    cells = [cell for cell in source.cells if cell in marked or cell.line in lines]  # in the chapter's order
    space = {"__name__": "__main__", "_claim": claim}
    begin = time.perf_counter()
    with exercises.quiet(), contextlib.redirect_stdout(io.StringIO()):
        for k in seeds:
            for cell in cells:
                if cell in marked:
                    tree = ast.fix_missing_locations(Shifted(k).visit(toc.tree(cell, path)))
                    exec(compile(tree, f"{path.name}:{cell.line}", "exec"), space)
                else:
                    exercises.run(cell.source, space, f"{path.name}:{cell.line}")
    return claims, (time.perf_counter() - begin) / len(seeds)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("chapters", nargs="*", help="names of chapters (default: all that have such cells)")
    options.add_argument("--seeds", type=int, default=3, help="how many, from 0 (default: 3)")
    options.add_argument("--threads", type=int, nargs="+", default=[1], help="thread counts to try (default: 1)")
    args = options.parse_args()
    paths = {c.name: c.path for c in toc.chapters() if any("seeds" in cell.tags for cell in toc.read(c.path).cells)}
    if unknown := sorted(set(args.chapters) - set(paths)):
        options.error(f"no cell with the tag seeds in {', '.join(unknown)}; there are some in {', '.join(paths)}")
    seeds = range(1 if args.quick else args.seeds)
    if not seeds:
        options.error("--seeds: give at least 1")
    result, rows = Result("seeds", args.threads, len(seeds), speed=False), []
    for threads in args.threads:
        torch.set_num_threads(threads)
        for name in args.chapters or paths:
            claims, seconds = repeat(paths[name], seeds)
            print(f"{name}, seeds 0 to {seeds[-1]}, threads: {threads}, {seconds:.1f} s a seed", flush=True)
            for k, (words, found) in enumerate(claims.items()):
                what = f"{name}: share of {len(found)} seeds in which `{words}` held, threads: {threads}"
                held = sum(fits for fits, _ in found) / len(found)
                result.figure(f"{name}_{k}_{threads}", held, "share", what)
                rows.append([name, f"`{words}`", sum(fits for fits, _ in found), len(found), threads])
                numbers = [number for _, number in found if number is not None]
                values = f"   [{min(numbers):.4g} to {max(numbers):.4g}]" if numbers else ""
                print(f"  {sum(held for held, _ in found):3d} of {len(found)}  {words}{values}", flush=True)
    result.table("Claims of trainings, with other seeds", ["chapter", "claim", "held in", "of", "threads"], rows)
    result.finish(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
