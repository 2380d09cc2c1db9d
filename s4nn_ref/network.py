"""A single-spike network: layers of IF neurons, their weights, and the forward and backward passes over them.

Nothing here knows of losses, data or training. Source: Mirsadeghi et al. 2023, section 2.
"""

from dataclasses import dataclass

import numpy as np

from s4nn_ref import kernels, race
from s4nn_ref.errors import InputError
from s4nn_ref.structure import LayerSpec, parse_structure

N_SHARDS = 8  # pieces of a batch; a constant, so that no bit depends on the number of threads

SURROGATES = {
    "fired": kernels.FIRED, "window": kernels.WINDOW, "window-fired": kernels.WINDOW_FIRED,
    "window-silent": kernels.WINDOW_SILENT,
}  # fmt: skip
NORMALISATIONS = {"none": kernels.NONE, "signed-sum": kernels.SIGNED_SUM, "l1": kernels.L1, "l2": kernels.L2}


@dataclass(frozen=True)
class LayerState:
    """Firing of one layer for a batch. All arrays are views of the network's buffers: the next forward overwrites them.

    t_post : int16 (B, H', W', M), firing times; t_max where silent
    t_peak : int16, step of the largest potential up to and including the spike; -1 where never above 0
    v_peak : float, that potential; for a neuron that fired, the potential at its spike
    winner : int32, pooling only: index in the layer below of the neuron whose spike was passed on
    v_end  : float (B, M), weighted layers only: the last position's potential after the last spike
    """

    t_post: np.ndarray
    t_peak: np.ndarray
    v_peak: np.ndarray
    winner: np.ndarray | None = None
    v_end: np.ndarray | None = None

    def head(self, n: int) -> "LayerState":
        """The first n images."""
        cut = {name: None if array is None else array[:n] for name, array in vars(self).items()}
        return LayerState(**cut)


