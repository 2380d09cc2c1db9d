"""The gallery: every figure and table has a page, and its one sentence says what the records say."""

import json
import re
import runpy
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "figures")]
SCRIPTS = sorted((ROOT / "docs" / "gallery").glob("plot_*.py"))
NEED_IMAGES = ("anytime", "fig3", "mistakes", "spike_times")
STRICT, MRN = "selected.test.accuracy_strict", "selected.test.mrn.total"
# page: what its sentence quotes of the records, as experiment, place, scale and digits
QUOTED = {
    "fig1": [("mnist", MRN, 1, 0), ("mnist-near", MRN, 1, 0), ("mnist-plus", MRN, 1, 0)],
    "fig4": [("mnist-near", STRICT, 100, 2), ("mnist-plus", STRICT, 100, 2)],
    "fig5": [("fashion-plus", "selected.test.decision_time_mean", 1, 1)],
    "fig6": [("fashion-plus", STRICT, 100, 2), ("fashion", STRICT, 100, 2)],
    "table1": [("mnist-literal", STRICT, 100, 2)],
    "table2": [("mnist-near", STRICT, 100, 2), ("mnist-plus", STRICT, 100, 2)],
    "table3": [(name, "selected.test.dead.per_image", 100, 1) for name in ("mnist", "table3-mostafa", "table3-comsa")],
    "table4": [("fashion-plus", STRICT, 100, 2)],
    "curves": [("fashion", STRICT, 100, 2), ("fashion", "last.test.accuracy_strict", 100, 2)],
    "systems": [(name, STRICT, 100, 2) for name in ("stidi", "relpsp", "mnist-plus")],
    "ladder": [("mnist", STRICT, 100, 2), ("ladder/6-sparse", STRICT, 100, 2)],
}


def page(html, name):
    return (html / "drawn" / f"plot_{name}.html").read_text()


def text(markup):
    return " ".join(unescape(re.sub(r"<[^>]*>", "", markup)).split())


def verdicts(markup):
    """Title and sentence of each verdict."""
    found = re.findall(
        r'<div class="verdict admonition">\s*<p class="admonition-title">(.*?)</p>(.*?)</div>', markup, re.S
    )
    return [(text(title), text(sentence)) for title, sentence in found]


def quoted(experiment, place, scale, digits):
    """Mean and standard deviation over the shipped seeds, from the files themselves."""
    values = []
    for path in sorted((ROOT / "results" / experiment).glob("seed*/record.json")):
        value = json.loads(path.read_text())
        for key in place.split("."):
            value = value[key]
        values.append(scale * value)
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def test_every_figure_and_table_of_the_paper_has_a_page(html):
    index = (html / "drawn" / "index.html").read_text()
    for name in [f"fig{n}" for n in range(1, 7)] + [f"table{n}" for n in range(1, 6)]:
        assert re.search(rf"<h1>(Fig\.|Table) {name[-1]}: ", page(html, name)), name
    for script in SCRIPTS:
        assert f'href="{script.stem}.html"' in index
        assert "sphx-glr-download" not in page(html, script.stem.removeprefix("plot_"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_page_judges_in_one_sentence(script, html):
    name = script.stem.removeprefix("plot_")
    ((title, sentence),) = verdicts(page(html, name))
    judged = r"(?i)(agrees|differs)|[\w-]+ (agrees|differs)(, [\w-]+ (agrees|differs))*"
    assert re.fullmatch(judged if re.match(r"(fig|table)\d", name) else "Not in the paper", title), title
    assert sentence.endswith(".") and not re.search(r"[.?!] [A-Z]", sentence), sentence
    assert re.search(r"\d", sentence)


def test_the_title_says_which_network_agrees(html):
    for name in ("fig4", "table2"):
        ((title, _),) = verdicts(page(html, name))
        assert title.startswith("mnist differs, mnist-near agrees, mnist-plus agrees")
    assert verdicts(page(html, "table4"))[0][0] == "fashion differs, fashion-plus agrees"
    assert verdicts(page(html, "table3"))[0][0] == "Differs"


@pytest.mark.parametrize("name", QUOTED)
def test_the_sentence_holds_the_numbers_of_the_records(name, html):
    ((_, sentence),) = verdicts(page(html, name))
    for where in QUOTED[name]:
        assert quoted(*where) in sentence, (where, sentence)


def test_the_figures_name_the_median_seed_and_link_its_record(html):
    for name, experiments in (("fig1", ("mnist", "mnist-near", "mnist-plus")), ("fig6", ("fashion", "fashion-plus"))):
        linked = re.findall(r'href="(\.\./source/results/([\w-]+)/(seed\d)/record\.json\.html)"', page(html, name))
        assert [experiment for _, experiment, _ in linked] == list(experiments)
        for link, experiment, seed in linked:
            assert (html / "drawn" / link).exists()
            paths = (ROOT / "results" / experiment).glob("seed*/record.json")
            strict = {p.parent.name: json.loads(p.read_text())["selected"]["test"]["accuracy_strict"] for p in paths}
            assert strict[seed] == sorted(strict.values())[len(strict) // 2]


def test_pictures_and_thumbnails_show_something(html):
    index = (html / "drawn" / "index.html").read_text()
    thumbnails = re.findall(r'<img alt="([^"]+)" src="(\.\./_images/sphx_glr_plot_\w+_thumb\.png)"', index)
    assert len(thumbnails) == len(SCRIPTS)
    pictures = [
        src for script in SCRIPTS for src in re.findall(r'src="(\.\./_images/[^"]*)"', page(html, script.stem[5:]))
    ]
    assert len(pictures) >= len(SCRIPTS)
    for source in [source for _, source in thumbnails] + pictures:
        pixels = np.asarray(Image.open(html / "drawn" / source).convert("L"))
        assert (pixels < 200).mean() > 0.003, source


@pytest.mark.parametrize("name", NEED_IMAGES)
def test_without_the_data_set_a_line_stands_for_the_picture(name, monkeypatch):
    """The script runs, leaves its pictures out, and judges all the same."""
    common, gallery = pytest.importorskip("common"), pytest.importorskip("press.gallery")

    def missing(run):
        raise common.Missing(f"no test images of {run.dataset} at hand")

    monkeypatch.setattr(common.Run, "test", property(missing))
    monkeypatch.setattr(gallery, "queue", [])
    runpy.run_path(str(ROOT / "docs" / "gallery" / f"plot_{name}.py"))
    *pictures, verdict = gallery.queue
    assert pictures and all(picture.caption.startswith("Left out: no test images of") for picture in pictures)
    assert all("record.json" in picture.caption for picture in pictures)
    assert verdict.startswith(".. admonition::")


def test_the_checks_of_the_gallery_find_what_is_wrong():
    good = '<div class="verdict admonition">\n<p class="admonition-title">Agrees</p><p>It has 1 ± 0 %.</p></div>'
    assert verdicts(good) == [("Agrees", "It has 1 ± 0 %.")]
    assert not verdicts(good.replace("verdict", "note"))
    assert quoted("table3-s4nn", STRICT, 100, 2) == "96.94"
