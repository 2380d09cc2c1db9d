"""Cells: blocks of Python in the documents that are run, so that what a page says is so.

    <!-- run -->                   the block that follows is run; the page shows what it prints
    <!-- save: parts/own.py -->    the block that follows is written to this file, for the cells after it
    <!-- picture: psp.svg, TEXT -->   the file that the cell above has drawn, and an alternative text

Any host of repositories shows such a block as Python, and hides the mark. The cells of a document follow each other in
a process and a folder of their own. `python docs/press/cells.py DOCUMENT` runs them and prints what they print; the
site (cells_page.py) and the tests do the same. Nothing here needs Sphinx.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
_MARK = re.compile(r"<!-- *(run|save|picture)\b(?:: *([^,>]*?))?(?:, *([^>]*?))? *-->")
_BLOCK = re.compile(rf"^{_MARK.pattern}\n+```python\n(.*?)^```$", re.M | re.S)


class CellError(Exception):
    """A cell that did not do what its page says; the message is one line."""


class Mark(NamedTuple):
    """kind : "run", "save" or "picture"   name : of a file   text : alternative text"""

    kind: str
    name: str
    text: str


class Cell(NamedTuple):
    """mark : what becomes of it   code : its lines"""

    mark: Mark
    code: str


def mark_of(comment: str) -> Mark | None:
    """What a comment of a document asks for; None if it is no mark."""
    found = _MARK.fullmatch(comment.strip())
    return Mark(*(part or "" for part in found.groups())) if found else None


def cells_of(text: str) -> list[Cell]:
    """The cells of a document, in their order."""
    return [Cell(Mark(kind, name or "", words or ""), code) for kind, name, words, code in _BLOCK.findall(text)]


def run(cells: list[Cell], folder: Path) -> list[str]:
    """What each cell prints; a saved one prints nothing. Raises CellError at the first that fails.

    folder : where the cells run, and where the files stay that they make
    """
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "GOMP_SPINCOUNT": "0"}  # threads that wait sleep
    command = [sys.executable, str(Path(__file__).resolve()), "--cells"]
    result = subprocess.run(
        command, input=json.dumps(cells), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise CellError(result.stderr.strip().rpartition("\n")[2])
    return json.loads(result.stdout)


def _printed(cell: Cell, names: dict) -> str:
    """What one cell prints, run among the names of those before it."""
    if cell.mark.kind == "save":
        path = Path(cell.mark.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(cell.code)
        return ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(cell.code, "<cell>", "exec"), names)
    return printed.getvalue()


def _run_here(cells: list[Cell]) -> list[str]:
    """`run`, in this process and folder. Leaves it with one line where a cell fails."""
    names, printed = {"__name__": "__main__"}, []
    sys.path[0] = ""
    for number, cell in enumerate(cells, 1):
        try:
            printed.append(_printed(cell, names))
        except Exception as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<cell>"]
            line = cell.code.splitlines()[frames[-1].lineno - 1].strip() if frames else "?"
            said = " ".join(f"{type(error).__name__}: {error}".split())
            sys.exit(f"cell {number}, {line!r}: {said}")
    return printed


def main(argument: str) -> None:
    if argument == "--cells":
        json.dump(_run_here([Cell(Mark(*mark), code) for mark, code in json.load(sys.stdin)]), sys.stdout)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(*run(cells_of(Path(argument).read_text()), Path(folder)), sep="", end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
