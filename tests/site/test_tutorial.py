"""Pages with cells: what was printed and drawn stands under each."""

import re
import sys
from html import unescape

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs"))

from press.mathml import mathml

PARTS = {"own-neuron": "parts/neurons/quadratic.py", "own-loss": "parts/losses/soft_margin.py",
         "own-algorithm": "parts/algorithms/alignment.py"}  # fmt: skip


def text_of(html):
    return unescape(re.sub(r"<[^>]+>", "", html))


@pytest.fixture(params=["extensions", *(f"tutorial/{path.stem}" for path in (ROOT / "docs/tutorial").glob("*.md"))])
def source_and_page(request, html):
    return (ROOT / "docs" / f"{request.param}.md").read_text(), (html / f"{request.param}.html").read_text()


def test_what_a_cell_prints_stands_under_it(source_and_page):
    source, page = source_and_page
    blocks = re.findall(r"<!-- run -->\n+```python\n(.*?)^```", source, re.M | re.S)
    outputs = re.findall(r'<div class="cell-output.*?<pre>(.*?)</pre>', page, re.S)
    assert len(outputs) == sum("print(" in block for block in blocks) > 0
    assert all(re.search(r"\d|decides|parts", text_of(output)) for output in outputs)
    assert "<!-- run" not in page and "<!-- save" not in page


def test_differences_are_small_numbers(html):
    page = text_of((html / "extensions.html").read_text())
    differences = re.findall(r"(?:largest )?difference (\d\.\de[+-]\d\d)", page)
    assert len(differences) > 10
    assert max(map(float, differences)) < 5e-3


def test_pictures_of_cells_are_shown(source_and_page, html):
    source, page = source_and_page
    for text in re.findall(r"<!-- picture: [\w.]+, (.*?) -->", source):
        image = re.search(rf'<img alt="{re.escape(text)}" src="([^"]+)"', page)
        assert (html / "tutorial" / image[1]).resolve().exists()


@pytest.mark.parametrize("name", PARTS)
def test_a_saved_file_is_named_above_its_block(name, html):
    page = (html / "tutorial" / f"{name}.html").read_text()
    assert re.search(rf'<p class="cell-file">.*?{PARTS[name]}.*?</p>\s*<div class="highlight-python', page, re.S)


def test_formulas_of_the_derivations_are_mathematics(html):
    for name in ("derivation", "extensions"):
        source, page = (ROOT / "docs" / f"{name}.md").read_text(), (html / f"{name}.html").read_text()
        formulas = re.findall(r"^\$\$\n(.*?)^\$\$", source, re.M | re.S)
        assert page.count('display="block"') == len(formulas) > 15
        assert "<mi>&</mi>" not in page and "\\\\begin" not in text_of(page)


@pytest.mark.parametrize("formula", [r"\begin{aligned} a &= b \end{aligned}", "a_b_c"])
def test_a_formula_that_cannot_be_read_is_refused(formula):
    with pytest.raises(ValueError, match=r"not known|DoubleSubscripts"):
        mathml(formula, "block")
