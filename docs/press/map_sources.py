"""What the map shows, read from the sources: equations, numbered choices, keys and tests, each with its places.

A place that the sources should name and do not is a MapError of one line.
"""

import ast
import re
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import NamedTuple

from press.equation_code import REFERENCE, function_at, tags
from press.sources import ROOT
from s4nn_ref.config import SECTIONS

PACKAGE, TESTS, DOCS = ROOT / "s4nn_ref", ROOT / "tests", ROOT / "docs"


class MapError(Exception):
    """The sources do not say where something is."""


class Place(NamedTuple):
    """path, line : in the sources   name : of the function around it, or of the test; "" at the top of a file"""

    path: Path
    line: int
    name: str


class Equation(NamedTuple):
    number: int
    title: str
    document: list[Place]
    code: list[Place]
    tests: list[Place]


class Choice(NamedTuple):
    """number : "D5"   anchor : of its section in docs/deviations.md   code : one place for each file that names it"""

    number: str
    title: str
    anchor: str
    code: list[Place]
    tests: list[Place]


class Key(NamedTuple):
    """of : the algorithms, losses, rules and schedules that have it; () where all do"""

    section: str
    name: str
    of: tuple[str, ...]
    default: str
    meaning: str


class Test(NamedTuple):
    place: Place
    meaning: str


@cache
def _functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


def _place(path: Path, line: int) -> Place:
    """A line, and the innermost function around it."""
    return Place(path, line, function_at(path, line)[2])


def _lines(*patterns: str) -> list[tuple[Path, int, str]]:
    """Every line of the files of these patterns."""
    paths = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [(path, n, line) for path in paths for n, line in enumerate(path.read_text().splitlines(), 1)]


@cache
def tests() -> dict[Path, tuple[str, list[Test]]]:
    """For each file of tests what its docstring says, and its tests."""
    found = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        nodes = [f for f in _functions(path) if f.name.startswith("test_")]
        all_of_them = [Test(Place(path, f.lineno, f.name), _meaning(f)) for f in sorted(nodes, key=lambda f: f.lineno)]
        found[path] = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split()), all_of_them
    return found


def _meaning(test: ast.FunctionDef) -> str:
    """The first paragraph of a test's docstring, or its name in words."""
    said = " ".join((ast.get_docstring(test) or "").partition("\n\n")[0].split())
    in_words = test.name.removeprefix("test_").replace("_", " ")
    return said or re.sub(r"\beqs? ?(?=\d)", "Eq. ", in_words)


def _named_tests(names: list[str], where: str) -> list[Place]:
    """Tests, and files of tests, that a document names."""
    there = {test.place.name: test.place for _, group in tests().values() for test in group}
    there |= {path.stem: Place(path, 1, path.stem) for path in tests()}
    if gone := [name for name in names if name not in there]:
        raise MapError(f"{where} names {gone[0]}, which is no test")
    return [there[name] for name in dict.fromkeys(names)]


def equations() -> list[Equation]:
    """Equations 1 to 12, by the tags that close lines of code, and the table of docs/derivation.md."""
    table = re.findall(r"^\| ([\d, ]+), ([^|]+?) \|.*\| (.*?) \|$", (DOCS / "derivation.md").read_text(), re.M)
    rows = {int(n): (title, names) for ns, title, names in table for n in ns.split(", ")}
    found, tagged = [], [(path, *one) for path in sorted(PACKAGE.rglob("*.py")) for one in sorted(tags(path).items())]
    for number in range(1, 13):
        places = [_place(path, line) for path, line, numbers in tagged if number in numbers]
        document = [place for place in places if place.path == REFERENCE]
        code = [place for place in places if "reference" not in place.path.parts]
        if not (number in rows and document and code):
            raise MapError(f"Eq. {number}: no row in docs/derivation.md, no line of the document, or no code")
        title, names = rows[number]
        held = _named_tests(re.findall(r"`(test_\w+)`", names), "docs/derivation.md")
        found.append(Equation(number, title, document, code, held))
    return found


def choices() -> list[Choice]:
    """The sections of docs/deviations.md."""
    text, found = (DOCS / "deviations.md").read_text(), []
    lines = _lines("s4nn_ref/**/*.py", "experiments/**/*.py", "experiments/**/*.toml", "figures/*.py")
    for section in re.split(r"^## (?=D\d)", text, flags=re.M)[1:]:
        heading, _, body = section.partition("\n")
        number, _, title = heading.partition(" ")
        code = {}
        for path, n, line in lines:
            if re.search(rf"\b{number}\b", line) and path not in code:
                code[path] = _place(path, n) if path.suffix == ".py" else Place(path, n, "")
        names = re.findall(r"`(test_\w+)`", body.partition("**Test:**")[2])
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        held = _named_tests(names, "docs/deviations.md")
        found.append(Choice(number, title, anchor, list(code.values()), held))
    return found


def all_keys() -> list[Key]:
    """Every key of every section: its default from the class that declares it, its line from docs/configuration.md."""
    found = {}
    for section, kind in SECTIONS.items():
        rows = _rows(section)
        for of, name, default in _declared(kind, ""):
            meaning = _explained(rows, section, name, of)
            found.setdefault((section, name, meaning), {})[of] = default
    return [
        Key(section, name, tuple(filter(None, defaults)), _default(defaults), meaning)
        for (section, name, meaning), defaults in found.items()
    ]


def _default(defaults: dict[str, str]) -> str:
    """One default, or that of each that has the key."""
    values = list(dict.fromkeys(defaults.values()))
    return values[0] if len(values) == 1 else "; ".join(f"{value} ({of})" for of, value in defaults.items())


def _declared(kind, of: str):
    """(what has it, key, default) of a class of settings and of those that its keys choose."""
    for f in fields(kind):
        registry = f.metadata.get("choice")
        value = f.metadata["name"] if registry else f.default
        yield of, f.name, "-" if value is MISSING else _toml(value)
        for name in registry or ():
            yield from _declared(registry[name], name)


def _toml(value) -> str:
    """A default as an experiment writes it."""
    if isinstance(value, tuple):
        return _toml(value[0]) if len(value) == 1 else f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _rows(section: str) -> list[tuple[set[str], set[str], str]]:
    """Of the tables of a section of docs/configuration.md: whom a row is about, its keys, its last column."""
    text = (DOCS / "configuration.md").read_text()
    part, about, rows = re.search(rf"^## \[{section}\].*?(?=^## |\Z)", text, re.M | re.S)[0], set(), []
    for first, rest in re.findall(r"^\| (.*?) \|(.*)\|$", part, re.M):
        if prefix := re.match(r"\*(.*?):\*", first):
            about = set(re.findall(r"[\w-]+", prefix[1]))
        rows.append((about, set(re.findall(r"`(\w+)`", first)), rest.split("|")[-1].strip()))
    return rows


def _explained(rows, section: str, name: str, of: str) -> str:
    """What docs/configuration.md says of a key."""
    saying = [(of in about, said) for about, names, said in rows if name in names]
    if not saying:
        raise MapError(f"docs/configuration.md does not explain {section}.{name}")
    return max(saying, key=lambda row: row[0])[1]
