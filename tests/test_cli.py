"""The command line as its users meet it: what it writes, prints, refuses, and with which exit code."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import TINY
from matplotlib.image import imsave
from PIL import Image

from s4nn_ref import storage
from s4nn_ref.cli import main
from s4nn_ref.config import config_of_dict
from s4nn_ref.network import network_of
from s4nn_ref.predict import read_image
from s4nn_ref.record import read_record, read_responses
from s4nn_ref.report import network_text


def assert_refused(result, *words):
    """Exit code 2 and one clear line on stderr, no traceback."""
    code, _, err = result
    assert code == 2
    lines = err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("s4nn: ")
    for word in words:
        assert word in lines[0]


@pytest.fixture
def run_dir(s4nn, tiny_toml, data_dir, tmp_path):
    """A finished run."""
    code, _, err = s4nn("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run", "--epochs", 2)
    assert code == 0, err
    return tmp_path / "run"


def test_train_leaves_weights_and_a_record(run_dir, s4nn, data_dir):
    record = read_record(run_dir)
    assert record["config"]["training"]["epochs"] == 2
    assert len(record["history"]) == 2
    assert record["dataset_sha256"]["test"][0]
    assert record["environment"]["versions"]["numpy"] == np.__version__
    assert {"selected", "last"} <= set(record)
    # the record, the stored weights and the raw responses tell the same
    code, out, _ = s4nn("evaluate", run_dir / "weights.npz", "--data", data_dir, "--json")
    figures = json.loads(out)
    assert code == 0
    for key, value in record["selected"]["test"].items():
        assert figures[key] == value, key
    responses, labels = read_responses(run_dir)
    assert responses.t_out.shape == (60, 10)
    from s4nn_ref.metrics import figures_of_merit

    derived = figures_of_merit(responses, labels)
    assert derived == {key: record["selected"]["test"][key] for key in derived}


def test_evaluate_keys_and_splits(run_dir, s4nn, data_dir):
    _, out, _ = s4nn(
        "evaluate", run_dir / "weights.npz", "--data", data_dir, "--json", "--split", "train", "--limit", 7
    )
    figures = json.loads(out)
    expected = (
        "dataset split n accuracy_strict accuracy_first_spike accuracy_unique accuracy_lenient tied silent "
        "decision_time_mean aft mrn dead seconds"
    )
    assert set(expected.split()) <= set(figures)
    assert (figures["split"], figures["n"], figures["dataset"]) == ("train", 7, "tiny")
    code, out, _ = s4nn("evaluate", run_dir / "weights.npz", "--data", data_dir)
    assert code == 0
    assert "accuracy (strict)" in out


def test_evaluate_until_the_decision_gives_the_same_figures(run_dir, s4nn, data_dir):
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
    # whatever else is wrong, the run is not discarded before it turned out
    assert_refused(s4nn(*train, "--force", "--data", run_dir / "typo"), "is no folder")
    assert (run_dir / "weights.npz").read_bytes() == before
    assert s4nn(*train, "--force", "--seed", 1)[0] == 0
    assert (run_dir / "weights.npz").read_bytes() != before


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
        (("hinge = true", "haste = -1"), ["learning.haste"]),
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


def test_help_teaches(s4nn):
    code, out, _ = s4nn("--help")
    assert code == 0
    assert "s4nn train experiments/demo.toml" in out
    for command in ("train", "evaluate", "predict", "data", "info", "import", "compare"):
        assert s4nn(command, "--help")[0] == 0


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ({}, "threshold 100, valid"),
        ({"bound": [1.5, 0.5, 2]}, "threshold 100 (output 150 falling to 50), valid"),
    ],
)  # fmt: skip
def test_info_tells_of_thresholds_that_fall(keys, shown):
    config = config_of_dict({"network": {"structure": "2C3-10", "init": [[0, 1]] * 2, **keys}})
    assert shown in network_text(network_of(config), config)


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
    assert_refused(s4nn("compare", run_dir), "no JSON")


def test_weights_that_are_not_ours(s4nn, run_dir, data_dir, tmp_path):
    weights = run_dir / "weights.npz"

    def evaluate(path):
        return s4nn("evaluate", path, "--data", data_dir)

    assert_refused(evaluate(tmp_path / "none.npz"), "not found")
    (tmp_path / "text.npz").write_text("hello")
    assert_refused(evaluate(tmp_path / "text.npz"), "not a file of s4nn")
    (tmp_path / "cut.npz").write_bytes(weights.read_bytes()[:-200])
    assert_refused(evaluate(tmp_path / "cut.npz"), "cut")
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    assert_refused(evaluate(tmp_path / "foreign.npz"), "not a file of s4nn")
    np.savez(tmp_path / "pickled.npz", meta=np.array({"a": 1}, dtype=object))
    assert_refused(evaluate(tmp_path / "pickled.npz"), "not a file of s4nn")
    assert_refused(evaluate(run_dir / "checkpoint.npz"), "not a weights file")
    arrays, meta = storage.read_npz(weights)
    arrays["w1"][0, 0, 0, 0] = np.nan
    storage.write_npz(tmp_path / "nan.npz", arrays, meta)
    assert_refused(evaluate(tmp_path / "nan.npz"), "w1 holds NaN")
    storage.write_npz(tmp_path / "shape.npz", {**arrays, "w1": arrays["w1"][:4]}, meta)
    assert_refused(evaluate(tmp_path / "shape.npz"), "w1 is float32 (4, 3, 3, 8)")
    meta["config"]["network"]["structure"] = "8C3-P2"
    storage.write_npz(tmp_path / "config.npz", arrays, meta)
    assert_refused(evaluate(tmp_path / "config.npz"), "does not end in a dense layer")


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("files", range(7))  # checkpoints 0, 1, 2; weights, weights-last, responses, record
def test_a_full_disk_loses_nothing(s4nn, tiny_toml, data_dir, tmp_path, monkeypatch, call, files):
    train = ("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run", "--epochs", 2)
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


def test_predict(run_dir, s4nn, tmp_path, glyphs_100):
    images, _ = glyphs_100[1]
    grey, colour, large, inverted = (tmp_path / f"{name}.png" for name in ("grey", "colour", "large", "inverted"))
    imsave(grey, images[0], cmap="gray", vmin=0, vmax=255)
    imsave(colour, np.stack([images[0]] * 3, axis=2))
    imsave(large, np.kron(images[0], np.ones((5, 5), np.uint8)), cmap="gray", vmin=0, vmax=255)
    imsave(inverted, 255 - images[0], cmap="gray", vmin=0, vmax=255)
    weights = run_dir / "weights.npz"
    code, out, _ = s4nn("predict", weights, grey, colour, "--json")
    assert code == 0
    first, second = map(json.loads, out.splitlines())
    assert {**first, "image": ""} == {**second, "image": ""}
    assert first["spikes"] == sum(first["spikes_per_layer"])
    # the file gives back the very pixels
    from s4nn_ref.metrics import respond
    from s4nn_ref.storage import read_weights

    network, _ = read_weights(weights)
    np.testing.assert_array_equal(first["t_out"], respond(network, images[:1]).t_out[0])
    # 2-bit grey: black, two greys, white
    steps = tmp_path / "steps.png"
    Image.fromarray(np.repeat(np.arange(4, dtype=np.uint8) * 85, 7)[None].repeat(28, axis=0)).save(steps, bits=2)
    assert sorted(set(read_image(steps, (28, 28)).ravel())) == [0, 85, 170, 255]
    deep = tmp_path / "deep.png"
    Image.fromarray(images[0].astype(np.uint16) * 257).save(deep)
    np.testing.assert_array_equal(read_image(deep, (28, 28)), images[0])
    clear = tmp_path / "clear.png"
    Image.fromarray(np.zeros((28, 28, 4), np.uint8)).save(clear)
    assert (read_image(clear, (28, 28)) == 255).all()  # transparent is paper
    _, out, _ = s4nn("predict", weights, inverted, "--invert", "--json")
    assert json.loads(out)["t_out"] == first["t_out"]
    code, out, err = s4nn("predict", weights, inverted, large, "--plot", tmp_path / "v.png")
    assert code == 0
    assert "--invert" in err
    assert len(out.splitlines()) == 2
    assert (tmp_path / "v.png").stat().st_size > 10_000


def test_predict_refuses_what_is_no_image(run_dir, s4nn, tmp_path):
    weights = run_dir / "weights.npz"
    (tmp_path / "text.png").write_text("hello")
    assert_refused(s4nn("predict", weights, tmp_path / "text.png"), "no PNG")
    assert_refused(s4nn("predict", weights, tmp_path / "none.png"), "cannot read")
    imsave(tmp_path / "cut.png", np.zeros((9, 9)))
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    assert_refused(s4nn("predict", weights, tmp_path / "cut.png"), "cut.png", "damaged PNG")
    imsave(tmp_path / "good.png", np.zeros((9, 9)))
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


def test_every_mirror_down_is_one_line(s4nn, monkeypatch, tmp_path):
    import pooch

    def down(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(pooch, "retrieve", down)
    monkeypatch.setattr("s4nn_ref.data.cache_dir", lambda: tmp_path)
    monkeypatch.setattr("s4nn_ref.data.search_path", lambda folder=None: [tmp_path])
    assert_refused(s4nn("data", "fetch", "mnist"), "cannot download", "S4NN_DATA")


def test_a_mirror_with_other_bytes_is_not_believed(s4nn, monkeypatch, tmp_path):
    import gzip

    import pooch

    def wrong(url, known_hash, fname, path, progressbar):
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(gzip.compress(b"something else"))
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", wrong)
    monkeypatch.setattr("s4nn_ref.data.cache_dir", lambda: tmp_path)
    monkeypatch.setattr("s4nn_ref.data.search_path", lambda folder=None: [tmp_path])
    assert_refused(s4nn("data", "fetch", "mnist"), "wrong checksum")
    assert not list(tmp_path.rglob("*.gz"))


def test_an_internal_error_is_not_disguised(monkeypatch, run_dir):
    monkeypatch.setattr("s4nn_ref.storage.read_weights", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["info", str(run_dir / "weights.npz")])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_resume_gives_the_same_bits(tiny_toml, data_dir, tmp_path, s4nn, number):
    command = [sys.executable, "-m", "s4nn_ref.cli", "train", tiny_toml, "--data", data_dir, "--epochs", "30"]
    process = subprocess.Popen(
        [*map(str, command), "--out", tmp_path / "part"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:  # ends too should the process die
        if line.startswith("epoch"):
            break
    time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "go on with --resume" in out
    assert err == ""  # quiet where stderr is no terminal
    train = ("train", tiny_toml, "--data", data_dir, "--epochs", 30, "--out")
    assert s4nn(*train, tmp_path / "part", "--resume")[0] == 0
    assert s4nn(*train, tmp_path / "whole")[0] == 0
    part, whole = (storage.read_npz(tmp_path / name / "checkpoint.npz")[0] for name in ("part", "whole"))
    for key in whole:
        assert part[key].tobytes() == whole[key].tobytes(), key


def test_output_that_nobody_reads_does_not_stop_a_run(tiny_toml, data_dir, tmp_path):
    command = [sys.executable, "-m", "s4nn_ref.cli", "train", tiny_toml, "--data", data_dir, "--epochs", "3"]
    process = subprocess.Popen(
        [*map(str, command), "--out", tmp_path / "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0, process.stderr.read()
    assert len(read_record(tmp_path / "run")["history"]) == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_to_a_full_disk_is_one_line(run_dir):
    command = [sys.executable, "-m", "s4nn_ref.cli", "info", str(run_dir / "weights.npz")]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stderr.startswith("s4nn: ")
    assert "No space left" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_weights_round_trip(tmp_path):
    config = config_of_dict({"network": {"structure": "4C3-3", "input_shape": [5, 5, 1], "init": [[0, 1], [0, 1]]}})
    network = storage.network_of(config)
    network.initialise([(-1, 1), (-1, 1)], np.random.default_rng(0))
    storage.write_weights(tmp_path / "w.npz", config, network.parameters)
    again, same = storage.read_weights(tmp_path / "w.npz")
    assert again.parameters.tobytes() == network.parameters.tobytes()
    assert same == config
