"""The command line as its users meet it: what it writes, prints, refuses, and with which exit code."""

import argparse
import errno
import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pooch
import pytest
from conftest import TINY, write_idx_set
from PIL import Image

from s4nn_ref import __version__
from s4nn_ref.app.cli import EXAMPLES, main, parser
from s4nn_ref.app.predict import read_image
from s4nn_ref.app.record import read_record, read_responses
from s4nn_ref.app.report import network_text
from s4nn_ref.app.storage import read_weights, write_weights
from s4nn_ref.config import config_of_dict
from s4nn_ref.data import idx
from s4nn_ref.data.dataset import load
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.files import read_npz, write_npz
from s4nn_ref.metrics import metrics_of, respond

ROOT = Path(__file__).parent.parent


def assert_refused(result, *words):
    """Exit code 2 and one clear line on stderr, no traceback."""
    code, _, err = result
    assert code == 2
    lines = err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("s4nn: ")
    for word in words:
        assert word in lines[0]


def with_first_spike(text):
    """An experiment with another loss, and outputs that fire from the beginning: after two epochs TINY is silent."""
    text = text.replace("lam = 30\nhinge = true", 'loss = "first-spike"\nnoise = 5\nfinal_potentials = 1')
    return text.replace("[-2, 2]", "[-8, 12]")


@pytest.fixture
def tiny_toml(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(with_first_spike(TINY))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, glyphs_100):
    """The output folder of a run of two epochs."""
    folder = tmp_path_factory.mktemp("finished")
    write_idx_set(folder / "data" / "tiny", *glyphs_100[0], *glyphs_100[1])
    (folder / "tiny.toml").write_text(with_first_spike(TINY))
    arguments = ("train", folder / "tiny.toml", "--data", folder / "data", "--out", folder / "run", "--epochs", 2)
    assert main([str(a) for a in arguments]) == 0
    metrics = read_record(folder / "run")["selected"]["test"]
    assert metrics["silent"] < 0.2  # most images are decided by a spike, some of them before the end
    assert metrics["decision_time_mean"] < 50
    return folder / "run"


@pytest.fixture
def run_dir(finished, tmp_path):
    """A finished run, which may be damaged."""
    return shutil.copytree(finished, tmp_path / "run")


def test_train_leaves_weights_and_a_record(run_dir, s4nn, data_dir):
    record = read_record(run_dir)
    assert record["config"]["training"]["epochs"] == 2
    assert len(record["history"]) == 2
    assert record["dataset_sha256"]["test"][0]
    assert record["environment"]["versions"]["numpy"] == np.__version__
    assert {"selected", "last"} <= set(record)
    # the record, the stored weights and the raw responses tell the same
    code, out, _ = s4nn("evaluate", run_dir / "weights.npz", "--data", data_dir, "--json")
    metrics = json.loads(out)
    assert code == 0
    for key, value in record["selected"]["test"].items():
        assert metrics[key] == value, key
    responses, labels = read_responses(run_dir)
    assert responses.t_out.shape == (60, 10)
    derived = metrics_of(responses, labels)
    assert derived == {key: record["selected"]["test"][key] for key in derived}


def test_evaluate_keys_and_splits(run_dir, s4nn, data_dir):
    _, out, _ = s4nn(
        "evaluate", run_dir / "weights.npz", "--data", data_dir, "--json", "--split", "train", "--limit", 7
    )
    metrics = json.loads(out)
    expected = (
        "dataset split n accuracy_strict accuracy_first_spike accuracy_unique accuracy_lenient tied silent "
        "decision_time_mean aft mrn dead seconds"
    )
    assert set(expected.split()) <= set(metrics)
    assert (metrics["split"], metrics["n"], metrics["dataset"]) == ("train", 7, "tiny")
    code, out, _ = s4nn("evaluate", run_dir / "weights.npz", "--data", data_dir)
    assert code == 0
    assert "accuracy (strict)" in out


def test_evaluate_until_the_decision_gives_the_same_metrics(run_dir, s4nn, data_dir):
    command = ("evaluate", run_dir / "weights.npz", "--data", data_dir, "--split", "train")
    whole, part = (json.loads(s4nn(*command, "--json", *more)[1]) for more in ((), ("--anytime",)))
    assert {key: whole[key] for key in part if key != "seconds"} == {k: v for k, v in part.items() if k != "seconds"}
    assert "aft" not in part
    code, out, _ = s4nn(*command, "--anytime")
    assert code == 0
    assert "accuracy (strict)" in out


