"""What the scripts of docs/gallery/ write with: pictures with their record, tables, and one sentence of judgement.

Sphinx-gallery runs a script and asks `scraper` after each block what to show. So `show`, `chart`, `tabulate` and
`verdict` put reStructuredText and pictures into a queue, which the scraper empties. A picture that needs test images is
left out where they are not at hand, with a line that says so.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from common import COLUMN, ROOT, Missing, Run, median_run
from matplotlib.figure import Figure
from PIL import Image
from sphinx.errors import ExtensionError
from tables import Table
from values import Values

DPI = 150
THUMBNAIL = 400, 280  # pixels
MADE = "drawn"  # folder of the pages, below docs/
WHOLE = (0, 0, 1, 1)
SOURCE = "Drawn from all records of these experiments in ``results/``."
values = Values()
queue: list = []


@dataclass(frozen=True)
class Picture:
    """A figure to be saved, its alternative text and caption, and the part that makes a thumbnail: left, top, right
    and bottom as shares of its sides."""

    figure: Figure
    alt: str
    caption: str
    part: tuple[float, float, float, float]


def near(experiment: str, key: str, tolerance: float) -> bool:
    """Whether the mean over seeds is no further from the paper's value than this."""
    return abs(values.mean(experiment, key) - values.paper(experiment, key)) <= tolerance


def reaches(experiment: str, tolerance: float) -> bool:
    """Whether the mean accuracy over seeds is no further below the paper's than this, in points."""
    return values.mean(experiment, "strict") >= values.paper(experiment, "strict") - tolerance


@cache
def shipped(experiment: str) -> Run:
    """The median seed of a shipped experiment."""
    return Run(median_run(experiment))


def link(path: Path) -> str:
    """A link to the page of a file of the repository."""
    name = path.relative_to(ROOT).as_posix()
    return f":download:`{name} <../../{name}>`"


def show(draw: Callable[[Run], Figure], run: Run, alt: str, part: tuple[float, float, float, float] = WHOLE) -> None:
    """A picture of a run, with a link to its record."""
    record = link(run.folder / "record.json")
    try:
        queue.append(
            Picture(draw(run), alt, f"Seed {run.record['seed']} of ``{run.record['experiment']}``: {record}", part)
        )
    except Missing as error:
        place = Figure(figsize=(4, 2.8))
        place.text(0.5, 0.5, "needs the test images", ha="center", va="center", fontsize=14)
        left_out = f"Left out: {str(error).partition(';')[0]}"
        queue.append(Picture(place, f"{left_out} ({run.title})", f"{left_out}. The record: {record}", WHOLE))


def chart(figure: Figure, alt: str, source: str = SOURCE, part: tuple[float, float, float, float] = WHOLE) -> None:
    """A picture of many records; `source` says which."""
    queue.append(Picture(figure, alt, source, part))


def tabulate(table: Table, columns: list[str] | None = None, note: bool = True) -> None:
    """Rows of a table, all of its columns or those named, and its note."""
    head, *rows = table.rows
    kept = [head.index(name) for name in columns] if columns else list(range(len(head)))
    lines = [f".. list-table:: {table.title}", "   :header-rows: 1", ""]
    for row in (head, *rows):
        cells = [cell(str(row[i])) for i in kept]
        lines += [f"   {'  -' if i else '* -'} {text}" for i, text in enumerate(cells)]
    queue.append("\n".join([*lines, "", table.note if note else "", ""]))


def cell(text: str) -> str:
    """A cell as reStructuredText: a dash is no list, and a number stays beside its deviation."""
    return {"": "\\ ", "-": "\\-"}.get(text, text.replace(" ± ", "\u00a0±\u00a0"))