class Network:
    """IF neurons that fire at most once, in the layers of a structure string.

    Parameters
    ----------
    structure   : e.g. "64C3-P2-128C3-P2-10"
    input_shape : (H, W, C)
    t_max       : last time step, at most 16383; a neuron that holds it is silent
    v_th        : threshold of every neuron, > 0, potential units
    padding     : "valid" or "same"
    pool_ties   : "index" or "potential": which of several earliest neurons of a pooling window takes its error (D8)
    dtype       : float32, or float64 for gradient checks

    Attributes
    ----------
    w : list of (M, K_y, K_x, C) arrays, potential units, one per weighted layer; views of `parameters`
    """

    def __init__(self, structure, input_shape=(28, 28, 1), t_max=100, v_th=100.0, padding="valid", pool_ties="index",
                 dtype=np.float32):  # fmt: skip
        self.structure, self.input_shape, self.padding, self.pool_ties = (
            structure,
            tuple(input_shape),
            padding,
            pool_ties,
        )
        self.t_max, self.v_th, self.dtype = int(t_max), float(v_th), np.dtype(dtype)
        self.layers: tuple[LayerSpec, ...] = parse_structure(structure, self.input_shape, padding)
        self.geometries = [layer.geometry for layer in self.layers if layer.geometry]
        sizes = [int(np.prod(g.w_shape)) for g in self.geometries]
        ends = np.cumsum(sizes)
        self.slices = [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]
        self.parameters = np.zeros(int(ends[-1]), self.dtype)
        self.w = self.views(self.parameters)
        self._states: list[LayerState] = []

    @property
    def n_classes(self) -> int:
        return self.layers[-1].shape_post[2]

    def views(self, flat: np.ndarray) -> list[np.ndarray]:
        """Per-layer views (M, K_y, K_x, C) of a flat vector laid out as `parameters`."""
        return [flat[s].reshape(g.w_shape) for s, g in zip(self.slices, self.geometries, strict=True)]

    def initialise(self, ranges, rng: np.random.Generator) -> None:
        """Draw the weights of layer l uniformly from ranges[l] = (low, high), potential units (Table 1)."""
        for w, (low, high) in zip(self.w, ranges, strict=True):
            w[...] = rng.uniform(low, high, w.shape)

    # ------------------------------------------------------------------------------------------------- forward

    def _allocate(self, n: int) -> None:
        """Buffers for n images, filled in place by every pass: allocating anew would cost more than some layers."""
        shape = (n, *self.input_shape)
        # an input neuron takes no error; its peak is its spike
        self._states = [LayerState(np.zeros(shape, np.int16), np.zeros(shape, np.int16), np.zeros(shape, self.dtype))]
        for layer in self.layers:
            shape = (n, *layer.shape_post)
            self._states.append(
                LayerState(
                    np.zeros(shape, np.int16), np.zeros(shape, np.int16), np.zeros(shape, self.dtype),
                    np.zeros(shape, np.int32) if layer.kind == "pool" else None,
                    None if layer.kind == "pool" else np.zeros((n, layer.shape_post[2]), self.dtype),
                )
            )  # fmt: skip

    def forward(self, t_in: np.ndarray, v_th_output: float | None = None) -> list[LayerState]:
        """Firing times of all layers for a batch (Eqs. 2-3).

        Parameters
        ----------
        t_in        : int16 (B, H, W, C), input firing times in [0, t_max]; t_max = no spike (Eq. 1)
        v_th_output : threshold of the output layer if it differs from v_th (D11)
        Returns
        -------
        One LayerState for the input and one per layer.
        Raises
        ------
        InputError : images of another size than the network's input
        """
        if t_in.shape[1:] != self.input_shape:
            raise InputError(f"images are {t_in.shape[1:]}, the network reads {self.input_shape} (rows, columns, maps)")
        n = len(t_in)
        if not self._states or len(self._states[0].t_post) < n:
            self._allocate(n)
        states = [state.head(n) for state in self._states]
        states[0].t_post[...] = t_in
        states[0].t_peak[...] = t_in
        n_shards = min(N_SHARDS, n)
        w = iter(self.w)
        for layer, pre, post in zip(self.layers, states, states[1:], strict=False):
            if layer.kind == "pool":
                kernels.spike_pool(
                    pre.t_post, pre.t_peak, pre.v_peak, layer.window, self.pool_ties == "potential", n_shards,
                    post.t_post, post.t_peak, post.v_peak, post.winner,
                )  # fmt: skip
            else:
                g = layer.geometry
                w_pre = np.ascontiguousarray(next(w).reshape(g.maps_post, -1).T)
                v_th = v_th_output if layer is self.layers[-1] and v_th_output else self.v_th
                positions = (n, g.height_post * g.width_post, g.maps_post)
                kernels.if_conv(
                    pre.t_post.reshape(n, -1), w_pre, self.dtype.type(v_th), g, self.t_max, n_shards,
                    post.t_post.reshape(positions), post.t_peak.reshape(positions), post.v_peak.reshape(positions),
                    post.v_end,
                )  # fmt: skip
        return states

    # ------------------------------------------------------------------------------------------------ backward

    def gradients(self, n_shards: int = N_SHARDS) -> list[np.ndarray]:
        """Zeros for `backward`: one (S, M, R) array per weighted layer, an entry for each shard."""
        return [np.zeros((n_shards, g.maps_post, g.receptive_field), self.dtype) for g in self.geometries]

    def backward(self, states, delta_out, grad, surrogate="fired", normalise="none") -> None:
        """Temporal backpropagation of an output error through all layers (Eqs. 8 and 10-12).

        Parameters
        ----------
        states    : what `forward` returned
        delta_out : (B, classes), dE/dt of the output neurons (Eq. 9)
        grad      : what `gradients` returned; each shard's sum over its images of dE/dw is added to its entry
        surrogate : a key of SURROGATES, of the hidden layers; the output's is always 1 (D5)
        normalise : "none", "signed-sum", "l1" or "l2" over each layer's neurons (Eq. 11, D4)
        """
        n = len(delta_out)
        t_out = states[-1].t_post.reshape(n, -1)
        delta = delta_out.astype(self.dtype)
        v_peak = np.full(delta_out.shape, self.v_th, self.dtype)  # at threshold every surrogate is 1
        # D6: every input spike is causal for a silent output
        t_error = np.minimum(t_out, np.int16(self.t_max - 1))
        self._descend(len(self.layers), states, delta, v_peak, t_error, grad, surrogate, normalise)

    def backward_race(self, states, labels, v_th, noise, grad, surrogate, normalise) -> np.ndarray:
        """Temporal backpropagation of the smoothed race to the first output spike (D15, s4nn_ref/race.py).

        labels : (B,); v_th, noise : of the race, potential units; the rest as in `backward`
        Returns the cost of each image, (B,).
        """
        n, pre, w_out = len(labels), states[-2], self.w[-1].reshape(self.n_classes, -1)
        t_pre, t_peak, v_peak = (array.reshape(n, -1) for array in (pre.t_post, pre.t_peak, pre.v_peak))
        cost, delta = np.empty(n), np.empty(t_pre.shape, self.dtype)
        w_pre = np.ascontiguousarray(w_out.T)
        race.race_backward(
            t_pre, t_peak, v_peak, w_pre, labels, float(v_th), float(noise), self.t_max, cost, delta, grad[-1]
        )
        self._descend(len(self.layers) - 1, states, delta, v_peak, t_peak, grad, surrogate, normalise)
        return cost

    def _descend(self, top, states, delta, v_peak, t_error, grad, surrogate, normalise) -> None:
        """Carry an error down through the first `top` layers.

        delta, v_peak, t_error : (B, N) dE/dt, peak potential and mask time of the neurons of layer `top`
        """
        n = len(delta)
        neuron, depth = None, sum(layer.geometry is not None for layer in self.layers[:top])
        for i in range(top - 1, -1, -1):
            layer, pre, post = self.layers[i], states[i], states[i + 1]
            if layer.kind == "pool":
                winner = post.winner.reshape(n, -1)
                neuron = winner if neuron is None else np.take_along_axis(winner, neuron, axis=1)
                continue
            depth -= 1
            g = layer.geometry
            error = np.empty(delta.shape, self.dtype)
            kernels.synaptic_error(
                delta, v_peak, self.dtype.type(self.v_th), SURROGATES[surrogate], NORMALISATIONS[normalise],
                min(N_SHARDS, n), error,
            )  # fmt: skip
            if neuron is None:
                neuron = np.arange(delta.shape[1], dtype=np.int32)[None]
            w_post = self.w[depth].reshape(g.maps_post, -1)
            delta_pre = np.empty((n, *g.shape_pre), self.dtype)
            kernels.if_conv_backward(
                neuron, error, t_error, pre.t_post, pre.t_peak, w_post, g, self.t_max, depth > 0, delta_pre,
                grad[depth],
            )  # fmt: skip
            delta, v_peak, t_error = delta_pre.reshape(n, -1), pre.v_peak.reshape(n, -1), pre.t_peak.reshape(n, -1)
            neuron = None


def network_of(config, dtype=np.float32) -> Network:
    """The network of an experiment (s4nn_ref.config.Config), weights zero."""
    n = config.network
    return Network(n.structure, n.input_shape, n.t_max, n.v_th, n.padding, n.pool_ties, dtype)
