"""Weights out of graphs of NIR: nodes become stages, as app/graph.py has them, and stages the weights of a network.

A graph is a chain of stages, see `Stage`. What is no such chain is refused, and so is what differs from the experiment
that the graph is read for. Nothing is taken from metadata, as NIR asks.
"""

from dataclasses import replace

import numpy as np

from s4nn_ref.app.graph import Stage, reset_of, stages_of
from s4nn_ref.errors import InputError, shown
from s4nn_ref.network import Network

_LINE = ["Input", "Linear", "Delay", "Linear"]  # by which a threshold falls along a curve
_CORRECT = "correct the experiment"
_INSTEAD = {
    "LIF": "its neurons leak", "CubaLIF": "its neurons leak", "LI": "its neurons leak", "CubaLI": "its neurons leak",
    "I": "it has no threshold", "Threshold": "it keeps no potential", "Scale": "multiply the weights by it",
    "NIRGraph": "it is a graph in the graph, whose nodes belong into the one around it",
    "AvgPool2d": "write SumPool2d, and a threshold between 0 and 1: a window fires with its first spike",
    "Conv1d": "write Conv2d: images have rows and columns",
}  # fmt: skip


def _kind(node) -> str:
    return type(node).__name__


def fill(network: Network, graph, signs: bool = False) -> None:
    """Put the weights of a graph into a network, with which it must agree in everything else.

    signs : whether the weights of a layer must be of one size, or 0 (BS4NN)
    Raises InputError, which names the node and the key, where it does not.
    """
    chain, line = _chain(graph)
    stages, expected = _stages(chain[1:-1], line), stages_of(network)
    _check_structure(chain[0][1], stages, expected, network)
    for (name, stage, reset), mine in zip(stages, expected, strict=True):
        _check_stage(name, stage, mine, network)
        if not reset + stage.rise(network.t_max) <= stage.threshold:
            low = reset_of(stage, network.t_max)
            raise InputError(
                f"{name} may fire again after its reset to {reset:g}; v_reset = {low:g} keeps it from that"
            )
    weighted = [(*found, mine) for found, mine in zip(stages, expected, strict=True) if mine.weight is not None]
    for w, (name, stage, _, mine) in zip(network.w, weighted, strict=True):
        weight = stage.weight
        if mine.zeros:
            if weight[:, :, 0].any() or weight[:, :, :, 0].any():
                raise InputError(
                    f"{name}: kernels that reach so far must have zeros in their first row and column here"
                )
            weight = weight[:, :, 1:, 1:]
        if signs and len(np.unique(np.abs(weight[weight != 0]))) > 1:
            raise InputError(f"{name}: in a network of bs4nn the weights of a layer are of one size, factor * sign")
        maps, rows, columns, maps_pre = w.shape
        w[...] = weight.reshape(maps, maps_pre, rows, columns).transpose(0, 2, 3, 1)


# ------------------------------------------------------------------------------------------------ the shape of a graph


def _inputs(graph, name: str) -> list[str]:
    return [a for a, b in graph.edges if b == name]


def _way_back(graph, name: str) -> list[str]:
    """Names of the nodes that lead to a node, itself last, as far back as each has one input."""
    way = [name]
    while len(inputs := _inputs(graph, way[0])) == 1:
        if inputs[0] in way:
            raise InputError(f"{inputs[0]} feeds back into itself; layers have no recurrence here")
        way.insert(0, inputs[0])
    return way


def _chain(graph) -> tuple[list, list]:
    """(name, node) from the input to the output, and those of the line by which a threshold falls: [] without one."""
    outputs = [name for name, node in graph.nodes.items() if _kind(node) == "Output"]
    if len(outputs) != 1:
        raise InputError(f"the graph has {len(outputs)} outputs; a network has one here")
    way, line = _way_back(graph, outputs[0]), []
    joined = _inputs(graph, way[0])
    for this, other in (joined, joined[::-1]) if len(joined) == 2 else ():
        of_line = _way_back(graph, other)
        if [_kind(graph.nodes[name]) for name in of_line] == _LINE and not _inputs(graph, of_line[0]):
            way, line = [*_way_back(graph, this), *way], of_line
            break
    if joined := _inputs(graph, way[0]):
        raise InputError(f"{way[0]} is reached by {', '.join(joined)}; layers have one input and no recurrence here")
    if left := sorted(set(graph.nodes) - set(way) - set(line)):
        raise InputError(f"{', '.join(left)}: on no way from the input to the output")
    return [(name, graph.nodes[name]) for name in way], [(name, graph.nodes[name]) for name in line]


