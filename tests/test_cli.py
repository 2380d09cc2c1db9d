"""The command line as its users meet it: what it writes, prints, refuses, and with which exit code."""

import argparse
import gzip
import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numba
import numpy as np
import pooch
import pytest
from conftest import TARGETS, TINY, assert_refused
from llvmlite import binding

from s4nn_ref import __version__
from s4nn_ref.app import shipped
from s4nn_ref.app.arguments import EXAMPLES, parser
from s4nn_ref.app.cli import main
from s4nn_ref.app.report import network_text
from s4nn_ref.app.storage import read_weights, write_weights
from s4nn_ref.config import config_of_dict
from s4nn_ref.data import idx
from s4nn_ref.files import load_npz, write_npz

ROOT = Path(__file__).parent.parent


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


# lowest index: with "potential", rounding decides between neurons whose potentials are equal but for the order of sums


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
        ((TARGETS, 'loss = "first-spike"\nlatency_penalty = -1'), ["learning.latency_penalty"]),
        (("hinge = true", "latency_penalty = 1"), ["learning.latency_penalty", 'learning.loss = "first-spike"']),
        (('"cosine"', '"cosine"\ndecay = 0.5'), ["optimiser.decay", 'optimiser.schedule = "step"']),
        (("[network]", 'name = "x"\n[network]'), ["called as its file"]),
    ],
)
def test_bad_experiments_are_refused(s4nn, firing_toml, data_dir, tmp_path, change, words):
    assert change[0] in TINY
    firing_toml.write_text(TINY.replace(*change))
    assert_refused(s4nn("train", firing_toml, "--data", data_dir, "--out", tmp_path / "run"), *words)
    assert not (tmp_path / "run").exists()


def test_images_of_another_size_are_refused(s4nn, firing_toml, data_dir, tmp_path):
    firing_toml.write_text(TINY.replace("[network]", "[network]\ninput_shape = [20, 28, 1]"))
    result = s4nn("train", firing_toml, "--data", data_dir, "--out", tmp_path / "run")
    assert_refused(result, "28x28x1", "20x28x1")


def test_bad_usage(s4nn, firing_toml, tmp_path, monkeypatch, data_dir):
    for arguments in (
        [],
        ["fly"],
        ["train"],
        ["train", firing_toml, "--threads", "0"],
        ["evaluate", "a", "--split", "x"],
    ):
        assert_refused(s4nn(*arguments), "--help")
    assert_refused(s4nn("train", tmp_path / "no.toml"), "no.toml not found", "one of the experiments: ")
    assert_refused(s4nn("train", firing_toml, "--threads", 9999), "--threads 9999")
    assert_refused(s4nn("train", firing_toml, "--seed", -1, "--data", data_dir), "training.seed")


