"""A single-spike network: layers of IF neurons, their weights, and the forward and backward passes over them.

Nothing here knows of losses, data or training. Source: Mirsadeghi et al. 2023, section 2.
"""

from dataclasses import dataclass

import numpy as np

from s4nn_ref import backprop, dense, kernels, race
from s4nn_ref.errors import InputError
from s4nn_ref.lanes import LANES
from s4nn_ref.structure import LayerSpec, parse_structure

BATCH = 128  # images presented at once where nothing is learned
N_SHARDS = 4  # pieces of a batch; a constant, so that no bit depends on the number of threads

SURROGATES = {
    "fired": backprop.FIRED, "window": backprop.WINDOW, "window-fired": backprop.WINDOW_FIRED,
    "window-silent": backprop.WINDOW_SILENT,
}  # fmt: skip
NORMALISATIONS = {"none": backprop.NONE, "signed-sum": backprop.SIGNED_SUM, "l1": backprop.L1, "l2": backprop.L2}


@dataclass(frozen=True)
class LayerState:
    """Firing of one layer for a batch. All arrays are views of the network's buffers: the next forward overwrites them.

    t_post : int16 (B, H', W', M), firing times; t_max where silent
    t_peak : int16, step of the largest potential up to and including the threshold crossing; -1 where never above 0
    v_peak : float, that potential; for a neuron that fired, the potential at its spike
    winner : int16, pooling only: place in its window, row by row, of the neuron whose spike was passed on
    v_end  : float (B, M), output layer only: the potential after the last spike
    v_late : float (B, M), output layer only: the potential dense.BEFORE_END steps before t_max
    """

    t_post: np.ndarray
    t_peak: np.ndarray
    v_peak: np.ndarray
    winner: np.ndarray | None = None
    v_end: np.ndarray | None = None
    v_late: np.ndarray | None = None

    def head(self, n: int) -> "LayerState":
        """The first n images."""
        cut = {name: None if array is None else array[:n] for name, array in vars(self).items()}
        return LayerState(**cut)

    def spikes_until(self, t: np.ndarray) -> np.ndarray:
        """Spikes in the steps 0 .. t of each image: t (B,) -> (B,)."""
        return kernels.spikes_until(self.t_post.reshape(len(t), -1), t)


