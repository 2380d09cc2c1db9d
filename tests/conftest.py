"""A small data set in IDX files and a small experiment, for the tests that run the whole program."""

import gzip
import os
import shutil
import signal
import struct
from pathlib import Path

# before numba is imported: even one core must show what two threads do
os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, os.cpu_count() or 1)))
os.environ.setdefault("GOMP_SPINCOUNT", "0")  # as the command line does: threads that wait sleep

import numba
import numpy as np
import pytest

from s4nn_ref.app.cli import main
from s4nn_ref.app.record import read_record
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.data.idx import FILES
from s4nn_ref.kernels.compile import folder
from s4nn_ref.training.loop import Progress

TARGETS = 'loss = "relative-targets"\nlam = 30\nhinge = true'
TINY = f"""
[network]
structure = "8C3-P2-8C3-P2-10"
init = [[-60, 80], [-30, 30], [-2, 2]]
pool_ties = "potential"

[data]
dataset = "tiny"
validation = 40

[learning]
{TARGETS}
surrogate = "window"
normalise = "none"

[optimiser]
eta = [0.4, 0.2, 0.02]
schedule = "cosine"
ema = 0.9

[augment]
shift = 1
probability = 0.5
rotation = 10

[training]
epochs = 3
batch = 12
"""


def online_toml(algorithm, key="", order="file", structure="784-20-10", init="[[0, 3], [0, 25]]") -> str:
    """A small experiment in the conventions of S4NN. key : one more line of [learning]"""
    return f"""
[network]
structure = "{structure}"
input_shape = [28, 28, 1]
init = {init}
t_max = 256
exceeds = true
delay = 1

[data]
dataset = "tiny"
validation = 40

[learning]
algorithm = "{algorithm}"
{key}

[training]
epochs = 3
batch = 1
order = "{order}"
select = "last"
"""


def idx_bytes(array: np.ndarray) -> bytes:
    """An IDX file of unsigned bytes."""
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def without_grey_channel(images: np.ndarray) -> np.ndarray:
    """Images as IDX files hold them: (n, H, W) where they are grey, (n, H, W, C) where they have more channels."""
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images


def write_idx_set(folder: Path, images, labels, test_images, test_labels) -> None:
    """Write a data set's four compressed IDX files; images : uint8 (n, H, W, C), or grey ones (n, H, W)."""
    arrays = {
        ("train", "images"): without_grey_channel(images),
        ("train", "labels"): labels,
        ("test", "images"): without_grey_channel(test_images),
        ("test", "labels"): test_labels,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for key, array in arrays.items():
        (folder / f"{FILES[key]}.gz").write_bytes(gzip.compress(idx_bytes(array)))


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
    text = text.replace(TARGETS, 'loss = "first-spike"\nnoise = 5\nfinal_potentials = 1')
    return text.replace("[-2, 2]", "[-8, 12]")


@pytest.fixture(scope="session")
def glyphs_100():
    """Digits (images, labels): 300 to learn from and 60 to test with."""
    return make_glyphs(300, 1), make_glyphs(60, 2)


@pytest.fixture
def data_dir(tmp_path, glyphs_100):
    """A folder with the data set "tiny"."""
    (images, labels), (test_images, test_labels) = glyphs_100
    write_idx_set(tmp_path / "data" / "tiny", images, labels, test_images, test_labels)
    return tmp_path / "data"


@pytest.fixture
def tiny_toml(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def firing_toml(tmp_path):
    """A small experiment whose outputs fire."""
    path = tmp_path / "tiny.toml"
    path.write_text(with_first_spike(TINY))
    return path


@pytest.fixture(scope="session")
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


@pytest.fixture(autouse=True)
def as_many_threads_afterwards():
    """A test may set the number of threads, as `s4nn --threads` does: the next one has all of them again."""
    yield
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


@pytest.fixture
def s4nn(capsys):
    """Run the command line in this process; returns (exit code, stdout, stderr)."""

    def run(*arguments):
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def scheduler():
    """The address of a cluster of two workers, whose runs find the kernels that are compiled here."""
    pytest.importorskip("distributed", reason="the extra s4nn_ref[sweep] is not installed: no test of clusters")
    from distributed import LocalCluster

    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder().parent))
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    with LocalCluster(n_workers=2, threads_per_worker=1, memory_limit=None, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="session")
def real_data():
    """The folder named by S4NN_DATA, or a skip."""
    folder = os.environ.get("S4NN_DATA")
    if not folder or not all((Path(folder) / name).is_dir() for name in ("mnist", "fashion-mnist")):
        pytest.skip("S4NN_DATA names no folder with mnist/ and fashion-mnist/: the tests on real data are skipped")
    return Path(folder)


class StopAfter(Progress):
    """Ask for a stop, as Ctrl-C does, after a number of batches."""

    def __init__(self, batches):
        self.left = batches

    def batch(self, images, cost, accuracy):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)
