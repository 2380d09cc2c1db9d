"""Data as people have them: folders of pictures, NPZ and CSV files, EMNIST; what is taken from them, and refused."""

import gzip
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_refused, idx_bytes
from PIL import Image, ImageOps

from s4nn_ref.app.record import read_record
from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.arrays import without_test_images
from s4nn_ref.data.classes import EMNIST, numbered
from s4nn_ref.data.dataset import Dataset, load, verified
from s4nn_ref.data.pictures import form_of, read_image
from s4nn_ref.errors import InputError
from s4nn_ref.files import load_npz, write_npz

PAGE = (Path(__file__).parent.parent / "docs" / "data.md").read_text()
NAMES = ("column", "row")


def bars(n, seed):
    """White bars on black, (n, 8, 8), and what they are."""
    rng = np.random.default_rng(seed)
    images, labels = np.zeros((n, 8, 8), np.uint8), np.array(["row", "column"] * (n // 2))
    for image, label in zip(images, labels, strict=True):
        at = rng.integers(8)
        image[(at, slice(None)) if label == "row" else (slice(None), at)] = 255
        image += rng.integers(0, 20, (8, 8), np.uint8) * (image == 0)
    return images, labels


@pytest.fixture
def bars_dir(tmp_path):
    """A folder in which "pictures", "keras", "medmnist", "csv" and "kaggle" are the same bars: 48 and 12."""
    folder = tmp_path / "data"
    (x, y), (u, v) = train, test = bars(48, 1), bars(12, 2)
    for split, (images, labels) in (("train", train), ("test", test)):
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            save(folder / "pictures" / split / label / f"{i:02}.png", image)
        for name, header in (("csv", None), ("kaggle", ["label", *map(str, range(64))])):
            rows = [[label, *image.ravel()] for image, label in zip(images, labels, strict=True)]
            write_csv(folder / name / f"{split}.csv", ([header] if header else []) + rows)
    np.savez(folder / "keras.npz", x_train=x, y_train=y, x_test=u, y_test=v)
    np.savez_compressed(
        folder / "medmnist.npz", train_images=x[..., None], train_labels=y[:, None], test_images=u[..., None],
        test_labels=v[:, None], val_images=x[:2], val_labels=y[:2],
    )  # fmt: skip
    return folder


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")


def refusal(name, folder, split="train", shape=None):
    """The one line with which a data set is refused."""
    with pytest.raises(InputError) as error:
        load(name, split, folder, shape)
    assert "\n" not in str(error.value)
    return str(error.value)


def sorted_rows(one):
    """Images and their names in an order that does not depend on the source."""
    return sorted((image.tobytes(), one.classes[label]) for image, label in zip(one.images, one.labels, strict=True))


# ---------------------------------------------------------------------------------------------------- what all share


def test_the_page_on_data_runs(tmp_path, monkeypatch, s4nn):
    """Every block of docs/data.md, in its order; what it prints is what is printed."""
    monkeypatch.chdir(tmp_path)
    names, printed, kinds = {}, "", []
    for kind, block in re.findall(r"```(\w+)\n(.*?)```", PAGE, re.S):
        kinds.append(kind)
        if kind == "python":
            exec(block, names)
        elif kind == "toml":
            Path("bars.toml").write_text(block)
        elif kind == "sh":
            results = [s4nn(*line.split()[1:]) for line in block.splitlines()]
            assert [code for code, _, _ in results] == [0] * len(results), results
            printed = "".join(out for _, out, _ in results)
        else:
            assert block in printed
    assert kinds.count("text") == 3


@pytest.mark.parametrize("name", ["pictures", "keras", "medmnist", "csv", "kaggle"])
def test_every_kind_gives_the_same_images(bars_dir, name):
    for split, (images, labels) in (("train", bars(48, 1)), ("test", bars(12, 2))):
        one = load(name, split, bars_dir)
        assert one.images.shape == (len(images), 8, 8, 1)
        assert (one.images.dtype, one.labels.dtype, one.names) == (np.uint8, np.uint8, NAMES)
        expected = Dataset("", split, images[..., None], (labels == "row").astype(int), ("", ""), NAMES)
        assert sorted_rows(one) == sorted_rows(expected)
        assert one.sha256 == tuple(hashlib.sha256(a.tobytes()).hexdigest() for a in (one.images, one.labels))
        assert len(one.notes) == (name == "medmnist" and split == "train")


def test_the_cut_is_every_sixth_image_of_a_class(tmp_path):
    """D40."""
    labels = np.array(list("aabababaaaaaacddeeeee"))
    test = without_test_images(labels, "test").tolist()
    of = {c: [np.flatnonzero(labels == c).tolist().index(i) for i in test if labels[i] == c] for c in "abcde"}
    assert of == {"a": [5], "b": [2], "c": [], "d": [1], "e": [4]}
    assert sorted([*test, *without_test_images(labels, "train")]) == list(range(len(labels)))
    images, labels = bars(24, 3)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        save(tmp_path / "flat" / label / f"{i:02}.png", image)
        save(tmp_path / "half" / "train" / label / f"{i:02}.png", image)
    np.savez(tmp_path / "whole.npz", x=images, y=labels)
    write_csv(tmp_path / "one.csv", [[label, *image.ravel()] for image, label in zip(images, labels, strict=True)])
    for name in ("flat", "half", "whole", "one"):
        train, test = verified(name, tmp_path)
        assert sorted_rows(test) == sorted((images[i].tobytes(), labels[i]) for i in (10, 11, 22, 23))
        assert len(train.labels) == 20
        assert "every 6th" in train.notes[0]


def test_classes_are_in_order():
    names, numbers = numbered(np.array(["10", "9", "b", "B", "-1", "b"]), "x")
    assert names == ("-1", "9", "10", "B", "b")
    assert numbers.tolist() == [2, 1, 4, 3, 0, 4]
    assert numbered(np.array([5, 0, 2]), "x")[0] == ("0", "2", "5")
    assert numbered(np.arange(300), "x")[1].tolist() == list(range(300))
    for bad in ("", " ", "a\nb"):
        with pytest.raises(InputError, match="no name of a class"):
            numbered(np.array(["a", bad]), "x")


def test_two_sets_of_one_name_are_refused(bars_dir):
    (bars_dir / "csv.npz").write_bytes((bars_dir / "keras.npz").read_bytes())
    assert "are both there; rename one" in refusal("csv", bars_dir)
    assert "own data: docs/data.md" in refusal("nothing", bars_dir)
    np.savez(bars_dir / "mnist.npz", x_train=X, y_train=Y)
    assert "this name is that of IDX files: call mnist.npz otherwise" in refusal("mnist", bars_dir)


def test_data_commands_say_what_they_find(bars_dir, s4nn):
    code, out, err = s4nn("data", "verify", "medmnist", "--data", bars_dir)
    assert code == 0
    assert out.splitlines() == [
        "medmnist train: 48 images, 8x8x1, 2 classes: column 24, row 24",
        "medmnist test: 12 images, 8x8x1, 2 classes: column 6, row 6",
    ]
    assert "val_images is not read" in err
    _, out, _ = s4nn("data", "where", "kaggle", "--data", bars_dir)
    assert [line.rpartition("/")[2] for line in out.splitlines()] == ["train.csv", "test.csv"]
    assert "not found" in s4nn("data", "where", "nothing", "--data", bars_dir)[1]
    x, y = bars(4, 1)
    np.savez(bars_dir / "odd.npz", x_train=x, y_train=y, x_test=x[:, 1:], y_test=y)
    assert_refused(s4nn("data", "verify", "odd", "--data", bars_dir), "8x8x1, test images 7x8x1")


# ---------------------------------------------------------------------------------------------------------- pictures


def test_pictures_of_unlike_size_get_one(tmp_path):
    """D40: the medians, at most 64; or what the experiment names. The aspect is kept."""
    for i, (rows, columns) in enumerate([(200, 100), (100, 100), (200, 100), (200, 110)]):
        for split in ("train", "test"):
            save(tmp_path / "odd" / split / "ab"[i % 2] / f"{i}.png", np.full((rows, columns), 150 + i, np.uint8))
    one = load("odd", "train", tmp_path)
    assert one.images.shape == (4, 64, 32, 1)
    assert (one.images == np.array([150, 152, 151, 153])[:, None, None, None]).all()  # padded with its background
    assert "from 100 x 100 to 110 x 200 pixels; network.input_shape = [64, 32, 1]" in one.notes[0]
    assert "4 of 4 pictures are scaled to 32 x 64 pixels" in one.notes[1]
    named = load("odd", "train", tmp_path, (8, 8, 3))
    assert named.images.shape == (4, 8, 8, 3)
    assert len(named.notes) == 1


def test_channels_follow_from_the_pictures(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    save(tmp_path / "grey" / "train" / "a" / "0.png", grey)
    save(tmp_path / "grey" / "train" / "a" / "1.PNG", grey.astype(np.uint16) * 257)
    save(tmp_path / "grey" / "train" / "a" / "2.png", grey > 30)
    one = load("grey", "train", tmp_path)
    assert one.images.shape == (2, 8, 8, 1)
    np.testing.assert_array_equal(one.images[0, ..., 0], grey)
    np.testing.assert_array_equal(one.images[1, ..., 0], grey)
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4] = 200, 100, 50, 255
    save(tmp_path / "colour" / "train" / "a" / "0.png", clear)
    save(tmp_path / "colour" / "train" / "a" / "1.jpeg", np.zeros((8, 8), np.uint8))
    (image,) = load("colour", "train", tmp_path).images
    assert image[0, 0].tolist() == [200, 100, 50]
    assert image[7, 7].tolist() == [255, 255, 255]  # transparent is paper
    assert load("colour", "train", tmp_path, (8, 8, 1)).images.shape == (1, 8, 8, 1)


@pytest.mark.parametrize("orientation", range(10))
def test_pictures_of_cameras_are_upright(tmp_path, orientation):
    """As Pillow turns them by what EXIF says; 0 and 9 mean nothing."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "held.png"
    picture.save(path, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    assert form_of(path) == expected.shape
    np.testing.assert_array_equal(read_image(path, expected.shape).image, expected)


def test_what_is_left_out_of_a_folder_is_said(bars_dir):
    folder = bars_dir / "pictures"
    (folder / "train" / "row" / "note.txt").write_text("x")
    (folder / "train" / "row" / ".DS_Store").write_text("x")
    (folder / "train" / "readme.md").write_text("x")
    (folder / "valid").mkdir()
    before, after = load("kaggle", "train", bars_dir), load("pictures", "train", bars_dir)
    assert sorted_rows(before) == sorted_rows(after)
    assert "valid beside train is not read" in after.notes[0]
    assert "2 files" in after.notes[1]
    assert "(1 .md, 1 .txt)" in after.notes[1]


def test_folders_that_are_no_data_are_refused(bars_dir):
    folder = bars_dir / "pictures"
    (folder / "train" / "empty").mkdir()
    assert re.search("train/empty holds no .png or .jpg file; .*remove the folder", refusal("pictures", bars_dir))
    (folder / "train" / "empty" / "more").mkdir()
    assert "train/empty holds only folders" in refusal("pictures", bars_dir)
    (folder / "train" / "empty" / "0.png").write_text("hello")
    assert "0.png is not a PNG or JPEG file" in refusal("pictures", bars_dir)
    (bars_dir / "void").mkdir()
    assert "void holds no folder of pictures" in refusal("void", bars_dir)
    (bars_dir / "late" / "test").mkdir(parents=True)
    assert "no folder train" in refusal("late", bars_dir)
    save(bars_dir / "few" / "a" / "0.png", np.zeros((8, 8), np.uint8))
    assert "too few pictures for test images" in refusal("few", bars_dir, "test")


def test_test_images_have_the_classes_of_the_training_images(bars_dir):
    (bars_dir / "pictures" / "test" / "row").rename(bars_dir / "pictures" / "test" / "diagonal")
    with pytest.raises(InputError, match="pictures test has class diagonal, but the network's are column, row"):
        verified("pictures", bars_dir)
    for path in (bars_dir / "pictures" / "test" / "diagonal").iterdir():
        path.unlink()
    (bars_dir / "pictures" / "test" / "diagonal").rmdir()
    _, test = verified("pictures", bars_dir)
    assert test.notes == ("there is no image of row",)
    assert test.labels.tolist() == [0] * 6


# --------------------------------------------------------------------------------------------------------------- NPZ

X, Y = bars(6, 4)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (X.astype(np.int64), X),
        (X.astype(float), X),
        (X / 255, X),
        (X > 100, (X > 100) * 255),
        (X.reshape(6, 64), X),
        (X[..., None], X),
        ((X / 255).astype(np.float32), X),
    ],
)
def test_pixels_of_any_type(tmp_path, images, expected):
    np.savez(tmp_path / "own.npz", x_train=images, y_train=Y, x_test=images, y_test=Y)
    np.testing.assert_array_equal(load("own", "train", tmp_path).images[..., 0], expected)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([0, 2, 5] * 2), ("0", "2", "5")),
        (np.array([1.0, 2.0, 3.0] * 2), ("1", "2", "3")),
        (np.array([True, False] * 3), ("0", "1")),
        (np.array([b"cat", b"dog"] * 3), ("cat", "dog")),
        (np.array([[7], [8]] * 3, np.uint8), ("7", "8")),
    ],
)
def test_labels_of_any_kind(tmp_path, labels, names):
    np.savez(tmp_path / "own.npz", x_train=X, y_train=labels, x_test=X, y_test=labels)
    one = load("own", "train", tmp_path)
    assert one.names == names
    assert [one.names[label] for label in one.labels] == [
        str(name.decode() if isinstance(name, bytes) else int(name)) for name in labels.ravel().tolist()
    ]


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (X.astype(np.uint16) * 257, Y, "16 bits: divide by 257"),
        (X - 1.0, Y, "from -1 to 254"),
        (X * np.nan, Y, "from nan to nan"),
        (X / 2, Y, "with fractions; divide by 255"),
        (np.repeat(X[:, None], 3, 1), Y, r"channels come last: np\.moveaxis"),
        (np.repeat(X[..., None], 4, 3), Y, r"8x8x4, .*leave transparency out"),
        (X[:, :, :, None, None], Y, "images are 8x8x1x1"),
        (X.astype(str), Y, "pixels are <U3"),
        (X.reshape(6, 64)[:, 1:], Y, "63 pixels are no grey square; .*network.input_shape"),
        (X[:0], Y[:0], "holds no images"),
        (X, Y[:-1], "6 images but labels"),
        (X, np.eye(6), r"one-hot: y\.argmax"),
        (X, np.arange(6) / 2, "labels are float64"),
        (X, Y.astype(object), "Python objects, which are never read"),
        (np.array([1, "a"] * 3, object), Y, "Python objects, which are never read"),
    ],
)
def test_arrays_that_are_no_data_are_refused(tmp_path, images, labels, says):
    np.savez(tmp_path / "own.npz", x_train=images, y_train=labels)
    assert re.search(says, refusal("own", tmp_path))


def test_files_that_are_no_npz_are_refused(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, pictures=X, y_train=Y)
    assert re.search("holds pictures, y_train; expected x_train", refusal("own", tmp_path))
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"hello", b""):
        path.write_bytes(damaged)
        assert "own.npz is damaged or no NPZ file" in refusal("own", tmp_path)
    with path.open("wb") as file:
        np.save(file, X)
    assert "holds a single array" in refusal("own", tmp_path)


def test_dim_pixels_are_told_of(tmp_path):
    np.savez(tmp_path / "own.npz", x_train=X // 16, y_train=Y)
    assert "brightest pixel is 15 of 255" in load("own", "train", tmp_path).notes[1]
    np.savez(tmp_path / "own.npz", x_train=255 - X, y_train=Y)
    assert re.search("images are light, .* store 255 - x", load("own", "train", tmp_path).notes[1])
    np.savez(tmp_path / "own.npz", x_train=X, y_train=["row"] * 6)
    assert "one class only, row" in load("own", "train", tmp_path).notes[1]
    np.savez(tmp_path / "own.npz", x_train=X.reshape(6, 64)[:, :48], y_train=Y)
    assert load("own", "train", tmp_path, (4, 4, 3)).images.shape == (4, 4, 4, 3)


# --------------------------------------------------------------------------------------------------------------- CSV

ROWS = [[label, *image.ravel()] for image, label in zip(X, Y, strict=True)]


def test_forms_of_csv(tmp_path):
    expected = sorted((image.tobytes(), label) for image, label in zip(X, Y, strict=True))
    header = [f"pixel{i}" for i in range(64)]
    last = [[*header, "Class"], *([*row[1:], row[0]] for row in ROWS)]
    quoted = [[f'"{cell}"' for cell in row] for row in [["label", *header], *ROWS]]
    for rows in (ROWS, [["label", *header], *ROWS], [["label", *range(64)], *ROWS], last, quoted):
        for split in ("train", "test"):
            write_csv(tmp_path / "own" / f"{split}.csv", rows)
        assert sorted_rows(load("own", "train", tmp_path)) == expected
    text = "\ufeff" + (tmp_path / "own" / "train.csv").read_text().replace("\n", "\r\n") + "\r\n"
    (tmp_path / "own" / "train.csv").unlink()
    (tmp_path / "own" / "train.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert sorted_rows(load("own", "train", tmp_path)) == expected
    write_csv(tmp_path / "numbers.csv", [[f"{i % 2 + 3}.0", *row[1:]] for i, row in enumerate(ROWS)])
    assert load("numbers", "train", tmp_path).names == ("3", "4")


def changed(row, column, value):
    rows = [list(row) for row in ROWS]
    rows[row][column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (changed(2, 5, "grey"), "line 3, column 6: 'grey' is not a number"),
        (changed(2, 5, ""), "line 3, column 6: '' is not a number"),
        (changed(2, 5, 256), "pixels from 0 to 256"),
        (changed(2, 5, -1), "pixels from -1"),
        (changed(2, 0, ""), "'' is no name of a class"),
        ([*ROWS, ROWS[0][:20]], "line 7: 20 cells, 65 in others; is it cut"),
        ([row[:-1] for row in ROWS], "63 pixels are no grey square; .*network.input_shape"),
        ([[f"pixel{i}" for i in range(64)], *(row[1:] for row in ROWS)], 'names no column "label"; add the labels'),
        ([["", "label", *range(64)], *([i, *row] for i, row in enumerate(ROWS))], r"to_csv\(index=False\)"),
        ([[";".join(map(str, row))] for row in ROWS], "its first row has 1 cell; .*parted by commas"),
        ([["label", *range(64)]], "holds a header and no images"),
        ([], "is empty"),
    ],
)
def test_csv_that_is_no_data_is_refused(tmp_path, rows, says):
    write_csv(tmp_path / "own.csv", rows)
    assert re.search(says, refusal("own", tmp_path))


def test_files_that_are_no_csv_are_refused(tmp_path):
    (tmp_path / "own.csv").write_bytes(b"\xff\xfe\x00")
    assert "not text in UTF-8" in refusal("own", tmp_path)
    (tmp_path / "own.csv").unlink()
    (tmp_path / "own.csv.gz").write_bytes(gzip.compress(b"a,1,2,3,4\n" * 100)[:20])
    assert "cut or damaged gzip" in refusal("own", tmp_path)
    write_csv(tmp_path / "test" / "test.csv", ROWS)
    assert "cannot read" in refusal("test", tmp_path)


# ------------------------------------------------------------------------------------------------------------ EMNIST


@pytest.mark.parametrize("name", sorted(EMNIST))
@pytest.mark.parametrize("place", ["emnist", "own name"])
def test_emnist_is_read_upright_from_0(tmp_path, name, place):
    """D40."""
    folder, first = tmp_path / (name if place == "own name" else place), int(name == "emnist-letters")
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    labels = np.array([0, 3, len(EMNIST[name]) - 1], np.uint8)
    for split in ("train", "test"):
        (folder / f"{name}-{split}-images-idx3-ubyte").write_bytes(idx_bytes(images.transpose(0, 2, 1).copy()))
        (folder / f"{name}-{split}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(idx_bytes(labels + np.uint8(first)))
        )
    for one in verified(name, tmp_path):
        np.testing.assert_array_equal(one.images[..., 0], images)
        assert one.labels.tolist() == labels.tolist()
    config = config_of_dict({"network": {"structure": "4C5-auto"}, "data": {"dataset": name}})
    assert config.network.structure == f"4C5-{len(EMNIST[name])}"
    assert config.classes == EMNIST[name]
    (folder / f"{name}-test-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels + np.uint8(first + 1))))
    assert f"expected {first} to" in refusal(name, tmp_path, "test")


def test_classes_of_emnist():
    """As Cohen et al. 2017 count them; the characters are those of the mapping files of the archive."""
    sizes = {name.removeprefix("emnist-"): len(classes) for name, classes in EMNIST.items()}
    assert sizes == {"balanced": 47, "bymerge": 47, "byclass": 62, "letters": 26, "digits": 10, "mnist": 10}
    byclass, balanced = EMNIST["emnist-byclass"], EMNIST["emnist-balanced"]
    assert [byclass[i] for i in (9, 10, 35, 36, 61)] == ["9", "A", "Z", "a", "z"]
    assert [balanced[i] for i in (10, 35, 36, 38, 43, 46)] == ["A", "Z", "a", "d", "n", "t"]
    assert EMNIST["emnist-letters"][25] == "Z"


def test_emnist_that_is_not_there_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("S4NN_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"emnist/emnist-letters-train-images.*EMNIST/gzip\.zip"):
        load("emnist-letters", "train")


# --------------------------------------------------------------------------------------------- what data leave to say


def open_config(name="own", **sections):
    return config_of_dict({"network": {"structure": "4C3-P2-auto"}, "data": {"dataset": name}, **sections})


def test_what_is_auto_is_that_of_the_data(bars_dir):
    """D40: size, outputs, names, and what follows from them: ranges of weights and rates of every layer."""
    config = open_config("pictures", optimiser={"weight_decay": [0.1, 0.2]})
    assert config.open
    with pytest.raises(InputError, match="not known before a training run reads its data"):
        config.network_of()
    ready = config.on(load("pictures", "train", bars_dir))
    assert not ready.open
    assert (ready.network.structure, ready.network.input_shape) == ("4C3-P2-2", (8, 8, 1))
    assert (ready.data.names, ready.classes, ready.data.validation) == (NAMES, NAMES, 4)
    same = {"structure": "4C3-P2-2", "input_shape": [8, 8, 1]}
    data = {"dataset": "pictures", "names": list(NAMES), "validation": 4}
    assert ready == open_config("pictures", network=same, data=data, optimiser={"weight_decay": [0.1, 0.2]})
    assert config_of_dict(ready.as_dict()) == ready
    assert ready.on(load("pictures", "train", bars_dir)) == ready
    with pytest.raises(InputError, match="weight_decay has 3 values, but 4C3-P2-2 has 2"):
        open_config("pictures", optimiser={"weight_decay": [1, 2, 3]}).on(load("pictures", "train", bars_dir))
    with pytest.raises(InputError, match="unknown key optimiser"):
        open_config("pictures", optimiser={"wait": 1})  # before anything is read


def test_known_data_need_not_be_read():
    for name, shape, names in (
        ("mnist", "4C3-10", ()),
        ("fashion-mnist", "4C3-10", "Ankle boot"),
        ("glyphs", "4C3-10", ()),
    ):
        config = config_of_dict({"network": {"structure": "4C3-auto"}, "data": {"dataset": name}})
        assert (config.network.structure, config.network.input_shape, config.open) == (shape, (28, 28, 1), False)
        assert config.data.names == names or config.data.names[-1] == names
    # what a record of 0.3.0 says, which had no names
    tables = config.as_dict()
    del tables["data"]["names"]
    assert config_of_dict(tables) == config


@pytest.mark.parametrize(
    ("network", "data", "says"),
    [
        (
            {"structure": "4C3-10"},
            {},
            "4C3-10 has 10 output neurons, but there are 2 classes .*end .* in -2 or in -auto",
        ),
        ({"structure": "4C3-auto"}, {"names": ["a", "b", "c"]}, "pictures train has classes? column, row"),
        ({"structure": "4C3-auto"}, {"names": ["row", "row"]}, "names that differ"),
        ({"structure": "4C3-auto-10"}, {}, 'only "auto" at the end'),
        ({"structure": "4C3-auto", "input_shape": "big"}, {}, "network.input_shape"),
        ({"structure": "784-auto"}, {}, "starts with 784 inputs, but the input is 8x8x1 = 64"),
    ],
)
def test_what_does_not_suit_the_data_is_refused(bars_dir, tmp_path, s4nn, network, data, says):
    def table(keys):
        return "\n".join(
            f"{key} = {str(value)!r}" if isinstance(value, str) else f"{key} = {value}" for key, value in keys.items()
        )

    toml = tmp_path / "own.toml"
    toml.write_text(f'[network]\n{table(network)}\n[data]\ndataset = "pictures"\n{table(data)}\n')
    result = s4nn("train", toml, "--data", bars_dir, "--out", tmp_path / "run")
    assert_refused(result)
    assert re.search(says, result[2])
    assert not (tmp_path / "run").exists()


def test_import_needs_the_numbers(tmp_path, s4nn):
    toml = tmp_path / "own.toml"
    toml.write_text('network.structure = "16-auto"\nnetwork.input_shape = [4, 4, 1]\ndata.dataset = "own"\n')
    np.save(tmp_path / "w.npy", np.ones((2, 16)))
    result = s4nn("import", toml, tmp_path / "w.npy", "--out", tmp_path / "w.npz")
    assert_refused(result, "as many outputs as there are classes", "write the number")


# ------------------------------------------------------------------------------------------------------------- names


def test_classes_are_told_apart_by_their_names():
    """D40."""
    one = Dataset("own", "test", X[..., None], np.array([0, 1, 2, 2, 1, 0], np.uint8), ("", ""), ("cat", "dog", "eel"))
    other = one.called(("eel", "dog", "ape", "cat"))
    assert other.labels.tolist() == [3, 1, 0, 0, 1, 3]
    assert other.notes == ("there is no image of ape",)
    with pytest.raises(InputError, match="own test has classes cat, eel, but the network's are dog, ape"):
        one.called(("dog", "ape"))
    with pytest.raises(InputError, match="has classes cat, dog, eel, but the network's are 0, 1, 2"):
        one.called(("0", "1", "2"))
    numbers = Dataset("own", "test", X[..., None], np.array([0, 1, 2, 2, 1, 0], np.uint8), ("", ""), ("0", "2", "5"))
    assert numbers.called(tuple("0123456789")).labels.tolist() == [0, 2, 5, 5, 2, 0]
    assert numbers.called(("2", "5", "0")).labels.tolist() == [2, 0, 1, 1, 0, 2]
    assert numbers.called(tuple("abcdef")).labels.tolist() == [0, 2, 5, 5, 2, 0]
    assert (
        numbers.called(tuple("abcdef")).notes[0]
        == "classes are numbers: 0 is a, 1 is b, 2 is c, 3 is d, 4 is e, 5 is f"
    )
    with pytest.raises(InputError, match="has class 5, but the network's are a, b, c"):
        numbers.called(("a", "b", "c"))
    without = Dataset("own", "test", X[..., None], np.array([0, 1, 1, 1, 1, 0], np.uint8), ("", ""))
    assert without.called(("a", "b")).labels.tolist() == [0, 1, 1, 1, 1, 0]
    assert len(without.called(("a", "b")).notes) == 1
    assert without.called(("0", "1")).notes == ()


OWN = """
network.structure = "8C3-P2-auto"
data.dataset = "pictures"
training.epochs = 20
training.batch = 4
"""


@pytest.fixture
def trained(bars_dir, tmp_path, s4nn):
    """The run of an experiment without numbers."""
    (tmp_path / "own.toml").write_text(OWN)
    code, _, err = s4nn("train", tmp_path / "own.toml", "--data", bars_dir, "--out", tmp_path / "run")
    assert code == 0, err
    return tmp_path / "run"


def test_a_run_on_own_data_is_whole(trained, bars_dir, s4nn, tmp_path):
    record = read_record(trained)
    assert record["config"]["network"]["structure"] == "8C3-P2-2"
    assert record["config"]["network"]["input_shape"] == (8, 8, 1)
    assert record["config"]["data"]["names"] == NAMES
    assert record["dataset_sha256"]["test"] == list(load("pictures", "test", bars_dir).sha256)
    assert record["selected"]["train"]["accuracy_strict"] > 0.8
    _, config = read_weights(trained / "weights.npz")
    assert config.classes == NAMES
    weights = trained / "weights.npz"
    assert "classes column, row" in s4nn("info", weights)[1]
    _, out, _ = s4nn("predict", weights, bars_dir / "pictures" / "test" / "row" / "00.png")
    assert re.search(r"class [01] \((column|row)\), .*runner-up [01] \((column|row)\)", out)
    # the same images, whose classes are in another order, or some of them missing
    accuracy = re.search("accuracy .strict.*", s4nn("evaluate", weights, "--data", bars_dir)[1])[0]
    x, y = bars(12, 2)
    np.savez(bars_dir / "again.npz", x_test=x, y_test=y)
    assert accuracy in s4nn("evaluate", weights, "--data", bars_dir, "--dataset", "again")[1]
    np.savez(bars_dir / "again.npz", x_test=x, y_test=(y == "column").astype(int))
    _, out, err = s4nn("evaluate", weights, "--data", bars_dir, "--dataset", "again")
    assert "again test: classes are numbers: 0 is column, 1 is row" in err
    assert accuracy not in out
    np.savez(bars_dir / "again.npz", x_test=x, y_test=np.char.add(y, "s"))
    assert_refused(s4nn("evaluate", weights, "--data", bars_dir, "--dataset", "again"), "columns, rows")
    _, out, _ = s4nn("train", tmp_path / "own.toml", "--data", bars_dir, "--out", trained, "--resume")
    assert "is finished" in out


def test_a_checkpoint_without_names_is_gone_on_with(trained, bars_dir, s4nn, tmp_path):
    """As 0.3.0 wrote it."""
    arrays, meta = load_npz(trained / "checkpoint.npz")
    weights = (trained / "weights.npz").read_bytes()
    del meta["config"]["data"]["names"]
    for path in trained.iterdir():
        path.unlink()
    write_npz(trained / "checkpoint.npz", arrays, meta)
    again = ("train", tmp_path / "own.toml", "--data", bars_dir, "--out", trained, "--resume")
    assert s4nn(*again)[0] == 0
    assert (trained / "weights.npz").read_bytes() == weights
    # another name is another experiment
    (trained / "record.json").unlink()
    meta["config"]["data"]["names"] = ["column", "line"]
    write_npz(trained / "checkpoint.npz", arrays, meta)
    assert_refused(s4nn(*again), "data.names was ['column', 'line'], now ['column', 'row']")
