"""The pages of the equations and of the other systems: panels from the sources, with the numbers of derivation.md."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "figures")]
pytest.importorskip("sphinx")

from press import cases, equation_code  # noqa: E402
from sphinx.errors import ExtensionError  # noqa: E402

PANELS = ["The formula", "In plain loops", "In the fast code", "By hand", "The case as a picture"]
ALL = range(1, 13)
SYSTEMS = ["relpsp", "mostafa", "comsa", "stidi", "s4nn", "bs4nn"]


def text_of(html):
    return unescape(re.sub(r"<[^>]*>", "", html))


def panels(html, name):
    """The parts of a page below its headings, by heading; "" is what comes before the first."""
    page = (html / f"{name}.html").read_text().partition("<article")[2].partition("</article>")[0]
    parts = re.split(r"<h2>(.*?)<a ", page)
    return {"": parts[0]} | {text_of(title): part for title, part in zip(parts[1::2], parts[2::2], strict=True)}


def pictures(html, part):
    """Alternative texts of the pictures of a part, all of which are there."""
    found = re.findall(r'<img src="\.\./([^"]*)" alt="([^"]*)">', part)
    for path, _ in found:
        assert (html / path).stat().st_size > 1000, path
    return [unescape(alt) for _, alt in found]


@pytest.mark.parametrize("number", ALL)
def test_a_page_has_five_panels(html, number):
    parts = panels(html, f"equations/eq{number:02}")
    assert [title for title in parts if title in PANELS] == PANELS
    assert re.search(r"\d", pictures(html, parts[""])[0])  # the map, before the formula, told in numbers
    assert "<math" not in parts[""].partition("<figure")[0].partition("</p>")[0]  # a plain sentence first
    assert 'alttext="' in parts["The formula"]
    assert f"({number})" in parts["The formula"]
    for title in ("In plain loops", "In the fast code"):
        marked = re.findall(r'<span class="hll">(.*?)\n</span>', parts[title], re.S)
        assert marked, title
        assert all(number in equation_code.numbers(tag) for line in marked
                   for tag in re.findall(r"# Eqs?\. ([\d, and-]*\d)", text_of(line))), title  # fmt: skip
        assert re.search(r'href="\.\./source/s4nn_ref/[\w/]+\.py\.html#line-\d+"', parts[title]), title
    for test in equation_code.row(number).tests:
        assert f"{test}</span>" in parts["By hand"]
    assert re.search(r"\d", pictures(html, parts["The case as a picture"])[0])


# a phrase of derivation.md, and what the case prints
NUMBERS = {
    1: [("the input spikes come at t = 4 and t = 6", "t = [0, 4, 6, 49, 100]")],
    2: [
        ("Hidden neuron 0 has V = 120 at t = 4", "V(4) = [120, 60]"),
        ("V = 60 at t = 4, 120 at t = 6", "V(6) = [120, 120]"),
    ],
    3: [
        ("| 60, 50 | 3, 7 | 60, 110 | 7 |", "weights [60, 50], inputs at [3, 7]: t = 7"),
        ("| 60, 40 | 3, 7 | 60, 100 | 7 |", "weights [60, 40], inputs at [3, 7]: t = 7"),
        ("| 120, -30 | 5, 5 | 90 | silent |", "weights [120, -30], inputs at [5, 5]: t = 100"),
        ("| 120, -30 | 5, 6 | 120, 90 | 5 |", "weights [120, -30], inputs at [5, 6]: t = 5"),
        (r"t_{\text{output}} = (4, 6)", "t of the outputs = [4, 6]"),
    ],
    4: [
        ("T_1 = max(0, 4 - 10) = 0 and T_0 = min(100, 6 + 10) = 16", "T = [16, 0]"),
        ("T = (70, 20, 70)", "T = [70, 20, 70]"),
    ],
    5: [("e_0 = (4 - 16) / 100 = -0.12", "e = [-0.12, 0.06]"), ("e = (-0.4, 0.2, -0.1)", "e = [-0.4, 0.2, -0.1]")],
    6: [("E = (0.0144 + 0.0036) / 2 = 0.009", "E = 0.009"), ("E = 0.105", "E = 0.105")],
    7: [("delta = (-0.12, 0.06)", "delta = [-0.12, 0.06]")],
    8: [(r"0.12 & 0 \\ -0.06 & -0.06", "dE/dw = [[0.12, 0],"), (r"-0.06 & -0.06", "[-0.06, -0.06]]")],
    9: [("delta = (-0.12, 0.06)", "dE/dt = [-0.12, 0.06]")],
    10: [
        (r"-0.12 \cdot 150 + 0.06 \cdot 50 = -15", "delta of the hidden neurons = [-15, 4.2]"),
        (r"15 & 0 \\ -4.2 & -4.2", "[-4.2, -4.2]]"),
        ("delta_0 = 3 * 150 + 5 * 50 = 700", "delta of the hidden neurons = [700, 350]"),
    ],
    11: [
        ("become (2, -1)", "signed-sum = [2, -1]"),
        ("2 * 150 - 1 * 50 = 250 and -1 * 70 = -70", "hidden layer, signed-sum = [250, -70]"),
        ("(1.39, -0.39)", "and normalised itself = [1.3889, -0.3889]"),
        ("(3/8, 5/8)", "(3, 5), signed-sum = [0.375, 0.625]"),
        ("the result is (-10, 11)", "(-0.1, 0.11), signed-sum = [-10, 11]"),
    ],
    12: [(r"\frac{\partial V_j}{\partial w_{ji}} = [t_i \le t_j]", "V_j(t_j) rises with w_ji by = [[1, 0],")],
}  # fmt: skip


@pytest.mark.parametrize("number", ALL)
def test_the_numbers_are_those_of_the_derivation(html, number):
    derivation = (ROOT / "docs" / "derivation.md").read_text()
    shown = text_of(panels(html, f"equations/eq{number:02}")["By hand"])
    for phrase, printed in NUMBERS[number]:
        assert phrase in derivation
        assert printed in shown


def test_the_pages_are_a_course(html):
    index = panels(html, "equations/index")[""]
    for number in ALL:
        assert f'href="eq{number:02}.html"' in index
        top = panels(html, f"equations/eq{number:02}")[""]
        neighbours = {n for n in ALL if abs(n - number) == 1}
        assert {int(n) for n in re.findall(r'href="eq(\d\d)\.html"', top)} == neighbours
    assert index.count('alttext="') >= len(ALL)


# --------------------------------------------------------------------------------------------- what is missing


def test_a_tag_that_is_missing_is_one_clear_line(tmp_path):
    document, other = tmp_path / "ds4nn.py", tmp_path / "derivation.md"
    document.write_text(equation_code.REFERENCE.read_text().replace("# Eq. 10", "# as the paper says"))
    assert equation_code.in_reference(12, document).function == "gradients"
    with pytest.raises(ExtensionError, match=r"^no line of ds4nn\.py is closed with # Eq\. 10$"):
        equation_code.in_reference(10, document)
    with pytest.raises(ExtensionError, match=r"no line of the fast code is closed with # Eq\. 10"):
        equation_code.in_fast_code(10, tmp_path)
    table = (ROOT / "docs" / "derivation.md").read_text()
    other.write_text(table.replace("`kernels/backprop.py`, `if_conv_propagate`", "`kernels/state.py`"))
    with pytest.raises(ExtensionError, match=r"names state\.py, of which no line is closed with # Eq\. 10"):
        equation_code.row(10, other)
    other.write_text(table.replace("| 10, delta", "| delta"))
    with pytest.raises(ExtensionError, match="no row of the last table"):
        equation_code.row(10, other)
    with pytest.raises(ExtensionError, match="has no test test_eq13_by_hand"):
        equation_code.line_of_test("test_eq13_by_hand")


def build(tmp_path, page):
    """A site of one page, built as `make docs` does."""
    (tmp_path / "index.md").write_text(f"# Title\n\n{page}\n")
    conf = (ROOT / "docs" / "conf.py").read_text().replace("Path(__file__)", f'Path("{ROOT}/docs/conf.py")')
    conf = re.sub(r'"(press\.(?!mathml|sources|equation)\w+|sphinx_gallery\.\w+)",', "", conf)  # those of other pages
    (tmp_path / "conf.py").write_text(conf.replace('["_static"]', "[]"))
    strict = ("--quiet", "--fail-on-warning", "--keep-going")
    command = [sys.executable, "-m", "sphinx", *strict, tmp_path, tmp_path / "out"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```{neuron-function} linear.nothing\n```", "there is no function nothing in s4nn_ref/neurons/linear.py"),
        ("```{neuron} nothing\n```", "has no case of_nothing"),
        (":::{equation} 13\n$$ x $$\n:::", "eq13.md"),
    ],
)
def test_what_cannot_be_built_ends_the_build_with_one_line(tmp_path, page, message):
    result = build(tmp_path, page)
    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert "index.md:3: ERROR: " in line
    assert message in line


@pytest.mark.parametrize("formula", ["x^", r"\nosuch x"])
def test_a_formula_that_cannot_be_read_ends_the_build(tmp_path, formula):
    result = build(tmp_path, f"$$ {formula} $$")
    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert "index.md:3: ERROR: this formula cannot be read" in line


def test_tags_close_code_and_name_equations():
    assert equation_code.numbers("8 and 10-12") == {8, 10, 11, 12}
    assert equation_code.numbers("2, 3") == {2, 3}
    kinds = next(
        n for n, line in enumerate((ROOT / "s4nn_ref/kernels/backprop.py").read_text().splitlines(), 1)
        if "kinds of normalisation" in line
    )  # fmt: skip
    assert kinds not in equation_code.tags(ROOT / "s4nn_ref/kernels/backprop.py")  # it names Eq. 11, and is not it


def test_a_case_is_shown_without_its_frame():
    code = cases.code(cases.eq06)
    assert code.startswith("e = errors()")
    assert "return" not in code
    assert "IMAGE" in cases.network_code()


# --------------------------------------------------------------------------------------------- the other systems


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_page_of_a_system_has_its_picture_four_functions_and_a_case(html, name):
    parts = panels(html, f"systems/{name}")
    assert "marked by a star" in pictures(html, parts[""])[0]
    for function in ("add", "crossing", "dt_dw", "dt_dt"):
        (part,) = (part for title, part in parts.items() if title.startswith(f"{function}:"))
        assert 'alttext="' in part
        assert f"def {function}(" in text_of(part)
    assert any(f"source/s4nn_ref/reference/{name}.py" in part for part in parts.values())


@pytest.mark.parametrize("name", ["relpsp", "mostafa", "comsa", "stidi"])
def test_gradients_are_those_of_the_crossing(html, name):
    shown = text_of(panels(html, f"systems/{name}")["The case, and its gradient"])
    differences = [float(value) for value in re.findall(r"^largest difference .*: (\S+)$", shown, re.M)]
    assert len(differences) == 2
    assert max(differences) < 1e-6


@pytest.mark.parametrize("name", ["s4nn", "bs4nn"])
def test_times_in_steps_do_not_move_by_a_little(html, name):
    shown = text_of(panels(html, f"systems/{name}")["The case, and its gradient"])
    (time,) = re.findall(r"^firing time = (\d+)$", shown, re.M)
    assert f"firing time, in plain loops = [{time}]" in shown
    assert ("by differences = [0, 0, 0]" if name == "s4nn" else f"and smaller = [{time}, {time}]") in shown


# --------------------------------------------------------------------------------------------------- in a browser


def test_eq10_opens_in_a_browser(html, page):
    page.goto((html / "equations" / "eq10.html").as_uri())
    assert page.locator("h1").inner_text().startswith("Eq. 10")
    widths = page.evaluate("[...document.querySelectorAll('figure.drawn img')].map(image => image.naturalWidth)")
    assert len(widths) == 2
    assert min(widths) > 300
    inner = page.locator("details", has_text="more places").locator("pre").first
    assert not inner.is_visible()
    page.locator("summary", has_text="more places").click()
    assert inner.is_visible()
    page.locator("a", has_text="kernels/backprop.py").first.click()
    page.locator(f"#{page.url.partition('#')[2]}").wait_for(state="attached")
