"""The reference of public names, from their docstrings (api_sources.py).

    ```{api} s4nn_ref.app.fit.fit
    :as: s4nn_ref.fit
    ```

    ```{api-module} s4nn_ref.losses
    ```

The first shows a function or a class with its public methods; the second what a module says of itself, as it stands.
"""

import ast
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from press.api_sources import ApiError, Block, Name, name_of, path_of
from press.map import words
from press.sources import source_uri


class Api(SphinxDirective):
    """The directive `api`."""

    required_arguments = 1
    option_spec: ClassVar = {"as": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        self.env.metadata[self.env.docname]["map"] = "made from the sources"
        try:
            path, name = name_of(self.arguments[0])
        except ApiError as error:
            raise ExtensionError(f"{self.env.docname}: {error}") from None
        return [self.described(name, path, self.options.get("as", self.arguments[0]))]

    def described(self, name: Name, path, called: str) -> addnodes.desc:
        """A name with its signature, and a link to its line."""
        signature = addnodes.desc_signature("", "", ids=[called], classes=["sig"])
        if name.kind in ("class", "property"):
            signature += addnodes.desc_annotation("", f"{name.kind} ")
        module, _, last = called.rpartition(".")
        if name.kind in ("class", "function"):
            signature += addnodes.desc_addname("", f"{module}.")
        signature += addnodes.desc_name("", last)
        signature += nodes.inline("", name.signature, classes=["api-signature"])
        uri = source_uri(self.env.app, self.env.docname, path, name.line)
        link = nodes.reference("", "", nodes.Text("source"), refuri=uri, internal=True, classes=["api-source"])
        signature += link
        content = addnodes.desc_content("", *self.said(name.blocks))
        content += [self.described(part, path, f"{called}.{part.name}") for part in name.parts]
        kind = {"domain": "py", "objtype": name.kind, "classes": ["py", name.kind]}
        return addnodes.desc("", signature, content, support_smartquotes=False, **kind)

    def said(self, blocks: list[Block]) -> list[nodes.Node]:
        """A docstring."""
        found = []
        for kind, lines in blocks:
            if kind == "items":
                found.append(_items(lines))
            elif kind == "heading":
                found.append(nodes.rubric("", lines[0], classes=["api-section"]))
            elif kind == "text":
                found.append(nodes.paragraph("", "", *words(lines[0])))
            else:
                found.append(nodes.literal_block(lines[0], lines[0], language={"example": "pycon"}.get(kind, "text")))
        return found


def _items(pairs: list[tuple[str, str]]) -> nodes.definition_list:
    """Names, and what each is."""
    return nodes.definition_list(
        "",
        *(
            nodes.definition_list_item(
                "",
                nodes.term("", "", nodes.literal("", name)),
                nodes.definition("", nodes.paragraph("", "", *words(what))),
            )
            for name, what in pairs
        ),
        classes=["api-items"],
    )


class ApiModule(SphinxDirective):
    """The directive `api-module`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.metadata[self.env.docname]["map"] = "made from the sources"
        try:
            path = path_of(self.arguments[0])
        except ApiError as error:
            raise ExtensionError(f"{self.env.docname}: {error}") from None
        text = ast.get_docstring(ast.parse(path.read_text()))
        uri = source_uri(self.env.app, self.env.docname, path, 1)
        link = nodes.reference("", "", nodes.literal("", self.arguments[0]), refuri=uri, internal=True)
        return [nodes.paragraph("", "", link), nodes.literal_block(text, text, language="text")]


def setup(app):
    app.add_directive("api", Api)
    app.add_directive("api-module", ApiModule)
    app.add_css_file("api.css")
    return {"parallel_read_safe": False, "parallel_write_safe": False}
