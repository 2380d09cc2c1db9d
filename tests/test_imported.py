"""Weights that other programs stored as NumPy arrays."""

import numpy as np
import pytest
from conftest import online_toml

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


def test_pickles_are_refused_unless_asked_for(s4nn, files):
    folder, arrays = files
    objects = np.empty(2, object)
    objects[:] = arrays
    np.save(folder / "all.npy", objects, allow_pickle=True)
    np.save(folder / "bad.npy", np.array([Marker(), None], object), allow_pickle=True)
    command = ("import", folder / "net.toml", folder / "all.npy", "--out", folder / "net.npz")
    code, _, error = s4nn(*command)
    assert code == 2
    assert "--allow-pickle" in error
    assert not (folder / "net.npz").exists()
    assert s4nn("import", folder / "net.toml", folder / "bad.npy", "--out", folder / "net.npz")[0] == 2
    assert not Marker.ran
    assert (
        s4nn("import", folder / "net.toml", folder / "bad.npy", "--out", folder / "net.npz", "--allow-pickle")[0] == 2
    )
    assert Marker.ran  # the file does run code where it is allowed to
    code, _, error = s4nn(*command, "--allow-pickle")
    assert code == 0
    assert "warning" in error
    np.testing.assert_array_equal(read_weights(folder / "net.npz")[0].w[0][..., 0], arrays[0].astype(np.float32))


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
