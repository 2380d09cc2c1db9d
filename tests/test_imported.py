"""Weights that other programs stored: arrays, pickles, and the text format of Comsa."""

import gzip
import json
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_refused, online_toml

from s4nn_ref.app.storage import read_weights

TOML = online_toml("s4nn", structure="784-6-10")


@pytest.fixture
def files(tmp_path):
    """An experiment file and the arrays of its layers, stored."""
    rng = np.random.default_rng(0)
    (tmp_path / "net.toml").write_text(TOML)
    arrays = rng.normal(size=(6, 28, 28)), rng.normal(size=(10, 6, 1))
    for name, array in zip(("w0.npy", "w1.npy"), arrays, strict=True):
        np.save(tmp_path / name, array)
    return tmp_path, arrays


def test_arrays_are_read_and_evaluated(s4nn, files, data_dir):
    folder, (hidden, output) = files
    out = folder / "net.npz"
    code, text, _ = s4nn("import", folder / "net.toml", folder / "w0.npy", folder / "w1.npy", "--out", out)
    assert code == 0
    assert "784-6-10" in text
    network, config = read_weights(out)
    np.testing.assert_array_equal(network.w[0][..., 0], hidden.astype(np.float32))
    np.testing.assert_array_equal(network.w[1].reshape(10, 6), output[..., 0].astype(np.float32))
    assert (config.network.exceeds, config.network.delay, config.name) == (True, 1, "net")
    assert s4nn("evaluate", out, "--data", data_dir)[0] == 0
    assert s4nn("evaluate", out, "--data", data_dir, "--anytime")[0] == 0
    np.save(folder / "w0.npy", 2 * hidden.reshape(6, 784))
    assert s4nn("import", folder / "net.toml", folder / "w0.npy", folder / "w1.npy", "--out", out, "--force")[0] == 0
    np.testing.assert_array_equal(read_weights(out)[0].w[0][..., 0], (2 * hidden).astype(np.float32))


def test_networks_of_signs(s4nn, files):
    folder, (hidden, _) = files
    out = folder / "net.npz"
    arguments = ("import", folder / "net.toml", folder / "w0.npy", folder / "w1.npy", "--out", out)
    code, _, error = s4nn(*arguments, "--factor", 4, 9.5)
    assert (code, "--factor is not for s4nn" in error) == (2, True)
    (folder / "net.toml").write_text(TOML.replace('"s4nn"', '"bs4nn"'))
    code, _, error = s4nn(*arguments)
    assert (code, "--factor is needed" in error) == (2, True)
    for factor in ((4,), (4, 0), (4, -1), (4, "nan"), (4, "inf")):
        assert s4nn(*arguments, "--factor", *factor)[0] == 2
    assert s4nn(*arguments, "--factor", 4, 9.5)[0] == 0
    network, _ = read_weights(out)
    np.testing.assert_array_equal(network.w[0][..., 0], 4 * np.sign(hidden))
    assert set(np.unique(network.w[1])) == {-9.5, 9.5}


class Marker:
    """A pickle that shows whether it was run."""

    ran = False

    def __reduce__(self):
        return (setattr, (Marker, "ran", True))


def test_pickles_that_call_anything_are_refused(s4nn, files):
    folder, arrays = files
    out = folder / "net.npz"
    np.save(folder / "bad.npy", np.array([Marker(), None], object), allow_pickle=True)
    (folder / "bad.pickle").write_bytes(pickle.dumps([arrays[0], Marker()]))
    (folder / "text.pickle").write_bytes(pickle.dumps([arrays[0], "text"]))
    for name, says in (("bad.npy", "builtins.setattr"), ("bad.pickle", "builtins.setattr"), ("text.pickle", "a str")):
        assert_refused(s4nn("import", folder / "net.toml", folder / name, "--out", out), says)
    assert not Marker.ran
    assert not out.exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("module", ["cupy.core.core", "cupy._core.core"])
def test_pickles_of_arrays_are_read(s4nn, files, monkeypatch, module, protocol):
    """As CuPy writes them, which need not be there: a call of its function `array` with a NumPy array."""
    folder, arrays = files
    fake = types.ModuleType(module)
    exec("def array(a): return a", vars(fake))
    fake.array.__module__ = module
    parts = module.split(".")
    for i in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    monkeypatch.setitem(sys.modules, module, fake)

    class OnGpu:
        def __init__(self, array):
            self.array = array

        def __reduce__(self):
            return fake.array, (self.array,)

    objects = np.empty(2, object)
    objects[:] = arrays
    np.save(folder / "objects.npy", objects, allow_pickle=True)
    content = pickle.dumps([OnGpu(array) for array in arrays], protocol)
    (folder / "gpu.pickle").write_bytes(gzip.compress(content) if protocol == 4 else content)
    for i in range(1, len(parts) + 1):
        monkeypatch.delitem(sys.modules, ".".join(parts[:i]))
    for name in ("objects.npy", "gpu.pickle"):
        out = folder / f"{name}.npz"
        assert s4nn("import", folder / "net.toml", folder / name, "--out", out)[0] == 0
        network = read_weights(out)[0]
        np.testing.assert_array_equal(network.w[0][..., 0], arrays[0].astype(np.float32))
        np.testing.assert_array_equal(network.w[1].reshape(10, 6), arrays[1][..., 0].astype(np.float32))


