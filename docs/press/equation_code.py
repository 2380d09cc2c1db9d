"""Where an equation is computed: the lines of the sources that are closed with its tag, as `# Eq. 10`.

Which files compute an equation first of all, and which test works it by hand, is what the last table of
docs/derivation.md says. A tag, a file or a test that is missing is an ExtensionError of one line.
"""

import ast
import re
import tokenize
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from sphinx.errors import ExtensionError

from press.sources import ROOT

REFERENCE = ROOT / "s4nn_ref" / "reference" / "ds4nn.py"
DERIVATION = ROOT / "docs" / "derivation.md"
WORKED = ROOT / "tests" / "test_ds4nn.py"
AROUND = 3  # lines of fast code above and below a tagged one
TAG = re.compile(r"# Eqs?\. (\d+(?:(?:-|, | and )\d+)*)")
ROW = re.compile(r"^\| ((?:\d+, )+)[^|]*\|[^|]*\|([^|]*)\|([^|]*)\|$", re.M)


class Place(NamedTuple):
    """Lines of a file, counted from 1, and those of them that bear the tag."""

    path: Path
    function: str  # "" outside every function
    first: int
    last: int
    tagged: tuple[int, ...]

    @property
    def text(self) -> str:
        return dedent("\n".join(self.path.read_text().splitlines()[self.first - 1 : self.last]))


class Row(NamedTuple):
    """What the table says of an equation."""

    files: tuple[Path, ...]
    tests: tuple[str, ...]


def numbers(group: str) -> set[int]:
    """The equations that a tag lists: "8 and 10-12" is 8, 10, 11, 12."""
    found = set()
    for part in re.split(", | and ", group):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


@cache
def tags(path: Path) -> dict[int, set[int]]:
    """Equations by the line whose code their tag closes."""
    with tokenize.open(path) as file:
        comments = [token for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]
    return {
        token.start[0]: numbers(found[1])
        for token in comments
        if (found := TAG.match(token.string)) and token.line[: token.start[1]].strip()
    }


@cache
def functions(path: Path) -> list[tuple[int, int, str]]:
    """First line, last line and name of every function of a file, decorators included, the inner ones last."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found.append((first, node.end_lineno, node.name))
    return sorted(found)


def function_at(path: Path, line: int) -> tuple[int, int, str]:
    """The innermost function around a line; the whole file, without a name, where there is none."""
    around = [found for found in functions(path) if found[0] <= line <= found[1]]
    return around[-1] if around else (1, len(path.read_text().splitlines()), "")


def tagged(path: Path, number: int) -> list[int]:
    return [line for line, equations in sorted(tags(path).items()) if number in equations]


def in_reference(number: int, path: Path = REFERENCE) -> Place:
    """The function of the document that computes an equation, whole."""
    lines = tagged(path, number)
    if not lines:
        raise ExtensionError(f"no line of {path.name} is closed with # Eq. {number}")
    first, last, name = function_at(path, lines[0])
    return Place(path, name, first, last, tuple(line for line in lines if line <= last))


def after_docstring(path: Path, line: int) -> int:
    """The line, or the first after the docstring that it lies in: part of a docstring says nothing."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            text = node.body[0]
            if text.lineno < line <= text.end_lineno:
                return text.end_lineno + 1
    return line


def few_lines(path: Path, number: int) -> list[Place]:
    """The tagged lines of a file with a few around them, in their function; what overlaps is one place."""
    found = []
    for line in tagged(path, number):
        first, last, name = function_at(path, line)
        first, last = after_docstring(path, max(first, line - AROUND)), min(last, line + AROUND)
        if found and found[-1].function == name and first <= found[-1].last + 1:
            found[-1] = found[-1]._replace(last=last, tagged=(*found[-1].tagged, line))
        else:
            found.append(Place(path, name, first, last, (line,)))
    return found


def in_fast_code(number: int, package: Path = ROOT / "s4nn_ref") -> list[Place]:
    """All tagged places outside the reference, those in the files that the table names first."""
    named = row(number).files
    paths = [path for path in sorted(package.rglob("*.py")) if "reference" not in path.relative_to(package).parts]
    paths.sort(key=lambda path: named.index(path) if path in named else len(named))
    found = [place for path in paths for place in few_lines(path, number)]
    if not found:
        raise ExtensionError(f"no line of the fast code is closed with # Eq. {number}")
    return found


def row(number: int, document: Path = DERIVATION) -> Row:
    """What the last table of derivation.md says of an equation, each of its files checked for a tag of that row."""
    for listed, fast, worked in ROW.findall(document.read_text()):
        equations = {int(n) for n in re.findall(r"\d+", listed)}
        if number in equations:
            files = tuple(ROOT / "s4nn_ref" / name for name in re.findall(r"`([\w/]+\.py)`", fast))
            for path in files:
                if not path.exists() or not any(equations & found for found in tags(path).values()):
                    tag = f"# Eq. {listed.removesuffix(', ')}"
                    raise ExtensionError(f"{document.name} names {path.name}, of which no line is closed with {tag}")
            return Row(files, tuple(re.findall(r"`(test_\w+)`", worked)))
    raise ExtensionError(f"{document.name}: no row of the last table is that of Eq. {number}")


def line_of_test(name: str, path: Path = WORKED) -> int:
    """Where a test begins."""
    for first, _, found in functions(path):
        if found == name:
            return first
    raise ExtensionError(f"{path.name} has no test {name}")
