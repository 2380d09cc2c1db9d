"""Graphs of NIR: replayed by an interpreter that knows nothing of this project, and read back."""

import importlib.util
import io
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_refused, online_toml

from s4nn_ref.app import graph_file, graph_reader
from s4nn_ref.app.graph import graph_of, graph_text, stages_of
from s4nn_ref.app.storage import read_weights, write_weights
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.glyphs import make_glyphs
from s4nn_ref.errors import InputError

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")
nir_interpreter = pytest.importorskip("nir_interpreter")

ROOT = Path(__file__).resolve().parent.parent
LINE, CURVE = [1.5, 0.5, 1.0], [1.5, 0.5, 0.5]


def network_of(structure, shape=(10, 10, 1), **settings):
    """A network whose sums of weights, and thresholds, single precision holds exactly, and its experiment.

    65 steps, 64 of which make the fall of a threshold a sum of powers of two.
    """
    keys = {"structure": structure, "input_shape": list(shape), "t_max": 65, "collapse": settings.pop("collapse", LINE)}
    config = config_of_dict({"network": keys | {"padding": settings.pop("padding", "valid")}})
    config = replace(config, network=replace(config.network, **settings))  # no algorithm learns with all of these
    network, rng = config.network_of(), np.random.default_rng(3)
    for rows in network.rows:
        size = len(rows) ** 0.5
        rows[...] = np.round(4 * rng.normal(30 / size, 150 / size, rows.shape)) / 4
    return network, config


@cache
def digits():
    return make_glyphs(200, 1)[0][:, 4:24:2, 4:24:2]


def images_of(network):
    """200 digits, made small, in as many colours as the network reads."""
    rows, columns, maps = network.input_shape
    images = digits().repeat(maps, axis=3)[:, :rows, :columns]
    images[..., 1:] = images[..., 1:] // 2 + 40 * np.arange(1, maps, dtype=np.uint8)
    return images


def maps_first(t, shape):
    return np.moveaxis(t, 3, 1).reshape(len(t), *shape)


def replay(graph, t_in, steps):
    """Firing times of the neurons of every layer, as the layer above sees them, and the most spikes of a neuron."""

    def inputs(name, step):
        return np.full((len(t_in), 1), step == 0) if name == "start" else np.moveaxis(t_in == step, 3, 1)

    spikes, _ = nir_interpreter.run(graph, inputs, steps)
    ifs = [name for name in graph.nodes if name.startswith("if")]
    seen = [spikes.get(name.replace("if", "delay"), spikes[name]) for name in ifs]
    times = [np.where(of_layer.any(0), of_layer.argmax(0), steps) for of_layer in seen]
    return times, max(of_layer.sum(0).max() for of_layer in spikes.values())


NETWORKS = [
    ("6C3-P2-8C3-P2-10", {"padding": "same"}),
    ("6C3-P2-12-10", {"collapse": CURVE}),
    ("6C3S2-8C2-10", {"padding": "same", "collapse": CURVE, "delay": 1, "exceeds": True}),
    ("6C3S2-5C2S2-10", {"padding": "same", "shape": (10, 7, 1)}),
    ("6C4-P3-10", {"padding": "same", "shape": (10, 7, 3), "collapse": [1.0, 1.0, 1.0]}),
    ("5C3S3-6C3-10", {"shape": (10, 9, 2), "delay": 1}),
    ("100-20-10", {"exceeds": True, "delay": 1, "collapse": [1.0, 1.0, 1.0]}),
]