def test_output_neurons_may_stand_for_other_classes(s4nn, files):
    folder, (_, output) = files
    out, classes = folder / "net.npz", [4, 1, 0, 7, 9, 2, 3, 5, 8, 6]
    command = ("import", folder / "net.toml", folder / "w0.npy", folder / "w1.npy", "--out", out, "--classes")
    assert s4nn(*command, ",".join(map(str, classes)))[0] == 0
    w = read_weights(out)[0].w[1].reshape(10, 6)
    for k, c in enumerate(classes):
        np.testing.assert_array_equal(w[c], output[k, :, 0].astype(np.float32))
    assert_refused(s4nn(*command, "0,1,2", "--force"), "each of 0 to 9 once")
    assert_refused(s4nn(*command, "0,a", "--force"), "--classes")


COMSA_TOML = """
[network]
structure = "4-S2-3-S2-2"
input_shape = [2, 2, 1]
t_max = 1

[learning]
algorithm = "comsa"

[optimiser]
eta = 0.001
"""


@pytest.mark.parametrize("zipped", [False, True])
def test_a_network_of_comsa(s4nn, tmp_path, zipped):
    rng = np.random.default_rng(0)
    pulses, w = rng.random((3, 2)), [rng.normal(size=(3, 6)), rng.normal(size=(2, 5))]
    numbers = np.concatenate([pulses.ravel(), *(part.ravel() for part in w)])
    text = "pulses_per_layer 1.25 3 4 3 2 2 " + " ".join(map(repr, numbers.tolist()))
    toml, file, out = tmp_path / "comsa.toml", tmp_path / "net.txt", tmp_path / "net.npz"
    toml.write_text(COMSA_TOML)
    file.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert s4nn("import", toml, file, "--out", out)[0] == 0
    network, config = read_weights(out)
    assert config.network.v_th == 1.25
    for k, expected in enumerate([pulses[0], w[0].T, pulses[1], w[1].T]):
        np.testing.assert_array_equal(network.rows[k].squeeze(), expected.astype(np.float32))
    toml.write_text(COMSA_TOML.replace("S2-3", "S2-4"))
    assert_refused(s4nn("import", toml, file, "--out", out, "--force"), 'network.structure = "4-S2-3-S2-2"')
    toml.write_text(COMSA_TOML)
    for cut in (text[:40], text[:-30], text.replace("3 4 3 2", "3 4 -3 2"), "pulses_per_layer"):
        file.write_text(cut)
        assert_refused(s4nn("import", toml, file, "--out", out, "--force"), "damaged network of Comsa")


def test_comsas_published_network(s4nn, tmp_path, real_data):
    """Measured once with another program: 9740 of 10,000 test images right, none silent, 277.6 hidden spikes."""
    published = real_data.parent / "networks" / "comsa_fast_network.txt.gz"
    if not published.exists():
        pytest.skip("the network that Comsa et al. published is not at hand")
    toml, out = Path(__file__).resolve().parent.parent / "experiments" / "comsa.toml", tmp_path / "comsa.npz"
    assert s4nn("import", toml, published, "--out", out)[0] == 0
    code, text, _ = s4nn("evaluate", out, "--json", "--data", real_data)
    found = json.loads(text)
    assert code == 0
    assert abs(found["accuracy_strict"] - 0.9740) <= 0.0001 + 1e-9
    assert (found["silent"], found["tied"]) == (0, 0)
    assert found["mrn"]["layers"]["2:340"] == pytest.approx(277.6, abs=0.15)
    assert found["decision_time_mean"] == pytest.approx(1.64, abs=0.01)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda d: np.save(d / "w1.npy", np.zeros((9, 6))), "needs numbers of shape (10, 6)"),
        (lambda d: np.save(d / "w1.npy", np.full((10, 6), np.nan)), "NaN"),
        (lambda d: np.save(d / "w1.npy", np.full((10, 6), "a")), "needs numbers"),
        (lambda d: np.save(d / "w1.npy", np.full((10, 6), 1e300)), "cannot hold"),
        (lambda d: np.save(d / "w1.npy", np.zeros((10, 1, 1))), "needs numbers of shape"),
        (lambda d: (d / "w1.npy").write_bytes(b"no array"), "w1.npy"),
        (lambda d: (d / "w1.npy").unlink(), "not found"),
        (lambda d: (d / "net.toml").write_text(TOML.replace("784-6-10", "784-6-6-10").replace("25]]", "25], [0, 1]]")),
         "2 arrays for the 3 layers"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(s4nn, files, break_it, message):
    folder, _ = files
    break_it(folder)
    code, _, error = s4nn(
        "import", folder / "net.toml", folder / "w0.npy", folder / "w1.npy", "--out", folder / "net.npz"
    )
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
