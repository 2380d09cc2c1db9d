"""`s4nn sweep`: a cluster trains what one process trains, whatever is killed on the way."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import TINY, assert_refused

from s4nn_ref.app import cli, live
from s4nn_ref.app import cluster as clusters
from s4nn_ref.app.record import read_record
from s4nn_ref.app.storage import read_weights
from s4nn_ref.app.toml import write_config
from s4nn_ref.config import config_of_dict, read_config

pytest.importorskip("distributed", reason="the extra s4nn_ref[sweep] is not installed: no test of sweeps")
psutil = pytest.importorskip("psutil")  # comes with it

EPOCHS = 80  # enough to be killed on the way
TRAINS = re.compile(r"epoch +[1-9]\d*/")  # a line that tells of a run after its first epoch


def assert_same_run(folder, other):
    """Equal metrics and weights, to the bit."""
    records = [read_record(path) for path in (folder, other)]
    for key in ("config", "seed", "selected", "last", "limit", "dataset_sha256"):
        assert records[0][key] == records[1][key], key
    clock = ("seconds", "images_per_second")
    rows = [[{k: v for k, v in row.items() if k not in clock} for row in record["history"]] for record in records]
    assert rows[0] == rows[1]
    for name in ("weights.npz", "weights-last.npz"):
        found = [read_weights(path / name)[0].parameters for path in (folder, other)]
        np.testing.assert_array_equal(*found)


@pytest.fixture(scope="module")
def data(tmp_path_factory, glyphs_100):
    from conftest import write_idx_set

    folder = tmp_path_factory.mktemp("data")
    write_idx_set(folder / "tiny", *glyphs_100[0], *glyphs_100[1])
    return folder


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def undisturbed(experiment, data, tmp_path_factory):
    """The run that nothing happens to."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    arguments = ("train", experiment, "--data", data, "--out", out, "--epochs", EPOCHS, "--threads", 1)
    assert cli.main([str(a) for a in arguments]) == 0
    return out


