"""Networks as graphs of the Neuromorphic Intermediate Representation, NIR (Pedersen et al. 2024): docs/nir.md, D43.

A layer of the structure is a stage of the graph: a connection (Conv2d, Linear, SumPool2d), IF neurons that fire at most
once, and a Delay where spikes leave a step later. `stages_of` says what a network is in NIR's terms, `graph_of` writes
these terms as nodes, and app/graph_reader.py reads them out of nodes again.
"""

from dataclasses import dataclass, replace

import numpy as np

from s4nn_ref import __version__
from s4nn_ref.app.graph_file import nir_package
from s4nn_ref.config import Config
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network
from s4nn_ref.neurons import step

TIME = (
    "A time step is one unit of NIR's time (dt = 1; where a unit is wanted, 1 ms). Potentials start at 0, and a spike "
    "lifts them by its weight. Step k is the interval from k to k + 1: its input spikes come at its start, and all "
    "nodes settle within it, from the input to the output."
)


@dataclass(frozen=True)
class Stage:
    """One layer of a network in the terms of NIR; arrays are float32, maps first.

    kind      : "conv", "dense" or "pool"
    weight    : (M, C, K_y, K_x) or (M, n), potential units; None for pooling
    zeros     : rows of zeros before the kernel, and as many columns, so that padding is the same on both sides
    padding   : rows and columns on both sides   stride : of both axes; of pooling, the side of its window
    shape     : (M, H, W) of the neurons after a convolution or pooling, (M,) after a dense layer
    threshold : a neuron fires where v > threshold, potential units, a float32
    current   : constant input current, potential units per step, a float32
    falls     : (t_max,), by how much the threshold falls in each step; None where it does not, or by a current
    delay     : steps between crossing and spike
    """

    kind: str
    weight: np.ndarray | None
    shape: tuple[int, ...]
    threshold: float
    stride: int = 1
    zeros: int = 0
    padding: tuple[int, int] = (0, 0)
    current: float = 0.0
    falls: np.ndarray | None = None
    delay: int = 0

    def rise(self, t_max: int) -> float:
        """What the potential of a neuron can rise by in t_max steps at most."""
        if self.weight is None:
            return self.stride**2
        weights = self.weight.reshape(len(self.weight), -1).clip(min=0).sum(axis=1, dtype=float).max()
        return float(weights + self.current * t_max + (0 if self.falls is None else self.falls.sum(dtype=float)))


def stages_of(network: Network) -> list[Stage]:
    """The layers of a network in the terms of NIR.

    Raises InputError on neurons in continuous time.
    """
    if network.neuron is not step:
        named = network.neuron.__name__.rpartition(".")[2]
        raise InputError(
            f"neurons of the {named} model are no node of NIR, whose IF neuron is the step model's; networks of "
            "ds4nn, s4nn and bs4nn can be exported"
        )
    stages = []
    for layer, spec in zip(network.layers, network.specs, strict=True):
        rows, columns, maps = spec.shape_post
        if spec.kind == "pool":
            # one spike of the window is enough: between 0 and 1, so that > and >= are the same
            stages.append(Stage("pool", None, (maps, rows, columns), 0.5, spec.window))
            continue
        w = layer.w.transpose(0, 3, 1, 2)  # NIR has maps first
        stage = Stage("dense", w.reshape(len(w), -1), (maps,), _below(layer.reaching(layer.v_th)), delay=layer.delay)
        if spec.kind == "conv":
            stage = _convolution(stage, w, spec)
        stages.append(stage)
    stages[-1] = _with_threshold(stages[-1], network)
    return stages


def _below(v) -> float:
    """The largest float32 below: what `v >= v_th` is where a test is `v > threshold`."""
    return np.nextafter(np.float32(v), np.float32(-np.inf)).item()


def _convolution(stage: Stage, w: np.ndarray, spec) -> Stage:
    """NIR pads both sides alike, and knows square kernels only. Where "same" padding is one longer after the map than
    before it, a row and a column of zeros before the kernel let it reach as far from one more pixel of padding."""
    g = spec.geometry
    axes = (g.height, g.height_post, g.pad_top), (g.width, g.width_post, g.pad_left)
    zeros = int(any((post - 1) * g.stride + g.kernel_height - size > 2 * before for size, post, before in axes))
    w = np.pad(w, ((0, 0), (0, 0), (zeros, 0), (zeros, 0)))
    padding = g.pad_top + zeros, g.pad_left + zeros
    shape = (g.maps_post, g.height_post, g.width_post)
    return replace(stage, kind="conv", weight=w, shape=shape, stride=g.stride, zeros=zeros, padding=padding)


def _with_threshold(stage: Stage, network: Network) -> Stage:
    """The output, whose threshold may fall with time (D25). A fall is a rise of all potentials: along a line it is a
    constant current, whose first step has passed when the neurons of step 0 are tested."""
    threshold = network.output_threshold().astype(np.float32)
    reaching = network.layers[-1].reaching
    start, end, power = network.settings.collapse
    if start == end or network.t_max == 1:
        return replace(stage, threshold=_below(reaching(threshold[0])))
    if power == 1:
        current = np.float32(network.v_th * (start - end) / (network.t_max - 1))
        return replace(stage, threshold=_below(reaching(threshold[0] + current)), current=current.item())
    falls = np.append(np.float32(0), threshold[:-1] - threshold[1:])
    return replace(stage, threshold=_below(reaching(threshold[0])), falls=falls)


