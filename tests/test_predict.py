"""The command `s4nn predict`: pictures of many kinds, and what is no picture."""

import json
import re

import numpy as np
import pytest
from conftest import TINY, assert_refused, with_first_spike, write_idx_set
from drawn import random_network
from matplotlib.figure import Figure
from PIL import Image

from s4nn_ref.app.predict import CONTENDERS, draw_potentials, plot, predict
from s4nn_ref.app.record import read_record
from s4nn_ref.app.report import prediction_text
from s4nn_ref.app.storage import read_weights, write_weights
from s4nn_ref.data.classes import known
from s4nn_ref.data.dataset import load
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.data.pictures import read_image
from s4nn_ref.errors import InputError
from s4nn_ref.metrics import respond
from s4nn_ref.network import Network, Settings
from s4nn_ref.neurons import linear


def save(path, array):
    """A PNG of the very numbers of an array."""
    Image.fromarray(array).save(path)


def as_read(path, shape=(28, 28, 1), invert=False):
    """The pixels that the network sees."""
    return read_image(path, shape, invert).image


def test_predict(run_dir, s4nn, tmp_path, glyphs_100):
    images, _ = glyphs_100[1]
    grey, colour, large, inverted = (tmp_path / f"{name}.png" for name in ("grey", "colour", "large", "inverted"))
    pixels = images[0, ..., 0]
    save(grey, pixels)
    save(colour, np.stack([pixels] * 3, axis=2))
    save(large, np.kron(pixels, np.ones((5, 5), np.uint8)))
    save(inverted, 255 - pixels)
    weights = run_dir / "weights.npz"
    code, out, _ = s4nn("predict", weights, grey, colour, "--json")
    assert code == 0
    first, second = map(json.loads, out.splitlines())
    assert {**first, "image": ""} == {**second, "image": ""}
    assert first["spikes"] == sum(first["spikes_per_layer"])
    # the files give back the very pixels
    for path, invert in ((grey, False), (colour, False), (inverted, True)):
        np.testing.assert_array_equal(as_read(path, invert=invert), images[0])
        assert read_image(path, (28, 28, 1)).fitted == ""
    network, _ = read_weights(weights)
    np.testing.assert_array_equal(first["t_out"], respond(network, images[:1]).t_out[0])
    # 2-bit grey: black, two greys, white
    steps = tmp_path / "steps.png"
    Image.fromarray(np.repeat(np.arange(4, dtype=np.uint8) * 85, 7)[None].repeat(28, axis=0)).save(steps, bits=2)
    assert sorted(set(as_read(steps).ravel())) == [0, 85, 170, 255]
    deep = tmp_path / "deep.png"
    save(deep, pixels.astype(np.uint16) * 257)
    np.testing.assert_array_equal(as_read(deep), images[0])
    clear = tmp_path / "clear.png"
    save(clear, np.zeros((28, 28, 4), np.uint8))
    assert (as_read(clear) == 255).all()  # transparent is paper
    _, out, _ = s4nn("predict", weights, inverted, "--invert", "--json")
    assert json.loads(out)["t_out"] == first["t_out"]
    code, out, err = s4nn("predict", weights, inverted, large, "--plot", tmp_path / "v.png")
    assert code == 0
    assert "--invert" in err
    assert len(out.splitlines()) == 2
    assert (tmp_path / "v.png").stat().st_size > 10_000


@pytest.fixture
def coloured(tmp_path):
    """A data set "colour", 32x32x3, of digits each in a colour of its own."""
    rng = np.random.default_rng(0)

    def split(n, seed):
        images, labels = make_glyphs(n, seed)
        images = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
        return (images * rng.uniform(0.5, 1, (n, 1, 1, 3))).astype(np.uint8), labels

    write_idx_set(tmp_path / "data" / "colour", *split(300, 1), *split(60, 2))
    return tmp_path / "data"


