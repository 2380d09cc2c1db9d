"""Public names from the sources: signatures, and docstrings taken apart. Nothing is imported, and nothing needs Sphinx.

A docstring of this house is made of blocks between empty lines:

    sentences
    Parameters / Returns / Raises / Attributes, underlined, with lines "name : what, unit" below
    lines "name : what, unit" without a heading
    >>> an example
        an indented block, as it stands
"""

import ast
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ("Parameters", "Returns", "Raises", "Attributes")
_ITEM = re.compile(r"^([\w*.]+(?:, [\w*.]+)*) *: +(.*)$")


class ApiError(Exception):
    """A name that is not there, or says nothing."""


class Block(NamedTuple):
    """kind : "text", "code", "example", "items" or "heading"   lines : of a text one; of items, "name" and "what" """

    kind: str
    lines: list


class Name(NamedTuple):
    """A function, class, method or property. parts : of a class, its public methods and properties"""

    kind: str
    name: str
    signature: str
    line: int
    blocks: list[Block]
    parts: list


def blocks_of(docstring: str) -> list[Block]:
    """A docstring taken apart."""
    found = []
    for lines in _groups(docstring):
        if len(lines) > 1 and lines[0] in SECTIONS and set(lines[1]) == {"-"}:
            found.append(Block("heading", [lines[0]]))
            lines = lines[2:]
        found += _blocks(lines)
    return found


def _groups(docstring: str) -> list[list[str]]:
    """Lines between empty ones, and between headings."""
    text = re.sub(rf"\n(?=(?:{'|'.join(SECTIONS)})\n-)", "\n\n", docstring)
    return [group.splitlines() for group in re.split(r"\n\s*\n", text) if group.strip()]


def _blocks(lines: list[str]) -> list[Block]:
    """A group of lines; sentences may stand above items or below them, and a block that is indented by itself."""
    if not lines:
        return []
    if lines[0].startswith(">>>"):
        return [Block("example", ["\n".join(lines)])]
    if lines[0].startswith(" "):
        return [Block("code", [textwrap.dedent("\n".join(lines))])]
    found = []
    for line in lines:
        item, last = _ITEM.match(line), found[-1] if found else None
        if item:
            if not last or last.kind != "items":
                found.append(Block("items", []))
            found[-1].lines.extend(_items(line))
        elif last and last.kind == "items" and line.startswith(" "):
            last.lines[-1] = (last.lines[-1][0], f"{last.lines[-1][1]} {line.strip()}")
        elif last and last.kind == "text":
            last.lines[0] += f" {line.strip()}"
        else:
            found.append(Block("text", [line]))
    return found


def _items(line: str) -> list[tuple[str, str]]:
    """One item, or several that share a line: "w : weights   v_th : threshold"."""
    parts = re.split(r" {2,}(?=[\w*.]+(?:, [\w*.]+)* *: )", line)
    return [(item[1], item[2].strip()) for item in map(_ITEM.match, parts)]


def name_of(dotted: str) -> tuple[Path, Name]:
    """A name of the package, e.g. s4nn_ref.app.fit.fit, and its file. Raises ApiError where there is none."""
    module, _, name = dotted.rpartition(".")
    path = path_of(module)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return path, _read(node, "class" if isinstance(node, ast.ClassDef) else "function")
    raise ApiError(f"{dotted}: there is no such name")


def path_of(module: str) -> Path:
    """The file of a module of the package."""
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.exists():
        raise ApiError(f"{module}: there is no such module")
    return path


def _read(node, kind: str) -> Name:
    """A definition. Raises ApiError where it says nothing of itself."""
    docstring = ast.get_docstring(node)
    if not docstring:
        raise ApiError(f"{node.name}, line {node.lineno}: a public name without a docstring")
    body, parts = node.body if kind == "class" else [], []
    for one in body:
        if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
            decorators = {decorator.id for decorator in one.decorator_list if isinstance(decorator, ast.Name)}
            parts.append(_read(one, "property" if "property" in decorators else "method"))
    return Name(kind, node.name, _signature(node, kind), node.lineno, blocks_of(docstring), parts)


def _signature(node, kind: str) -> str:
    """What stands in the brackets of a call, and what comes back."""
    if kind == "class":
        makes = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        return _signature(makes[0], "method") if makes else _fields(node)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if kind == "property":
        return returns
    arguments = re.sub(r"^self(, )?", "", ast.unparse(node.args))
    return f"({arguments}){'' if returns == ' -> None' else returns}"


def _fields(node: ast.ClassDef) -> str:
    """Those of a dataclass, as it is called."""
    if not node.decorator_list:
        return ""
    found = []
    for one in node.body:
        if isinstance(one, ast.AnnAssign):
            options = {key.arg: key.value for key in getattr(one.value, "keywords", [])}
            default = options.get("default", one.value)
            end = f" = {ast.unparse(default)}" if default else ""
            found.append(f"{one.target.id}: {ast.unparse(one.annotation)}{end}")
    return f"({', '.join(found)})"
