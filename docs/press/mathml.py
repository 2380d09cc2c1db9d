"""Mathematics as MathML, made when the site is built: a browser shows it without script, font or network."""

from html import escape

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError


def mathml(latex: str, display: str) -> str:
    """A formula as a MathML element that carries its LaTeX, for copying and for readers that speak it.

    display : "inline" or "block".   Raises ExtensionError if the formula cannot be read.
    """
    try:
        element = convert(latex, display=display)
    except Exception as error:  # the converter has a class for each mistake, and raises others too
        raise ExtensionError(f"this formula cannot be read: {latex!r} ({type(error).__name__})") from error
    if "<mi>&</mi>" in element:  # it passes over environments that it does not know
        raise ExtensionError(
            f"this formula cannot be read: {latex!r} (an environment with & that is not array or cases)"
        )
    return element.replace("<math ", f'<math alttext="{escape(latex, quote=True)}" ', 1)


def visit_inline(writer, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(writer, node: nodes.math_block) -> None:
    number = f'<span class="eqno">({node["number"]})</span>' if node.get("number") else ""
    writer.body.append(f'<div class="math-block">{mathml(node.astext(), "block")}{number}</div>\n')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
