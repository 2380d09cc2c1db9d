"""The command `s4nn predict`: pictures of many kinds, and what is no picture."""

import json
import re

import numpy as np
import pytest
from conftest import TINY, assert_refused, with_first_spike, write_idx_set
from PIL import Image

from s4nn_ref.app.predict import read_image
from s4nn_ref.app.record import read_record
from s4nn_ref.app.storage import read_weights
from s4nn_ref.data.dataset import load
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.metrics import respond


def save(path, array):
    """A PNG of the very numbers of an array."""
    Image.fromarray(array).save(path)


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
        np.testing.assert_array_equal(read_image(path, (28, 28, 1), invert), images[0])
    network, _ = read_weights(weights)
    np.testing.assert_array_equal(first["t_out"], respond(network, images[:1]).t_out[0])
    # 2-bit grey: black, two greys, white
    steps = tmp_path / "steps.png"
    Image.fromarray(np.repeat(np.arange(4, dtype=np.uint8) * 85, 7)[None].repeat(28, axis=0)).save(steps, bits=2)
    assert sorted(set(read_image(steps, (28, 28, 1)).ravel())) == [0, 85, 170, 255]
    deep = tmp_path / "deep.png"
    save(deep, pixels.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(deep, (28, 28, 1)), images[0])
    clear = tmp_path / "clear.png"
    save(clear, np.zeros((28, 28, 4), np.uint8))
    assert (read_image(clear, (28, 28, 1)) == 255).all()  # transparent is paper
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
    save(tmp_path / "good.png", np.zeros((9, 9), np.uint8))
    result = s4nn("predict", weights, tmp_path / "good.png", "--plot", tmp_path / "none" / "v.png")
    assert result[0] == 2