def wait_for(condition, cluster, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come"
        cluster.news(0.05)


def child_of(folder):
    """The process that trains into a folder."""
    (child,) = (
        p for p in psutil.Process().children(recursive=True) if "--out" in (c := p.cmdline()) and str(folder) in c
    )
    return child


@pytest.mark.parametrize("killed", ["the worker and its run", "the worker", "the run"])
def test_what_is_lost_costs_no_bit(killed, scheduler, experiment, data, undisturbed, tmp_path):
    out = tmp_path / "run"
    arguments = [experiment, "--data", data, "--out", out, "--epochs", EPOCHS, "--threads", 1, "--resume"]
    with clusters.Cluster(None, scheduler) as cluster:
        run = cluster.watched[cluster.submit(out, [str(a) for a in arguments])]
        wait_for(lambda: len(run.rows) >= 2, cluster)
        child = child_of(out)
        victims = [child.parent()] * ("worker" in killed) + [child] * ("run" in killed)
        for process in victims:
            process.send_signal(signal.SIGKILL)
        assert len(run.rows) < EPOCHS and not (out / "record.json").exists()
        wait_for(lambda: run.outcome, cluster)
    assert run.state == "finished", run.outcome
    assert (out / "train.log").read_text().count("training and") >= 2  # it began twice
    assert_same_run(out, undisturbed)


def test_a_run_is_tried_as_long_as_it_comes_on():
    run = clusters.Watched(job=None)
    assert [run.interrupted() for _ in range(2)] == [True, True]
    run.hear({"rows": [{}], "first": 0})
    assert [run.interrupted() for _ in range(3)] == [True, True, False]


def test_a_run_is_stopped_and_goes_on(scheduler, experiment, data, undisturbed, tmp_path):
    out = tmp_path / "run"
    arguments = [experiment, "--data", data, "--out", out, "--epochs", EPOCHS, "--threads", 1, "--resume"]
    for stopped in (True, False):
        with clusters.Cluster(None, scheduler) as cluster:
            run = cluster.watched[key := cluster.submit(out, [str(a) for a in arguments])]
            if stopped:
                wait_for(lambda run=run: len(run.rows) >= 2, cluster)
                cluster.stop([key])
            wait_for(lambda run=run: run.outcome, cluster)
        assert run.state == ("stopped" if stopped else "finished")
        assert (len(run.outcome.history) < EPOCHS) == stopped
        assert "state saved" in (out / "train.log").read_text()
    assert_same_run(out, undisturbed)


def test_a_sweep_is_the_same_as_training_one_by_one(scheduler, experiment, data, tmp_path, s4nn):
    sweep = ["sweep", experiment, "--data", data, "--out", tmp_path / "runs", "--epochs", 2, "--limit", 96]
    code, out, _ = s4nn(*sweep, "--seeds", "0,2", "--scheduler", scheduler)
    assert code == 0
    alone = ("train", experiment, "--data", data, "--epochs", 2, "--limit", 96, "--seed", 2)
    assert s4nn(*alone, "--out", tmp_path / "alone")[0] == 0
    assert_same_run(tmp_path / "runs" / "tiny" / "seed2", tmp_path / "alone")
    assert sorted(path.name for path in (tmp_path / "runs" / "tiny").glob("seed*")) == ["seed0", "seed2"]
    assert "tiny seed2                   finished  epoch   2/2  validation" in out
    # the summary: by hand from the records; a second call needs no cluster
    records = [read_record(tmp_path / "runs" / "tiny" / f"seed{seed}") for seed in (0, 2)]
    tests = [100 * record["selected"]["test"]["accuracy_strict"] for record in records]
    valid = [r["history"][r["selected"]["epoch"] - 1]["validation"]["accuracy_strict"] for r in records]
    code, out, _ = s4nn(*sweep, "--seeds", "0,2", "--scheduler", "tcp://127.0.0.1:9")
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("| tiny"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1] == "2"
    assert cells[3] == f"{np.mean(tests):.2f} ± {np.std(tests, ddof=1):.2f}"
    assert cells[-1] == ("seed0" if valid[0] >= valid[1] else "seed2")


def test_without_the_test_set_a_second_call_reads_it(scheduler, experiment, data, tmp_path, s4nn):
    sweep = ["sweep", experiment, "--data", data, "--out", tmp_path, "--epochs", 1, "--scheduler", scheduler]
    code, out, _ = s4nn(*sweep, "--no-test")
    assert code == 0
    assert not (tmp_path / "tiny" / "seed0" / "responses.npz").exists()
    cells = [cell.strip() for cell in out.splitlines()[-2].split("|")[1:-1]]
    assert cells[3:5] == ["-", "-"] and float(cells[2]) >= 0 and cells[-1] == "seed0"
    assert s4nn(*sweep)[0] == 0
    assert read_record(tmp_path / "tiny" / "seed0")["selected"]["test"]["n"] == 60


def test_a_run_that_fails_does_not_stop_the_others(scheduler, experiment, data, tmp_path, s4nn):
    (tmp_path / "wild.toml").write_text(TINY.replace("eta = [0.4, 0.2, 0.02]", "eta = 1e30"))
    both = ("sweep", tmp_path / "wild.toml", experiment, "--data", data, "--out", tmp_path / "runs")
    code, out, err = s4nn(*both, "--epochs", 1, "--scheduler", scheduler)
    assert code == 2
    assert "| wild       | 0 of 1 " in out and "| tiny       | 1 " in out
    assert err.count("\n") == 1 and "wild/seed0 failed: s4nn: weights became NaN" in err


def test_ctrl_c_loses_nothing(experiment, data, undisturbed, tmp_path):
    """The whole command, on a cluster of its own."""
    sweep = ["sweep", experiment, "--data", data, "--out", tmp_path, "--epochs", EPOCHS, "--threads", 1]
    command = [sys.executable, "-m", "s4nn_ref", *(str(a) for a in sweep)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if TRAINS.search(line):
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all of its processes
            break
    rest = process.stdout.read()
    assert process.wait() == 130, rest
    assert "every run has saved its state" in rest
    assert "state saved" in (tmp_path / "tiny" / "seed0" / "train.log").read_text()
    assert not (tmp_path / "tiny" / "seed0" / "record.json").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_run(tmp_path / "tiny" / "seed0", undisturbed)


def test_a_run_ends_when_the_sweep_is_killed(scheduler, experiment, data, tmp_path):
    """On an existing cluster nobody else would end it; its state is saved."""
    sweep = ["sweep", experiment, "--data", data, "--out", tmp_path, "--epochs", 1000, "--scheduler", scheduler]
    command = [sys.executable, "-m", "s4nn_ref", *(str(a) for a in sweep)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if TRAINS.search(line):
                process.kill()
                break
    log, end = tmp_path / "tiny" / "seed0" / "train.log", time.monotonic() + 60
    while "state saved" not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_scheduler_that_does_not_answer(experiment, tmp_path, s4nn, monkeypatch):
    monkeypatch.setattr(clusters, "_PATIENCE", 0.3)
    sweep = ("sweep", experiment, "--out", tmp_path, "--scheduler")
    assert_refused(s4nn(*sweep, "tcp://127.0.0.1:9"), "no scheduler answers at tcp://127.0.0.1:9", "dask scheduler")
    assert_refused(s4nn(*sweep, "nonsense:"), "no scheduler answers at nonsense:")


def test_usage_errors_are_one_line(experiment, tmp_path, s4nn, monkeypatch):
    sweep = ("sweep", experiment, "--out", tmp_path)
    for seeds in ("4-0", "a", "", "1,1", "-1"):
        assert_refused(s4nn(*sweep, f"--seeds={seeds}"), "--seeds")
    (tmp_path / "tiny.toml").write_text(TINY)
    assert_refused(s4nn("sweep", experiment, tmp_path / "tiny.toml"), "two experiments are called tiny")
    assert_refused(s4nn("sweep", tmp_path / "none.toml"), "none.toml")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert_refused(s4nn(*sweep), 'pip install "s4nn_ref[sweep]"')
    assert not list(tmp_path.glob("*/"))


@pytest.mark.parametrize("name", ["mnist-plus", "fashion", "s4nn", "comsa", "demo"])
def test_an_experiment_is_written_as_it_was_read(name, tmp_path):
    config = read_config(f"experiments/{name}.toml")
    write_config(tmp_path / f"{name}.toml", config)
    assert read_config(tmp_path / f"{name}.toml") == config


def test_words_of_an_experiment_are_written_as_toml(tmp_path):
    config = config_of_dict({"network": {"structure": "8C3-10"}, "data": {"dataset": 'é "quoted" \\ back'}}, "x")
    write_config(tmp_path / "x.toml", config)
    assert read_config(tmp_path / "x.toml") == config


class Terminal:
    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_table_is_redrawn_in_place(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(live.shutil, "get_terminal_size", lambda: os.terminal_size((10, 5)))
    table = live.Live(Terminal())
    table.draw(["a" * 20, "b"])
    table.say("said")
    table.draw([str(i) for i in range(9)])
    table.draw([])
    up = ["\x1b[2F\x1b[J", "\x1b[3F\x1b[J"]
    assert (
        table.stream.text
        == f"{'a' * 9}\nb\n{up[0]}said\n0\n1\n... and 7 more\n".replace("... and 7 more", "... and 7") + up[1]
    )
