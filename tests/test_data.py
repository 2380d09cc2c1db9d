"""IDX files: what is read, found and refused; the embedded digits; augmentation."""

import gzip

import numpy as np
import pytest
import twins
from conftest import idx_bytes, without_grey_channel, write_idx_set
from hypothesis import given, settings
from hypothesis import strategies as st

from s4nn_ref.data.dataset import check_fits, load
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.data.idx import find, parse_idx, search_path
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network
from s4nn_ref.network import Settings as NetworkSettings
from s4nn_ref.training.augmentation import Settings, apply_maps, augment, draw_maps

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_idx_round_trip():
    grey = parse_idx(idx_bytes(IMAGES), "images")
    assert grey.shape == (2, 3, 4, 1)
    np.testing.assert_array_equal(grey[..., 0], IMAGES)
    coloured = IMAGES.reshape(2, 2, 2, 3)
    np.testing.assert_array_equal(parse_idx(idx_bytes(coloured), "images"), coloured)
    np.testing.assert_array_equal(parse_idx(idx_bytes(IMAGES[0, 0]), "labels"), IMAGES[0, 0])


@pytest.mark.parametrize(
    ("content", "what", "says"),
    [
        (b"", "images", "truncated"),
        (idx_bytes(IMAGES)[:10], "images", "truncated"),
        (idx_bytes(IMAGES)[:-1], "images", "truncated"),
        (idx_bytes(IMAGES) + b"x", "images", "too long"),
        (idx_bytes(IMAGES), "labels", "swapped"),
        (idx_bytes(IMAGES[0, 0]), "images", "swapped|truncated"),
        (gzip.compress(idx_bytes(IMAGES)), "images", "compressed twice"),
        (idx_bytes(IMAGES[:0]), "images", "holds no images"),
        (idx_bytes(IMAGES.reshape(2, 2, 2, 3))[:-1], "images", "truncated"),
        (idx_bytes(IMAGES.reshape(2, 2, 2, 3)), "labels", "swapped"),
        (idx_bytes(IMAGES.reshape(1, 2, 2, 2, 3)), "images", "not an IDX file of images"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "images", "truncated"),
    ],
)
def test_bad_idx_is_refused(content, what, says):
    with pytest.raises(InputError, match=says):
        parse_idx(content, what)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64), st.sampled_from(["images", "labels"]))
def test_any_bytes_give_an_array_or_an_input_error(content, what):
    try:
        array = parse_idx(content, what)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert idx_bytes(without_grey_channel(array) if content[3] == 3 else array) == content


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 39), st.integers(0, 255), st.integers(0, 40))
def test_a_changed_or_cut_file_never_crashes(position, value, length):
    content = bytearray(idx_bytes(IMAGES))
    content[position] = value
    try:
        array = parse_idx(bytes(content[:length]), "images")
    except InputError:
        return
    assert array.ndim == 4


def test_load_finds_plain_and_compressed_files(data_dir, glyphs_100):
    dataset = load("tiny", "train", data_dir)
    np.testing.assert_array_equal(dataset.images, glyphs_100[0][0])
    np.testing.assert_array_equal(dataset.labels, glyphs_100[0][1])
    path = data_dir / "tiny" / "train-images-idx3-ubyte.gz"
    (data_dir / "tiny" / "train-images-idx3-ubyte").write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    assert load("tiny", "train", data_dir).sha256 == dataset.sha256