def verdict(agrees: bool | dict[str, bool] | None, sentence: str) -> None:
    """One sentence: ours agrees with the paper's, or by how much it differs, and why.

    agrees : of all on the page, or by network or what is compared; None where the paper has nothing like it
    """
    if isinstance(agrees, dict):
        title = ", ".join(f"{name} {'agrees' if same else 'differs'}" for name, same in agrees.items())
    else:
        title = {True: "Agrees", False: "Differs", None: "Not in the paper"}[agrees]
    queue.append(f".. admonition:: {title}\n   :class: verdict\n\n   {' '.join(sentence.split())}\n")


class Order:
    """The paper's figures, its tables, then ours."""

    def __init__(self, folder: str):
        pass

    def __call__(self, name: str) -> tuple[int, str]:
        kinds = (r"plot_fig\d", r"plot_table\d", "plot_")
        return next(i for i, kind in enumerate(kinds) if re.match(kind, name)), name


def scraper(block, block_vars, gallery_conf) -> str:
    """What the last block of a script put into the queue, as reStructuredText."""
    paths, folder = block_vars["image_path_iterator"], Path(gallery_conf["src_dir"])
    out = [item if isinstance(item, str) else placed(item, paths, folder) for item in queue]
    queue.clear()
    return "\n\n".join(out)


def placed(picture: Picture, paths, folder: Path) -> str:
    """Save a picture; the directive that shows it. The first file of a page is its thumbnail."""
    drawn = BytesIO()
    picture.figure.savefig(drawn, format="png", dpi=DPI, bbox_inches="tight")
    if not len(paths):
        thumbnail(Image.open(drawn), picture.part).save(next(paths))
    path = Path(next(paths))
    path.write_bytes(drawn.getvalue())
    name = path.relative_to(folder).as_posix()
    alt, narrow = " ".join(picture.alt.split()), bool(picture.figure.get_figwidth() <= COLUMN)
    options = [f"   :alt: {alt}", f"   :target: ../_images/{path.name}", *["   :figclass: narrow"] * narrow]
    return "\n".join([f".. figure:: /{name}", *options, "", f"   {picture.caption}", ""])


def thumbnail(image: Image.Image, part: tuple[float, float, float, float]) -> Image.Image:
    """A part of an image, on white, in the size of a thumbnail."""
    sides = (image.width, image.height) * 2
    image = image.convert("RGB").crop([round(share * side) for share, side in zip(part, sides, strict=True)])
    image.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    ground = Image.new("RGB", THUMBNAIL, "white")
    ground.paste(image, [(full - side) // 2 for full, side in zip(THUMBNAIL, image.size, strict=True)])
    return ground


def plain(app, docname: str, source: list[str]) -> None:
    """Link the script instead of showing its code and offering downloads, and give thumbnails their titles as
    alternative texts."""
    if not docname.startswith(f"{MADE}/"):
        return
    text, *downloads = source[0].split(f".. _sphx_glr_download_{MADE}_")
    text = re.sub(r"^\.\. code-block:: Python\n(?:\n|    .*\n)*", "", text, flags=re.M)
    text = re.sub(r"\.\. only:: html\n\n    \.\. note::\n        :class: sphx-glr.*?\n\n(?=\.\.)", "", text, flags=re.S)
    place = (
        r"(    :alt:)(\n\n  :doc:`[^`]*`\n\n\.\. raw:: html\n\n      <div class=\"sphx-glr-thumbnail-title\">)([^<]*)"
    )
    text = re.sub(place, r"\1 \3\2\3", text)
    if downloads:
        text += f"\n\nThis page is made by {link(ROOT / 'docs' / 'gallery' / Path(docname).with_suffix('.py').name)}.\n"
    source[0] = text


def whole(app, env) -> None:
    """Every script of the gallery has a page."""
    for script in sorted((ROOT / "docs" / "gallery").glob("*.py")):
        if f"{MADE}/{script.stem}" not in env.found_docs:
            raise ExtensionError(f"docs/gallery/{script.name} has no page: its name must begin with plot_")


def setup(app):
    app.connect("source-read", plain)
    app.connect("env-check-consistency", whole)
    app.add_css_file("gallery.css")
    return {"parallel_read_safe": False, "parallel_write_safe": False}
