"""The Python interface: the bits of the command line, keys as keywords, arrays of any usual type, interruption."""

import doctest
import json
import pickle
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, StopAfter, with_first_spike, write_idx_set

import s4nn_ref as s4nn
from s4nn_ref.algorithms import SETTINGS
from s4nn_ref.app import fit as fit_module
from s4nn_ref.app import model as model_module
from s4nn_ref.app import run
from s4nn_ref.app.keywords import config_with, with_keys
from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import SECTIONS, config_of_dict, read_config
from s4nn_ref.encoding import encode, intensities, latencies
from s4nn_ref.errors import InputError
from s4nn_ref.metrics import metrics_of
from s4nn_ref.settings import known_keys
from s4nn_ref.training.loop import Progress

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def digits(glyphs_100):
    """Images and labels to learn from, and others to test with."""
    return *glyphs_100[0], *glyphs_100[1]


def small(images, labels, **keys):
    """A model that is trained in no time."""
    keys = {"epochs": 2, "validation": 0, "verbose": False, **keys}
    return s4nn.fit("4C5S3-10", images[:60], labels[:60], **keys)


def parameters(model):
    return model.network.parameters


# ---------------------------------------------------------------------------------------------- the same as `s4nn`


def test_arrays_give_the_bits_of_the_command_line(s4nn, digits, data_dir, firing_toml, tmp_path):
    """Weights after training, and every metric, of IDX files and of arrays."""
    import s4nn_ref

    images, labels, test_images, test_labels = digits
    assert s4nn("train", firing_toml, "--data", data_dir, "--out", tmp_path / "run", "--no-test", "--seed", 3)[0] == 0
    model = s4nn_ref.fit(None, images, labels, experiment=firing_toml, seed=3, out=tmp_path / "own", verbose=False)
    for name in ("weights.npz", "weights-last.npz"):
        network, config = read_weights(tmp_path / "run" / name)
        own, own_config = read_weights(tmp_path / "own" / name)
        np.testing.assert_array_equal(own.parameters, network.parameters)
        assert own_config.changed("data", dataset="tiny") == config
    np.testing.assert_array_equal(parameters(model), read_weights(tmp_path / "run" / "weights.npz")[0].parameters)
    out = s4nn("evaluate", tmp_path / "run" / "weights.npz", "--data", data_dir, "--json")[1]
    printed = {key: value for key, value in json.loads(out).items() if key not in ("dataset", "split", "seconds")}
    assert model.evaluate(test_images, test_labels) == printed
    assert [row["epoch"] for row in model.history] == [1, 2, 3]
    # other types and ranks of the same images, and keywords in place of the file
    tables = tomllib.loads(firing_toml.read_text())
    keys = {key: value for table in tables.values() for key, value in table.items()} | {"seed": 3}
    keys = {key: np.array(value) if key in ("init", "eta") else value for key, value in keys.items()}
    other = s4nn_ref.fit(keys.pop("structure"), images[..., 0] / 255, labels.astype(int), verbose=False, **keys)
    np.testing.assert_array_equal(parameters(other), parameters(model))


def test_a_number_of_validation_images_and_given_ones(digits):
    images, labels, test_images, test_labels = digits
    model = small(images, labels, validation=(test_images, test_labels), select="last")
    expected = model.evaluate(test_images, test_labels)["accuracy_strict"]
    assert model.history[-1]["validation"]["accuracy_strict"] == expected
    assert small(images, labels, validation=20).config.data.validation == 20
    assert s4nn.fit("4C5S3-10", images, labels, epochs=0, verbose=False).config.data.validation == 30  # a tenth
    with pytest.raises(InputError, match="a pair"):
        small(images, labels, validation=(test_images, test_labels, 1))


def test_a_run_from_a_model_or_a_file(digits, tmp_path):
    images, labels, *_ = digits
    first = small(images, labels)
    first.save(tmp_path / "w.npz")
    starts = (first, tmp_path / "w.npz", str(tmp_path / "w.npz"))
    runs = [small(images, labels, start=start, seed=1) for start in starts]
    for model in runs:
        np.testing.assert_array_equal(parameters(model), parameters(runs[0]))
    assert (parameters(runs[0]) != parameters(first)).any()
    np.testing.assert_array_equal(parameters(small(images, labels, start=first, epochs=0)), parameters(first))
    with pytest.raises(InputError, match=r"^start is a network 4C5S3-10 on 28x28x1 images, .* must be the same"):
        s4nn.fit("784-10", images, labels, start=first)


# ------------------------------------------------------------------------------------------------------ interruption