def reset_of(stage: Stage, t_max: int) -> np.float32:
    """A reset potential from which a neuron cannot reach its threshold again: a power of two.

    Raises InputError where single precision holds none.
    """
    reset = -(2.0 ** np.ceil(np.log2(2 * max(stage.rise(t_max), stage.threshold))))
    if reset < np.finfo(np.float32).min:
        raise InputError("the weights are so large that single precision holds no reset potential below them")
    return np.float32(reset)


def graph_of(network: Network, config: Config):
    """The graph of a network: a nir.NIRGraph whose Input is (C, H, W), a spike where a pixel fires.

    A threshold that falls along a curve adds an Input `start`, (1,), which takes one spike, in step 0.
    Raises InputError on a network that is none in NIR's terms.
    """
    nir = nir_package()
    stages, (rows, columns, maps) = stages_of(network), network.input_shape
    nodes, edges, last = {"input": nir.Input({"input": np.array([maps, rows, columns])})}, [], "input"

    def add(name, node):
        nonlocal last
        nodes[name] = node
        edges.append((last, name))
        last = name

    shape = maps, rows, columns
    for number, stage in enumerate(stages, 1):
        if stage.kind == "dense" and len(shape) == 3:
            add("flatten", nir.Flatten({"input": np.array(shape)}, 0, -1))
        add(f"{stage.kind}{number}", _connection(nir, stage, shape))
        neurons = {"r": 1, "v_threshold": stage.threshold, "v_reset": reset_of(stage, network.t_max)}
        add(f"if{number}", nir.IF(**{name: np.full(stage.shape, value, "f") for name, value in neurons.items()}))
        if stage.falls is not None:
            line = _delay_line(nir, stage)
            nodes |= line
            edges += [*zip(list(line), [*list(line)[1:], last], strict=True)]
        if stage.delay:
            add(f"delay{number}", nir.Delay(np.full(stage.shape, stage.delay, "f")))
        shape = stage.shape
    add("output", nir.Output({"output": np.array(shape)}))
    return nir.NIRGraph(nodes, edges, metadata=_metadata(network, config, "start" in nodes))


def _connection(nir, stage: Stage, shape_pre: tuple[int, ...]):
    """The node of a stage that is not its neurons."""
    both = np.array([stage.stride] * 2)
    if stage.kind == "pool":
        return nir.SumPool2d(both, both, np.zeros(2, int))
    if stage.kind == "dense":
        w = np.ascontiguousarray(stage.weight)
        return nir.Affine(w, np.full(stage.shape, stage.current, "f")) if stage.current else nir.Linear(w)
    return nir.Conv2d(
        input_shape=shape_pre[1:],
        weight=np.ascontiguousarray(stage.weight),
        stride=tuple(both.tolist()),
        padding=stage.padding,
        dilation=(1, 1),
        groups=1,
        bias=np.zeros(len(stage.weight), np.float32),
    )


def _delay_line(nir, stage: Stage) -> dict:
    """Nodes, in their order, that let a threshold fall along a curve: one spike in step 0 comes by as many ways as
    there are steps, each a step later than the one before, and lifts the potentials by what the threshold falls."""
    steps = len(stage.falls)
    return {
        "start": nir.Input({"input": np.array([1])}),
        "fan": nir.Linear(np.ones((steps, 1), np.float32)),
        "line": nir.Delay(np.arange(steps, dtype=np.float32)),
        "falls": nir.Linear(np.tile(stage.falls, (*stage.shape, 1))),
    }


def _metadata(network: Network, config: Config, starts: bool) -> dict:
    """What helps a reader; the graph does not depend on it. starts : whether there is an Input `start`"""
    n = network.settings
    return {
        "program": f"s4nn_ref {__version__}",
        "structure": n.structure,
        "time": TIME,
        "dt": 1.0,
        "t_max": n.t_max,
        "encoding": config.data.encoding,
        "input": "(maps, rows, columns); the spike of a pixel comes in the step that `encoding` gives it, t_max: none"
        + "; start takes one spike, in step 0" * starts,
        "output": "the neuron that fires first is the class",
    }


def graph_text(graph) -> str:
    """What `s4nn export` prints: a line for each node, in the order of the edges."""
    lines = [f"NIR graph, {len(graph.nodes)} nodes, {len(graph.edges)} edges"]
    for name, node in graph.nodes.items():
        (shape,) = node.output_type.values()
        about = f"{name:<10}{type(node).__name__:<11}({', '.join(str(int(n)) for n in shape)})"
        if hasattr(node, "v_threshold"):
            about = f"{about:<38}fires above {node.v_threshold.flat[0]!s}, reset to {node.v_reset.flat[0]:g}"
        lines.append(f"  {about}")
    lines.append(f"t_max = {graph.metadata['t_max']} steps of dt = 1; input: {graph.metadata['input']}")
    return "\n".join(lines)
