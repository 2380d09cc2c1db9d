"""A drawn digit in the form of MNIST: by hand, on MNIST itself, and as the command says it."""

import json

import numpy as np
from conftest import assert_refused
from PIL import Image

from s4nn_ref.app.storage import read_weights, write_weights
from s4nn_ref.data.dataset import load
from s4nn_ref.data.like_mnist import like_mnist


def test_a_bar_by_hand():
    """40 x 10 pixels become 20 x 5; rows 4 .. 23 have their centre in row 13.5, which is 14 to the next pixel."""
    canvas = np.full((100, 140, 1), 0.2)  # grey paper
    canvas[50:90, 3:13] = 0.7
    picture = like_mnist(canvas)
    assert picture.image.shape == (28, 28, 1)
    expected = np.zeros((28, 28), np.uint8)
    expected[4:24, 12:17] = 255
    np.testing.assert_array_equal(picture.image[..., 0], expected)
    assert picture.fitted == (
        "of 140 x 100 pixels the digit's 10 x 40 at column 3, row 50 are scaled to 5 x 20, and their centre of mass is "
        "put at the centre of 28 x 28"
    )


def test_the_centre_of_mass_is_at_the_centre():
    canvas = np.zeros((60, 60, 1))
    canvas[10:50, 10:14] = 1.0  # an L, whose mass is below and left of its box's middle
    canvas[46:50, 10:30] = 1.0
    image = like_mnist(canvas).image[..., 0].astype(float)
    for axis in (0, 1):
        centre = np.average(np.arange(28), weights=image.sum(axis=1 - axis))
        assert abs(centre - 14) <= 0.5
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (20, 10)
    assert (rows[0], columns[0]) != (4, 9)


def test_a_digit_whose_mass_is_far_from_its_middle_stays_inside():
    canvas = np.zeros((40, 40, 1))
    canvas[:4, 10:30] = 1.0
    canvas[4:40, 20] = 0.2
    image = like_mnist(np.pad(canvas, ((2, 2), (0, 0), (0, 0)))).image[..., 0]
    rows = np.flatnonzero(image.any(axis=1))
    assert (rows[-1] - rows[0] + 1, rows[-1]) == (20, 27)


def test_images_of_mnist_pass_almost_unchanged(real_data):
    """It is the rule of MNIST's makers: their images are its fixed points."""
    images = load("mnist", "train", real_data).images[:300]
    again = np.stack([like_mnist(image / 255.0).image for image in images])
    change = np.abs(again.astype(int) - images.astype(int))
    assert np.median(change.max(axis=(1, 2, 3))) == 0
    assert change.mean() < 0.5  # measured: 0.16 grey levels; one row off would be 15


def test_predict_says_what_it_did(run_dir, s4nn, tmp_path):
    canvas = np.full((60, 90), 255, np.uint8)
    canvas[10:50, 40:44] = 0
    Image.fromarray(canvas).save(tmp_path / "one.png")
    code, out, err = s4nn(
        "predict", run_dir / "weights.npz", tmp_path / "one.png", "--invert", "--like-mnist", "--json"
    )
    assert code == 0
    assert err.startswith(f"s4nn: {tmp_path / 'one.png'}: of 90 x 60 pixels the digit's 4 x 40 at column 40, row 10")
    assert json.loads(out)["fitted"].endswith("at the centre of 28 x 28")
    _, _, err = s4nn("predict", run_dir / "weights.npz", tmp_path / "one.png", "--like-mnist")
    assert "nothing is brighter than its background" in err
    assert "dark on light needs --invert" in err
    canvas[canvas == 255] = 235
    canvas[30:33, 80] = 255  # paper is never alike
    Image.fromarray(canvas).save(tmp_path / "one.png")
    _, _, err = s4nn("predict", run_dir / "weights.npz", tmp_path / "one.png", "--like-mnist")
    assert "its background is light: is --invert as it should be?" in err
    Image.fromarray(canvas * 0 + 7).save(tmp_path / "none.png")
    code, _, err = s4nn("predict", run_dir / "weights.npz", tmp_path / "none.png", "--like-mnist")
    assert code == 0
    assert "no digit is found" in err
    colour = read_weights(run_dir / "weights.npz")[1]
    colour = colour.changed("network", input_shape=[28, 28, 3])
    write_weights(tmp_path / "c.npz", colour, np.zeros_like(colour.network_of().parameters))
    result = s4nn("predict", tmp_path / "c.npz", tmp_path / "one.png", "--like-mnist")
    assert_refused(result, "makes 28x28x1 images, the network reads 28x28x3")
