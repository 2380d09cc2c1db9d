"""A training run as its user meets it: what it leaves in its folder, and what an interrupt or a full disk takes."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, assert_refused, with_first_spike

from s4nn_ref.app.record import read_record, read_responses
from s4nn_ref.app.storage import read_weights
from s4nn_ref.files import load_npz
from s4nn_ref.metrics import metrics_of

ROOT = Path(__file__).resolve().parent.parent


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


def test_an_output_folder_is_not_overwritten(run_dir, s4nn, firing_toml, data_dir):
    before = (run_dir / "weights.npz").read_bytes()
    train = ("train", firing_toml, "--data", data_dir, "--out", run_dir, "--epochs", 2)
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


def test_another_start_is_another_run(run_dir, s4nn, firing_toml, data_dir, tmp_path):
    """D35: what a run began from is in its record, and part of what it is."""
    train = ("train", firing_toml, "--data", data_dir, "--epochs", 1, "--out", tmp_path / "more")
    last = run_dir / "weights-last.npz"
    code, out, err = s4nn(*train, "--init", last)
    assert code == 0, err
    assert "from weights-last.npz" in out
    before, record = read_record(run_dir), read_record(tmp_path / "more")
    digest = hashlib.sha256(read_weights(last)[0].parameters.tobytes()).hexdigest()
    assert record["start"] == {"file": "weights-last.npz", "sha256": digest}
    assert before["start"] is None
    assert record["history"][0]["cost"] < before["history"][0]["cost"]  # it goes on where the other ended
    assert "is finished" in s4nn(*train, "--init", last, "--resume")[1]
    assert_refused(s4nn(*train, "--resume"), "began from weights-last.npz, not from random weights (--init)")
    other = (*train[:-1], run_dir, "--epochs", 2, "--init", last, "--resume")
    assert_refused(s4nn(*other), "began from random weights, not from weights-last.npz")
    assert_refused(s4nn(*train, "--resume", "--init", run_dir / "weights.npy"), "weights.npy not found")


def test_a_finished_run_says_how_to_go_on(run_dir, s4nn, firing_toml, data_dir):
    train = ("train", firing_toml, "--data", data_dir, "--out", run_dir, "--resume", "--epochs")
    words = f"training.epochs was 2, is 5; to train its network on: --init {run_dir / 'weights-last.npz'} --out OTHER"
    assert_refused(s4nn(*train, 5), "is finished", words)
    result = s4nn(*train, 5, "--seed", 1)
    assert_refused(result, "another experiment", "training.epochs was 2, is 5")
    assert "--init" not in result[2]


def test_weights_of_another_structure_are_no_start(run_dir, s4nn, firing_toml, data_dir, tmp_path):
    train = ("train", firing_toml, "--data", data_dir, "--out", tmp_path / "more", "--init", run_dir / "weights.npz")
    for old, new in (("8C3-P2-10", "4C3-P2-10"), ("[network]", '[network]\npadding = "same"')):
        firing_toml.write_text(with_first_spike(TINY).replace(old, new))
        assert_refused(s4nn(*train), "weights.npz is a network 8C3-P2-8C3-P2-10", "must be the same")
        assert not (tmp_path / "more").exists()


def test_few_validation_images_are_told(s4nn, firing_toml, data_dir, tmp_path):
    train = ("train", firing_toml, "--data", data_dir, "--epochs", 0, "--force", "--out", tmp_path / "run")
    warning = "40 validation images hardly tell epochs apart (one standard error at 95 % is 3.4 points); raise "
    assert warning + 'data.validation, or set training.select = "last"' in s4nn(*train)[1].splitlines()
    text = with_first_spike(TINY)
    firing_toml.write_text(text.replace("[training]", '[training]\nselect = "last"'))
    assert "hardly" not in s4nn(*train)[1]
    firing_toml.write_text(text.replace("validation = 40", "validation = 0"))  # the last epoch is the result
    assert "hardly" not in s4nn(*train)[1]


SLOW_KERNEL = """
import sys, time
from s4nn_ref.app import progress
from s4nn_ref.kernels.compile import kernel

