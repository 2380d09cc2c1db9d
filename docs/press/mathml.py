"""Mathematics as MathML, made when the site is built: a browser shows it without script, font or network."""

from html import escape

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util.logging import getLogger

logger = getLogger(__name__)


def mathml(latex: str, display: str) -> str:
    """A formula as a MathML element that carries its LaTeX, for copying and for readers that speak it.

    display : "inline" or "block".   Raises ValueError if the formula cannot be read.
    """
    try:
        element = convert(latex, display=display)
    except Exception as error:  # the converter has a class for each mistake, and raises others too
        raise ValueError(type(error).__name__) from error
    if "\\" in element or "<mi>&</mi>" in element:  # it takes commands and columns that it does not know for letters
        raise ValueError("a command or an environment that is not known")
    return element.replace("<math ", f'<math alttext="{escape(latex, quote=True)}" ', 1)


def shown(node, display: str) -> str:
    """The MathML of a node; where that cannot be, an error of the build that names the formula and its place."""
    try:
        return mathml(node.astext(), display)
    except ValueError as error:
        logger.error("this formula cannot be read: %r (%s)", node.astext(), error, location=node)
        return ""


def visit_inline(writer, node: nodes.math) -> None:
    writer.body.append(shown(node, "inline"))
    raise nodes.SkipNode


def visit_block(writer, node: nodes.math_block) -> None:
    number = f'<span class="eqno">({node["number"]})</span>' if node.get("number") else ""
    writer.body.append(f'<div class="math-block">{shown(node, "block")}{number}</div>\n')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
