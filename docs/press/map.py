"""The map: tables of equations, numbered choices, keys and tests, made from the sources (map_sources.py).

    ```{map} equations
    ```

and likewise `choices`, `keys`, `tests`. What the sources do not name, fails the build.
"""

import re
from html import escape

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from press import map_sources
from press.map_sources import ROOT, MapError, Place
from press.sources import source_uri

_MARKS = re.compile(r"`([^`]+)`|\*([^*]+)\*|\[([^\]]+)\]\([^)]*\)|([^`*\[]+|.)")


def words(text: str) -> list[nodes.Node]:
    """A line of Markdown: code, emphasis, the texts of links."""
    found = []
    for code, stressed, link, plain in _MARKS.findall(text):
        found.append(
            nodes.literal("", code) if code else nodes.emphasis("", stressed) if stressed else nodes.Text(link or plain)
        )
    return found


def paragraph(*children) -> nodes.paragraph:
    return nodes.paragraph("", "", *children)


def table(heads: list[str], rows: list[list[list[nodes.Node]]]) -> nodes.table:
    """A table whose cells are lists of paragraphs."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in heads), cols=len(heads))
    head = nodes.row("", *(nodes.entry("", paragraph(nodes.Text(one))) for one in heads))
    group += nodes.thead("", head)
    group += nodes.tbody("", *(nodes.row("", *(nodes.entry("", *cell) for cell in row)) for row in rows))
    return nodes.table("", group, classes=["map"], support_smartquotes=False)


class Map(SphinxDirective):
    """The directive `map`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        kinds = {"equations": self.equations, "choices": self.choices, "keys": self.keys, "tests": self.tests}
        if self.arguments[0] not in kinds:
            raise ExtensionError(f"map: {self.arguments[0]!r} is none of {', '.join(kinds)}")
        self.env.metadata[self.env.docname]["map"] = "made from the sources"
        try:
            return kinds[self.arguments[0]]()
        except MapError as error:
            raise ExtensionError(f"{self.env.docname}: {error}") from None

    def link(self, text: str, docname: str, anchor: str = "") -> nodes.reference:
        """To a page of the site."""
        uri = self.env.app.builder.get_relative_uri(self.env.docname, docname) + (anchor and f"#{anchor}")
        return nodes.reference("", "", nodes.Text(text), refuri=uri, internal=True)

    def place(self, place: Place) -> nodes.paragraph:
        """A link to a line of a file, called as its function, or as its file."""
        uri = source_uri(self.env.app, self.env.docname, place.path, place.line)
        name = place.path.relative_to(ROOT).as_posix().removeprefix("s4nn_ref/")
        text = place.name if place.name.startswith("test_") else " ".join(filter(None, (name, place.name)))
        return paragraph(nodes.reference("", "", nodes.literal("", text), refuri=uri, internal=True))

    def places(self, places: list[Place]) -> list[nodes.paragraph]:
        """Each function once, or a dash."""
        once = {(place.path, place.name): place for place in reversed(places)}
        return [self.place(place) for place in reversed(once.values())] or [paragraph(nodes.Text("-"))]

    def equations(self) -> list[nodes.Node]:
        rows = [
            [
                [paragraph(self.link(f"Eq. {one.number}", "derivation")), paragraph(nodes.Text(one.title))],
                self.places(one.document), self.places(one.code), self.places(one.tests),
            ]
            for one in map_sources.equations()
        ]  # fmt: skip
        return [table(["Equation", "Document", "Code", "Worked test"], rows)]

    def choices(self) -> list[nodes.Node]:
        rows = [
            [
                [paragraph(self.link(f"{one.number} {one.title}", "deviations", one.anchor))],
                self.places(one.code), self.places(one.tests),
            ]
            for one in map_sources.choices()
        ]  # fmt: skip
        return [table(["Choice", "Code", "Tests"], rows)]

    def keys(self) -> list[nodes.Node]:
        rows = []
        for key in map_sources.all_keys():
            name = nodes.literal("", f"{key.section}.{key.name}")
            of = [paragraph(nodes.Text(f"of {', '.join(key.of)}"))] if key.of else []
            default, meaning = paragraph(nodes.Text(key.default)), paragraph(*words(key.meaning))
            rows.append([[paragraph(name), *of], [default], [meaning]])
        return [table(["Key", "Default", "Meaning"], rows)]

    def tests(self) -> list[nodes.Node]:
        found = []
        for path, (said, group) in map_sources.tests().items():
            name = path.relative_to(ROOT / "tests").as_posix()
            many = "1 test" if len(group) == 1 else f"{len(group)} tests"
            items = (nodes.list_item("", self.place(test.place), paragraph(*words(test.meaning))) for test in group)
            summary = f"<summary><code>{escape(name)}</code>, {many}. {escape(said)}</summary>"
            found += [
                nodes.raw("", f'<details class="map">{summary}', format="html"),
                nodes.bullet_list("", *items, support_smartquotes=False),
                nodes.raw("", "</details>", format="html"),
            ]
        return found


def with_maps(app, env, added, changed, removed) -> list[str]:
    """Maps are made again in every build: the sources may have changed."""
    return [name for name, facts in env.metadata.items() if "map" in facts and name in env.found_docs]


def setup(app):
    app.add_directive("map", Map)
    app.connect("env-get-outdated", with_maps)
    app.add_css_file("map.css")
    return {"parallel_read_safe": False, "parallel_write_safe": False}
