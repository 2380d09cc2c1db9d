"""Pages of the source files that documents link to: the file, with numbered lines that links can point at.

A document links to `../s4nn_ref/layers.py` as on any host of repositories. In the site such a link leads to a page
`source/s4nn_ref/layers.py.html`; `source_uri` gives the address of a line for other extensions.
"""

from html import escape
from pathlib import Path

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]


def source_page(path: Path) -> str:
    """The name of the page of a file; the page is written if anything links to it."""
    return f"source/{path.resolve().relative_to(ROOT).as_posix()}"


def source_uri(app, docname: str, path: Path, line: int | None = None) -> str:
    """The address of a file's page, or of one of its lines, as seen from a document that is being read."""
    page = source_page(path)
    linked(app.env).setdefault(docname, set()).add(page)
    return app.builder.get_relative_uri(docname, page) + (f"#line-{line}" if line else "")


def linked(env) -> dict[str, set[str]]:
    """Pages of files, by the document that links to them."""
    if not hasattr(env, "source_pages"):
        env.source_pages = {}
    return env.source_pages


def file_of(node, document: Path) -> Path | None:
    """The file outside docs/ that a link leads to. Markdown names it without its suffix where it is Markdown too."""
    target = node["reftarget"]
    if isinstance(node, addnodes.download_reference):
        return (document.parent / target).resolve()
    if node["reftype"] == "myst" and node["refdomain"] == "doc" and target.startswith("/"):
        return Path(f"{target}.md")
    return None


def link_files(app, doctree) -> None:
    """Turn links to files of the repository into links to their pages."""
    docname = app.env.docname
    for kind in (addnodes.download_reference, addnodes.pending_xref):
        for node in list(doctree.findall(kind)):
            path = file_of(node, Path(app.env.doc2path(docname)))
            if path is not None:
                uri = source_uri(app, docname, path)
                node.replace_self(nodes.reference("", "", *node.children, refuri=uri, internal=True))


def forget(app, env, docname: str) -> None:
    """A document is read anew."""
    linked(env).pop(docname, None)


def html_of(path: Path) -> str:
    """A text file with colours, each line with a number to link to."""
    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    form = HtmlFormatter(linenos="inline", lineanchors="line", anchorlinenos=True)
    return highlight(path.read_text(), lexer, form)


def pages(app):
    """Every file that a document links to, as (name of the page, context, template)."""
    for page in sorted(set().union(*linked(app.env).values())):
        name = page.removeprefix("source/")
        yield page, {"title": name, "body": f"<h1>{escape(name)}</h1>{html_of(ROOT / name)}"}, "page.html"


def setup(app):
    app.connect("env-purge-doc", forget)
    app.connect("doctree-read", link_files, priority=100)  # before Sphinx collects the files as downloads
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