progress._PATIENCE = float(sys.argv[1])

@kernel
def slow(x):
    return x + 1

with progress.images_bar(2, "evaluate") as advance:
    slow(1)
    time.sleep(1.5)
    advance(1)
print(len(progress.event._registered["numba:compile"]))
"""


def test_compilation_is_told_where_it_takes_time_and_not_from_the_cache(tmp_path):
    """On stderr, once: not where the machine code is in the cache, nor for what is slow for another reason."""
    (tmp_path / "slow.py").write_text(SLOW_KERNEL)

    def told(cache, patience):
        result = subprocess.run(
            [sys.executable, tmp_path / "slow.py", patience], capture_output=True, text=True, check=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert result.stdout == "0\n"
        return result.stderr.strip()

    message = "compiling the kernels, once after an installation or update (half a minute)"
    assert told(tmp_path / "cache", "0.01") == message
    assert told(tmp_path / "cache", "0.01") == ""  # in the cache
    assert told(tmp_path / "other", "1") == ""  # compiled in less; then something else took its time


def leaves(value, path=""):
    """Every number and string in nested dictionaries and lists, with its path."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{path}/{key}")
    else:
        yield path, value


@pytest.mark.parametrize("text", [TINY, with_first_spike(TINY)], ids=["relative-targets", "first-spike"])
def test_both_engines_leave_the_same_record(s4nn, firing_toml, data_dir, tmp_path, text):
    text = text.replace('pool_ties = "potential"', 'pool_ties = "index"')
    firing_toml.write_text(text.replace("[-2, 2]", "[-8, 12]"))
    records, weights, start = {}, {}, {}
    for engine in ("fast", "plain"):
        train = ("train", firing_toml, "--data", data_dir, "--limit", 72, "--engine", engine)
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


def test_limit_and_file_as_output(s4nn, firing_toml, data_dir, tmp_path):
    train = ("train", firing_toml, "--data", data_dir, "--epochs", 1, "--limit", 24)
    assert s4nn(*train, "--out", tmp_path / "limited")[0] == 0
    assert read_record(tmp_path / "limited")["selected"]["train"]["n"] == 24
    assert_refused(s4nn(*train, "--out", firing_toml), "is a file")


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("files", range(7))  # checkpoints 0, 1, 2; weights, weights-last, responses, record
def test_a_full_disk_loses_nothing(s4nn, firing_toml, data_dir, tmp_path, monkeypatch, call, files):
    train = ("train", firing_toml, "--data", data_dir, "--out", tmp_path / "run", "--epochs", 2, "--limit", 48)
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


def test_a_cut_checkpoint_is_refused_and_kept(run_dir, s4nn, firing_toml, data_dir):
    checkpoint = run_dir / "checkpoint.npz"
    (run_dir / "record.json").unlink()
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    result = s4nn("train", firing_toml, "--data", data_dir, "--out", run_dir, "--epochs", 2, "--resume")
    assert_refused(result, "checkpoint.npz", "cut")
    assert len(checkpoint.read_bytes()) == 5000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_resume_gives_the_same_bits(firing_toml, data_dir, tmp_path, s4nn, number):
    command = [sys.executable, "-m", "s4nn_ref", "train", firing_toml, "--data", data_dir, "--epochs", "12"]
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
    train = ("train", firing_toml, "--data", data_dir, "--epochs", 12, "--out")
    assert s4nn(*train, tmp_path / "part", "--resume")[0] == 0
    assert s4nn(*train, tmp_path / "whole")[0] == 0
    part, whole = (load_npz(tmp_path / name / "checkpoint.npz")[0] for name in ("part", "whole"))
    for key in whole:
        assert part[key].tobytes() == whole[key].tobytes(), key


def test_output_that_nobody_reads_does_not_stop_a_run(firing_toml, data_dir, tmp_path):
    command = [sys.executable, "-m", "s4nn_ref", "train", firing_toml, "--data", data_dir, "--epochs", "3"]
    process = subprocess.Popen(
        [*map(str, command), "--out", tmp_path / "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=300) == 0, process.stderr.read()
    assert len(read_record(tmp_path / "run")["history"]) == 3
