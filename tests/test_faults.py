"""Faults that users and attackers found, each the representative of a kind."""

import multiprocessing
import struct
import threading
import time
import zlib

import numpy as np
import pytest
from conftest import TINY, assert_refused, online_toml
from PIL import Image

from s4nn_ref.app import storage
from s4nn_ref.app.folders import alone_in
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.pictures import read_image
from s4nn_ref.errors import InputError
from s4nn_ref.files import load_npz, write_npz
from s4nn_ref.kernels.running import running
from s4nn_ref.kernels.spikes import fan_out
from s4nn_ref.network import Network, Settings
from s4nn_ref.structure import parse_structure


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[network]", "[network]\nv_th = 1e-50", "network.v_th = 1e-50: expected a number that single precision holds"),
        ("[[-60, 80]", "[[-60, 1e300]", "single precision"),
        ("lam = 30", "lam = 1e39", "single precision"),
        ("[network]", "[network]\nv_th = 1e-30\ncollapse = [1, 1e-30, 1]", "a threshold of 0 in float32"),
    ],
)
def test_numbers_that_single_precision_cannot_hold(tiny_toml, data_dir, tmp_path, s4nn, old, new, says):
    tiny_toml.write_text(TINY.replace(old, new, 1))
    assert_refused(s4nn("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run"), says)


@pytest.mark.parametrize("v_th", [0.0, -1.0, 1e-50, np.nan, np.inf])
def test_no_network_has_a_threshold_of_zero(v_th):
    with pytest.raises(InputError, match="threshold"):
        Network(Settings("2-2", input_shape=(2, 1, 1), v_th=v_th))


def test_weights_that_single_precision_cannot_hold(tmp_path):
    config = config_of_dict({"network": {"structure": "2-2", "input_shape": [2, 1, 1], "init": [[0, 1]]}})
    storage.write_weights(tmp_path / "w.npz", config, np.zeros(4, np.float32))
    arrays, meta = load_npz(tmp_path / "w.npz")
    write_npz(tmp_path / "w.npz", {"w0": np.full(arrays["w0"].shape, 1e300)}, meta)
    with pytest.raises(InputError, match="infinite weights"):
        storage.read_weights(tmp_path / "w.npz")


def test_a_finished_run_of_other_images_is_not_the_result(tiny_toml, data_dir, tmp_path, s4nn):
    train = ("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run", "--epochs")
    assert s4nn(*train, 1, "--limit", 24)[0] == 0
    assert_refused(s4nn(*train, 1, "--resume"), "it saw the first 24, not all images (--limit)")
    assert_refused(s4nn(*train, 1, "--resume", "--limit", 48), "it saw the first 24, not the first 48")
    assert "is finished" in s4nn(*train, 1, "--resume", "--limit", 24)[1]
    assert_refused(s4nn(*train, 2, "--resume", "--limit", 24), "training.epochs was 1, is 2")
    assert "| training images" in s4nn("compare", tmp_path / "run")[1]


def test_a_folder_that_cannot_be_made_is_named(tiny_toml, data_dir, s4nn):
    out = tiny_toml / "below" / "run"  # below a file
    result = s4nn("train", tiny_toml, "--data", data_dir, "--out", out)
    assert_refused(result, str(out), "Not a directory")
    assert "output" not in result[2]


def test_two_processes_do_not_train_into_one_folder(tiny_toml, data_dir, tmp_path, s4nn):
    pytest.importorskip("fcntl")
    train = ("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run", "--epochs", 1)
    with alone_in(tmp_path / "run"):
        assert_refused(s4nn(*train), "another process trains into")
    assert s4nn(*train)[0] == 0


def case(seed=0):
    rng = np.random.default_rng(seed)
    network = Network(Settings("6C3-P2-8C3-P2-5", input_shape=(16, 16, 1), t_max=30, padding="same"))
    network.initialise([(-30, 60), (-30, 50), (-20, 30)], rng)
    return network, rng.integers(0, 31, (24, 16, 16, 1)).astype(np.int16)


