"""The cells of the documents, blocks of Python that say what is so: each is run here as the site runs it."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

from press.cells import Cell, CellError, Mark, cells_of, mark_of, run  # noqa: E402

PAGES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts]
WITH_CELLS = [path for path in PAGES if cells_of(path.read_text())]


def code(text):
    return Cell(Mark("run", "", ""), text)


@pytest.mark.parametrize("page", WITH_CELLS, ids=lambda path: path.stem)
def test_cells_do_what_their_page_says(page, tmp_path):
    cells = cells_of(page.read_text())
    printed = run(cells, tmp_path)
    for cell, text in zip(cells, printed, strict=True):
        assert bool(text) == ("print(" in cell.code)
    for mark in map(mark_of, re.findall(r"<!-- picture.*?-->", page.read_text())):
        assert (tmp_path / mark.name).stat().st_size > 5000 and len(mark.text) > 40


def test_every_derivation_has_a_check_that_can_fail():
    text = (ROOT / "docs" / "extensions.md").read_text()
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    assert len(sections) == 9
    for section in sections:
        checks = [cell.code for cell in cells_of(section)]
        assert any("assert worst <" in check and "{worst:" in check for check in checks), section.partition("\n")[0]


def test_checks_are_short_and_parts_as_long_as_their_titles_say():
    for path in WITH_CELLS:
        titled = re.search(r"^# .* in (\d+) lines$", path.read_text(), re.M)
        for mark, text in cells_of(path.read_text()):
            most = int(titled[1]) if mark.kind == "save" else 20
            assert len([line for line in text.splitlines() if line]) <= most, f"{path.name}: {text}"


def test_a_formula_that_is_wrong_fails(tmp_path):
    """The auxiliary loss without the threshold's own term."""
    cells = cells_of((ROOT / "docs" / "extensions.md").read_text().partition("## Collapsing threshold")[0])
    wrong = [cell._replace(code=cell.code.replace("r / (1.0 + r.sum())", "r / r.sum()")) for cell in cells]
    assert wrong != cells
    with pytest.raises(CellError, match=r"^cell 6, 'assert worst < 1e-12.*AssertionError"):
        run(wrong, tmp_path)


def test_cells_follow_each_other_in_a_folder_of_their_own(tmp_path):
    saved = Cell(Mark("save", "parts/own.py", ""), "X = 3\n")
    cells = [saved, code("import sys\nsys.path.append('parts')\nfrom own import X\n"), code("print(X + 1)\n")]
    assert run(cells, tmp_path) == ["", "", "4\n"]
    assert (tmp_path / "parts" / "own.py").read_text() == "X = 3\n"


@pytest.mark.parametrize("wrong", ["1 / 0", "print(", "assert 2 < 1", "raise ValueError('two\\nlines')"])
def test_a_cell_that_fails_is_one_line(wrong, tmp_path):
    with pytest.raises(CellError, match=r"^cell 2, ") as error:
        run([code("print(1)\n"), code(f"x = 0\n{wrong}\n")], tmp_path)
    assert "\n" not in str(error.value)


def test_marks_and_blocks():
    marked = "<!-- run -->\n```python\n1\n```\n\n<!-- save: a/b.py -->\n\n```python\n2\n```\n"
    text = f"{marked}```python\n3\n```\n<!-- a word -->"
    assert cells_of(text) == [Cell(Mark("run", "", ""), "1\n"), Cell(Mark("save", "a/b.py", ""), "2\n")]
    assert mark_of("<!-- picture: x.png, two\nwords -->\n") == Mark("picture", "x.png", "two\nwords")
    assert mark_of("<!-- a word -->") is None