@pytest.mark.parametrize(("structure", "settings"), NETWORKS)
def test_the_graph_is_the_network(structure, settings):
    """D43: every neuron of 200 images fires in the step in which it fires here, and none fires twice."""
    network, config = network_of(structure, **settings)
    t_in = network.encode(images_of(network))
    mine = [state.t_post for state in network.forward(t_in)[1:]]
    graph = graph_of(network, config)
    times, most = replay(graph, t_in, network.t_max)
    for of_graph, of_network in zip(times, mine, strict=True):
        np.testing.assert_array_equal(of_graph, maps_first(of_network, of_graph.shape[1:]))
        assert len(np.unique(of_graph)) > 10
        assert (of_graph < network.t_max).mean() > 0.05
    assert most == 1
    weights = network.parameters.copy()
    network.parameters[...] = 0
    graph_reader.fill(network, graph)
    np.testing.assert_array_equal(network.parameters, weights)


def test_a_potential_at_the_threshold_fires_and_a_second_spike_never_comes():
    """What the interpreter would find, were the threshold not one float lower and the reset not so low."""
    network, config = network_of("2-1", shape=(1, 2, 1), collapse=[1.0, 1.0, 1.0])
    network.rows[0][:] = [[100.0], [150.0]]
    t_in = np.array([3, 5], np.int16).reshape(1, 1, 2, 1)
    graph = graph_of(network, config)
    assert replay(graph, t_in, 65) == ([[3]], 1)
    neuron = graph.nodes["if1"]
    assert neuron.v_threshold < 100 == np.nextafter(neuron.v_threshold, np.float32(200))
    graph.nodes["if1"] = nir.IF(neuron.r, np.full(1, 100, "f"), neuron.v_reset)
    assert replay(graph, t_in, 65) == ([[5]], 1)
    graph.nodes["if1"] = nir.IF(neuron.r, neuron.v_threshold, np.zeros(1, "f"))
    assert replay(graph, t_in, 65) == ([[3]], 2)
    network.rows[0][:] = [[100.0], [300.0]]
    graph = graph_of(network, config)
    assert replay(graph, t_in, 65) == ([[3]], 1)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("nir_replay", ROOT / "experiments" / "nir_replay.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_trained_networks_differ_by_rounding_only(script):
    """Weights that were learned: sums differ in their last bits, and neurons that all but touch the threshold with
    them."""
    network, config = read_weights(ROOT / "weights" / "mnist-early.npz")
    images, graph = make_glyphs(2, 5)[0], graph_of(network, config)
    rows = script.compare(network, graph, images, config.data.encoding, script.interpreted)
    assert [r["name"] for r in rows] == ["if1", "if2", "if3", "if4", "if5"]
    assert {r["most"] for r in rows} == {1}
    assert max(r["margin"] for r in rows) < 1e-3  # of a threshold of 100
    assert sum(r["other"] for r in rows) < 1e-4 * sum(r["neurons"] for r in rows)
    assert rows[-1]["images"] == 2
    network.rows[-1][...] *= 1.2
    rows = script.compare(network, graph, images[:1], config.data.encoding, script.interpreted)
    assert rows[-1]["margin"] > 1e-3


@pytest.mark.parametrize(("structure", "settings"), [NETWORKS[0], NETWORKS[3], NETWORKS[4]])
def test_spikingjelly_sees_the_same_spikes(script, structure, settings):
    """A public simulator that reads NIR; it knows no Delay, so no such network."""
    pytest.importorskip("spikingjelly")
    network, config = network_of(structure, **settings)
    rows = script.compare(network, graph_of(network, config), images_of(network), "eq1", script.spikingjelly)
    assert {(r["other"], r["most"]) for r in rows} == {(0, 1)}
    assert rows[-1]["images"] == 200


@pytest.fixture
def stored(tmp_path):
    """A small network in a weights file, its experiment's file and its graph."""
    toml = '[network]\nstructure = "4C3-P2-3"\ninput_shape = [8, 8, 2]\npadding = "same"\ncollapse = [1.5, 0.5, 1]\n'
    (tmp_path / "net.toml").write_text(toml)
    config = config_of_dict({"network": {"structure": "4C3-P2-3", "input_shape": [8, 8, 2], "padding": "same"}})
    config = config.changed("network", collapse=[1.5, 0.5, 1.0])
    network = config.network_of()
    network.parameters[...] = np.random.default_rng(0).normal(10, 30, network.parameters.size)
    write_weights(tmp_path / "net.npz", config, network.parameters)
    (tmp_path / "net.nir").write_bytes(graph_file.graph_bytes(graph_of(network, config)))
    return tmp_path


def test_weights_come_back_to_the_bit(s4nn, stored):
    out, graph = stored / "back.npz", stored / "new.nir"
    code, text, _ = s4nn("export", stored / "net.npz", "--nir", graph)
    assert code == 0
    assert "conv1     Conv2d     (4, 8, 8)" in text
    assert graph.read_bytes() == (stored / "net.nir").read_bytes()
    assert_refused(s4nn("export", stored / "net.npz", "--nir", graph), "--force")
    assert s4nn("import", stored / "net.toml", graph, "--out", out)[0] == 0
    np.testing.assert_array_equal(read_weights(out)[0].parameters, read_weights(stored / "net.npz")[0].parameters)
    assert s4nn("import", stored / "net.toml", graph, "--out", out, "--force", "--classes", "2,0,1")[0] == 0
    np.testing.assert_array_equal(read_weights(out)[0].w[1][2], read_weights(stored / "net.npz")[0].w[1][0])
    assert_refused(s4nn("import", stored / "net.toml", graph, graph, "--out", out, "--force"), "one file")
    assert_refused(s4nn("import", stored / "net.toml", graph, "--factor", 1, "--out", out, "--force"), "--factor")


def test_networks_of_signs_come_back(s4nn, tmp_path):
    toml, out = tmp_path / "net.toml", tmp_path / "net.npz"
    toml.write_text(online_toml("bs4nn", structure="784-6-10"))
    rng = np.random.default_rng(0)
    np.save(tmp_path / "w0.npy", rng.normal(size=(6, 784)))
    np.save(tmp_path / "w1.npy", rng.normal(size=(10, 6)))
    arrays = tmp_path / "w0.npy", tmp_path / "w1.npy"
    assert s4nn("import", toml, *arrays, "--factor", 4, 9.5, "--out", out)[0] == 0
    assert s4nn("export", out, "--nir", tmp_path / "net.nir")[0] == 0
    assert s4nn("import", toml, tmp_path / "net.nir", "--out", tmp_path / "back.npz")[0] == 0
    np.testing.assert_array_equal(read_weights(tmp_path / "back.npz")[0].parameters, read_weights(out)[0].parameters)
    toml.write_text(online_toml("s4nn", structure="784-6-10"))
    assert s4nn("import", toml, *arrays, "--out", out, "--force")[0] == 0
    assert s4nn("export", out, "--nir", tmp_path / "net.nir", "--force")[0] == 0
    toml.write_text(online_toml("bs4nn", structure="784-6-10"))
    assert_refused(s4nn("import", toml, tmp_path / "net.nir", "--out", out, "--force"), "if1", "one size")


def test_axes_are_those_of_nir():
    network, config = network_of("2C3-4", shape=(4, 5, 3))
    nodes = graph_of(network, config).nodes
    assert list(nodes["input"].input_type["input"]) == [3, 4, 5]
    assert nodes["conv1"].weight[1, 2, 0, 1] == network.w[0][1, 0, 1, 2]
    maps, row, column = 1, 0, 2  # of the convolution's 2 x 2 x 3
    assert nodes["dense2"].weight[3, maps * 6 + row * 3 + column] == network.w[1][3, row, column, maps]


def test_continuous_time_is_refused(s4nn, tmp_path):
    for algorithm, neuron in (("relpsp", "linear"), ("mostafa", "exponential")):
        config = config_of_dict(
            {
                "network": {"structure": "4-3-2", "input_shape": [2, 2, 1], "init": [[0.0, 1.0], [0.0, 1.0]]},
                "data": {"encoding": "binary" if algorithm == "mostafa" else "eq1"},
                "learning": {"algorithm": algorithm},
                "optimiser": {"eta": 0.1},
            }
        )
        write_weights(tmp_path / "net.npz", config, config.network_of().parameters)
        result = s4nn("export", tmp_path / "net.npz", "--nir", tmp_path / "net.nir")
        assert_refused(result, f"the {neuron} model", "ds4nn, s4nn and bs4nn")
    assert not (tmp_path / "net.nir").exists()


# ------------------------------------------------------------------------------------------- graphs of other programs


def foreign(**changes):
    """A graph as another program might write it: names, types and spellings of its own."""
    rng, full = np.random.default_rng(1), np.full
    nodes = {
        "in": nir.Input({"input": np.array([2, 8, 8])}),
        "c": nir.Conv2d((8, 8), rng.normal(size=(4, 2, 3, 3)), 1, "same", 1, 1, np.zeros(4)),
        "s1": nir.IF(full((4, 8, 8), 1.0), full((4, 8, 8), 2.0), full((4, 8, 8), -1e4)),
        "p": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "s2": nir.IF(full((4, 4, 4), 1.0), full((4, 4, 4), 0.0), full((4, 4, 4), -10.0)),
        "f": nir.Flatten({"input": np.array([4, 4, 4])}, 0, 2),
        "d": nir.Affine(rng.normal(size=(3, 64)), np.zeros(3)),
        "s3": nir.IF(full(3, 1.0), full(3, 2.0), full(3, -1e4)),
        "out": nir.Output({"output": np.array([3])}),
    } | changes  # fmt: skip
    nodes = {name: nodes[name] for name in nodes if nodes[name] is not None}
    nodes["out"] = nodes.pop("out")
    return nir.NIRGraph(nodes, list(zip(list(nodes), list(nodes)[1:], strict=False)))


def experiment_of(**keys):
    network = {"structure": "4C3-P2-3", "input_shape": [8, 8, 2], "padding": "same", "v_th": 2.0}
    config = config_of_dict({"network": network | keys})
    return replace(config, network=replace(config.network, exceeds=True)).network_of()


def test_a_graph_of_another_program_is_read():
    network, graph = experiment_of(), graph_file.read_graph("own.nir", graph_file.graph_bytes(foreign()))
    graph_reader.fill(network, graph)
    np.testing.assert_array_equal(network.w[0], graph.nodes["c"].weight.astype("f").transpose(0, 2, 3, 1))
    t_in = network.encode(images_of(network)[:20])
    graph.nodes["c"].padding = (1, 1)
    graph.nodes = {name.replace("s", "if"): node for name, node in graph.nodes.items()}
    graph.edges = [(a.replace("s", "if"), b.replace("s", "if")) for a, b in graph.edges]
    t_out = network.forward(t_in)[-1].t_post
    np.testing.assert_array_equal(replay(graph, t_in, network.t_max)[0][-1], t_out.reshape(-1, 3))
    assert (t_out < network.t_max).any()


def neurons(shape, r=1.0, threshold=2.0, reset=-1e4):
    return nir.IF(*(np.full(shape, value) for value in (r, threshold, reset)))


CONV = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, "bias": np.zeros(4)}