def test_coloured_images_train_evaluate_and_predict(s4nn, coloured, tmp_path):
    toml, weights = tmp_path / "colour.toml", tmp_path / "run" / "weights.npz"
    text = TINY.replace("[network]", "[network]\ninput_shape = [32, 32, 3]").replace('"tiny"', '"colour"')
    text = with_first_spike(text).replace("8C3-P2-8C3-P2-10", "8C3-P2-10").replace("[0.4, 0.2, 0.02]", "[0.4, 0.2]")
    toml.write_text(re.sub("init = .*", "init = [[-20, 30], [-2, 2]]", text))
    code, _, err = s4nn("train", toml, "--data", coloured, "--out", tmp_path / "run", "--epochs", 8)
    assert code == 0, err
    history = read_record(tmp_path / "run")["history"]
    assert history[0]["train_accuracy"] < 0.4 < 0.75 < history[-1]["train_accuracy"]  # measured: 26 and 85 %
    code, out, _ = s4nn("evaluate", weights, "--data", coloured, "--json")
    assert code == 0
    assert json.loads(out)["accuracy_strict"] > 0.65  # measured: 75 %
    images = load("colour", "test", coloured).images
    assert images.shape == (60, 32, 32, 3)
    picture = tmp_path / "picture.png"
    save(picture, images[0])
    code, out, _ = s4nn("predict", weights, picture, "--json")
    assert code == 0
    network, _ = read_weights(weights)
    np.testing.assert_array_equal(json.loads(out)["t_out"], respond(network, images[:1]).t_out[0])
    save(picture, images[0, ..., ::-1])  # red and blue exchanged
    assert json.loads(s4nn("predict", weights, picture, "--json")[1])["t_out"] != json.loads(out)["t_out"]
    code, _, _ = s4nn("predict", weights, picture, "--plot", tmp_path / "v.png")
    assert code == 0
    assert (tmp_path / "v.png").stat().st_size > 10_000
    assert "32x32x3" in s4nn("info", weights)[1]
    assert_refused(s4nn("evaluate", weights, "--dataset", "glyphs"), "28x28x1", "32x32x3")


def test_predict_refuses_what_is_no_image(run_dir, s4nn, tmp_path):
    weights = run_dir / "weights.npz"
    (tmp_path / "text.png").write_text("hello")
    assert_refused(s4nn("predict", weights, tmp_path / "text.png"), "is not a PNG or JPEG file")
    assert_refused(s4nn("predict", weights, tmp_path / "none.png"), "cannot read")
    save(tmp_path / "cut.png", np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8))
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    assert_refused(s4nn("predict", weights, tmp_path / "cut.png"), "cut.png", "damaged picture")
    save(tmp_path / "good.png", np.eye(28, dtype=np.uint8) * 255)
    assert_refused(s4nn("predict", weights, tmp_path / "good.png", "--plot", tmp_path / "text.png" / "v.png"), "v.png")
    assert_refused(s4nn("predict", weights, tmp_path / "good.png", "--plot", tmp_path / "v.none"), "v.none")
    assert not (tmp_path / "v.none").exists()


# ------------------------------------------------------------------------------------------- what becomes of a picture


@pytest.mark.parametrize(
    ("size", "inner", "fitted"),
    [
        ((56, 28), (slice(0, 28), slice(7, 21)), "28 x 56 pixels are scaled to 14 x 28, padded to 28 x 28"),
        ((20, 80), (slice(10, 17), slice(0, 28)), "80 x 20 pixels are scaled to 28 x 7, padded to 28 x 28"),
        ((7, 7), (slice(0, 28), slice(0, 28)), "7 x 7 pixels are scaled to 28 x 28"),
        ((400, 1), (slice(0, 28), slice(13, 14)), "1 x 400 pixels are scaled to 1 x 28, padded to 28 x 28"),
        ((500_000, 8), (slice(0, 28), slice(13, 14)), "8 x 500000 pixels are scaled to 1 x 28, padded to 28 x 28"),
    ],
)
def test_a_picture_keeps_its_aspect_and_is_padded_with_its_background(tmp_path, size, inner, fitted):
    pixels = np.full(size, 40, np.uint8)
    if min(size) > 2:
        pixels[1:-1, 1:-1] = 200  # the edge is the background
    save(tmp_path / "picture.png", pixels)
    picture = read_image(tmp_path / "picture.png", (28, 28, 1))
    assert picture.fitted.startswith(fitted)
    assert ("background" in picture.fitted) == ("padded" in fitted)
    around = np.ones((28, 28), bool)
    around[inner] = False
    assert (picture.image[around] == 40).all()
    assert (picture.image[inner] > 40).mean() > 0.6 or min(size) == 1


def test_a_square_stays_a_square(tmp_path):
    """The same square drawing in a wide, a high and a square frame is the same drawing for the network."""
    drawing, seen = np.pad(np.kron(np.eye(5, dtype=np.uint8) * 255, np.ones((8, 8), np.uint8)), 8), []  # 56 x 56
    for rows, columns in ((0, 28), (28, 0), (28, 28)):
        path = tmp_path / "picture.png"
        save(path, np.pad(drawing, ((rows, rows), (columns, columns))))
        seen.append(as_read(path, (28, 28, 1)))
    np.testing.assert_array_equal(seen[0], seen[2])
    np.testing.assert_array_equal(seen[1], seen[2])