@pytest.mark.parametrize("in_folder", [True, False])
@pytest.mark.parametrize("stop_after", [1, 6])
def test_an_interrupted_run_loses_nothing(digits, tmp_path, monkeypatch, in_folder, stop_after):
    images, labels, *_ = digits
    whole = small(images, labels, epochs=3)
    out = tmp_path / "run" if in_folder else None
    with monkeypatch.context() as patched:
        patched.setattr(run, "Progress", lambda: StopAfter(stop_after))
        with pytest.raises(s4nn.Interrupted, match=r"interrupted in epoch \d; \.resume\(\)") as stop:
            small(images, labels, epochs=3, out=out)
    assert isinstance(stop.value, KeyboardInterrupt)
    assert stop.value.model.predict(images).shape == (300,)
    assert (parameters(stop.value.model) != parameters(whole)).any()
    assert len(stop.value.model.history) == stop_after // 4
    if out:
        with pytest.raises(InputError, match="already holds a run; resume=True goes on with it"):
            small(images, labels, epochs=3, out=out)
        with pytest.raises(InputError, match=r"another experiment: training\.epochs was 3, now 4"):
            small(images, labels, epochs=4, out=out, resume=True)
        with pytest.raises(InputError, match="other images"):
            small(images[1:], labels[1:], epochs=3, out=out, resume=True)
        again = small(images, labels, epochs=3, out=out, resume=True)
        np.testing.assert_array_equal(parameters(again), parameters(whole))
        again = small(images, labels, epochs=3, out=out, resume=True)  # it is finished
        np.testing.assert_array_equal(parameters(again), parameters(whole))
        assert {path.name for path in out.iterdir()} == {"checkpoint.npz", "weights.npz", "weights-last.npz"}
    else:
        again = stop.value.resume()
        np.testing.assert_array_equal(parameters(again), parameters(whole))
        assert [row["epoch"] for row in again.history] == [1, 2, 3]


def test_a_checkpoint_is_of_its_validation_images(digits, tmp_path):
    images, labels, test_images, test_labels = digits
    keys = {"out": tmp_path / "run", "validation": (test_images, test_labels)}
    small(images, labels, **keys)
    small(images, labels, resume=True, **keys)
    with pytest.raises(InputError, match="other images"):
        small(images, labels, resume=True, **{**keys, "validation": (test_images[1:], test_labels[1:])})


def test_nan_is_reported_where_there_is_no_folder(digits, monkeypatch):
    images, labels, *_ = digits
    training = fit_module.prepared("4C5S3-10", images, labels, None, None, {"epochs": 1})
    training.algorithm.network.parameters[0] = np.nan
    with pytest.raises(InputError, match=r"became NaN or infinite after epoch 0; lower eta$"):
        training.run(None, Progress())


# ---------------------------------------------------------------------------------------------------------- a model


def test_what_a_model_says_is_what_the_network_does(digits, monkeypatch):
    monkeypatch.setattr(model_module, "BATCH", 25)  # firing times come in three parts
    images, labels, test_images, test_labels = digits
    model, network = small(images, labels, epochs=4), None
    network = model.network
    states = network.forward(network.encode(test_images))
    assert model.layers == ("input", "4C5S3", "10")
    np.testing.assert_array_equal(model.predict(test_images), network.outputs(states).decisions())
    np.testing.assert_array_equal(model.decision_times(test_images), network.outputs(states).t_out.min(axis=1))
    np.testing.assert_array_equal(model.spikes(test_images), network.spikes_until_decision(states))
    times = model.firing_times(test_images)
    assert [t.shape for t in times] == [(60, 28, 28, 1), (60, 8, 8, 4), (60, 1, 1, 10)]
    for t, state in zip(times, states, strict=True):
        np.testing.assert_array_equal(t, state.t_post)
    assert model.evaluate(test_images, test_labels) == metrics_of(model.responses(test_images), test_labels)
    assert [w.shape for w in model.weights] == [(4, 5, 5, 1), (10, 8, 8, 4)]
    for empty in (model.predict, model.decision_times, model.spikes):
        assert len(empty(test_images[:0])) == 0
    assert model.firing_times(test_images[:0])[1].shape == (0, 8, 8, 4)


def test_arrays_are_the_callers_own(digits):
    images, labels, *_ = digits
    model = small(images, labels)
    before = [model.predict(images), model.spikes(images), *model.firing_times(images), *model.weights]
    for array in [model.predict(images), model.spikes(images), *model.firing_times(images), *model.weights]:
        array[...] = -1
    after = [model.predict(images), model.spikes(images), *model.firing_times(images), *model.weights]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    given, copy = images[:60].copy(), images[:60].copy()
    s4nn.fit("784-10", given, labels[:60], epochs=1, verbose=False, shift=1)
    np.testing.assert_array_equal(given, copy)