def test_images_with_channels_are_loaded_as_they_are(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    labels = np.arange(5, dtype=np.uint8)
    write_idx_set(tmp_path / "colour", images, labels, images[:2], labels[:2])
    np.testing.assert_array_equal(load("colour", "train", tmp_path).images, images)
    dataset = load("colour", "test", tmp_path)
    check_fits(dataset, Network(NetworkSettings("4C3-10", input_shape=(32, 32, 3))))
    with pytest.raises(InputError, match="images are 32x32x3, the network reads 32x32x1"):
        check_fits(dataset, Network(NetworkSettings("4C3-10", input_shape=(32, 32, 1))))


def test_search_order(data_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("S4NN_DATA", str(data_dir))
    assert load("tiny", "test").labels.size == 60
    assert search_path()[0] == data_dir
    assert find("tiny", "t10k-labels-idx1-ubyte").parent == data_dir / "tiny"
    with pytest.raises(InputError, match="is not a folder; correct --data"):
        load("tiny", "test", tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no mirror is known"):
        load("kmnist-of-nobody", "test")
    monkeypatch.setenv("S4NN_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="is not a folder; correct --data or S4NN_DATA"):
        load("tiny", "test")
    # the current folder's data/
    monkeypatch.delenv("S4NN_DATA")
    monkeypatch.chdir(tmp_path)
    assert load("tiny", "test").labels.size == 60


def test_a_folder_that_is_given_is_the_only_one_searched(data_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("S4NN_DATA", str(data_dir))
    monkeypatch.setattr("pooch.retrieve", lambda *_, **__: pytest.fail("nothing is downloaded either"))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert search_path(empty) == [empty]
    assert find("tiny", "t10k-labels-idx1-ubyte", empty) is None
    for name in ("tiny", "mnist"):
        with pytest.raises(InputError, match=rf"{name}/.* not found in .*empty; correct --data"):
            load(name, "test", empty)


@pytest.mark.parametrize("damage", ["cut gz", "no gz", "bit flip"])
def test_damaged_gz_is_refused(data_dir, damage):
    path = data_dir / "tiny" / "train-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    if damage == "cut gz":
        content = content[: len(content) // 2]
    elif damage == "no gz":
        content = bytearray(b"hello")
    else:
        content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"truncated or corrupt|no IDX|too long"):
        load("tiny", "train", data_dir)


def test_labels_that_do_not_belong(tmp_path):
    images, labels = make_glyphs(20, 0)
    write_idx_set(tmp_path / "odd", images, labels[:-1], images, labels)
    with pytest.raises(InputError, match="20 images but 19 labels"):
        load("odd", "train", tmp_path)


def test_a_set_under_a_known_name_must_be_the_original(tmp_path):
    images, labels = make_glyphs(20, 0)
    write_idx_set(tmp_path / "mnist", images, labels, images, labels)
    with pytest.raises(InputError, match="wrong checksum"):
        load("mnist", "train", tmp_path)


def test_fashion_under_the_name_of_mnist(real_data, tmp_path):
    (tmp_path / "mnist").symlink_to((real_data / "fashion-mnist").resolve())
    with pytest.raises(InputError, match="is fashion-mnist's file, not mnist's"):
        load("mnist", "test", tmp_path)


def test_glyphs_are_the_same_for_the_same_seed():
    (images, labels), (again, _), (other, _) = make_glyphs(50, 3), make_glyphs(50, 3), make_glyphs(50, 4)
    assert images.tobytes() == again.tobytes()
    assert images.tobytes() != other.tobytes()
    assert images.shape == (50, 28, 28, 1)
    assert set(labels) <= set(range(10))
    assert (images.max(axis=(1, 2, 3)) > 200).all()
    assert 0.05 < (images > 0).mean() < 0.4  # mostly background, as MNIST


def test_augmentation_equals_its_twin():
    config = Settings(shift=2, probability=0.8, rotation=20, scale=0.2, shear=0.1, flip=True)
    images = make_glyphs(30, 5)[0][:, :, 3:, 0]  # not square
    images = np.stack([images, images[::-1], 255 - images], axis=3)  # channels that differ
    maps = draw_maps(config, 30, np.random.default_rng(6))
    out = np.empty_like(images)
    apply_maps(images, maps, out)
    for image, affine, moved in zip(images, maps, out, strict=True):
        for channel in range(3):
            np.testing.assert_array_equal(moved[..., channel], twins.apply_map(image[..., channel], affine))
    assert (out != images).any(axis=(1, 2, 3)).mean() > 0.9


def test_augmentation_by_hand():
    image = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    out = np.empty_like(image)
    shift = np.array([[[1.0, 0, 1], [0, 1, 0]]])
    apply_maps(image, shift, out)
    assert out[0, ..., 0].tolist() == [[3, 4, 5], [6, 7, 8], [0, 0, 0]]
    mirrored = np.array([[[1.0, 0, 0], [0, -1, 0]]])
    apply_maps(image, mirrored, out)
    assert out[0, ..., 0].tolist() == [[2, 1, 0], [5, 4, 3], [8, 7, 6]]


@pytest.mark.parametrize("channels", [1, 3])
def test_erased_squares(channels):
    images = np.full((3000, 20, 30, channels), 9, np.uint8)
    out = augment(Settings(erase=6), images, np.random.default_rng(9))
    assert ((out == 0) | (out == 9)).all()
    blank = (out == 0).any(axis=3)
    np.testing.assert_array_equal(blank, (out == 0).all(axis=3))  # in all channels alike
    hit = blank.any(axis=(1, 2))
    assert 0.45 < hit.mean() < 0.55
    assert blank.any(axis=0)[6:, 6:].all()  # every place is reached, the first rows and columns less often
    for one in blank[hit]:
        rows, columns = np.flatnonzero(one.any(axis=1)), np.flatnonzero(one.any(axis=0))
        assert one[np.ix_(rows, columns)].all()
        assert max(len(rows), len(columns)) <= 6
        assert len(rows) == rows[-1] - rows[0] + 1
        if rows[-1] < 19 and columns[-1] < 29:  # not cut by the border
            assert len(rows) == len(columns)
    shifted = augment(Settings(shift=1), images[:20, 2:-2], np.random.default_rng(9))
    assert (shifted[:, 1:-1, 1:-1] == 9).all()
    assert (shifted == 0).any()


def test_augmentation_invents_no_grey_value():
    images, _ = make_glyphs(20, 7)
    config = Settings(shift=1, probability=1.0, rotation=15, scale=0.1, shear=0.1)
    out = augment(config, images, np.random.default_rng(8))
    for before, after in zip(images, out, strict=True):
        assert set(after.ravel()) <= set(before.ravel())
    assert (out != images).any(axis=(1, 2, 3)).all()
