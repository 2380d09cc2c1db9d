"""The map is whole: every tag, number, key and test is on it. What should be there is found here by other means."""

import ast
import re
import sys
from html import unescape

import pytest
from conftest import ROOT

import s4nn_ref
from s4nn_ref.config import SECTIONS
from s4nn_ref.settings import known_keys

sys.path.insert(0, str(ROOT / "docs"))

from press import api_sources, map_sources


@pytest.fixture(scope="module")
def page(html):
    return (html / "map.html").read_text()


@pytest.fixture(scope="module")
def words(page):
    return unescape(re.sub(r"<[^>]+>", " ", page))


def test_every_equation_has_its_lines_and_its_test(page):
    rows = dict(re.findall(r">Eq\. (\d+)</.*?</td>(.*?)</tr>", page, re.S))
    assert sorted(map(int, rows)) == list(range(1, 13))
    for row in rows.values():
        document, code, test = row.split("</td>")[:3]
        assert "reference/ds4nn.py.html#line-" in document
        assert "#line-" in code and "test_eq" in test


def test_every_line_with_a_tag_of_the_document_is_linked(page):
    lines = (ROOT / "s4nn_ref/reference/ds4nn.py").read_text().splitlines()
    tagged = [n for n, line in enumerate(lines, 1) if re.search(r"\S.*  # Eqs?\. \d", line)]
    assert len(tagged) >= 10
    for n in tagged:
        assert f"ds4nn.py.html#line-{n}" in page, lines[n - 1]


def test_every_choice_is_linked_to_its_section_and_code(page, html):
    numbers = re.findall(r"^## (D\d+) ", (ROOT / "docs/deviations.md").read_text(), re.M)
    deviations = (html / "deviations.html").read_text()
    for number in numbers:
        anchor = re.search(rf'href="deviations\.html#([^"]+)"[^>]*>{number} ', page)
        assert anchor and f'id="{anchor[1]}"' in deviations, number
    assert len(numbers) > 30


def test_every_key_is_there(words):
    tables = {section: set(known_keys(kind, {}, "")) for section, kind in SECTIONS.items()}
    tables["learning"] |= {"temperature", "lam", "reinitialise", "weight_sum", "mean_pulse", "decay_every"}
    for section, names in tables.items():
        for name in names:
            assert f" {section}.{name} " in words, name


def test_every_test_is_there(page):
    count = 0
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                count += 1
                assert f">{node.name}<" in page, node.name
    assert count > 500


def test_the_reference_has_every_public_name(html):
    page = (html / "api.html").read_text()
    for name in (*s4nn_ref.__all__, "sklearn.S4NNClassifier"):
        assert f'id="s4nn_ref.{name}"' in page, name
    for method in ("predict", "decision_times", "evaluate"):
        assert f'id="s4nn_ref.Model.{method}"' in page
    assert "float32 (maps, K_y, K_x, maps below)" in page  # a shape


def test_what_the_sources_do_not_name_is_told():
    with pytest.raises(map_sources.MapError, match="names test_of_nothing, which is no test"):
        map_sources._named_tests(["test_of_nothing"], "docs/derivation.md")
    with pytest.raises(map_sources.MapError, match=r"does not explain network\.colour"):
        map_sources._explained(map_sources._rows("network"), "network", "colour", "")
    with pytest.raises(api_sources.ApiError, match="no such name"):
        api_sources.name_of("s4nn_ref.metrics.beauty")


def test_docstrings_are_taken_apart():
    parameters = "Parameters\n----------\nx, y : (n,),\n    steps\n"
    blocks = api_sources.blocks_of(f"Does it.\n\n{parameters}Returns\n-------\nA number.\n\n>>> 1\n1")
    assert [block.kind for block in blocks] == ["text", "heading", "items", "heading", "text", "example"]
    assert blocks[2].lines == [("x, y", "(n,), steps")]
    assert api_sources.blocks_of("w : one   v_th : two")[0].lines == [("w", "one"), ("v_th", "two")]