def _numbers(name: str, what: str, value, ndim: int | None = None) -> np.ndarray:
    """An array of a node. Raises InputError where it holds no numbers, or has another number of axes."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or (ndim is not None and array.ndim != ndim) or not array.size:
        raise InputError(f"{name}: its {what} is {array.dtype} {array.shape}, no array of numbers of its kind")
    return array


def _weights(name: str, value, ndim: int) -> np.ndarray:
    """Weights in single precision, in which neurons compute here."""
    with np.errstate(all="ignore"):
        weight = _numbers(name, "weight", value, ndim).astype(np.float32)
    if not np.isfinite(weight).all():
        raise InputError(f"{name} has NaN, infinite weights or such as single precision cannot hold")
    return weight


def _alike(name: str, what: str, value) -> float:
    """The number that an array holds everywhere."""
    array = _numbers(name, what, value)
    if (array != array.flat[0]).any():
        raise InputError(f"{name}: its {what} differs from neuron to neuron; it is one number per layer here")
    return array.flat[0].item()


def _single(name: str, what: str, value) -> float:
    """The same, in single precision."""
    return np.float32(_alike(name, what, value)).item()


def _pair(name: str, what: str, value) -> tuple[int, int]:
    array = _numbers(name, what, value)
    if array.size > 2 or (array != array.astype(int)).any():
        raise InputError(
            f"{name}: its {what} is {array.tolist()}; a whole number for rows and one for columns is expected"
        )
    return tuple(int(n) for n in np.broadcast_to(array.ravel(), 2))


def _stages(chain: list, line: list) -> list[tuple[str, Stage, float]]:
    """Name of the neurons, stage and reset potential of each layer; chain : without input and output."""
    stages, rest = [], list(chain)
    while rest:
        name, node = rest.pop(0)
        if _kind(node) == "Flatten":
            if len(node.output_type["output"]) != 1:
                raise InputError(f"{name} leaves some axes as they are; start_dim = 0 and end_dim = -1 flatten all")
            continue
        connection = _connection(name, node)
        if not rest or _kind(rest[0][1]) != "IF":
            raise InputError(
                f"{name} leads to {rest[0][0] if rest else 'the output'}; IF neurons are expected after it"
            )
        name, node = rest.pop(0)
        if _alike(name, "r", node.r) != 1:
            raise InputError(f"{name}: its r is not 1; multiply the weights of the layer by it, and write 1")
        threshold, delay = _single(name, "v_threshold", node.v_threshold), 0
        while rest and _kind(rest[0][1]) == "Delay":
            delay += _alike(rest[0][0], "delay", rest.pop(0)[1].delay)
        stage = Stage(threshold=threshold, shape=node.v_threshold.shape, delay=delay, **connection)
        stages.append((name, stage, float(_numbers(name, "v_reset", node.v_reset).max())))
    if line and stages:
        name, stage, reset = stages[-1]
        stages[-1] = name, replace(stage, falls=_falls(*(node for _, node in line[1:]))), reset
    return stages


def _connection(name: str, node) -> dict:
    """The fields of a Stage that a node, or two in the case of a flattened one, says."""
    kind = _kind(node)
    if kind == "SumPool2d":
        window, stride = _pair(name, "kernel_size", node.kernel_size), _pair(name, "stride", node.stride)
        if {*window} != {*stride} or len({*window}) != 1 or _pair(name, "padding", node.padding) != (0, 0):
            raise InputError(f"{name}: windows are squares, side by side and without padding here")
        return {"kind": "pool", "weight": None, "stride": window[0]}
    if kind in ("Linear", "Affine"):
        current = _single(name, "bias", node.bias) if kind == "Affine" else 0.0
        return {"kind": "dense", "weight": _weights(name, node.weight, 2), "current": current}
    if kind != "Conv2d":
        raise InputError(f"{name} is a {kind} node: {_INSTEAD.get(kind, 'it is not expected there')}")
    weight, stride = _weights(name, node.weight, 4), _pair(name, "stride", node.stride)
    if _pair(name, "groups", node.groups) != (1, 1) or _pair(name, "dilation", node.dilation) != (1, 1):
        raise InputError(f"{name}: convolutions have groups = 1 and dilation = 1 here")
    if len({*stride}) != 1 or weight.shape[2] != weight.shape[3]:
        raise InputError(f"{name}: kernels are squares here, and strides the same in rows and columns")
    return {
        "kind": "conv",
        "weight": weight,
        "stride": stride[0],
        "padding": _padding(name, node.padding, weight.shape[2], stride[0]),
        "current": _single(name, "bias", node.bias),
    }


def _padding(name: str, padding, kernel: int, stride: int) -> tuple[int, int]:
    """Rows and columns on both sides."""
    if isinstance(padding, str):
        if padding == "same" and (stride > 1 or kernel % 2 == 0):
            raise InputError(f'{name}: NIR does not say what padding "same" is here; write numbers')
        return (kernel // 2,) * 2 if padding == "same" else (0, 0)
    return _pair(name, "padding", padding)


def _falls(fan, line, falls) -> np.ndarray:
    """By how much a line of delays lets the threshold fall in each step."""
    weight = _weights("the line", falls.weight, 2)
    delays = np.asarray(line.delay)
    if (np.asarray(fan.weight) != 1).any() or (delays != np.arange(delays.size)).any() or (weight != weight[0]).any():
        raise InputError("the line of delays before the output is none by which all thresholds fall alike")
    return weight[0]


# ------------------------------------------------------------------------------------------- against the experiment


def _token(stage: Stage, mine: Stage | None, token: str) -> str:
    """A layer in a structure string. token : of the experiment's layer, whose kernel may be followed by zeros"""
    if stage.kind == "pool":
        return f"P{stage.stride}"
    if stage.kind == "dense":
        return str(len(stage.weight))
    if mine and mine.kind == "conv" and (stage.weight.shape, stage.stride) == (mine.weight.shape, mine.stride):
        return token
    return f"{len(stage.weight)}C{stage.weight.shape[2]}" + (f"S{stage.stride}" if stage.stride > 1 else "")


