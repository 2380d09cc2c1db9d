"""The page on which one image runs through a network: `{decision} FRAGMENT` shows docs/decision/FRAGMENT.html.

The page's own scripts and style sheet lie beside its document and are copied; what they show is written by
decision_data.py.
"""

import shutil
from html import escape
from pathlib import Path
from string import Template

from docutils import nodes
from docutils.parsers.rst import Directive

from press import decision_data

FOLDER = Path(__file__).resolve().parents[1] / "decision"
STAND_INS = {"glyphs": "digits drawn from fonts"}  # what is shown where a data set is not at hand


def options(networks) -> str:
    """The networks as choices; the first is chosen."""
    return "".join(f'<option value="{escape(one.name)}">{escape(one.name)}</option>' for one in networks)


def left_out() -> str:
    """What this build could not show, as HTML; empty where it shows all."""
    said = {}
    for one in decision_data.shown():
        if one.images != (own := one.config.data.dataset):
            said.setdefault((own, one.images), []).append(f"<code>{one.name}</code>")
    sentences = [
        f"When this page was built, the data set {own} was not at hand: "
        + (f"{STAND_INS[images]} stand in for it, with " if images else "what it is needed for is left out, ")
        + f"{', '.join(names)}."
        for (own, images), names in said.items()
    ]
    return f'<p class="left-out">{" ".join(sentences)}</p>' if said else ""


class Decision(Directive):
    """A part of the page, from its file of HTML."""

    required_arguments = 1

    def run(self):
        path = FOLDER / f"{self.arguments[0]}.html"
        if not path.exists():
            raise self.error(f"there is no {path.name} in docs/decision")
        env = self.state.document.settings.env
        for used in (path, FOLDER / "step_view.html"):
            env.note_dependency(str(used))
        env.note_reread()  # which data sets are at hand may change
        shown = [one for one in decision_data.shown() if one.images]
        text = Template(path.read_text()).substitute(
            networks=options(shown),
            readers_of_digits=options(one for one in shown if one.reads_digits),
            left_out=left_out(),
            step_view=(FOLDER / "step_view.html").read_text(),
        )
        return [nodes.raw("", text, format="html")]


def write(app, failed) -> None:
    """Copy the page's scripts, and write those of its networks."""
    if failed or app.builder.format != "html":
        return
    out = Path(app.outdir) / "decision"
    (out / "data").mkdir(parents=True, exist_ok=True)
    for path in sorted([*FOLDER.glob("*.js"), *FOLDER.glob("*.css")]):
        shutil.copyfile(path, out / path.name)
    shown = [one for one in decision_data.shown() if one.images]
    if not any(one.reads_digits for one in shown):
        decision_data.logger.error("decision page: no network that reads digits is in weights/")
    for one in shown:
        for name, text in decision_data.scripts(one):
            (out / "data" / name).write_text(text)


def setup(app):
    app.add_directive("decision", Decision)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