def test_an_output_folder_is_not_overwritten(run_dir, s4nn, tiny_toml, data_dir):
    before = (run_dir / "weights.npz").read_bytes()
    train = ("train", tiny_toml, "--data", data_dir, "--out", run_dir, "--epochs", 2)
    assert_refused(s4nn(*train), "already holds a run", "--resume", "--force")
    assert_refused(s4nn(*train, "--resume", "--force"), "exclude each other")
    code, out, _ = s4nn(*train, "--resume")
    assert code == 0
    assert "is finished" in out
    (run_dir / "checkpoint.npz").unlink()  # as in the shipped records
    assert "is finished" in s4nn(*train, "--resume")[1]
    assert_refused(s4nn(*train, "--resume", "--seed", 1), "another experiment")
    # whatever else is wrong, it is found out before the run is discarded
    assert_refused(s4nn(*train, "--force", "--data", run_dir / "typo"), "is not a folder")
    assert (run_dir / "weights.npz").read_bytes() == before
    assert s4nn(*train, "--force", "--seed", 1)[0] == 0
    assert (run_dir / "weights.npz").read_bytes() != before


def leaves(value, path=""):
    """Every number and string in nested dictionaries and lists, with its path."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{path}/{key}")
    else:
        yield path, value


# lowest index: with "potential", rounding decides between neurons whose potentials are equal but for the order of sums
@pytest.mark.parametrize("text", [TINY, with_first_spike(TINY)], ids=["relative-targets", "first-spike"])
def test_both_engines_leave_the_same_record(s4nn, tiny_toml, data_dir, tmp_path, text):
    text = text.replace('pool_ties = "potential"', 'pool_ties = "index"')
    tiny_toml.write_text(text.replace("[-2, 2]", "[-8, 12]"))
    records, weights, start = {}, {}, {}
    for engine in ("fast", "plain"):
        train = ("train", tiny_toml, "--data", data_dir, "--limit", 72, "--engine", engine)
        for epochs, found in ((0, start), (1, weights)):
            out = tmp_path / f"{engine}{epochs}"
            code, _, err = s4nn(*train, "--epochs", epochs, "--out", out)
            assert code == 0, err
            found[engine] = read_weights(out / "weights-last.npz")[0].w
        records[engine] = read_record(tmp_path / f"{engine}1")
        assert records[engine]["config"]["network"]["engine"] == engine
    for fast, plain, before in zip(weights["fast"], weights["plain"], start["fast"], strict=True):
        np.testing.assert_allclose(plain, fast, rtol=0, atol=1e-4)
        assert np.abs(fast - before).max() > 0.05
    fast, plain = (
        dict(leaves({key: records[engine][key] for key in ("selected", "last", "history")}))
        for engine in ("fast", "plain")
    )
    assert fast.keys() == plain.keys()
    assert fast["/selected/train/silent"] < 0.9
    for key, value in fast.items():
        if "second" not in key:
            assert plain[key] == pytest.approx(value, rel=1e-6), key


def test_limit_and_file_as_output(s4nn, tiny_toml, data_dir, tmp_path):
    train = ("train", tiny_toml, "--data", data_dir, "--epochs", 1, "--limit", 24)
    assert s4nn(*train, "--out", tmp_path / "limited")[0] == 0
    assert read_record(tmp_path / "limited")["selected"]["train"]["n"] == 24
    assert_refused(s4nn(*train, "--out", tiny_toml), "is a file")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("lam = 30", "lam = 'x'"), ["learning.lam", "expected a number"]),
        (("hinge", "hinges"), ["unknown key learning.hinges", "'hinge'"]),
        (("8C3-P2-8C3", "8C3-P2-8C30"), ["larger than"]),
        (('"8C3-P2-8C3-P2-10"', '"8C3-P2-8C3-P2-5"'), ["label 9", "output neurons 0..4"]),
        (("validation = 40", "validation = 300"), ["leaves no training image"]),
        (('dataset = "tiny"', 'dataset = "none"'), ["not found", "--data"]),
        (("rotation = 10", "rotation = -5"), ["augment.rotation"]),
        (("lam = 30\nhinge = true", 'loss = "first-spike"\nlatency_penalty = -1'), ["learning.latency_penalty"]),
        (("hinge = true", "latency_penalty = 1"), ["learning.latency_penalty", 'learning.loss = "first-spike"']),
        (('"cosine"', '"cosine"\ndecay = 0.5'), ["optimiser.decay", 'optimiser.schedule = "step"']),
        (("[network]", 'name = "x"\n[network]'), ["called as its file"]),
    ],
)
def test_bad_experiments_are_refused(s4nn, tiny_toml, data_dir, tmp_path, change, words):
    assert change[0] in TINY
    tiny_toml.write_text(TINY.replace(*change))
    assert_refused(s4nn("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run"), *words)
    assert not (tmp_path / "run").exists()


def test_images_of_another_size_are_refused(s4nn, tiny_toml, data_dir, tmp_path):
    tiny_toml.write_text(TINY.replace("[network]", "[network]\ninput_shape = [20, 28, 1]"))
    result = s4nn("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run")
    assert_refused(result, "28x28x1", "20x28x1")


def test_bad_usage(s4nn, tiny_toml, tmp_path, monkeypatch, data_dir):
    for arguments in (
        [],
        ["fly"],
        ["train"],
        ["train", tiny_toml, "--threads", "0"],
        ["evaluate", "a", "--split", "x"],
    ):
        assert_refused(s4nn(*arguments), "--help")
    assert_refused(s4nn("train", tmp_path / "no.toml"), "cannot read", "experiments/")
    assert_refused(s4nn("train", tiny_toml, "--threads", 9999), "--threads 9999")
    assert_refused(s4nn("train", tiny_toml, "--seed", -1, "--data", data_dir), "training.seed")


# the contract with users: adding an option here and in README is part of adding it
OPTIONS = {
    "train": {"--data", "--out", "--seed", "--epochs", "--limit", "--threads", "--engine", "--resume", "--force"},
    "evaluate": {"--data", "--dataset", "--split", "--limit", "--threads", "--anytime", "--json"},
    "predict": {"--invert", "--json", "--plot"},
    "data": {"--data"},
    "info": set(),
    "import": {"--out", "--factor", "--force", "--allow-pickle"},
    "compare": set(),
}


def commands():
    """The parsers of the commands, by name."""
    return next(a.choices for a in parser()._actions if isinstance(a, argparse._SubParsersAction))


def test_help_names_every_command(s4nn):
    code, out, _ = s4nn("--help")
    assert code == 0
    assert set(commands()) == set(OPTIONS)
    for command in OPTIONS:
        assert re.search(rf"^ +{command} +\w+", out, re.MULTILINE), command
    assert "--version" in out
    assert EXAMPLES in out


@pytest.mark.parametrize("command", OPTIONS)
def test_help_teaches(s4nn, command):
    code, out, _ = s4nn(command, "--help")
    assert code == 0
    actions = [action for action in commands()[command]._actions if action.dest != "help"]
    assert {name for action in actions for name in action.option_strings} == OPTIONS[command]
    for action in actions:
        shown = action.option_strings or [str(action.metavar or "{" + ",".join(action.choices or ()) + "}")]
        for name in shown:
            assert out.count(name) >= 2, f"{name}: once in the usage, once with what it does"
        if action.option_strings:
            assert action.help, shown
            assert re.search(rf"^ +{shown[0]}\b.*\s+\S", out, re.MULTILINE)


def example_lines():
    """Every line of the help texts that shows a command."""
    texts = [EXAMPLES, *(p.description for p in commands().values())]
    return [line.strip() for text in texts for line in text.splitlines() if line.startswith("  s4nn ")]


def parsed(line):
    """An example line as the program reads it, without what it says after two spaces."""
    return parser().parse_args(shlex.split(line.split("  ")[0])[1:])


def test_every_example_parses():
    lines = example_lines()
    assert len(lines) >= 9
    assert {parsed(line).command for line in lines} >= {"train", "evaluate", "predict", "import", "data"}
    for line in lines:
        for path in re.findall(r"\S+\.toml|weights/\S+", line):
            assert (ROOT / path).is_file(), line
    for wrong in ("s4nn trian experiments/demo.toml", "s4nn train experiments/demo.toml --resumed"):
        with pytest.raises(SystemExit):
            parsed(wrong)


def test_version(s4nn):
    assert s4nn("--version") == (0, f"s4nn_ref {__version__}\n", "")
    command = [sys.executable, "-m", "s4nn_ref"]
    result = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stdout) == (0, f"s4nn_ref {__version__}\n")
    result = subprocess.run([*command, "info", "nothing.npz"], capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", "s4nn: nothing.npz not found\n")


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ({}, "threshold 100, valid"),
        ({"collapse": [1.5, 0.5, 2]}, "threshold 100 (output 150 falling to 50), valid"),
    ],
)
def test_info_tells_of_a_collapsing_threshold(keys, shown):
    config = config_of_dict({"network": {"structure": "2C3-10", "init": [[0, 1]] * 2, **keys}})
    assert shown in network_text(config.network_of(), config)


def test_info_and_compare(run_dir, s4nn, tmp_path):
    code, out, _ = s4nn("info", run_dir / "weights.npz")
    assert code == 0
    assert "8C3" in out
    assert "26x26x8" in out
    code, out, _ = s4nn("compare", run_dir, run_dir)
    assert code == 0
    assert out.count("tiny (seed 0)") == 2
    assert_refused(s4nn("compare", tmp_path / "nothing"), "record.json not found")
    (run_dir / "record.json").write_text("{")
    assert_refused(s4nn("compare", run_dir), "is not JSON")


def test_weights_that_are_not_ours(s4nn, run_dir, data_dir, tmp_path):
    weights = run_dir / "weights.npz"

    def evaluate(path):
        return s4nn("evaluate", path, "--data", data_dir)

    assert_refused(evaluate(tmp_path / "none.npz"), "not found")
    (tmp_path / "text.npz").write_text("hello")
    assert_refused(evaluate(tmp_path / "text.npz"), "not a file of s4nn")
    (tmp_path / "cut.npz").write_bytes(weights.read_bytes()[:-200])
    assert_refused(evaluate(tmp_path / "cut.npz"), "cut")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    assert_refused(evaluate(tmp_path / "other.npz"), "not a file of s4nn")
    np.savez(tmp_path / "pickled.npz", meta=np.array({"a": 1}, dtype=object))
    assert_refused(evaluate(tmp_path / "pickled.npz"), "not a file of s4nn")
    assert_refused(evaluate(run_dir / "checkpoint.npz"), "not a weights file")
    arrays, meta = read_npz(weights)
    arrays["w1"][0, 0, 0, 0] = np.nan
    write_npz(tmp_path / "nan.npz", arrays, meta)
    assert_refused(evaluate(tmp_path / "nan.npz"), "w1 holds NaN")
    write_npz(tmp_path / "shape.npz", {**arrays, "w1": arrays["w1"][:4]}, meta)
    assert_refused(evaluate(tmp_path / "shape.npz"), "w1 is float32 (4, 3, 3, 8)")
    meta["config"]["network"]["structure"] = "8C3-P2"
    write_npz(tmp_path / "config.npz", arrays, meta)
    assert_refused(evaluate(tmp_path / "config.npz"), "does not end in a dense layer")


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("files", range(7))  # checkpoints 0, 1, 2; weights, weights-last, responses, record
def test_a_full_disk_loses_nothing(s4nn, tiny_toml, data_dir, tmp_path, monkeypatch, call, files):
    train = ("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run", "--epochs", 2, "--limit", 48)
    works, left = getattr(os, call), [files]

    def full(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return works(*arguments)

    monkeypatch.setattr(os, call, full)
    assert_refused(s4nn(*train), "No space left on device", "nothing was overwritten")
    monkeypatch.undo()
    names = ["checkpoint.npz", "weights.npz", "weights-last.npz", "responses.npz"]
    expected = set(names[: max(files - 2, min(files, 1))])
    assert {path.name for path in (tmp_path / "run").iterdir()} == expected
    # room again: the run goes on to the same end
    assert s4nn(*train, "--resume")[0] == 0
    assert s4nn("compare", tmp_path / "run")[0] == 0


def test_a_cut_checkpoint_is_refused_and_kept(run_dir, s4nn, tiny_toml, data_dir):
    checkpoint = run_dir / "checkpoint.npz"
    (run_dir / "record.json").unlink()
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    result = s4nn("train", tiny_toml, "--data", data_dir, "--out", run_dir, "--epochs", 2, "--resume")
    assert_refused(result, "checkpoint.npz", "cut")
    assert len(checkpoint.read_bytes()) == 5000


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


def test_data_commands(s4nn, data_dir, tmp_path):
    code, out, _ = s4nn("data", "verify", "tiny", "--data", data_dir)
    assert code == 0
    assert out.count("sha256") == 4
    code, out, _ = s4nn("data", "where", "tiny", "--data", data_dir)
    assert code == 0
    assert "train-images" in out
    assert_refused(s4nn("data", "verify", "nothing", "--data", tmp_path), "s4nn data fetch nothing")
    assert_refused(s4nn("data", "fetch", "nothing"), "no mirror is known")


def test_a_folder_that_is_given_is_the_only_one_searched(s4nn, run_dir, data_dir, tmp_path, monkeypatch, tiny_toml):
    monkeypatch.setenv("S4NN_DATA", str(data_dir))
    assert s4nn("evaluate", run_dir / "weights.npz")[0] == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (
        ("evaluate", run_dir / "weights.npz"),
        ("train", tiny_toml, "--out", tmp_path / "other"),
        ("data", "verify", "tiny"),
    ):
        assert_refused(s4nn(*command, "--data", empty), "tiny/", str(empty))
    _, out, _ = s4nn("data", "where", "tiny", "--data", empty)
    assert out.count("not found") == 4


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty download cache, and no other folder that is searched."""
    monkeypatch.setattr("s4nn_ref.data.idx.cache_dir", lambda: tmp_path / "cache")
    monkeypatch.delenv("S4NN_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def test_every_mirror_down_is_one_line(s4nn, monkeypatch, cache):
    def down(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(pooch, "retrieve", down)
    assert_refused(s4nn("data", "fetch", "mnist"), "cannot download", "S4NN_DATA")


def test_a_mirror_with_other_bytes_is_not_believed(s4nn, monkeypatch, cache):
    def wrong(url, known_hash, fname, path, progressbar):
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(gzip.compress(b"something else"))
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", wrong)
    assert_refused(s4nn("data", "fetch", "mnist"), "wrong checksum")
    assert cache.is_dir()
    assert not list(cache.rglob("*.gz"))


@pytest.mark.parametrize("given", [False, True])
def test_fetched_files_go_to_the_folder_that_is_given_or_to_the_cache(s4nn, monkeypatch, cache, data_dir, given):
    def served(url, known_hash, fname, path, progressbar):
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes((data_dir / "tiny" / fname).read_bytes())
        return str(path / fname)

    digests = {
        path.stem: hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
        for path in (data_dir / "tiny").iterdir()
    }
    monkeypatch.setattr(pooch, "retrieve", served)
    monkeypatch.setitem(idx.MIRRORS, "small", ("https://example.org/",))
    monkeypatch.setitem(idx.SHA256, "small", digests)
    folder = cache.parent / "chosen"
    folder.mkdir()
    code, out, err = s4nn("data", "fetch", "small", *(("--data", folder) if given else ()))
    assert code == 0, err
    assert out.count("original") == 4
    assert len(list((folder if given else cache).glob("small/*.gz"))) == 4
    assert not list((cache if given else folder).glob("small/*.gz"))


def test_an_internal_error_is_not_disguised(monkeypatch, run_dir):
    monkeypatch.setattr("s4nn_ref.app.storage.read_weights", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["info", str(run_dir / "weights.npz")])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_resume_gives_the_same_bits(tiny_toml, data_dir, tmp_path, s4nn, number):
    command = [sys.executable, "-m", "s4nn_ref", "train", tiny_toml, "--data", data_dir, "--epochs", "12"]
    process = subprocess.Popen(
        [*map(str, command), "--out", tmp_path / "part"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:  # ends too should the process die
        if line.startswith("epoch"):
            break
    time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "go on with --resume" in out
    assert err == ""  # quiet where stderr is no terminal
    train = ("train", tiny_toml, "--data", data_dir, "--epochs", 12, "--out")
    assert s4nn(*train, tmp_path / "part", "--resume")[0] == 0
    assert s4nn(*train, tmp_path / "whole")[0] == 0
    part, whole = (read_npz(tmp_path / name / "checkpoint.npz")[0] for name in ("part", "whole"))
    for key in whole:
        assert part[key].tobytes() == whole[key].tobytes(), key


def test_output_that_nobody_reads_does_not_stop_a_run(tiny_toml, data_dir, tmp_path):
    command = [sys.executable, "-m", "s4nn_ref", "train", tiny_toml, "--data", data_dir, "--epochs", "3"]
    process = subprocess.Popen(
        [*map(str, command), "--out", tmp_path / "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=300) == 0, process.stderr.read()
    assert len(read_record(tmp_path / "run")["history"]) == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_to_a_full_disk_is_one_line(run_dir):
    command = [sys.executable, "-m", "s4nn_ref", "info", str(run_dir / "weights.npz")]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert result.returncode == 2
    assert result.stderr.startswith("s4nn: ")
    assert "No space left" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_weights_round_trip(tmp_path):
    config = config_of_dict({"network": {"structure": "4C3-3", "input_shape": [5, 5, 1], "init": [[0, 1], [0, 1]]}})
    network = config.network_of()
    network.initialise([(-1, 1), (-1, 1)], np.random.default_rng(0))
    write_weights(tmp_path / "w.npz", config, network.parameters)
    again, same = read_weights(tmp_path / "w.npz")
    assert again.parameters.tobytes() == network.parameters.tobytes()
    assert same == config
