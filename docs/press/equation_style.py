"""Pictures drawn when the site is built: their style, and the node that shows one with its alternative text.

A picture is narrow and its letters are large, so that a screen of 400 px shows it whole and readable.
"""

from collections.abc import Callable
from html import escape
from pathlib import Path
from posixpath import join

import matplotlib
from common import BLACK, BLUE, GREEN, ORANGE, RED, SKY
from docutils import nodes
from matplotlib.figure import Figure

WIDTH = 5.2  # inches
GREY, PALE = "#6b6b6b", "#e6e6e6"
TWO = (BLUE, RED)  # neurons 0 and 1; also told apart by their labels or line styles
STYLE = {
    "font.size": 11, "axes.titlesize": 11, "axes.labelsize": 11, "xtick.labelsize": 10, "ytick.labelsize": 10,
    "legend.fontsize": 10, "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 2.0,
    "axes.axisbelow": True, "hatch.linewidth": 0.8, "svg.hashsalt": "s4nn_ref", "figure.facecolor": "white",
}  # fmt: skip

__all__ = ["BLACK", "BLUE", "GREEN", "GREY", "ORANGE", "PALE", "RED", "SKY", "TWO", "WIDTH"]


class picture(nodes.General, nodes.Element):
    """A drawn file of the site's folder of images, its alternative text and a caption."""


def number(value: float) -> str:
    """A number as text: -0.12 with a minus sign, at most four digits."""
    return f"{value + 0.0:.4g}".replace("-", "\N{MINUS SIGN}")


def listed(values) -> str:
    return ", ".join(number(value) for value in values)


def figure_of(height: float, *grid: int, **options):
    """A figure and its axes, rows and columns as for `Figure.subplots`."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(*grid, **options)


def drawn(app, name: str, draw: Callable, *values, **named) -> picture:
    """Draw a picture into the site. draw(*values, **named) -> matplotlib Figure, alternative text"""
    app.env.note_dependency(draw.__code__.co_filename)
    with matplotlib.rc_context(STYLE):
        figure, alt = draw(*values, **named)
        folder = Path(app.outdir) / "_images"
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    return picture(file=f"{name}.svg", alt=alt)


def visit(writer, node: picture) -> None:
    source = join(writer.builder.imgpath, node["file"])
    writer.body.append(f'<figure class="drawn"><img src="{source}" alt="{escape(node["alt"], quote=True)}"></figure>\n')
    raise nodes.SkipNode


def setup_pictures(app) -> None:
    app.add_node(picture, html=(visit, None))