def conv(**changes):
    return nir.Conv2d((8, 8), changes.pop("weight", np.zeros((4, 2, 3, 3))), **(CONV | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"s1": neurons((4, 8, 8), reset=0.0)}, "s1 may fire again after its reset to 0; v_reset = "),
        ({"s1": neurons((4, 8, 8), reset=np.nan)}, "s1 may fire again"),
        ({"s1": neurons((4, 8, 8), r=0.5)}, "s1: its r is not 1; multiply"),
        ({"s1": neurons((4, 8, 8), threshold=3.0)}, "s1: its v_threshold is 3.0, not 2.0 as by network.v_th = 2 with"),
        ({"s2": neurons((4, 4, 4), threshold=1.0)}, "s2: its v_threshold is 1.0"),
        ({"s2": neurons((4, 4, 4), threshold=0.5, reset=-2.0)}, "s2 may fire again"),
        ({"s3": nir.IF(np.ones(3), np.array([1.0, 2, 2]), np.full(3, -1e4))}, "differs from neuron to neuron"),
        ({"s3": nir.LIF(*np.ones((5, 3)))}, "d leads to s3; IF neurons are expected"),
        ({"s3": None}, "d leads to the output"),
        ({"p": nir.AvgPool2d(*np.array([[2, 2], [2, 2], [0, 0]]))}, "p is a AvgPool2d node: write SumPool2d"),
        ({"p": nir.SumPool2d(*np.array([[2, 2], [2, 2], [1, 1]])), "s2": neurons((4, 5, 5)), "f": None, "d": None,
          "s3": None, "out": nir.Output({"output": np.array([4, 5, 5])})}, "side by side"),
        ({"c": conv(dilation=2, padding=2)}, "groups = 1 and dilation = 1"),
        ({"c": conv(bias=np.ones(4))}, "s1: its constant current (bias) is 1.0"),
        ({"c": conv(bias=np.arange(4.0))}, "c: its bias differs"),
        ({"c": conv(weight=np.full((4, 2, 3, 3), np.inf))}, "c has NaN, infinite"),
        ({"c": conv(weight=np.zeros((4, 2, 3, 3), bool))}, "c: its weight is bool"),
        ({"c": conv(weight=np.zeros((4, 2, 3, 5)), padding=1)}, "kernels are squares"),
        ({"c": conv(weight=np.zeros((4, 2, 5, 5)), padding=2)}, 'it is "4C5-P2-3", not network.structure = "4C3-P2-3"'),
        ({"c": conv(weight=np.zeros((4, 2, 2, 2)), padding="same")}, 'what padding "same" is'),
        ({"d": nir.Affine(np.zeros((3, 64)), np.ones(3))}, "s3: its constant current (bias) is 1.0, not 0.0 as"),
        ({"d": nir.Linear(np.zeros((5, 64))), "s3": neurons(5), "out": nir.Output({"output": np.array([5])})}, "P2-5"),
        ({"s3": neurons(3), "late": nir.Delay(np.ones(3)), "out": nir.Output({"output": np.array([3])})}, "delay"),
    ],
)  # fmt: skip
def test_what_is_no_network_of_this_kind_is_refused(changes, says):
    with pytest.raises(InputError) as refused:
        graph_reader.fill(experiment_of(), foreign(**changes))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda n, e: (n.update(rec=nir.Linear(np.eye(3))), e.extend([("s3", "rec"), ("rec", "s3")])),
         "s3 is reached by d, rec; layers have one input and no recurrence"),
        (lambda n, e: (n.update(two=nir.Output({"output": np.array([3])})), e.append(("s3", "two"))), "2 outputs"),
        (lambda n, e: (n.update(loose=nir.Input({"input": np.array([3])})), e.append(("loose", "s3"))), "d, loose"),
        (lambda n, e: n.update(loose=nir.Input({"input": np.array([3])})), "loose: on no way"),
        (lambda n, e: e.append(("s1", "s1")), "s1 is reached by c, s1"),
    ],
)  # fmt: skip
def test_other_graphs_than_chains_are_refused(edit, says):
    graph = foreign()
    edit(graph.nodes, graph.edges)
    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        graph_reader.fill(experiment_of(), graph)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"input_shape": [2, 8, 8]}, "its input is (2, 8, 8), and network.input_shape = [2, 8, 8] is (8, 2, 8)"),
        ({"padding": "valid"}, 'its padding is (1, 1), not (0, 0) as by network.padding = "valid"'),
        ({"structure": "4C3-P2-3-3"}, 'it is "4C3-P2-3", not network.structure'),
        ({"collapse": [1.5, 0.5, 1]}, "and network.collapse = [1.5, 0.5, 1.0]; a constant v_th would be 2.0"),
        ({"collapse": [1.0, 0.5, 2]}, "its falling threshold is [], not [0.0, "),
    ],
)
def test_an_experiment_that_says_otherwise_is_refused(keys, says):
    with pytest.raises(InputError) as refused:
        graph_reader.fill(experiment_of(**keys), foreign())
    assert says in str(refused.value)