@dataclass(frozen=True)
class Pooled:
    """What is left of a convolution that was pooled at once.

    spikes : int32 (B, t_max), the number of its neurons that fire in each step; (1, 0) where nobody asked
    """

    spikes: np.ndarray

    def spikes_until(self, t: np.ndarray) -> np.ndarray:
        """Spikes in the steps 0 .. t of each image: t (B,) -> (B,)."""
        return np.take_along_axis(self.spikes.cumsum(axis=1), t[:, None], axis=1)[:, 0]


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
    bound       : (start, end, power), how the output threshold falls with time, see `output_bound` (D25)
    strict      : a neuron fires where V > v_th, not where V >= v_th (D26)
    delay       : steps between reaching threshold and the spike, 0 or 1 (D26)
    dtype       : float32, or float64 for gradient checks

    Attributes
    ----------
    w : list of (M, K_y, K_x, C) arrays, potential units, one per weighted layer; views of `parameters`
    """

    def __init__(self, structure, input_shape=(28, 28, 1), t_max=100, v_th=100.0, padding="valid", pool_ties="index",
                 bound=(1.0, 1.0, 1.0), strict=False, delay=0, dtype=np.float32):  # fmt: skip
        self.structure, self.input_shape, self.padding, self.pool_ties = (
            structure,
            tuple(input_shape),
            padding,
            pool_ties,
        )
        self.t_max, self.v_th, self.dtype = int(t_max), float(v_th), np.dtype(dtype)
        self.bound = tuple(map(float, bound))
        self.strict, self.delay = strict, delay
        self.layers: tuple[LayerSpec, ...] = parse_structure(structure, self.input_shape, padding)
        self.geometries = [layer.geometry for layer in self.layers if layer.geometry]
        sizes = [g.receptive_field * g.maps_post for g in self.geometries]
        ends = np.cumsum(sizes)
        self.slices = [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]
        self.parameters = np.zeros(int(ends[-1]), self.dtype)
        self.w = self.views(self.parameters)
        self._fan_out = [kernels.fan_out(g, N_SHARDS) for g in self.geometries]
        self._buffers: dict[bool, list[LayerState | None]] = {}  # None: pooled at once

    @property
    def n_classes(self) -> int:
        return self.layers[-1].shape_post[2]

    def matrices(self, flat: np.ndarray) -> list[np.ndarray]:
        """Per-layer views (R, M), a row for each synapse of the receptive field, of a vector like `parameters`."""
        return [
            flat[s].reshape(g.receptive_field, g.maps_post) for s, g in zip(self.slices, self.geometries, strict=True)
        ]

    def views(self, flat: np.ndarray) -> list[np.ndarray]:
        """Per-layer views (M, K_y, K_x, C) of a vector laid out as `parameters`, whose maps lie side by side."""
        return [
            flat[s].reshape(*g.w_shape[1:], g.maps_post).transpose(3, 0, 1, 2)
            for s, g in zip(self.slices, self.geometries, strict=True)
        ]

    def initialise(self, ranges, rng: np.random.Generator) -> None:
        """Draw the weights of layer l uniformly from ranges[l] = (low, high), potential units (Table 1)."""
        for w, (low, high) in zip(self.w, ranges, strict=True):
            w[...] = rng.uniform(low, high, w.shape)

    def output_bound(self) -> np.ndarray:
        """Threshold of the output neurons in each step, v_th (start + (end - start) (t / (t_max - 1))^power) (D25).

        ->   float64 (t_max,), potential units
        """
        start, end, power = self.bound
        passed = np.arange(self.t_max) / max(self.t_max - 1, 1)
        return self.v_th * (start + (end - start) * passed**power)

    def reaching(self, v_th) -> np.ndarray:
        """The smallest potential, in the network's precision, that makes a neuron with threshold v_th fire (D26)."""
        v_th = np.asarray(v_th, self.dtype)
        return np.nextafter(v_th, self.dtype.type(np.inf)) if self.strict else v_th

    # ------------------------------------------------------------------------------------------------- forward

    def _pooled(self, i: int) -> bool:
        """Whether layer i is a convolution with a pooling behind it."""
        return self.layers[i].kind == "conv" and self.layers[i + 1].kind == "pool"

    def _countable(self) -> bool:
        """Whether pooling at once meets all neurons of its convolution, at the time of their spikes."""
        pairs = zip(self.layers, self.layers[1:], strict=False)
        rests = [size % below.window for above, below in pairs if below.kind == "pool" for size in above.shape_post[:2]]
        return not (self.delay or any(rests))

    def _states(self, n: int, every_layer: bool, spikes: np.ndarray) -> list[LayerState | Pooled]:
        """Buffers for n images, filled in place by every pass: allocating anew would cost more than some layers.

        spikes : int32 (layers, n, t_max), or (layers, 1, 0), for what is pooled at once
        """
        buffers = self._buffers.get(every_layer)
        if not buffers or len(buffers[0].t_post) < n:
            shape = (n, *self.input_shape)
            # an input neuron takes no error; its peak is its spike
            buffers = [LayerState(np.zeros(shape, np.int16), np.zeros(shape, np.int16), np.zeros(shape, self.dtype))]
            for i, layer in enumerate(self.layers):
                shape = (n, *layer.shape_post)
                if self._pooled(i) and not every_layer:
                    buffers.append(None)
                    continue
                out = [np.zeros((n, self.n_classes), self.dtype) for _ in range(2 * (layer is self.layers[-1]))]
                buffers.append(
                    LayerState(
                        np.zeros(shape, np.int16), np.zeros(shape, np.int16), np.zeros(shape, self.dtype),
                        np.zeros(shape, np.int16) if layer.kind == "pool" else None, *out,
                    )
                )  # fmt: skip
            self._buffers[every_layer] = buffers
        return [state.head(n) if state else Pooled(spikes[i]) for i, state in enumerate(buffers)]

    def forward(
        self, t_in: np.ndarray, every_layer: bool = True, count: bool = False, t_end: int | None = None
    ) -> list[LayerState | Pooled]:  # fmt: skip
        """Firing times of all layers for a batch (Eqs. 2-3).

        Parameters
        ----------
        t_in        : int16 (B, H, W, C), input firing times in [0, t_max]; t_max = no spike (Eq. 1)
        every_layer : also the states of convolutions that are pooled; without, they are computed, compared and
                      forgotten inside the pooling, which is faster, and their places in the list hold a Pooled
        count       : whether their spikes are counted before they are forgotten (where that cannot be, for a delay or
                      a window that does not divide its layer, they are kept)
        t_end       : stop behind so many steps, at most t_max; neurons that have not fired until then hold t_end
        Returns
        -------
        One state for the input and one per layer.
        Raises
        ------
        InputError : images of another size than the network's input
        """
        if t_in.shape[1:] != self.input_shape:
            raise InputError(f"images are {t_in.shape[1:]}, the network reads {self.input_shape} (rows, columns, maps)")
        every_layer = every_layer or (count and not self._countable())
        n, t_end, depth = len(t_in), t_end or self.t_max, 0
        spikes = np.zeros((len(self.layers), n if count else 1, t_end if count else 0), np.int32)
        states = self._states(n, every_layer, spikes)
        np.minimum(t_in, np.int16(t_end), out=states[0].t_post)
        states[0].t_peak[...] = states[0].t_post
        for i, layer in enumerate(self.layers[:-1]):
            pre, post = states[i], states[i + 1]
            if layer.kind != "pool":
                if isinstance(post, Pooled):
                    self._fire(depth, pre, t_end, states[i + 2], self.layers[i + 1].window, post.spikes)
                else:
                    self._fire(depth, pre, t_end, post)
                depth += 1
            elif not isinstance(pre, Pooled):  # else pooled already, by the convolution before
                kernels.spike_pool(
                    pre.t_post, pre.t_peak, pre.v_peak, layer.window, self.pool_ties == "potential", min(N_SHARDS, n),
                    post.t_post, post.t_peak, post.v_peak, post.winner,
                )  # fmt: skip
        pre, out, flat = states[-2], states[-1], (n, self.n_classes)
        dense.if_output(
            pre.t_post.reshape(n, -1), self.matrices(self.parameters)[-1],
            self.reaching(self.output_bound())[:t_end], min(N_SHARDS, n), out.t_post.reshape(flat),
            out.t_peak.reshape(flat), out.v_peak.reshape(flat), out.v_end, out.v_late,
        )  # fmt: skip
        self._delayed(out, t_end)
        return states

    def _delayed(self, post: LayerState, t_end: int) -> None:
        """Let the spikes of a layer leave later; who would fire at the end is silent (D26)."""
        if self.delay:
            post.t_post[...] += post.t_post < t_end

    def _fire(self, depth: int, pre: LayerState, t_end: int, post: LayerState, window: int = 1, spikes=None) -> None:
        """Hidden layer `depth` and, where window > 1, the pooling behind it: from the state below to `post`.

        t_end : steps to simulate   spikes : see if_conv; None: not counted
        """
        g, n = self.geometries[depth], len(pre.t_post)
        spikes = np.empty((1, 0), np.int32) if spikes is None else spikes
        flat = (n, -1, g.maps_post)
        kernels.if_conv(
            pre.t_post.reshape(n, -1), _padded(self.matrices(self.parameters)[depth]),
            self.dtype.type(self.reaching(self.v_th)), t_end, g, window,
            self.pool_ties == "potential", self._fan_out[depth], post.t_post.reshape(flat),
            post.t_peak.reshape(flat), post.v_peak.reshape(flat), _places(post, flat), spikes,
        )  # fmt: skip
        self._delayed(post, t_end)

    # ------------------------------------------------------------------------------------------------ backward

    def gradients(self, n_shards: int = N_SHARDS) -> list[np.ndarray]:
        """Zeros for `backward`: one (S, R, M) array per weighted layer, an entry for each shard."""
        return [np.zeros((n_shards, g.receptive_field, g.maps_post), self.dtype) for g in self.geometries]

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

    def backward_race(self, states, labels, noise, readout, haste, grad, surrogate, normalise) -> np.ndarray:
        """Temporal backpropagation of the smoothed race to the first output spike (D15, s4nn_ref/race.py).

        labels : (B,); noise, readout, haste : of the race; the rest as in `backward`. Returns the cost of each image,
        (B,).
        """
        n, pre, w_pre = len(labels), states[-2], self.matrices(self.parameters)[-1]
        t_pre, t_peak, v_peak = (array.reshape(n, -1) for array in (pre.t_post, pre.t_peak, pre.v_peak))
        cost, delta = np.empty(n), np.empty(t_pre.shape, self.dtype)
        race.race_backward(
            t_pre, t_peak, v_peak, w_pre, labels, self.output_bound(), float(noise), float(readout),
            float(haste), cost, delta, grad[-1],
        )  # fmt: skip
        self._descend(len(self.layers) - 1, states, delta, v_peak, t_peak, grad, surrogate, normalise)
        return cost

    def _descend(self, top, states, delta, v_peak, t_error, grad, surrogate, normalise) -> None:
        """Carry an error down through the first `top` layers.

        delta, v_peak, t_error : (B, N) dE/dt, peak potential and mask time of the neurons of layer `top`
        """
        n, i = len(delta), top - 1
        depth = sum(layer.geometry is not None for layer in self.layers[:top])
        while depth:
            layer, state, window = self.layers[i], states[i + 1], 1
            if layer.kind == "pool":
                if self.layers[i - 1].kind == "pool":
                    shape_pre = self.layers[i - 1].shape_post
                    delta = _unpooled(delta.reshape(state.winner.shape), state.winner, layer.window, shape_pre)
                    v_peak, t_error, i = states[i].v_peak, states[i].t_peak, i - 1
                    continue
                window, i = layer.window, i - 1
            depth, g, pre = depth - 1, self.geometries[depth - 1], states[i]
            error = np.empty((n, delta.size // n), self.dtype)
            backprop.synaptic_error(
                delta.reshape(error.shape), v_peak.reshape(error.shape), self.dtype.type(self.v_th),
                SURROGATES[surrogate], NORMALISATIONS[normalise], min(N_SHARDS, n), error,
            )  # fmt: skip
            flat = (n, -1, g.maps_post)
            w_post = (
                self.matrices(self.parameters)[depth].T.reshape(-1, g.maps_pre)
                if depth
                else np.empty((1, 1), self.dtype)
            )
            delta = np.empty((n, g.height * g.width, g.maps_pre), self.dtype)
            backprop.if_conv_backward(
                error.reshape(flat), t_error.reshape(flat), _places(state, flat), pre.t_post.reshape(n, -1),
                pre.t_peak.reshape(delta.shape), _padded(w_post).reshape(g.maps_post if depth else 1, -1), g, window,
                self.t_max, depth > 0, self._fan_out[depth], delta, grad[depth],
            )  # fmt: skip
            v_peak, t_error, i = pre.v_peak, pre.t_peak, i - 1


def _padded(w: np.ndarray) -> np.ndarray:
    """w (rows, columns), C order, zeros appended to its rows until their length is a multiple of LANES."""
    missing = -w.shape[1] % LANES
    return np.ascontiguousarray(np.pad(w, ((0, 0), (0, missing))) if missing else w)


def _places(state: LayerState, flat) -> np.ndarray:
    """The winners of a pooling layer, (B, P'', M); an empty stand-in for other layers."""
    return np.empty((1, 0, 0), np.int16) if state.winner is None else state.winner.reshape(flat)


def _unpooled(delta, winner, window, shape_pre) -> np.ndarray:
    """Errors of a pooling layer's neurons (B, H', W', C), at the neurons whose spikes they passed on (B, H, W, C)."""
    out = np.zeros((len(delta), *shape_pre), delta.dtype)
    b, y, x, c = np.ogrid[tuple(slice(size) for size in delta.shape)]
    out[b, y * window + winner // window, x * window + winner % window, c] = delta
    return out


def network_of(config, dtype=np.float32) -> Network:
    """The network of an experiment (s4nn_ref.config.Config), weights zero."""
    n = config.network
    return Network(
        n.structure, n.input_shape, n.t_max, n.v_th, n.padding, n.pool_ties, n.bound, n.strict, n.delay, dtype,
    )  # fmt: skip