def test_what_was_done_to_a_picture_is_said(run_dir, s4nn, tmp_path):
    weights, wide = run_dir / "weights.npz", tmp_path / "wide.png"
    save(wide, np.pad(make_glyphs(1, 5)[0][0, ..., 0], ((0, 0), (20, 20))))
    code, out, err = s4nn("predict", weights, wide)
    assert code == 0
    assert err.splitlines() == [
        f"s4nn: {wide}: 68 x 28 pixels are scaled to 28 x 12, padded to 28 x 28 with its background"
    ]
    assert len(out.splitlines()) == 1
    assert json.loads(s4nn("predict", weights, wide, "--json")[1])["fitted"].startswith("68 x 28 pixels")
    save(wide, make_glyphs(1, 5)[0][0, ..., 0])
    _, out, err = s4nn("predict", weights, wide, "--json")
    assert err == ""
    assert json.loads(out)["fitted"] is None


@pytest.mark.parametrize(("grey", "words"), [(0, "is black: no input spike"), (90, "is alike everywhere")])
def test_an_empty_picture_has_no_meaning(run_dir, s4nn, tmp_path, grey, words):
    save(tmp_path / "empty.png", np.full((28, 28), grey, np.uint8))
    code, out, err = s4nn("predict", run_dir / "weights.npz", tmp_path / "empty.png")
    assert code == 0
    assert words in err
    assert "means nothing" in err
    assert len(err.splitlines()) == 1
    assert ("without any input spike" in out) == (grey == 0)


# --------------------------------------------------------------------------------------------------- what is answered


