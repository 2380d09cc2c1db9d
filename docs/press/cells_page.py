"""Cells on the pages of the site: what a cell printed stands under it (cells.py). One that fails, fails the build."""

import os
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError

from press.cells import CellError, Mark, cells_of, mark_of, run


def marks_in(doctree) -> list[tuple[nodes.raw, Mark]]:
    """The comments of a document that are marks."""
    found = ((node, mark_of(node.astext())) for node in doctree.findall(nodes.raw))
    return [(node, mark) for node, mark in found if mark]


def block_after(node) -> nodes.literal_block | None:
    """The block that a mark is about."""
    after = node.next_node(descend=False, siblings=True)
    return after if isinstance(after, nodes.literal_block) else None


def show(block: nodes.literal_block, mark: Mark, printed: str) -> None:
    """Put a saved cell's file above it, and under a cell what it printed."""
    if mark.kind == "save":
        name = nodes.paragraph("", "", nodes.literal("", mark.name), classes=["cell-file"])
        block.parent.insert(block.parent.index(block), name)
    elif printed:
        text = nodes.literal_block(printed.rstrip(), printed.rstrip(), language="text")
        label = nodes.paragraph("", "It prints", classes=["cell-label"])
        output = nodes.container("", label, text, classes=["cell-output"])
        block.parent.insert(block.parent.index(block) + 1, output)


def picture(app, mark: Mark, folder: Path) -> nodes.image:
    """A picture that a cell has drawn."""
    if not (folder / mark.name).exists() or not mark.text:
        raise CellError(f"no cell draws {mark.name}, or it has no alternative text")
    uri = "/" + Path(os.path.relpath(folder / mark.name, app.srcdir)).as_posix()
    return nodes.image("", uri=uri, alt=" ".join(mark.text.split()))


def run_cells(app, doctree) -> None:
    """Run the cells of a document that has been read, and show what they print."""
    docname, marks = app.env.docname, marks_in(doctree)
    if not marks:
        return
    folder = Path(app.doctreedir) / "cells" / docname
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        cells = [(node, mark, block_after(node)) for node, mark in marks if mark.kind != "picture"]
        if lost := [mark for _, mark, block in cells if block is None]:
            raise CellError(f"no block of Python follows the mark {' '.join(lost[0]).strip()!r}")
        texts = cells_of(Path(app.env.doc2path(docname)).read_text())
        if [cell.mark for cell in texts] != [mark for _, mark, _ in cells]:
            raise CellError("a mark stands in a list or before a block that is not ```python")
        outputs = run(texts, folder)
        for (node, mark, block), printed in zip(cells, outputs, strict=True):
            show(block, mark, printed)
            node.parent.remove(node)
        for node, mark in marks:
            if mark.kind == "picture":
                node.replace_self(picture(app, mark, folder))
    except CellError as error:
        raise ExtensionError(f"{docname}: {error}") from None
    app.env.metadata[docname]["cells"] = str(len(cells))


def with_cells(app, env, added, changed, removed) -> list[str]:
    """Documents whose cells are run again in every build: the sources that they use may have changed."""
    return [name for name, facts in env.metadata.items() if "cells" in facts and name in env.found_docs]


def setup(app):
    app.connect("doctree-read", run_cells, priority=50)  # before Sphinx collects pictures
    app.connect("env-get-outdated", with_cells)
    app.add_css_file("cells.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
