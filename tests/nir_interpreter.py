"""An interpreter of NIR graphs without cycles, written from the text of NIR alone; it knows nothing of this project.

Source: docstrings of the package nir 1.0.8, and its page of primitives. What they leave open is chosen here: time goes
in steps of one unit, potentials start at 0, several edges into a node add up, and a step is settled from the inputs to
the outputs before the next one begins. A spike is 1 in its step. Arrays are (B, ...) of a node's shape, maps first.
"""

import nir
import numpy as np


def in_order(graph) -> list[str]:
    """Names of the nodes, none before those that reach it."""
    names, before = [], {name: {a for a, b in graph.edges if b == name} for name in graph.nodes}
    while before:
        free = [name for name, others in before.items() if others <= set(names)]
        if not free:
            raise ValueError(f"a cycle among {sorted(before)}")
        names += free
        before = {name: others for name, others in before.items() if name not in free}
    return names


def pair(value) -> tuple[int, int]:
    return tuple(int(v) for v in np.broadcast_to(value, 2))


def conv2d(node, x):
    """f * g, as neural networks have it: y[a] = sum over u of w[u] x[a stride - padding + u], pixel by pixel of x."""
    assert node.groups == 1 and pair(node.dilation) == (1, 1) and not isinstance(node.padding, str)
    (py, px), (sy, sx), (_, rows, columns) = pair(node.padding), pair(node.stride), node.output_type["output"]
    weight = node.weight.astype(x.dtype)
    maps, _, size_y, size_x = weight.shape
    y = np.zeros((len(x), rows, columns, maps), x.dtype) + node.bias.astype(x.dtype)
    b, i, j = np.nonzero(x.any(axis=1))
    part = (x[b, :, i, j] @ weight.transpose(1, 2, 3, 0).reshape(x.shape[1], -1)).reshape(-1, size_y, size_x, maps)
    for u in range(size_y):
        for v in range(size_x):
            down, right = i + py - u, j + px - v
            at = (down % sy == 0) & (right % sx == 0)
            at &= (down >= 0) & (down < rows * sy) & (right >= 0) & (right < columns * sx)
            y[b[at], down[at] // sy, right[at] // sx] += part[at, u, v]
    return y.transpose(0, 3, 1, 2)


def sum_pool2d(node, x):
    (py, px), (sy, sx), size = pair(node.padding), pair(node.stride), pair(node.kernel_size)
    x = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    return np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))[:, :, ::sy, ::sx].sum((4, 5))


def flatten(node, x):
    first, last = int(node.start_dim), int(node.end_dim) % (x.ndim - 1)
    return x.reshape(*x.shape[: first + 1], -1, *x.shape[last + 2 :])


class IF:
    """dv/dt = R I; z = 1 where v > v_threshold; where z = 1, v = v_reset.

    margin : the smallest distance of v and v_threshold so far, up to and including the first spike
    """

    def __init__(self, node, dtype):
        self.r, self.threshold, self.reset = (a.astype(dtype) for a in (node.r, node.v_threshold, node.v_reset))
        self.v, self.margin, self.waits = None, np.inf, True

    def __call__(self, x):
        self.v = np.zeros_like(x) if self.v is None else self.v
        self.v += self.r * x  # a step is one unit of time
        z = self.v > self.threshold
        self.margin = np.fmin(self.margin, np.where(self.waits, np.abs(self.v - self.threshold), np.inf))
        self.waits = self.waits & ~z
        np.copyto(self.v, self.reset, where=z)
        return z.astype(x.dtype)


class Delay:
    """y(t) = x(t - tau), each element with its own tau, a whole number of steps."""

    def __init__(self, node, dtype):
        self.steps, self.past = node.delay.astype(int), []
        assert (self.steps == node.delay).all()

    def __call__(self, x):
        self.past.append(x)
        y = np.zeros_like(x)
        for delay in np.unique(self.steps):
            if delay < len(self.past):
                y = np.where(self.steps == delay, self.past[-1 - delay], y)
        return y


STATELESS = {
    nir.Input: lambda node, x: x,
    nir.Output: lambda node, x: x,
    nir.Linear: lambda node, x: x @ node.weight.T.astype(x.dtype),
    nir.Affine: lambda node, x: x @ node.weight.T.astype(x.dtype) + node.bias.astype(x.dtype),
    nir.SumPool2d: sum_pool2d,
    nir.Conv2d: conv2d,
    nir.Flatten: flatten,
}


def run(graph, inputs, steps, dtype=np.float64, given=None):
    """Spikes of every IF, Delay and Output node, and how near its neurons' potentials came to the threshold.

    inputs : function(name of an Input node, step) -> (B, ...), what comes in that step
    given  : {name of a node: function(step) -> (B, ...)}, spikes that the nodes above see in place of its own
    Returns {name: uint8 (steps, B, ...)}, {name of an IF node: (B, ...)}.
    """
    order = in_order(graph)
    stateful = {nir.IF: IF, nir.Delay: Delay}
    state = {
        n: stateful[type(graph.nodes[n])](graph.nodes[n], dtype) for n in order if type(graph.nodes[n]) in stateful
    }
    before = {name: [a for a, b in graph.edges if b == name] for name in order}
    spikes = {name: [] for name in order if name in state or isinstance(graph.nodes[name], nir.Output)}
    for step in range(steps):
        value = {}
        for name in order:
            node = graph.nodes[name]
            x = inputs(name, step).astype(dtype) if isinstance(node, nir.Input) else sum(value[a] for a in before[name])
            value[name] = state[name](x) if name in state else STATELESS[type(node)](node, x)
            if name in spikes:
                spikes[name].append(value[name].astype(np.uint8))
            if given and name in given:
                value[name] = given[name](step).astype(dtype)
    margins = {name: neurons.margin for name, neurons in state.items() if isinstance(neurons, IF)}
    return {name: np.stack(of_node) for name, of_node in spikes.items()}, margins