# the contract with users: adding an option here and in README is part of adding it
OPTIONS = {
    "train": {
        "--data",
        "--out",
        "--seed",
        "--epochs",
        "--limit",
        "--threads",
        "--engine",
        "--no-test",
        "--init",
        "--teacher",
        "--resume",
        "--force",
    },
    "sweep": {
        "--seeds",
        "--data",
        "--out",
        "--epochs",
        "--limit",
        "--no-test",
        "--workers",
        "--threads",
        "--scheduler",
    },
    "search": {"--trials", "--data", "--out", "--workers", "--threads", "--scheduler"},
    "evaluate": {"--data", "--dataset", "--split", "--limit", "--threads", "--anytime", "--json"},
    "predict": {"--invert", "--like-mnist", "--json", "--plot", "--force"},
    "data": {"--data"},
    "info": set(),
    "import": {"--out", "--factor", "--force", "--classes"},
    "export": {"--nir", "--force"},
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
    for args in map(parsed, lines):
        if str(config := getattr(args, "config", "my.toml")) != "my.toml":
            assert str(config) in shipped.experiments(), args
        for weights in (getattr(args, "weights", None), getattr(args, "init", None)):
            assert weights is None or weights.suffix == ".npz" or str(weights) in shipped.networks(), args
    for wrong in ("s4nn trian demo", "s4nn train demo --resumed"):
        with pytest.raises(SystemExit):
            parsed(wrong)


def test_version_tells_what_a_bug_report_needs(s4nn):
    code, out, err = s4nn("--version")
    assert (code, err) == (0, "")
    first, *rest = out.splitlines()
    assert first == f"s4nn_ref {__version__}"
    found = dict(line.split(" ", 1) for line in rest)
    assert found["numba"] == numba.__version__
    assert found["numpy"] == np.__version__
    assert found["python"].startswith(platform.python_version())
    assert {"llvmlite", "scipy", "matplotlib", "platform", "cpu"} <= set(found)
    assert found["cpu"].split()[0] == binding.get_host_cpu_name()


def test_version_where_packages_are_missing(monkeypatch, s4nn):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    code, out, _ = s4nn("--version")
    assert code == 0
    assert "numba not installed" in out
    assert "cpu unknown" in out


def test_a_module_that_is_run():
    command = [sys.executable, "-m", "s4nn_ref"]
    result = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stdout.splitlines()[0]) == (0, f"s4nn_ref {__version__}")
    result = subprocess.run([*command, "info", "nothing.npz"], capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("s4nn: nothing.npz not found; give a file, or one of the networks: ")


def test_a_missing_package_is_one_line(monkeypatch, s4nn):
    monkeypatch.setitem(sys.modules, "numba", None)
    result = s4nn("train", "demo", "--threads", 1)
    assert_refused(result, "numba", f"Python {platform.python_version()}", "pip install", "wheels for some Pythons")
    monkeypatch.setitem(sys.modules, "s4nn_ref.app.shipped", None)
    monkeypatch.delattr("s4nn_ref.app.shipped")
    with pytest.raises(ImportError):  # one of ours is an internal error
        s4nn("info")


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
    arrays, meta = load_npz(weights)
    arrays["w1"][0, 0, 0, 0] = np.nan
    write_npz(tmp_path / "nan.npz", arrays, meta)
    assert_refused(evaluate(tmp_path / "nan.npz"), "w1 holds NaN")
    write_npz(tmp_path / "shape.npz", {**arrays, "w1": arrays["w1"][:4]}, meta)
    assert_refused(evaluate(tmp_path / "shape.npz"), "w1 is float32 (4, 3, 3, 8)")
    meta["config"]["network"]["structure"] = "8C3-P2"
    write_npz(tmp_path / "config.npz", arrays, meta)
    assert_refused(evaluate(tmp_path / "config.npz"), "does not end in a dense layer")


def test_data_commands(s4nn, data_dir, tmp_path):
    code, out, _ = s4nn("data", "verify", "tiny", "--data", data_dir)
    assert code == 0
    assert out.count("sha256") == 4
    code, out, _ = s4nn("data", "where", "tiny", "--data", data_dir)
    assert code == 0
    assert "train-images" in out
    assert_refused(s4nn("data", "verify", "mnist", "--data", tmp_path), "s4nn data fetch mnist")
    result = s4nn("data", "verify", "nothing", "--data", tmp_path)
    assert_refused(result, "nothing/", "is in none of")
    assert "fetch" not in result[2]  # which could not work
    assert_refused(s4nn("data", "fetch", "nothing"), "no mirror is known")


def test_a_folder_that_is_given_is_the_only_one_searched(s4nn, run_dir, data_dir, tmp_path, monkeypatch, firing_toml):
    monkeypatch.setenv("S4NN_DATA", str(data_dir))
    assert s4nn("evaluate", run_dir / "weights.npz")[0] == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (
        ("evaluate", run_dir / "weights.npz"),
        ("train", firing_toml, "--out", tmp_path / "other"),
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
    assert not list(cache.rglob("*"))


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
