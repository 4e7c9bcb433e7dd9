# pyright: reportMissingImports=false, reportUndefinedVariable=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportOptionalMemberAccess=false
"""nbgrader's settings for a class of this book; `make classroom` copies this file and fence.py into the course.

Beyond nbgrader's own steps an answer is read before it is run (fence.py), a check that was deleted is put back, a cell
that prints without end is stopped, and so is one that never ends.
"""

import asyncio
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nbformat
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    Execute,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)

_spec = spec_from_file_location("fence", Path(__file__).resolve().with_name("fence.py"))
fence = module_from_spec(_spec)
_spec.loader.exec_module(fence)

MOST = 100_000  # characters that a cell may print
ANSWER, OTHER = 60, 300  # seconds that an answer may take, and a cell of the book


def told(cell) -> dict:
    return cell.metadata.get("nbgrader", {})


class Fence(NbGraderPreprocessor):
    """Do not run an answer that does more than compute: say why, and let it raise."""

    def preprocess(self, nb, resources):
        for cell in nb.cells:
            mine = told(cell)
            if cell.cell_type != "code" or mine.get("locked") or mine.get("grade"):
                continue
            if not mine and cell.source.lstrip().startswith("#@title Install"):
                continue
            found = fence.faults(cell.source)
            if found:
                self.log.warning("an answer was not run: %s", "; ".join(found))
                kept = "\n".join(f"# {line}" for line in cell.source.split("\n"))
                cell.source = f"{kept}\nraise PermissionError({'this answer was not run: ' + '; '.join(found)!r})"
        return nb, resources


class Bounded(Execute):
    """Execute with an end: of seconds for each cell, and of what it prints."""

    error_on_timeout = {
        "ename": "TimeoutError",
        "evalue": f"stopped: an answer may take {ANSWER} seconds",
        "traceback": [f"TimeoutError: stopped after {ANSWER} seconds. Does a loop never end?"],
    }

    def __init__(self, **kw):
        super().__init__(**kw)
        self.timeout_func = lambda cell: OTHER if told(cell).get("locked") else ANSWER
        self.said = {}

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("stream", "display_data"):
            before = self.said.get(cell_index, 0)
            self.said[cell_index] = before + len(str(msg["content"]))
            if self.said[cell_index] > MOST and not told(cell).get("locked"):
                if before <= MOST:
                    text = f"\n[stopped: this cell printed more than {MOST:,} characters]\n"
                    notice = nbformat.v4.new_output("stream", name="stderr", text=text)
                    cell.outputs.insert(0, notice)  # behind a thousand lines nbgrader would cut it off
                    asyncio.ensure_future(self._interrupt())
                return None
        return super().process_message(msg, cell, cell_index)

    async def _interrupt(self):
        done = self.km.interrupt_kernel()
        if asyncio.iscoroutine(done) or asyncio.isfuture(done):
            await done


c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "softattn"
c.ClearSolutions.code_stub = {"python": "# your answer: change the lines above"}
c.ClearSolutions.text_stub = "*Your answer here.*"
c.OverwriteCells.add_missing_cells = True
c.LimitOutput.max_lines = 100
c.LimitOutput.max_traceback = 40
c.Autograde.sanitize_preprocessors = [
    ClearOutput, DeduplicateIds, OverwriteKernelspec, OverwriteCells, Fence, CheckCellMetadata,
]  # fmt: skip
c.Autograde.autograde_preprocessors = [Bounded, LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
