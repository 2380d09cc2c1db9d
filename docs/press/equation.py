"""The directive `equation`: the panels of the page of one equation, made from the sources when the site is built.

    :::{equation} 10
    $$ the formula $$

    What the paper says, in our own words.
    :::

The formula is followed by the lines that compute it, in the document and in the fast code, and by a case worked by
hand, its code, what it prints, and its picture. The directive `equations` lists all pages. What is missing, a tag, a
file, a test, is an error of one line, which ends a build with --fail-on-warning.
"""

import re
from html import escape

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from press import cases, equation_backward, equation_forward, equation_map
from press.equation_code import DERIVATION, WORKED, Place, in_fast_code, in_reference, line_of_test, row
from press.equation_style import drawn, setup_pictures
from press.sources import ROOT, source_uri

ALL = range(1, 13)
FORWARD = 3  # whose map shows the whole network with its weights and firing times
FOLDER = ROOT / "docs" / "equations"
PAGE = re.compile(r"# (Eq\. \d+: [^\n]+)\n+(.+?)\n\n.*?^:::\{equation\} (\d+)\n+\$\$(.+?)\$\$", re.M | re.S)


def page(number: int) -> str:
    return f"eq{number:02}"


def written(number: int) -> tuple[str, str, str]:
    """Title, first sentence and formula of a page, as its document has them."""
    path = FOLDER / f"{page(number)}.md"
    found = path.exists() and PAGE.match(path.read_text())
    if not found or int(found[3]) != number:
        raise ExtensionError(f"{path.name} is not a title, a sentence, then :::{{equation}} {number} and a formula")
    return found[1], found[2], found[4].strip()


def section(title: str, *children) -> nodes.section:
    return nodes.section("", nodes.title("", title), *children, ids=[nodes.make_id(title)], classes=["panel"])


def html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def code_block(text: str, language: str = "python") -> nodes.literal_block:
    return nodes.literal_block(text, text, language=language)


class FromSources(SphinxDirective):
    """What the directives of this module and of equation_systems.py share: what is missing is one line that names the
    page, an error that ends the build; code has its address; parts are folded.
    """

    def run(self) -> list[nodes.Node]:
        try:
            return self.built()
        except ExtensionError as error:
            self.env.note_reread()  # what is missing may appear anywhere
            raise self.error(str(error)) from error

    def link(self, path, line: int, text: str) -> nodes.reference:
        uri = source_uri(self.env.app, self.env.docname, path, line)
        return nodes.reference("", "", nodes.literal("", text), refuri=uri, internal=True)

    def place(self, place: Place) -> list[nodes.Node]:
        """Where lines of code stand, with a link, and the lines, the tagged ones marked."""
        self.env.note_dependency(str(place.path))
        name = place.path.relative_to(ROOT).as_posix()
        line = place.tagged[0] if place.tagged else place.first
        where = nodes.paragraph("", "", self.link(place.path, line, f"{name}:{line}"))
        if place.function:
            where += [nodes.Text(", in "), nodes.literal("", place.function)]
        block = code_block(place.text)
        marked = [line - place.first + 1 for line in place.tagged]
        block.update_all_atts({"linenos": True, "highlight_args": {"linenostart": place.first, "hl_lines": marked}})
        return [where, block]

    def folded(self, summary: str, children: list[nodes.Node]) -> list[nodes.Node]:
        return [html(f"<details><summary>{escape(summary)}</summary>"), *children, html("</details>")]


class Equation(FromSources):
    """Five panels after the map of the network: formula, document, fast code, case, picture."""

    required_arguments = 1
    has_content = True

    def built(self) -> list[nodes.Node]:
        number = int(self.arguments[0]) if self.arguments[0].isdigit() else 0
        written(number)
        for path in (DERIVATION, *(ROOT / "s4nn_ref").rglob("*.py")):  # a tag may come anywhere
            self.env.note_dependency(str(path))
        values, printed = cases.run(cases.case(number))
        return [
            self.course(number),
            self.picture(number, "map", equation_map.draw, number),
            section("The formula", *self.formula(number)),
            section("In plain loops", *self.place(in_reference(number))),
            section("In the fast code", *self.fast(number)),
            section("By hand", *self.worked(number, printed)),
            section("The case as a picture", self.picture(number, "case", drawing(number), **values)),
        ]

    def course(self, number: int) -> nodes.container:
        """Links to the equation before, to the list, and to the next."""
        links = [("index", "All twelve equations")]
        if number > ALL[0]:
            links.insert(0, (page(number - 1), f"\N{LEFTWARDS ARROW} Eq. {number - 1}"))
        if number < ALL[-1]:
            links.append((page(number + 1), f"Eq. {number + 1} \N{RIGHTWARDS ARROW}"))
        uri = self.env.app.builder.get_relative_uri
        line = nodes.paragraph(classes=["course"])
        for name, text in links:
            line += nodes.reference("", text, refuri=uri(self.env.docname, f"equations/{name}"), internal=True)
            line += nodes.Text(" ")
        return nodes.container("", line)

    def picture(self, number: int, kind: str, draw, *values, **named):
        return drawn(self.env.app, f"{page(number)}-{kind}", draw, *values, **named)

    def formula(self, number: int) -> list[nodes.Node]:
        children = self.parse_content_to_nodes()
        block = next(node for child in children for node in child.findall(nodes.math_block))
        block["number"] = number
        return children

    def fast(self, number: int) -> list[nodes.Node]:
        first, *others = in_fast_code(number)
        found = self.place(first)
        if others:
            also = f"{len(others)} more {'places' if len(others) > 1 else 'place'} in the fast code"
            found += self.folded(also, [node for place in others for node in self.place(place)])
        return found

    def worked(self, number: int, printed: str) -> list[nodes.Node]:
        """The code of the case, what it prints, the network it runs on, and the tests that hold the same numbers."""
        for path in (cases.__file__, WORKED):
            self.env.note_dependency(str(path))
        tests = nodes.paragraph("", "Tested, for these loops and for both engines, by ")
        for k, name in enumerate(row(number).tests):
            tests += nodes.Text(", ") if k else nodes.Text("")
            tests += self.link(WORKED, line_of_test(name), name)
        tests += nodes.Text(".")
        return [
            code_block(cases.code(cases.case(number))),
            nodes.paragraph("", "It prints"),
            code_block(printed, "text"),
            *self.folded("The network, and the functions that the case calls", [code_block(cases.network_code())]),
            tests,
        ]


def drawing(number: int):
    return getattr(equation_forward, page(number), None) or getattr(equation_backward, page(number))


class Equations(FromSources):
    """The network, and the list of the pages: title, formula and first sentence of each."""

    def built(self) -> list[nodes.Node]:
        listed = nodes.enumerated_list(classes=["equations"])
        for number in ALL:
            self.env.note_dependency(str(FOLDER / f"{page(number)}.md"))
            title, sentence, formula = written(number)
            uri = self.env.app.builder.get_relative_uri(self.env.docname, f"equations/{page(number)}")
            link = nodes.reference("", title, refuri=uri, internal=True)
            line = nodes.paragraph("", "", *self.parse_inline(sentence)[0])
            block = nodes.math_block(formula, formula, nowrap=False)
            listed += nodes.list_item("", nodes.paragraph("", "", link), block, line)
        return [drawn(self.env.app, "equations", equation_map.draw, FORWARD), listed]


def setup(app):
    app.setup_extension("press.sources")
    setup_pictures(app)
    app.add_directive("equation", Equation)
    app.add_directive("equations", Equations)
    app.add_css_file("equations.css")
    return {"parallel_read_safe": False, "parallel_write_safe": False}