@pytest.mark.parametrize("networks", [1, 2])
def test_python_threads_get_the_right_results(networks):
    cases = [case(seed) for seed in range(networks)] * (3 - networks)
    expected, wrong = [network.forward(t_in)[-1].t_post for network, t_in in cases], []

    def work(k):
        network, t_in = cases[k]
        for _ in range(15):
            if not np.array_equal(network.forward(t_in)[-1].t_post, expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def _forward_in_child(queue):
    network, t_in = case()
    try:
        queue.put(int(network.forward(t_in)[-1].t_post.sum()))
    except RuntimeError as error:
        queue.put(str(error))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_computes_or_says_why_not(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    network, t_in = case()
    expected, context = int(network.forward(t_in)[-1].t_post.sum()), multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_forward_in_child, args=(queue,))
    child.start()
    said = queue.get(timeout=120)
    child.join(timeout=60)
    assert child.exitcode == 0
    if method == "spawn":
        assert said == expected
    else:
        assert "'spawn'" in said
        assert "\n" not in said


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_child_forked_while_another_thread_computes_says_why_it_does_not():
    """The lock that the thread holds is held in the child for ever."""
    computing, end, context = threading.Event(), threading.Event(), multiprocessing.get_context("fork")

    def compute():
        with running():
            computing.set()
            end.wait(timeout=120)

    thread, queue = threading.Thread(target=compute), context.Queue()
    thread.start()
    try:
        assert computing.wait(timeout=60)
        child = context.Process(target=_forward_in_child, args=(queue,))
        child.start()
        assert "'spawn'" in queue.get(timeout=60)
        child.join(timeout=60)
        assert child.exitcode == 0
    finally:
        end.set()
        thread.join()


def test_large_structures_are_judged_at_once():
    began = time.perf_counter()
    with pytest.raises(InputError, match="GiB for its lists of spikes"):
        parse_structure("1C300-10", (200, 200, 1), "same")
    with pytest.raises(InputError, match="at most 181"):
        parse_structure("P182-10", (400, 400, 1))
    for structure, shape, says in (
        ("P1-999999999", (28, 28, 1), "neurons, at most"),
        ("P1-1000000-10", (28, 28, 1), "weights, at most"),
        ("9" * 5000, (28, 28, 1), "is not a layer"),
        ("10", (10**6, 10**6, 1), "input_shape"),
    ):
        with pytest.raises(InputError, match=says):
            parse_structure(structure, shape)
    geometry = parse_structure("8C25-2", (60, 60, 3), "same")[0].geometry
    fan = fan_out(geometry, 1)
    assert time.perf_counter() - began < 20
    assert fan.first[-1] == fan.position.size == fan.offset.size
    # by hand: the corner pixel reaches 13 x 13 positions, the first of them through the kernel's middle
    assert fan.first[1] == 13 * 13
    assert (fan.position[0], fan.offset[0]) == (0, (12 * 25 + 12) * 3)


def test_online_learning_needs_a_hidden_layer(tiny_toml, data_dir, tmp_path, s4nn):
    tiny_toml.write_text(online_toml("s4nn", structure="784-10", init="[[0, 3]]"))
    assert_refused(s4nn("train", tiny_toml, "--data", data_dir, "--out", tmp_path / "run"), "at least one hidden layer")


def test_pictures(tmp_path):
    grey = np.repeat(np.arange(28, dtype=np.uint8)[:, None] * 9, 28, axis=1)
    Image.fromarray(grey).save(tmp_path / "a.jpg", quality=100)
    assert np.abs(read_image(tmp_path / "a.jpg", (28, 28, 1)).image[..., 0].astype(int) - grey).max() < 5
    Image.new("L", (6000, 4000)).save(tmp_path / "large.png")
    with pytest.raises(InputError, match="6000 x 4000 pixels"):
        read_image(tmp_path / "large.png", (28, 28, 1))


def png(path, depth, colour, pixels, transparent):
    """Write a PNG of one row by hand, with a transparent level (grey, colour type 0) or colour (type 2)."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    values = [level for pixel in pixels for level in np.atleast_1d(pixel)]
    bits = "".join(f"{value:0{depth}b}" for value in values)
    row = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    clear = np.atleast_1d(transparent)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", len(pixels), 1, depth, colour, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(
    ("depth", "pixels", "transparent", "expected"),
    [
        (1, [0, 1], 0, [255, 255]),
        (2, [0, 1, 2, 3], 1, [0, 255, 170, 255]),
        (4, [0, 5, 10, 15], 10, [0, 85, 255, 255]),
        (8, [0, 5, 10, 255], 5, [0, 255, 10, 255]),
        (16, [0, 300, 25700, 65535], 25700, [0, 1, 255, 255]),
    ],
)
def test_a_level_of_grey_may_be_transparent(tmp_path, depth, pixels, transparent, expected):
    path = png(tmp_path / "a.png", depth, 0, pixels, transparent)
    assert read_image(path, (1, len(pixels), 1)).image.ravel().tolist() == expected


@pytest.mark.parametrize("depth", [8, 16])
def test_a_colour_may_be_transparent(tmp_path, depth):
    scale = 257 if depth == 16 else 1
    pixels = np.array([[10, 20, 30], [40, 50, 60]]) * scale
    path = png(tmp_path / "a.png", depth, 2, list(pixels), pixels[0])
    assert read_image(path, (1, 2, 3)).image[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_drawings_do_not_overwrite(tmp_path, s4nn):
    config = config_of_dict({"network": {"structure": "784-10", "init": [[0, 1]]}})
    storage.write_weights(tmp_path / "w.npz", config, np.ones(7840, np.float32))
    Image.new("L", (28, 28), 90).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    predict = ("predict", tmp_path / "w.npz", tmp_path / "a.png", "--plot")
    for force in ((), ("--force",)):
        result = s4nn(*predict, tmp_path / "a.png", *force)
        assert_refused(result, "one of the files to read")
        assert result[1] == ""
    assert (tmp_path / "a.png").read_bytes() == before
    assert_refused(s4nn(*predict, tmp_path / "v.jpg"), ".png, .pdf or .svg")
    assert_refused(s4nn(*predict, tmp_path / "none" / "v.png"), "there is no folder")
    for name, magic in (("v.png", b"\x89PNG"), ("v.pdf", b"%PDF"), ("v.svg", b"<?xml")):
        assert s4nn(*predict, tmp_path / name)[0] == 0
        assert (tmp_path / name).read_bytes().startswith(magic)
    assert_refused(s4nn(*predict, tmp_path / "v.png"), "is there already", "--force")
    assert s4nn(*predict, tmp_path / "v.png", "--force")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"w.npz", "a.png", "v.png", "v.pdf", "v.svg"}


def test_damaged_arrays_and_odd_names(tmp_path, data_dir, s4nn):
    experiment = tmp_path / "net.toml"
    experiment.write_text(online_toml("s4nn", structure="784-6-10"))
    np.save(tmp_path / "w0.npy", np.ones((6, 784)))
    np.save(tmp_path / "w1.npy", np.ones((10, 6)))
    command = ("import", experiment, tmp_path / "w0.npy", tmp_path / "w1.npy", "--out", tmp_path / "net.npz")
    assert s4nn(*command)[0] == 0
    assert_refused(s4nn(*command), "is there already", "--force")
    assert s4nn(*command, "--force")[0] == 0
    whole = (tmp_path / "w1.npy").read_bytes()
    for position in range(0, 128):
        damaged = bytearray(whole)
        damaged[position] ^= 0x80
        (tmp_path / "w1.npy").write_bytes(damaged)
        code, _, err = s4nn(*command, "--force")
        assert (code, err.count("\n")) in ((2, 1), (0, 0)), position
    assert_refused(s4nn("evaluate", tmp_path / "net.npz", "--data", data_dir, "--dataset", "tiny/"), "without slashes")


def test_a_black_picture_is_told(tmp_path, s4nn):
    config = config_of_dict({"network": {"structure": "784-10", "init": [[0, 1]]}})
    storage.write_weights(tmp_path / "w.npz", config, np.zeros(7840, np.float32))
    Image.new("L", (28, 28)).save(tmp_path / "black.png")
    code, _, err = s4nn("predict", tmp_path / "w.npz", tmp_path / "black.png")
    assert (code, "no input spike" in err) == (0, True)