def answered(t_pixels, w):
    """The prediction of a network of one dense layer whose pixels fire at these steps. w : (classes, pixels)"""
    network = Network(Settings(f"{len(t_pixels)}-{len(w)}", input_shape=(1, len(t_pixels), 1)))
    network.rows[0][...] = np.array(w).T
    image = np.array([255 - 255 * t // 100 for t in t_pixels], np.uint8)
    np.testing.assert_array_equal((255 - image.astype(int)) * 100 // 255, t_pixels)
    return predict(network, image[None, :, None]), network


def test_the_runner_up_and_the_input_seen_by_hand():
    # output 2 fires with the second spike, at t = 20; output 0 with the third, at t = 40; output 1 never
    p, network = answered([0, 20, 40, 80], [[40, 30, 30, 0], [10, 10, 10, 10], [50, 60, 0, 0]])
    assert (p.label, p.decision_time, p.fired) == (2, 20, True)
    assert (p.runner_up, p.lead) == (0, 20)
    assert p.spikes == (2, 1)
    assert p.seen == 0.5
    assert p.t_out.tolist() == [40, 100, 20]
    names = ("0", "1", "2")
    assert prediction_text("a.png", p, network.t_max, names) == (
        "a.png: class 2, decided at t = 20 of 100 steps, after 50 % of the input spikes and 3 spikes in all; "
        "runner-up 0, 20 steps later"
    )


def test_the_runner_up_of_ties_and_silence():
    tied, _ = answered([0, 20], [[0, 100], [0, 110], [0, 90]])
    assert (tied.label, tied.runner_up, tied.lead) == (1, 0, 0)
    alone, network = answered([0, 20], [[0, 20], [0, 110], [0, 90]])
    assert (alone.label, alone.runner_up, alone.lead) == (1, 2, None)
    names = ("0", "1", "2")
    assert prediction_text("a", alone, network.t_max, names).endswith("; runner-up 2, which does not fire")
    silent, _ = answered([0, 20, 40], [[10, 0, 0], [0, 30, 0], [0, 0, 20]])
    assert (silent.label, silent.fired, silent.decision_time) == (1, False, 100)
    assert (silent.runner_up, silent.lead, silent.seen) == (2, None, 1.0)
    text = prediction_text("a", silent, network.t_max, names)
    assert "no output spike: the largest final potential decides" in text
    assert text.endswith("; runner-up 2")
    one, _ = answered([0, 20], [[50, 60]])
    assert (one.label, one.runner_up, one.lead) == (0, None, None)
    assert "runner-up" not in prediction_text("a", one, network.t_max, ("0",))


def test_the_runner_up_is_the_decision_without_the_first(run_dir, glyphs_100):
    network, _ = read_weights(run_dir / "weights.npz")
    differing = 0
    for image in glyphs_100[1][0]:
        p = predict(network, image)
        assert p.runner_up != p.label
        others = [c for c in range(10) if c != p.label]
        earliest = min(p.t_out[others])
        if earliest < network.t_max:
            assert p.t_out[p.runner_up] == earliest
            assert p.lead == (earliest - p.decision_time if p.fired else None)
            differing += p.lead > 0
        else:
            assert p.lead is None
            assert p.runner_up == max(others, key=lambda c: p.potentials[-1, c])
        fired = (255 - image.astype(int)) * 100 // 255
        arrived = (fired <= min(p.decision_time, 99)).sum()
        assert p.seen == pytest.approx(arrived / (fired < 100).sum())
    assert differing > 10


def test_classes_of_fashion_mnist_have_names(run_dir, s4nn, tmp_path):
    network, config = read_weights(run_dir / "weights.npz")
    write_weights(tmp_path / "fashion.npz", config.changed("data", dataset="fashion-mnist"), network.parameters)
    save(tmp_path / "shoe.png", make_glyphs(1, 5)[0][0, ..., 0])
    names = known("fashion-mnist").classes
    assert (names[0], names[9]) == ("T-shirt", "Ankle boot")
    _, out, _ = s4nn("predict", tmp_path / "fashion.npz", tmp_path / "shoe.png", "--json")
    found = json.loads(out)
    assert isinstance(found["class"], int)
    assert found["name"] == names[found["class"]]
    assert found["runner_up"]["name"] == names[found["runner_up"]["class"]]
    _, out, _ = s4nn("predict", tmp_path / "fashion.npz", tmp_path / "shoe.png")
    assert f"class {found['class']} ({found['name']}), " in out
    _, out, _ = s4nn("predict", run_dir / "weights.npz", tmp_path / "shoe.png", "--json")
    assert json.loads(out)["name"] == str(found["class"])


def test_the_help_explains_the_line(s4nn, run_dir, tmp_path):
    """The line in the help has the form of the line that is printed."""
    _, help_text, _ = s4nn("predict", "--help")
    example = next(line.strip() for line in help_text.splitlines() if line.startswith("  digit.png: "))
    p, network = answered([0, 20, 40], [[40, 30, 30], [60, 60, 0]])
    printed = prediction_text("digit.png", p, network.t_max, ("0", "1"))
    assert re.sub(r"\d+", "N", example) == re.sub(r"\d+", "N", printed)
    for number in ("class 5", "t = 55", "66 %", "1845 spikes", "runner-up 3"):
        assert number in example
        assert re.search(rf"^{number} +\w", help_text, re.M)


def test_neurons_in_continuous_time_are_answered_but_not_drawn(tmp_path):
    network = random_network(
        np.random.default_rng(0), "4C3-5", (6, 6, 1), t_max=12, engine="plain", precision="float64"
    )
    continuous = Network(network.settings, linear)
    continuous.parameters[:] = network.parameters
    image = np.random.default_rng(1).integers(0, 256, (6, 6, 1)).astype(np.uint8)
    p = predict(continuous, image)
    assert p.potentials is None
    assert np.isfinite(p.t_out).all()  # JSON has no infinity
    assert 0 < p.seen <= 1
    with pytest.raises(InputError, match="continuous"):
        plot(tmp_path / "v.png", continuous, [("a", image, p)], tuple("01234"))


@pytest.mark.parametrize("classes", [10, 47])
def test_the_legend_fits_any_number_of_classes(classes):
    network = random_network(np.random.default_rng(0), f"4C3-{classes}", (8, 8, 1), t_max=20)
    p = predict(network, np.random.default_rng(1).integers(0, 256, (8, 8, 1)).astype(np.uint8))
    figure = Figure(figsize=(8.0, 2.8), layout="constrained")
    axes = figure.subplots()
    draw_potentials(axes, network, p, tuple(map(str, range(classes))))
    figure.draw_without_rendering()
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert str(p.label) in shown
    assert len(shown) == (classes if classes <= 12 else CONTENDERS)
    box, whole = axes.get_legend().get_window_extent(), figure.bbox
    assert whole.y0 <= box.y0 < box.y1 <= whole.y1
    assert box.x1 <= whole.x1
    # every curve is inside the frame
    low, high = axes.get_ylim()
    assert low <= p.potentials.min() <= p.potentials.max() <= high
    assert axes.lines[p.label].get_linewidth() == max(line.get_linewidth() for line in axes.lines)
