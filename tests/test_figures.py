"""Every script of figures/, on a small run made here: what it draws, and what it says where something is missing."""

import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import twins
from conftest import TINY, write_idx_set
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from s4nn_ref.app.paper import TABLE_2, TABLE_5, quoted_of
from s4nn_ref.app.record import read_record, read_responses
from s4nn_ref.app.report import comparison_text
from s4nn_ref.app.session import Options, train
from s4nn_ref.config import read_config
from s4nn_ref.data.classes import known
from s4nn_ref.metrics import metrics_of

FIGURES = Path(__file__).resolve().parent.parent / "figures"
sys.path.insert(0, str(FIGURES))
SCRIPTS = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "anytime", "curves", "filters", "spike_times", "mistakes")


def trained(folder, toml, splits, epochs):
    """The run of a small experiment; its data set lies in folder/data."""
    write_idx_set(folder / "data" / "tiny", *splits[0], *splits[1])
    (folder / "tiny.toml").write_text(toml)
    assert train(folder / "tiny.toml", Options(data=folder / "data", out=folder / "run", epochs=epochs)) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory, glyphs_100):
    return trained(tmp_path_factory.mktemp("grey"), TINY, glyphs_100, 20)


@pytest.fixture(scope="module")
def data_dir(run):
    return run.parent / "data"


@pytest.fixture(scope="module")
def colour_run(tmp_path_factory, glyphs_100):
    """A run on images of 32 x 32 pixels and three channels: digits, each of another colour."""
    rng = np.random.default_rng(3)

    def coloured(images):
        brightness = rng.uniform(0.3, 1.0, (len(images), 1, 1, 3))
        brightness /= brightness.max(axis=3, keepdims=True)
        return np.rint(np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0))) * brightness).astype(np.uint8)

    toml = TINY.replace("[network]", "[network]\ninput_shape = [32, 32, 3]")
    splits = [(coloured(images), labels) for images, labels in glyphs_100]
    return trained(tmp_path_factory.mktemp("colour"), toml, splits, 5)


def opened(run):
    return import_module("common").Run(run, run.parent / "data")


# ------------------------------------------------------------------ what the pictures show, computed in another way


def firing_times_of(one):
    """Firing times of all layers for the test images: an array (n, neurons) for the input and each layer. Eq. 1."""
    t_in = (255 - one.test.images.astype(int)) * 100 // 255
    states = one.network.forward(t_in.astype(np.int16))
    return [state.t_post.reshape(len(t_in), -1) for state in states]


def potentials_of(one):
    """Output potentials in every step, (n, t_max, classes)."""
    w = one.network.w[-1].reshape(10, -1)
    return np.array([twins.potentials(t_pre, w, 100) for t_pre in firing_times_of(one)[-2]])


def answers_of(one):
    """The decision for each test image, by its definition."""
    r, answers = one.responses, []
    for t, v_peak, v_end in zip(r.t_out, r.v_peak, r.v_end, strict=True):
        earliest = [c for c in range(10) if t[c] == t.min() < 100]
        answers.append(max(earliest, key=lambda c: (v_peak[c], -c)) if earliest else int(v_end.argmax()))
    return np.array(answers)


def shown(image):
    """An image as it is drawn: (H, W) where it is grey."""
    return image[..., 0] if image.shape[2] == 1 else image


def assert_shows(axes, image):
    np.testing.assert_array_equal(axes.images[0].get_array(), image)


def heights(axes):
    """Heights of the bars, from left to right."""
    return [bar.get_height() for bar in sorted(axes.patches, key=lambda bar: bar.get_x())]


def check_fig1(figure, one):
    mrn = one.record["selected"]["test"]["mrn"]["layers"]
    assert heights(figure.axes[0]) == pytest.approx(list(mrn.values()))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [k.partition(":")[2] for k in mrn]


def check_fig2(figure, one):
    t_out, labels, axes = one.responses.t_out, one.labels, figure.axes[0]
    of_class = [[t for t, label in zip(t_out, labels, strict=True) if label == c] for c in range(10)]
    means = [[np.mean([t[j] for t in times]) for j in range(10)] for times in of_class]
    np.testing.assert_allclose(axes.images[0].get_array(), means)
    assert [text.get_text() for text in axes.texts] == [f"{t:.0f}" for row in means for t in row]