def test_a_model_is_saved_loaded_and_pickled(digits, tmp_path):
    images, labels, *_ = digits
    model = small(images, labels)
    model.save(tmp_path / "w.npz")
    model.save(tmp_path / "w.npz")  # again: it is the caller's file
    for other in (s4nn.load(tmp_path / "w.npz"), s4nn.load(str(tmp_path / "w.npz")), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(images), model.predict(images))
        assert other.config == model.config
        assert repr(other) == "<Model 4C5S3-10 on 28x28x1 images, 2,660 weights>"
    assert pickle.loads(pickle.dumps(model)).history == model.history
    with pytest.raises(InputError, match=r"weights are \.npz files"):
        model.save(tmp_path / "w")
    with pytest.raises(InputError, match="not found"):
        s4nn.load(tmp_path / "none.npz")


def test_load_data(data_dir, digits):
    images, labels = s4nn.load_data("tiny", "train", data_dir)
    np.testing.assert_array_equal(images, digits[0])
    np.testing.assert_array_equal(labels, digits[1])
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    images[0], labels[0] = 1, 1  # they are the caller's
    with pytest.raises(InputError, match='expected "train" or "test"'):
        s4nn.load_data("tiny", "validation", data_dir)
    with pytest.raises(InputError, match="not found in"):
        s4nn.load_data("none", "train", data_dir)


# -------------------------------------------------------------------------------------------------------- the images


def test_bytes_have_one_meaning_in_every_type():
    levels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8, 1)
    whole = [levels, levels[..., 0], levels.tolist(), levels.astype(">i2"), levels.astype(np.int64)]
    floats = [(levels / 255).astype(kind) for kind in ("f2", "f4", "f8", "g")]
    same = [*whole, *floats, np.asfortranarray(levels)]
    for images in same:
        found = intensities(images)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, levels)
        np.testing.assert_array_equal(encode(images, 100), encode(levels, 100))
        np.testing.assert_array_equal(latencies(images, 3.0), latencies(levels, 3.0))
    assert intensities(levels) is levels


def test_floats_and_booleans_by_hand():
    def found(*values):
        return intensities(np.array(values).reshape(1, 1, 1, -1)).ravel().tolist()

    # the nearest of 255 levels, half a level is rounded up
    assert found(0.0, 0.49 / 255, 0.5 / 255, 1 / 255, 1.5 / 255, 0.5, 1.0) == [0, 0, 1, 1, 2, 128, 255]
    assert found(False, True) == [0, 255]
    assert found(0, 1, 255) == [0, 1, 255]  # whole numbers are levels, whatever the largest


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.array([-1], np.int8), ["int8 from -1 to -1", "whole numbers 0..255"]),
        (np.array([0, 300]), ["int64 from 0 to 300"]),
        (np.array([2**63], np.uint64), ["uint64 from 9223372036854775808"]),
        (np.array([0.0, 255.0]), ["float64 from 0.0 to 255.0", "divide them by 255"]),
        (np.array([0.0, 16.0]), ["float64 from 0.0 to 16.0", "scale or clip"]),
        (np.array([-1.0, 1.0]), ["float64 from -1.0 to 1.0", "scale or clip"]),
        (np.array([0.0, 1.0000001]), ["to 1.0000001", "scale or clip"]),
        (np.array([0.0, np.nan]), ["from nan to nan"]),
        (np.array([0.0, np.inf]), ["to inf"]),
        (np.array([1j]), ["complex128"]),
        (np.array([None]), ["object"]),
        (np.array(["a"]), ["<U1"]),
        (np.array(["2020"], "M8[Y]"), ["datetime64"]),
    ],
)
def test_images_that_mean_nothing_are_refused_in_one_line(images, words):
    for work in (intensities, lambda images: encode(images, 100), lambda images: latencies(images, 1.0)):
        with pytest.raises(InputError) as error:
            work(images.reshape(1, 1, 1, -1))
        assert all(word in str(error.value) for word in [*words, "floats in [0, 1]"])
        assert "\n" not in str(error.value)


def test_other_ranks_are_refused():
    for shape in ((28, 28), (1, 1, 28, 28, 1), ()):
        with pytest.raises(InputError, match=re.escape("image[None]")):
            intensities(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="different sizes"):
        intensities([[[1, 2], [3]], [[1, 2], [3, 4]]])