# ------------------------------------------------------------------------------------------------------- bad files


def test_damaged_files_are_one_line(s4nn, stored):
    good, rng = (stored / "net.nir").read_bytes(), np.random.default_rng(0)
    bad = [good[:n] for n in (8, 100, len(good) // 2, len(good) - 1)]
    for _ in range(4):
        content = bytearray(good)
        for place in rng.integers(8, len(good), 20):
            content[place] = rng.integers(256)
        bad.append(bytes(content))
    for content in bad:
        (stored / "bad.nir").write_bytes(content)
        result = s4nn("import", stored / "net.toml", stored / "bad.nir", "--out", stored / "bad.npz", "--force")
        if result[0]:  # a weight that is another number cannot be told
            assert_refused(result, "bad.nir")


def edited(content: bytes, edit) -> bytes:
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        edit(file)
    return buffer.getvalue()


def loop(file):
    file["node/nodes/again"] = file["node"]


def virtual(file):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "data", (3,))
    file.create_virtual_dataset("node/virtual", layout)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda f: f.__setitem__("node/more", h5py.ExternalLink("/etc/passwd", "/")), "more is a link"),
        (lambda f: f.__setitem__("node/more", h5py.SoftLink("/node")), "more is a link"),
        (virtual, "virtual is kept elsewhere"),
        (lambda f: f.create_dataset("node/x", (2**40,), "f8", chunks=(1024,), compression="gzip"), "more than a net"),
        (loop, "nested too deep"),
        (lambda f: f.__delitem__("node"), "bad.nir is damaged"),
        (lambda f: f["node/edges"].__setitem__(0, [b"input", b"nowhere"]), "nowhere"),
        (lambda f: (f.__delitem__("node/nodes/if1/r"), f.__setitem__("node/nodes/if1/r", "x")), "bad.nir is damaged"),
    ],
)
def test_files_that_ask_for_more_than_a_graph_are_refused(s4nn, stored, edit, says):
    (stored / "bad.nir").write_bytes(edited((stored / "net.nir").read_bytes(), edit))
    assert_refused(s4nn("import", stored / "net.toml", stored / "bad.nir", "--out", stored / "bad.npz"), says)