def check_fig3(figure, one):
    axes = {a.get_label(): a for a in figure.axes}
    index = int(axes["image"].get_title().split()[-1])
    image, decision = one.test.images[index], one.responses.t_out[index].min()
    answers, times = answers_of(one), one.responses.t_out.min(axis=1)
    answer, fives = answers[index], one.labels == 5
    recognised = fives & (answers == 5) & (times < 100)
    candidates = recognised if recognised.any() else fives
    assert candidates[index]
    assert sorted(times[candidates])[candidates.sum() // 2] == decision
    assert_shows(axes["image"], shown(image))
    t_in = (255 - image.astype(int)) * 100 // 255
    assert_shows(axes["used"], shown(np.where(t_in <= decision, image, 0)))
    *lines, threshold, moment = axes["v"].lines
    np.testing.assert_allclose([line.get_ydata() for line in lines], potentials_of(one)[index].T, atol=1e-3)
    assert max(range(10), key=lambda c: lines[c].get_linewidth()) == answer
    assert (threshold.get_ydata() == 100).all()
    assert list(moment.get_xdata()) == [decision, decision]
    low, high = axes["v"].get_ylim()
    assert low <= min(line.get_ydata().min() for line in lines)
    assert high >= max(line.get_ydata().max() for line in lines)
    figure.draw_without_rendering()
    places = [axes[name].get_position() for name in ("v", "raster")]  # one time axis above the other
    assert places[0].x0 == pytest.approx(places[1].x0)
    assert places[0].x1 == pytest.approx(places[1].x1)
    assert axes["v"].get_xlim() == axes["raster"].get_xlim()
    assert heights(axes["raster"]) == np.bincount(t_in.ravel(), minlength=101)[:100].tolist()


def check_fig4(figure, one):
    counts, axes = np.zeros((10, 10)), figure.axes[0]
    for label, answer in zip(one.labels, answers_of(one), strict=True):
        counts[label, answer] += 1
    np.testing.assert_array_equal(np.ma.filled(axes.images[0].get_array(), 0), counts)
    assert [int(text.get_text()) for text in axes.texts] == counts[counts > 0].tolist()
    assert f"{100 * one.record['selected']['test']['accuracy_strict']:.2f} %" in axes.get_title()


def check_anytime(figure, one):
    (wrong, undecided), (spikes,) = (axes.lines for axes in figure.axes)
    steps, time = np.arange(100)[:, None], one.responses.t_out.min(axis=1)
    np.testing.assert_allclose(undecided.get_ydata(), 100 * (time > steps).mean(axis=1), atol=1e-9)
    answers = np.where(time <= steps, answers_of(one), potentials_of(one).argmax(axis=2).T)
    np.testing.assert_allclose(wrong.get_ydata(), 100 * (answers != one.labels).mean(axis=1), atol=1e-9)
    np.testing.assert_array_equal(spikes.get_ydata(), wrong.get_ydata())
    for axes in figure.axes:  # what waiting brings is seen: the least share of wrong answers has a place of its own
        assert axes.get_yscale() == "log"
        assert axes.get_ylim()[0] < max(wrong.get_ydata().min(), 100 / len(one.labels))
    all_times = np.hstack(firing_times_of(one))
    until = [((all_times <= np.minimum(time, step)[:, None]) & (all_times < 100)).sum(axis=1) for step in range(100)]
    np.testing.assert_allclose(spikes.get_xdata(), np.mean(until, axis=1))


def check_curves(figure, one):
    error, silent, spikes = figure.axes
    rows = one.record["history"]

    def assert_line(line, values):
        np.testing.assert_allclose(line.get_data(), [range(1, len(rows) + 1), values])

    assert_line(error.lines[0], [100 - 100 * row["train_accuracy"] for row in rows])
    assert_line(error.lines[1], [100 - 100 * row["validation"]["accuracy_strict"] for row in rows])
    assert_line(error.lines[2], [100 - 100 * row["validation"]["accuracy_first_spike"] for row in rows])
    assert_line(silent.lines[0], [100 * row["validation"]["silent"] for row in rows])
    assert_line(silent.lines[1], [100 * row["validation"]["tied"] for row in rows])
    assert_line(spikes.lines[0], [row["validation"]["mrn"]["total"] for row in rows])


def check_filters(figure, one):
    w = one.network.w[0]
    sheets = [axes.images[0].get_array() for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]
    assert len(sheets) == w.shape[3]
    order = np.argsort(-w.sum(axis=(1, 2, 3)))
    for c, sheet in enumerate(sheets):
        for place, m in enumerate(order):
            np.testing.assert_array_equal(sheet[1:4, 1 + 4 * place : 4 + 4 * place], w[m, :, :, c])


def check_spike_times(figure, one):
    for axes, t_post in zip(figure.axes, firing_times_of(one), strict=True):
        np.testing.assert_allclose(heights(axes), np.bincount(t_post.ravel(), minlength=101)[:100] / len(t_post))
        assert axes.get_yscale() == ("log" if (t_post < 100).any() else "linear")
        assert all(height == 0 or height > axes.get_ylim()[0] for height in heights(axes))
        assert axes.lines[0].get_xdata()[0] == np.median(one.responses.t_out.min(axis=1))


def check_mistakes(figure, one):
    answers, v, leads = answers_of(one), potentials_of(one), []
    pictures = [axes for axes in figure.axes if axes.images]
    traces = [axes for axes in figure.axes if axes.lines]
    assert len(pictures) == len(traces) == min(8, (answers != one.labels).sum()) > 0
    for picture, trace in zip(pictures, traces, strict=True):
        title = picture.get_title()
        index = int(title.partition(":")[0])
        assert title == f"{index}: {one.labels[index]},\nanswer {answers[index]}"
        assert_shows(picture, shown(one.test.images[index]))
        lines = {line.get_label(): line.get_ydata() for line in trace.lines}
        np.testing.assert_allclose(lines["decision"], v[index, :, answers[index]], atol=1e-3)
        np.testing.assert_allclose(lines["right class"], v[index, :, one.labels[index]], atol=1e-3)
        low, high = trace.get_ylim()
        told = np.concatenate([lines["decision"], lines["right class"]])
        assert low <= told.min() <= told.max() <= high
        leads.append(lines["decision"][-1] - lines["right class"][-1])
    assert leads == sorted(leads, reverse=True)


CHECKS = {
    "fig1": check_fig1,
    "fig2": check_fig2,
    "fig3": check_fig3,
    "fig4": check_fig4,
    "fig5": check_fig2,
    "fig6": check_fig4,
    "anytime": check_anytime,
    "curves": check_curves,
    "filters": check_filters,
    "spike_times": check_spike_times,
    "mistakes": check_mistakes,
}


def assert_not_blank(path):
    assert np.asarray(Image.open(path).convert("L")).std() > 5, f"{path.name} is blank"


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_draws(name, run, tmp_path):
    one = opened(run)
    figure = import_module(name).draw(one)
    CHECKS[name](figure, one)
    import_module("common").save(figure, name, tmp_path)
    assert_not_blank(tmp_path / f"{name}.png")
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", SCRIPTS)
def test_images_of_three_channels_are_drawn_in_colour(name, colour_run, tmp_path):
    one = opened(colour_run)
    figure = import_module(name).draw(one)
    CHECKS[name](figure, one)
    import_module("common").save(figure, name, tmp_path)
    assert_not_blank(tmp_path / f"{name}.png")


def spoil(artist):
    """Let a bar, an image or a line show something else."""
    if isinstance(artist, AxesImage):
        artist.set_data(artist.get_array()[::-1])
    elif isinstance(artist, Line2D):
        artist.set_data(*(np.asarray(values) + 1 for values in artist.get_data()))
    else:
        artist.set_height(artist.get_height() + 1)


@pytest.mark.parametrize(
    ("name", "artist"),
    [
        ("fig1", lambda axes: axes[0].patches[0]),
        ("fig2", lambda axes: axes[0].images[0]),
        ("fig3", lambda axes: axes[0].images[0]),
        ("fig3", lambda axes: axes[1].lines[3]),
        ("fig3", lambda axes: axes[1].lines[-1]),
        ("fig3", lambda axes: axes[2].images[0]),
        ("fig3", lambda axes: axes[3].patches[0]),
        ("fig4", lambda axes: axes[0].images[0]),
        ("anytime", lambda axes: axes[0].lines[0]),
        ("anytime", lambda axes: axes[0].lines[1]),
        ("anytime", lambda axes: axes[1].lines[0]),
        ("curves", lambda axes: axes[0].lines[1]),
        ("curves", lambda axes: axes[2].lines[0]),
        ("filters", lambda axes: axes[0].images[0]),
        ("spike_times", lambda axes: axes[1].patches[30]),
        ("mistakes", lambda axes: axes[0].images[0]),
        ("mistakes", lambda axes: next(line for line in axes[4].lines if line.get_label() == "decision")),
    ],
)
def test_a_wrong_picture_is_found(name, artist, run):
    one = opened(run)
    figure = import_module(name).draw(one)
    spoil(artist(figure.axes))
    with pytest.raises(AssertionError):
        CHECKS[name](figure, one)


def frames_of_gif(content):
    """What the frames of a GIF say of their colours: pairs (colours in the frame's table, its transparent index)."""
    global_colors = 2 << (content[10] & 7) if content[10] & 128 else 0
    at, transparent, frames = 13 + 3 * global_colors, None, []
    while content[at] != 0x3B:
        if content[at : at + 2] == b"\x21\xf9":
            transparent = content[at + 6] if content[at + 3] & 1 else None
        if content[at] == 0x2C:
            local = 2 << (content[at + 9] & 7) if content[at + 9] & 128 else 0
            frames.append((content[at + 10 : at + 10 + 3 * local] or content[13 : 13 + 3 * global_colors], transparent))
            at += 3 * local + 9
        at += 2  # to the blocks, each with its length before it
        while content[at]:
            at += content[at] + 1
        at += 1
    return frames


@pytest.mark.parametrize("kind", ["run", "colour_run"])
def test_the_animation_has_a_frame_for_every_step(kind, request, tmp_path, monkeypatch):
    run, animation, drawn = request.getfixturevalue(kind), import_module("animation"), []
    draw_frames = animation.frames
    monkeypatch.setattr(animation, "frames", lambda one: drawn.extend(draw_frames(one)) or drawn)
    time = opened(run).responses.t_out.min(axis=1)
    monkeypatch.setattr(animation, "typical_image", lambda one: int(time.argmin()))  # a short film
    assert animation.main([str(run), "--data", str(run.parent / "data"), "--out", str(tmp_path)]) == 0
    tables = frames_of_gif((tmp_path / "animation.gif").read_bytes())
    assert len(tables) == len(drawn)
    # the same colours in every frame, and no transparent index, which viewers treat in different ways
    assert {transparent for _, transparent in tables} == {None}
    assert len({table for table, _ in tables}) == 1
    film = Image.open(tmp_path / "animation.gif")
    assert film.n_frames == len(drawn) == min(time.min() + 3, 99) + 1
    for i, frame in enumerate(drawn):
        film.seek(i)
        assert np.abs(np.asarray(film.convert("RGB"), int) - np.asarray(frame, int)).mean() < 1
    assert np.abs(np.asarray(drawn[-1], int) - np.asarray(drawn[0], int)).mean() > 1


# ---------------------------------------------------------------------------------------------- records of other sizes


@pytest.fixture(scope="module")
def many_run(tmp_path_factory, glyphs_100):
    """A run of one epoch on 47 classes, as many as EMNIST has; there is no test image of the last one."""
    toml = TINY.replace('P2-10"', 'P2-47"')
    (images, _), (test_images, _) = glyphs_100
    splits = [(images, np.arange(len(images)) % 47), (test_images, np.arange(len(test_images)) % 46)]
    return trained(tmp_path_factory.mktemp("many"), toml, [(x, y.astype(np.uint8)) for x, y in splits], 1)


def assert_apart(texts, horizontal):
    """Labels of ticks do not overlap."""
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    edges = sorted((box.x0, box.x1) if horizontal else (box.y0, box.y1) for box in boxes)
    assert len(edges) > 10
    assert all(one[1] <= other[0] + 1 for one, other in itertools.pairwise(edges))


@pytest.mark.parametrize("name", ["fig2", "fig4"])
def test_matrices_of_many_classes_are_readable(name, many_run):
    figure = import_module(name).draw(opened(many_run))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert axes.images[0].get_array().shape == (47, 47)
    assert not axes.texts  # no number fits into a cell
    assert_apart(axes.get_xticklabels(), horizontal=True)
    assert_apart(axes.get_yticklabels(), horizontal=False)


def test_many_classes_fit_into_figures_and_film(many_run, tmp_path, monkeypatch):
    one, animation = opened(many_run), import_module("animation")
    figure = import_module("fig3").draw(one)
    figure.draw_without_rendering()
    axes = next(a for a in figure.axes if a.get_label() == "v")
    assert len(axes.lines) >= 47
    box = axes.get_legend().get_window_extent()
    assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    film, save = [], animation.Figure.savefig

    def kept(self, *arguments, **keys):
        film.append(self)
        return save(self, *arguments, **keys)

    monkeypatch.setattr(animation.Figure, "savefig", kept)
    animation.write(one, tmp_path)
    bars = film[-1].axes[-1]
    assert_apart(bars.get_yticklabels(), horizontal=False)
    for name in SCRIPTS:
        import_module(name).draw(one).savefig(tmp_path / f"{name}.png", dpi=60)
        assert_not_blank(tmp_path / f"{name}.png")


def test_a_single_epoch_is_a_point(many_run, run):
    for folder, marker in ((many_run, "o"), (run, "")):
        figure = import_module("curves").draw(opened(folder))
        curves = [
            line for axes in figure.axes for line in axes.lines if line.get_color() != "0.6"
        ]  # that: chosen epoch
        assert len(curves) == 6
        assert {line.get_marker() for line in curves} == {marker}


def test_no_backend_of_the_environment_is_used(run, tmp_path):
    environment = {**os.environ, "MPLBACKEND": "module://no_such_backend"}
    command = [sys.executable, str(FIGURES / "fig1.py"), str(run), "--out", str(tmp_path)]
    subprocess.run(command, env=environment, check=True, timeout=120)
    assert_not_blank(tmp_path / "fig1.png")


# --------------------------------------------------------------------------------------------------- the whole set


def test_all_figures_of_one_run(run, data_dir, tmp_path, capsys, monkeypatch):
    """Without the data set, whatever needs no image is drawn all the same, and the rest is named."""
    everything = import_module("draw_all")
    monkeypatch.delenv("S4NN_DATA", raising=False)
    out = tmp_path / "out"
    assert everything.main([str(run), "--data", str(data_dir), "--out", str(out)]) == 0
    assert {path.name for path in out.glob("fig*.png")} == {f"fig{i}.png" for i in (1, 2, 3, 4)}
    said = [line.partition(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert sorted(said) == sorted(str(path) for path in [*out.glob("*.png"), *out.glob("*.gif")])
    without, nothing = tmp_path / "without", tmp_path / "nothing"
    nothing.mkdir()
    assert everything.main([str(run), "--data", str(nothing), "--out", str(without)]) == 0
    assert {path.stem for path in without.glob("*.png")} == {"fig1", "fig2", "fig4", "curves", "filters"}
    left_out = capsys.readouterr().err.splitlines()
    assert sorted(line.split()[0] for line in left_out) == ["animation", "anytime", "fig3", "mistakes", "spike_times"]


def test_a_run_on_fashion_mnist(run, data_dir, tmp_path, monkeypatch):
    """It has its own figures, the names of its classes, and a folder apart from that of the shipped runs."""
    run = shutil.copytree(run, tmp_path / "runs" / "run")
    record = json.loads((run / "record.json").read_text())
    record["config"]["data"]["dataset"] = "fashion-mnist"
    (run / "record.json").write_text(json.dumps(record))
    common, everything = import_module("common"), import_module("draw_all")
    one = common.opened(run, tmp_path / "nothing")
    assert one.classes == known("fashion-mnist").classes
    names = everything.names_of(one, alone=True)
    assert {"fig1", "fig3", "fig5", "fig6", "curves-fashion"} <= set(names)
    assert "fig2" not in names
    for name in ("fig5", "fig6"):
        labels = [text.get_text() for text in import_module(name).draw(one).axes[0].get_yticklabels()]
        assert labels == list(known("fashion-mnist").classes)
    monkeypatch.setattr(everything, "OUT", tmp_path / "figures")
    monkeypatch.setattr(common, "OUT", tmp_path / "figures")
    monkeypatch.delenv("S4NN_DATA", raising=False)
    monkeypatch.setattr("s4nn_ref.data.idx.fetch", lambda *arguments: pytest.fail("a figure must not download"))
    assert everything.main([str(run), "--data", str(data_dir), "--out", str(tmp_path / "figures")]) == 0
    assert (tmp_path / "figures" / "runs-run" / "fig6.png").exists()


def test_runs_side_by_side(run, data_dir, tmp_path, capsys, monkeypatch):
    """Each figure of the paper has a panel, or bars, for each run, with what that run's own figure has."""
    side_by_side, one = import_module("side_by_side"), opened(run)
    monkeypatch.delenv("S4NN_DATA", raising=False)
    other = shutil.copytree(run, tmp_path / "other" / "seed1")
    record = json.loads((other / "record.json").read_text())
    record["seed"] = 1
    (other / "record.json").write_text(json.dumps(record))
    with np.load(other / "responses.npz") as stored:
        arrays = dict(stored)
    arrays["spikes"] = arrays["spikes"] * 2
    arrays["t_out"] = arrays["t_out"][:, ::-1]
    np.savez_compressed(other / "responses.npz", **arrays)
    runs = [import_module("common").opened(folder, data_dir) for folder in (run, other)]
    figures = side_by_side.draw(runs)
    assert sorted(figures) == ["fig1", "fig2", "fig3", "fig4"]
    bars = [[bar.get_height() for bar in group] for group in figures["fig1"].axes[0].containers]
    mean = one.responses.spikes.mean(axis=0)
    assert bars == [pytest.approx(mean.tolist()), pytest.approx((2 * mean).tolist())]
    for name, values in (("fig2", import_module("fig2").mean_times), ("fig4", import_module("fig4").confusion)):
        panels = [axes.images[0] for axes in figures[name].axes[:2]]
        for panel, of_run in zip(panels, runs, strict=True):
            shown = np.where(values(of_run), values(of_run), np.nan) if name == "fig4" else values(of_run)
            np.testing.assert_allclose(np.ma.filled(panel.get_array().astype(float), np.nan), shown)
        assert not (values(runs[0]) == values(runs[1])).all()
        assert panels[0].get_clim() == panels[1].get_clim()
    index = import_module("fig3").typical_image(one)
    assert [axes.get_title().partition(":")[0] for axes in figures["fig3"].axes] == [
        f"{r.title}, test image {index}" for r in runs
    ]
    out, nothing = tmp_path / "out", tmp_path / "nothing"
    nothing.mkdir()
    capsys.readouterr()
    assert side_by_side.main([str(run), str(other), "--data", str(nothing), "--out", str(out)]) == 0
    assert {path.name for path in out.glob("*.png")} == {"fig1.png", "fig2.png", "fig4.png"}
    assert capsys.readouterr().err.startswith("fig3 left out: no test images")


@pytest.mark.parametrize("name", [*SCRIPTS, "animation", "draw_all", "side_by_side"])
def test_a_record_that_is_missing_or_not_ours_is_an_error_of_one_line(name, tmp_path, capsys):
    module = import_module(name)
    command = getattr(module, "main", None)
    if name in SCRIPTS:
        common = import_module("common")

        def command(argv):
            return common.main(module.draw, name, "mnist-plus", module.__doc__, argv)

    for content in (None, '{"format": "of another program"}', "no JSON"):
        folder = tmp_path / str(content is None)
        folder.mkdir(exist_ok=True)
        if content:
            (folder / "record.json").write_text(content)
        assert command([str(folder), "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert len(error.strip().splitlines()) == 1
        assert "record.json" in error


def test_figures_agree_with_the_record(run):
    one = opened(run)
    counts = import_module("fig4").confusion(one)
    selected = one.record["selected"]["test"]
    assert np.trace(counts) / counts.sum() == pytest.approx(selected["accuracy_strict"])
    assert (counts.sum(axis=1) == np.bincount(one.labels, minlength=10)).all()
    assert import_module("fig2").mean_times(one).diagonal().tolist() == pytest.approx(selected["aft"])


def test_stopping_at_the_end_changes_nothing(run):
    one = opened(run)
    course = import_module("anytime").course(one)
    metrics = metrics_of(one.responses, one.labels)
    assert course.accuracy[-1] == pytest.approx(metrics["accuracy_strict"])
    assert course.spikes[-1] == pytest.approx(metrics["mrn"]["total"])
    assert course.decided[-1] == pytest.approx(1 - metrics["silent"])
    assert (np.diff(course.decided) >= 0).all()
    assert (np.diff(course.spikes) >= 0).all()


# ------------------------------------------------------------------------------------------------ tables and records


@pytest.fixture
def results(run, tmp_path):
    """The small run, three times, in the places of the shipped records."""
    for name in ("mnist", "mnist-plus", "fashion-plus"):
        for seed in range(3):
            shutil.copytree(run, tmp_path / "results" / name / f"seed{seed}")
    return tmp_path / "results"


def test_tables(results, run, tmp_path, capsys):
    out = tmp_path / "out"
    assert import_module("tables").main(["--results", str(results), "--out", str(out)]) == 0
    said = [line.partition(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert sorted(said) == sorted(str(path) for path in out.glob("*.md"))
    names = ("table1", "table2", "table3", "table4", "table5")
    rows = {name: list(csv.reader((out / f"{name}.csv").read_text().splitlines())) for name in names}
    accuracy = 100 * read_record(run)["selected"]["test"]["accuracy_strict"]
    ours = rows["table2"][1 + len(TABLE_2) :]
    assert [row[0] for row in ours] == ["mnist", "mnist-plus"]
    assert ours[0][3] == f"{accuracy:.2f} ± 0.00"
    assert ours[0][-1] == "3"
    assert [row[2] for row in rows["table2"][1 : 1 + len(TABLE_2)]] == ["quoted"] * len(TABLE_2)
    assert rows["table5"][1][2:12] == [str(value) for value in TABLE_5["AFT"]]
    responses, labels = read_responses(run)
    mrn = responses.spikes[labels == 3].sum(axis=1).mean()
    assert rows["table5"][4][5] == f"{mrn:.0f} ± 0"
    # the last column is a mean over classes, not the mean over images that the record holds
    of_classes = [responses.spikes[labels == c].sum(axis=1).mean() for c in range(10)]
    assert rows["table5"][0][-1] == "mean over classes"
    assert rows["table5"][4][-1] == f"{np.mean(of_classes):.0f} ± 0"
    assert "not the MRN of Fig. 1" in (out / "table5.md").read_text()
    assert (out / "table3.md").read_text().count("\n| ") >= 4
    for row in rows.values():
        assert {len(cells) for cells in row} == {len(row[0])}


def test_table_1_holds_the_settings_of_the_experiments():
    head, *rows = import_module("tables").table1().rows
    cells = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert cells["lambda"]["mnist"] == "10"
    assert cells["lambda"]["mnist-plus"] == "none (first-spike)"
    assert cells["threshold"]["mnist"] == "100"
    assert cells["threshold"]["mnist-plus"] == "100; output 140 to 60, power 1"
    assert cells["optimiser"]["fashion-plus"] == "muon, cosine"
    assert cells["batch, epochs, padding"]["fashion-plus"] == "16, 22, same"


def test_the_median_run(results):
    common = import_module("common")
    for seed, accuracy in enumerate((0.5, 0.9, 0.7)):
        path = results / "mnist" / f"seed{seed}" / "record.json"
        record = json.loads(path.read_text())
        record["selected"]["test"]["accuracy_strict"] = accuracy
        path.write_text(json.dumps(record))
    assert common.median_run("mnist", results).name == "seed2"
    assert [path.name for path in common.runs_of("mnist", results)] == ["seed0", "seed1", "seed2"]


def test_tables_without_records_say_so(tmp_path, capsys):
    assert import_module("tables").main(["--results", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "s4nn train experiments/" in capsys.readouterr().err


def test_numbers_of_a_document_are_those_of_the_records(tmp_path, capsys):
    page, document = import_module("results"), tmp_path / "page.md"
    good = "It has 97.63 ± 0.14<!--=mnist strict--> %, 1.7<!--=mnist strict gap 1--> less.\n\n<!--table ladder-->\n"
    table = page.table(page.Values(), "ladder")
    document.write_text(good + table + "\n\nMore.\n")
    assert page.main(["--check", str(document)]) == 0
    whole = document.read_text()
    document.write_text(whole.replace("97.63 ± 0.14<", "97.7<", 1).replace("99.21 ± 0.04", "99.31 ± 0.04"))
    assert page.main(["--check", str(document)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{document}:1: 97.7 stands here, the records say 97.63 ± 0.14 (mnist strict)")
    assert second.startswith(f"{document}:12: 99.31 ± 0.04 stands here, the records say 99.21 ± 0.04 (table ladder)")
    assert first.endswith("make results") and second.endswith("make results")
    assert page.main([str(document)]) == 0
    assert document.read_text() == whole
    document.write_text(whole.replace(table, table.rsplit("\n", 1)[0]))  # a row is missing
    assert page.main(["--check", str(document)]) == 2
    assert "nothing stands here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1<!--=mnist stict-->", "no number is called 'mnist stict'"),
        ("1<!--=mnist potentials paper-->", "no number is called"),
        ("1<!--=bench speed/none/forward us-->", "no number is called"),
        ("1<!--=log 2026-11-27-table3 87.5-->", "no number is called"),
        ("1<!--=other strict-->", "no records of other"),
        ("<!--table other-->", "no table is called 'other'"),
        ("<!--=mnist strict-->", "a mark needs a number before it"),
        ("97.63<!--=mnist", "a mark needs a number before it"),
        ("Text <!--table mnist-->", "a mark needs a number before it"),
    ],
)
def test_marks_that_name_no_number_are_an_error_of_one_line(line, said, tmp_path, capsys):
    document = tmp_path / "page.md"
    document.write_text(f"# Title\n{line}\n")
    assert import_module("results").main(["--check", str(document)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"{document}:2: ") and said in error


def test_numbers_are_read_in_every_form():
    values = import_module("values").Values()
    record = read_record(FIGURES.parent / "results" / "relpsp" / "seed0")
    assert values["table3-s4nn strict"] == values["table3-s4nn strict mean"] == "96.94"
    assert (values["mnist mrn paper"], values["mnist strict gap 1"], values["relpsp n"]) == ("1126", "1.7", "3")
    assert values["relpsp t_max"] == str(record["config"]["network"]["t_max"])
    bench = json.loads((FIGURES.parent / "results" / "bench" / "bench.json").read_text())
    (row,) = [row for row in bench["online"] if row["experiment"] == "bs4nn"]
    assert values["bench online/bs4nn/ratio times"] == f"{row['ratio']:.0f}"
    assert values["bench online/bs4nn/reference : online/bs4nn/ours times"] == f"{row['ratio']:.0f}"
    assert values["log 2026-11-27-table3 87.4"] == "87.4"


def test_the_ladder_is_drawn(tmp_path, capsys):
    script = import_module("ladder")
    assert script.main(["--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ladder.pdf", "ladder.png"]
    assert script.main(["--results", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "make ladder" in capsys.readouterr().err


def test_the_pictures_of_readme_are_drawn(run, data_dir, tmp_path):
    assert import_module("pictures").main([str(run), "--out", str(tmp_path), "--data", str(data_dir)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["animation.gif", "ladder.png", "potentials.png"]
    for path in tmp_path.iterdir():
        assert_not_blank(path)


@pytest.mark.parametrize(
    ("experiments", "quoted"), [(["bs4nn"], "97.00 %"), (["s4nn"], "97.40 %"), (["s4nn", "mnist"], "99.30 %")]
)
def test_baselines_stand_beside_what_is_quoted_of_them(experiments, quoted):
    table = comparison_text([read_record(FIGURES.parent / "results" / name / "seed0") for name in experiments])
    row = next(line for line in table.splitlines() if "test accuracy (strict)" in line)
    assert [cell.strip() for cell in row.split("|")][2] == quoted


@pytest.mark.parametrize(
    ("name", "expected"), [("relpsp", 0.985), ("relpsp-fashion", 0.881), ("relpsp-conv", 0.994), ("mnist-plus", 0.993)]
)
def test_networks_with_convolutions_have_their_own_quoted_numbers(name, expected):
    config = read_config(FIGURES.parent / "experiments" / f"{name}.toml").as_dict()
    assert quoted_of(config)["test"] == expected


def test_records_older_than_the_baselines_are_of_ds4nn():
    folder = FIGURES.parent / "results" / "mnist-literal" / "seed0"
    assert "algorithm" not in json.loads((folder / "record.json").read_text())["config"]["learning"]
    assert import_module("common").Run(folder).algorithm == "ds4nn"
    assert "99.30 %" in comparison_text([read_record(folder)])


def test_the_figure_of_systems_shows_every_record(tmp_path, capsys):
    """A point for each seed and a mark for each mean, named; no name lies outside its panel or on another."""
    systems = import_module("systems")
    figure = systems.draw(FIGURES.parent / "results")
    figure.draw_without_rendering()
    for axes, dataset in zip(figure.axes, ("mnist", "fashion"), strict=True):
        found = systems.points(dataset, FIGURES.parent / "results")
        assert {text.get_text() for text in axes.texts} == {*found, "the paper"}
        seeds = sorted(len(line.get_xdata()) for line in axes.lines)
        assert seeds == sorted([1] * (len(found) + 1) + [len(records) for records in found.values()])
        boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the lines to their points
        assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)
        assert not any(box.overlaps(other) for box, other in itertools.combinations(boxes, 2))
    assert systems.main(["--results", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "make systems" in capsys.readouterr().err