def test_images_and_labels_that_do_not_fit(digits):
    images, labels, *_ = digits
    model = small(images, labels)
    bad = {
        "images are 28x14x1, the network reads 28x28x1": lambda: model.predict(images[:, :, ::2]),
        "expected (n, rows, columns, channels)": lambda: model.predict(images[0, :, :, 0]),
        "no images to evaluate": lambda: model.evaluate(images[:0], labels[:0]),
        "there are no training images": lambda: small(images[:0], labels[:0]),
        "labels are an array (299,) for 300 images": lambda: model.evaluate(images, labels[1:]),
        "labels are <U3": lambda: model.evaluate(images, labels.astype(str)),
        "labels are float64": lambda: model.evaluate(images, labels / 2),
        "label -1 is negative": lambda: model.evaluate(images, labels.astype(int) - 1),
        "has label 10, but 4C5S3-10 has only output": lambda: model.evaluate(images, np.full(300, 10)),
        "training has label 9, but 784-9": lambda: s4nn.fit("784-9", images, labels),
        "784 inputs, but the input is 28x14x1": lambda: s4nn.fit("784-10", images[:, :, ::2], labels),
        "the network reads 8x8x1": lambda: small(images, labels, input_shape=[8, 8, 1]),
        "resume = True goes on": lambda: small(images, labels, resume=True),
    }
    for words, work in bad.items():
        with pytest.raises(InputError, match=re.escape(words)):
            work()


def test_more_than_256_classes():
    """Labels are not cut to a byte."""
    images, labels = np.eye(300, dtype=np.uint8)[:, None, :, None] * 255, np.arange(300)
    model = s4nn.fit("300-300", images, labels, epochs=3, batch=50, validation=0, verbose=False, eta=10)
    assert (model.predict(images)[256:] == labels[256:]).mean() > 0.9


# ---------------------------------------------------------------------------------------------------------- the keys


def test_only_the_length_of_the_run_is_a_key_of_two_sections():
    """Of any one algorithm, and it means [training]: a keyword needs no section."""
    for algorithm in SETTINGS:
        if algorithm == "toy":
            continue
        keys = [(section, known_keys(kind, {"algorithm": algorithm}, "")) for section, kind in SECTIONS.items()]
        if algorithm in ("s4nn", "bs4nn"):  # without section [optimiser]
            keys = [(section, known) for section, known in keys if section != "optimiser"]
        names = [key for _, known in keys for key in known]
        assert {key for key in names if names.count(key) > 1} == {"epochs"}, algorithm


def test_keywords_are_put_where_they_belong():
    tables = with_keys({"network": {"structure": "784-10"}}, {"epochs": 3, "lam": 2, "loss": "relative-targets",
        "eta": (1,), "schedule": "step", "decay": np.float64(0.5), "shift": np.int64(2), "seed": 1, "t_max": 50,
        "encoding": "intensity", "augment": {"epochs": 1}})  # fmt: skip
    assert tables == {
        "network": {"structure": "784-10", "t_max": 50},
        "data": {"encoding": "intensity"},
        "learning": {"loss": "relative-targets", "lam": 2},
        "optimiser": {"eta": [1], "schedule": "step", "decay": 0.5},
        "augment": {"shift": 2, "epochs": 1},
        "training": {"epochs": 3, "seed": 1},
    }
    assert config_of_dict(tables).training.epochs == 3


def test_a_choice_takes_the_place_of_the_old_ones_keys():
    tables = {
        "network": {"structure": "784-10"},
        "learning": {"loss": "first-spike", "noise": 7, "surrogate": "fired"},
        "optimiser": {"schedule": "step", "decay": 0.5, "eta": 0.3},
    }
    assert config_with(tables, {"noise": 8}).learning.loss.noise == 8
    config = config_with(tables, {"loss": "cross-entropy", "schedule": "cosine"})
    assert config.learning.surrogate == "fired"
    assert config.optimiser.eta == (0.3,)
    online = {"algorithm": "s4nn", "init": [[0, 3]] * 2, "exceeds": True, "delay": 1, "batch": 1}
    config = config_with(tables, {**online, "structure": "784-20-10", "eta": 0.1})
    assert (config.optimiser, config.learning.eta) == (None, (0.1, 0.1))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"epoch": 3}, "unknown key epoch; did you mean 'epochs'?"),
        ({"gamma": 3}, 'unknown key gamma; it belongs to learning.loss = "s4nn-targets"'),
        ({"momentum": 0.9}, 'unknown key momentum; it belongs to optimiser.rule = "sgd"'),
        ({"loss": "hinge"}, "learning.loss = 'hinge': expected one of \"cross-entropy\""),
        ({"algorithm": "bp"}, "learning.algorithm = 'bp': expected one of"),
        ({"epochs": "many"}, "training.epochs = 'many': expected a whole number"),
        ({"epochs": 3, "training": {"epochs": 4}}, "training.epochs is given twice"),
        ({"training": 3}, "training = 3: expected a table or dictionary"),
        ({"training": {"epoch": 3}}, "unknown key training.epoch; did you mean 'epochs'?"),
        ({"eta": [1, 2, 3]}, "optimiser.eta has 3 values, but 784-10 has 1 weighted layers"),
        ({"algorithm": "s4nn", "optimiser": {"eta": 1}}, "updates weights by itself"),
        ({"algorithm": "s4nn", "beta1": 0.9}, "unknown key beta1"),
    ],
)
def test_keys_that_are_none_are_refused_in_one_line(keys, words):
    with pytest.raises(InputError, match=re.escape(words)):
        config_with({"network": {"structure": "784-10"}}, keys)