def test_a_single_node_is_no_graph(s4nn, stored):
    nir.write(stored / "bad.nir", nir.Linear(np.eye(3)))
    assert_refused(s4nn("import", stored / "net.toml", stored / "bad.nir", "--out", stored / "bad.npz"), "single node")


def test_without_the_package_one_line_says_what_to_install(s4nn, stored, monkeypatch):
    monkeypatch.setitem(sys.modules, "nir", None)
    result = s4nn("export", stored / "net.npz", "--nir", stored / "new.nir")
    assert_refused(result, 'pip install "s4nn_ref[nir]"')
    result = s4nn("import", stored / "net.toml", stored / "net.nir", "--out", stored / "new.npz")
    assert_refused(result, 'pip install "s4nn_ref[nir]"')


def test_huge_weights_leave_no_room_for_a_reset():
    network, config = network_of("2-1", shape=(1, 2, 1))
    network.parameters[...] = 3e38
    with pytest.raises(InputError, match="no reset potential"):
        graph_of(network, config)


def test_every_node_is_printed():
    text = graph_text(graph_of(*network_of("6C3-P2-12-10", collapse=CURVE)))
    for line in ("start     Input      (1)", "line      Delay      (65)", "reset to -8", "t_max = 65 steps"):
        assert line in text


def test_stages_are_as_many_as_layers():
    network, _ = network_of("6C3-P2-12-10")
    assert [stage.kind for stage in stages_of(network)] == ["conv", "pool", "dense", "dense"]