def _check_structure(first, stages: list, expected: list[Stage], network: Network) -> None:
    """Raise InputError where sizes or kinds of layers are not those of the experiment."""
    shape = tuple(int(n) for n in np.ravel(first.input_type["input"]))
    rows, columns, maps = network.input_shape
    flat = expected[0].kind == "dense" and np.prod(shape) == rows * columns * maps
    if shape != (maps, rows, columns) and not (flat and (len(shape) == 1 or maps == 1)):
        raise InputError(
            f"its input is {shape}, and network.input_shape = {list(network.input_shape)} is {(maps, rows, columns)}, "
            f"maps first; {_CORRECT}"
        )
    tokens = [spec.token for spec in network.specs]
    padded = [*zip(expected, tokens, strict=True)] + [(None, "")] * len(stages)
    found = [_token(stage, *other) for (_, stage, _), other in zip(stages, padded, strict=False)]
    if found != tokens:
        raise InputError(f'it is "{"-".join(found)}", not network.structure = "{network.structure}"; {_CORRECT}')


def _said(value) -> str:
    """A value as an error shows it; of a number in single precision its own digits."""
    return str(value) if isinstance(value, np.float32) else shown(value)


def _check_stage(name: str, stage: Stage, mine: Stage, network: Network) -> None:
    """Raise InputError where a layer is not what the keys of the experiment say."""
    n, single = network.settings, np.float32
    if mine.kind == "pool" and 0 <= stage.threshold < 1:
        stage = replace(stage, threshold=mine.threshold)  # one spike is enough, as it is
    falling = f"network.collapse = {list(n.collapse)}"
    of_threshold = f"network.v_th = {n.v_th:g} with exceeds = {str(n.exceeds).lower()} and {falling}"
    v_th = single(stage.threshold) if n.exceeds else np.nextafter(single(stage.threshold), single(np.inf))
    falls = [[] if s.falls is None else s.falls.tolist() for s in (stage, mine)]
    for what, found, means, keys, correction in (
        ("padding", stage.padding, mine.padding, f'network.padding = "{n.padding}"', _CORRECT),
        ("v_threshold", single(stage.threshold), single(mine.threshold), of_threshold,
         f"a constant v_th would be {v_th!s}"),
        ("constant current (bias)", single(stage.current), single(mine.current), falling, _CORRECT),
        ("delay", stage.delay, mine.delay, f"network.delay = {n.delay}", _CORRECT),
        ("falling threshold", *falls, f"{falling} with t_max = {n.t_max}", _CORRECT),
        ("shape of weights", *(None if s.weight is None else s.weight.shape for s in (stage, mine)),
         "network.structure", _CORRECT),
    ):  # fmt: skip
        if found != means:
            raise InputError(f"{name}: its {what} is {_said(found)}, not {_said(means)} as by {keys}; {correction}")