def test_an_experiment_by_name_file_tables_and_config(digits, tmp_path):
    images, labels, *_ = digits
    path = tmp_path / "own.toml"
    path.write_text(with_first_spike(TINY))
    config = read_config(path)
    for experiment in (path, str(path), tomllib.loads(path.read_text()), config):
        model = s4nn.fit(None, images, labels, experiment=experiment, epochs=0, verbose=False)
        assert model.config.changed("data", dataset="tiny").changed("training", epochs=3).learning == config.learning
    plus = s4nn.fit(None, images, labels, experiment="mnist-plus", epochs=0, validation=30, verbose=False).config
    assert plus == read_config(ROOT / "experiments" / "mnist-plus.toml").changed("training", epochs=0).changed(
        "data", validation=30, dataset="arrays"
    )
    # what the file leaves to "auto" follows the structure that is named
    path.write_text('network.structure = "784-10"\nlearning.noise = 7')
    model = s4nn.fit("784-20-10", images, labels, experiment=path, epochs=0, verbose=False)
    assert (len(model.config.network.init), model.config.learning.loss.noise) == (2, 7)
    path.write_text('network.structure = "784-10"\nlearning.nose = 7')
    bad = {
        "missing key network.structure": lambda: s4nn.fit(None, images, labels),
        "mnist-minus not found; give a file, or one of the experiments: mnist-plus, ": lambda: small(
            images, labels, experiment="mnist-minus"
        ),
        "network = 3: expected a table": lambda: small(images, labels, experiment={"network": 3}),
        "experiment = 3: expected a name": lambda: small(images, labels, experiment=3),
        "none.toml not found; give a file": lambda: small(images, labels, experiment=tmp_path / "none.toml"),
        "unknown key learning.nose; did you mean 'noise'?": lambda: small(images, labels, experiment=path, noise=3),
    }
    for words, work in bad.items():
        with pytest.raises(InputError, match=re.escape(words)):
            work()


# ----------------------------------------------------------------------------------------------- names and documents


def test_public_names():
    assert set(s4nn.__all__) <= set(dir(s4nn))
    star = {}
    exec("from s4nn_ref import *", star)
    assert set(s4nn.__all__) <= set(star)
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        s4nn.fitt  # noqa: B018


def test_what_is_printed(digits, capsys):
    images, labels, *_ = digits
    small(images, labels)
    assert capsys.readouterr().out == ""
    small(images, labels, verbose=True)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "network: 4C5S3-10 on arrays, 60 training and 0 validation images, seed 0"
    assert [line[:11] for line in out[-2:]] == ["epoch   1/2", "epoch   2/2"]


@pytest.mark.parametrize("module", [fit_module, model_module], ids=lambda module: module.__name__)
def test_examples_of_the_docstrings(module, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = doctest.testmod(module)
    assert found.attempted > 3
    assert found.failed == 0


def test_the_page_runs_as_printed(tmp_path, monkeypatch, glyphs_100):
    """Block after block, but for scikit-learn's (tests/test_sklearn.py)."""
    write_idx_set(tmp_path / "data" / "mnist", *glyphs_100[0], *glyphs_100[1])
    monkeypatch.setattr("s4nn_ref.data.idx.SHA256", {})
    monkeypatch.setenv("S4NN_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.S):
        if "sklearn" not in block:
            exec(block, names)
    assert names["accuracy"] > 0.2
    assert (tmp_path / "mine.npz").exists()
    assert (tmp_path / "runs" / "mine" / "checkpoint.npz").exists()
