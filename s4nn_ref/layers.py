"""Layers of IF neurons: firing, weight gradient (Eq. 12), and the error of the layer below (Eq. 10).

A layer is its neurons' firing times for a batch, a State. Layers know neither labels nor losses; which kernels do the
work is the engine's affair (engines.py). Source: Mirsadeghi et al. 2023, section 2.
"""

from typing import NamedTuple

import numpy as np

from s4nn_ref.decision import fired
from s4nn_ref.engines import N_SHARDS
from s4nn_ref.kernels import backprop, convolution, output
from s4nn_ref.kernels.spikes import spikes_until
from s4nn_ref.kernels.state import NO_WINNER, Error, Pooling, State
from s4nn_ref.neurons.surrogates import SURROGATES


class StepError(NamedTuple):
    """The error of an output layer that comes in every step: d (B, t_max, M), see kernels.output.error_from_step_on."""

    d: np.ndarray


class Clock(NamedTuple):
    """How a network tells time: the type of its firing times, and the time that a silent neuron holds."""

    dtype: np.dtype
    silent: int | float


def spikes_of(state: State, t: np.ndarray) -> np.ndarray:
    """Spikes of a state in the steps 0 .. t of each image: t (B,) -> (B,)."""
    return spikes_until(state.t_post.reshape(len(t), -1), t)


def room(clock: Clock, dtype, shape) -> State:
    """A State of zeros for neurons of a shape (B, H, W, M)."""
    return State(np.zeros(shape, clock.dtype), np.zeros(shape, clock.dtype), np.zeros(shape, dtype))


class Conv:
    """A convolution of IF neurons.

    Parameters
    ----------
    spec     : structure.LayerSpec
    settings : network.Settings
    clock    : Clock
    engine   : engines.Fast or Plain
    rows     : (R, M), the weights w_ji, a row for each synapse i; a view of the network's parameters

    Attributes
    ----------
    w : (M, K_y, K_x, C), the same memory seen from the postsynaptic neuron, potential units
    """

    weighted, integrates, dense = True, True, False

    @property
    def forgets_peaks(self) -> bool:
        """Whether it can fire into a state that has no room for peaks."""
        return self.engine.fuses

    def __init__(self, spec, settings, clock: Clock, engine, rows: np.ndarray):
        self.tokens, self.shape_post, self.geometry = (spec.token,), spec.shape_post, spec.geometry
        self.clock, self.silent, self.engine, self.rows = clock, clock.silent, engine, rows
        self.v_th, self.exceeds, self.delay, self.dtype = settings.v_th, settings.exceeds, settings.delay, rows.dtype
        self.pooling = Pooling(1, settings.pool_ties == "potential")
        self.fan = engine.fan_out(spec.geometry)
        _, kernel_y, kernel_x, maps_pre = spec.geometry.w_shape
        self.w = rows.reshape(kernel_y, kernel_x, maps_pre, -1).transpose(3, 0, 1, 2)

    def reaching(self, v_th) -> np.ndarray:
        """The smallest potential, in the network's precision, that makes a neuron with threshold v_th fire (D26)."""
        v_th = np.asarray(v_th, self.dtype)
        return np.nextafter(v_th, self.dtype.type(np.inf)) if self.exceeds else v_th

    def initialise(self, low: float, high: float, rng: np.random.Generator) -> None:
        """Draw the weights uniformly, potential units (Table 1)."""
        self.w[...] = rng.uniform(low, high, self.w.shape)

    def room(self, n: int) -> State:
        """A State for n images, which `forward` overwrites."""
        height, width, maps = self.shape_post
        sums = np.zeros((n, 2, height * width, maps)) if self.engine.keeps_sums else None
        return room(self.clock, self.dtype, (n, height, width, maps))._replace(sums=sums)

    def forward(self, pre: State, post: State, t_end) -> None:
        """Firing times of the first t_end steps (Eqs. 2 and 3): from the state below to `post`, overwritten."""
        self.engine.hidden(self, pre, post, t_end)
        self._delay(post, t_end)

    def _delay(self, post: State, t_end) -> None:
        """Let spikes leave a step later; a neuron whose spike would come at the end is silent (D26)."""
        if self.delay:
            post.t_post[...] += fired(post.t_post, t_end)

    def spikes_until(self, state: State, t: np.ndarray) -> list[np.ndarray]:
        """Spikes in the steps 0 .. t of each image, for each of `tokens`: t (B,) -> [(B,)]."""
        return [spikes_of(state, t)]

    def synaptic_error(self, post: State, delta, surrogate: str, normalise: str) -> Error:
        """dE/dt dt/dV without its sign, normalised (Eqs. 8 and 11). delta : dE/dt of the layer's neurons, (B, ...)."""
        flat = post.flat()
        return self._error(delta, flat.v_peak, flat.t_peak, flat.winner, flat.sums, surrogate, normalise)

    def _error(self, delta, v_peak, t_mask, winner, sums, surrogate: str, normalise: str) -> Error:
        n, g = len(delta), np.empty(v_peak.shape, self.dtype)
        flat = (n, -1)
        backprop.synaptic_error(
            delta.reshape(flat),
            v_peak.reshape(flat),
            self.dtype.type(self.v_th),
            SURROGATES[surrogate],
            backprop.NORMALISATIONS[normalise],
            min(N_SHARDS, n),
            g.reshape(flat),
        )
        return Error(g, t_mask, winner, sums)

    def weight_gradient(self, pre: State, error: Error, grad: np.ndarray) -> None:
        """Add dE/dw, summed over the images of each shard, to grad (S, R, M) (Eqs. 8 and 12)."""
        self.engine.weight_gradient(self, pre, error, grad)

    def propagate(self, pre: State, error: Error) -> np.ndarray:
        """dE/dt of the neurons below, (B, H*W, C) (Eq. 10)."""
        return self.engine.propagate(self, pre, error)


class Dense(Conv):
    """A dense layer: the convolution whose kernel covers the whole map below, at one position."""

    dense = True


class ConvPool(Conv):
    """A convolution and the pooling after it in one pass; of the convolution only pooled states are kept.

    counts : whether the spikes that are forgotten are counted before
    """

    def __init__(self, conv: Conv, pool: "Pool", counts: bool):
        vars(self).update(vars(conv))
        self.tokens, self.shape_post = (*conv.tokens, *pool.tokens), pool.shape_post
        self.pooling, self.counts = pool.pooling, counts

    def room(self, n: int) -> State:
        state = super().room(n)
        spikes = np.zeros((n, self.silent), np.int32) if self.counts else None
        return state._replace(winner=np.zeros(state.t_post.shape, np.int16), spikes=spikes)

    def forward(self, pre: State, post: State, t_end) -> None:
        if self.counts:
            post.spikes[...] = 0
        super().forward(pre, post, t_end)

    def spikes_until(self, state: State, t: np.ndarray) -> list[np.ndarray]:
        before = np.take_along_axis(state.spikes.cumsum(axis=1), t[:, None], axis=1)[:, 0]
        return [before, *super().spikes_until(state, t)]


class Pool:
    """Spike-pooling: the earliest neuron of each window passes its spike on (section 2.1); nothing is learned."""

    weighted = integrates = forgets_peaks = False

    def __init__(self, spec, settings, clock: Clock, dtype):
        self.tokens, self.shape_post, self.clock, self.dtype = (spec.token,), spec.shape_post, clock, dtype
        self.pooling = Pooling(spec.window, settings.pool_ties == "potential")

    def room(self, n: int) -> State:
        """A State for n images, which `forward` overwrites."""
        state = room(self.clock, self.dtype, (n, *self.shape_post))
        return state._replace(winner=np.zeros(state.t_post.shape, np.int16))

    def forward(self, pre: State, post: State, t_end) -> None:
        """The earliest firing time of each window: from the state below to `post`, overwritten."""
        convolution.spike_pool(pre, self.pooling, min(N_SHARDS, len(pre.t_post)), post)

    def spikes_until(self, state: State, t: np.ndarray) -> list[np.ndarray]:
        return [spikes_of(state, t)]

    def synaptic_error(self, post: State, delta, surrogate: str, normalise: str) -> Error:
        """The error as it comes: a pooling neuron passes a spike on, and has no derivative of its own."""
        return Error(delta.reshape(post.winner.shape), post.t_peak, post.winner)

    def propagate(self, pre: State, error: Error) -> np.ndarray:
        """Errors of the pooling neurons, at the neurons whose spikes they passed on: (B, H, W, C)."""
        delta, winner, window = error.g, error.winner, self.pooling.window
        out = np.zeros(pre.t_post.shape, delta.dtype)
        b, y, x, c = np.ogrid[tuple(slice(size) for size in delta.shape)]
        out[b, y * window + winner // window, x * window + winner % window, c] = delta
        return out


class Pulses:
    """Synchronisation pulses: neurons beside those of the layer below that fire for every image, at times that are
    learned (Comsa et al. 2020, D36).

    rows : (P, 1), the times; w : (1, 1, 1, P), the same memory
    """

    weighted, integrates, forgets_peaks = True, False, False

    def __init__(self, spec, clock: Clock, rows: np.ndarray):
        self.tokens, self.shape_post, self.clock, self.rows = (spec.token,), spec.shape_post, clock, rows
        self.w, self.dtype = rows.reshape(1, 1, 1, -1), rows.dtype

    def initialise(self, low: float, high: float, rng: np.random.Generator) -> None:
        """Spread the pulses evenly between two times."""
        self.rows[:, 0] = np.linspace(low, high, len(self.rows) + 2)[1:-1]

    def room(self, n: int) -> State:
        """A State for n images, which `forward` overwrites."""
        return room(self.clock, self.dtype, (n, *self.shape_post))

    def forward(self, pre: State, post: State, t_end) -> None:
        """The layer below, and the pulses after it: overwrites `post`."""
        n = len(pre.t_post)
        t_post, below = post.t_post.reshape(n, -1), -len(self.rows)
        t_post[:, :below] = pre.t_post.reshape(n, -1)
        t_post[:, below:] = self.rows[:, 0]
        post.t_peak[...] = post.t_post

    def spikes_until(self, state: State, t: np.ndarray) -> list[np.ndarray]:
        """Pulses until a time of each image: t (B,) -> [(B,)]."""
        return [spikes_of(State(*(array[..., -len(self.rows) :] for array in state[:3])), t)]

    def synaptic_error(self, post: State, delta, surrogate: str, normalise: str) -> Error:
        """The error as it comes: a pulse has no potential."""
        return Error(delta.reshape(len(delta), -1), post.t_peak, NO_WINNER)

    def weight_gradient(self, pre: State, error: Error, grad: np.ndarray) -> None:
        """Add dE/dt of the pulses, summed over the images, to grad (S, P, 1)."""
        grad[0, :, 0] += error.g[:, -len(self.rows) :].sum(axis=0)

    def propagate(self, pre: State, error: Error) -> np.ndarray:
        """dE/dt of the neurons below, (B, N)."""
        return error.g[:, : -len(self.rows)]


class Output(Dense):
    """The output layer: dense, one neuron per class, with a threshold that may fall with time (D25).

    Attributes
    ----------
    threshold : float64 (t_max,), in each step, potential units
    """

    def __init__(self, spec, settings, clock: Clock, engine, rows: np.ndarray):
        super().__init__(spec, settings, clock, engine, rows)
        start, end, power = settings.collapse
        passed = np.arange(settings.t_max) / max(settings.t_max - 1, 1)
        self.threshold = settings.v_th * (start + (end - start) * passed**power)

    def room(self, n: int) -> State:
        late, end = np.zeros((2, n, self.shape_post[2]), self.dtype)
        return super().room(n)._replace(v_end=end, v_late=late)

    def forward(self, pre: State, post: State, t_end) -> None:
        self.engine.output(self, pre, post, t_end)
        self._delay(post, t_end)

    def synaptic_error(self, post: State, delta, surrogate: str, normalise: str) -> Error | StepError:
        """As in Conv, for dE/dt (B, M): k is 1 for every neuron (D5), and for a silent one every input spike is causal
        (D6). Or, for dE/dV of every step (B, t_max, M): what a change from each step on does."""
        if delta.ndim == 3:
            d = np.empty(delta.shape, self.dtype)
            output.error_from_step_on(delta, d)
            return StepError(d)
        flat, in_steps = post.flat(), np.issubdtype(self.clock.dtype, np.integer)
        # at threshold every surrogate is 1; D33: in continuous time a silent output has no derivative
        v_peak = np.full_like(flat.v_peak, self.v_th) if in_steps else flat.v_peak
        t_mask = np.minimum(flat.t_post, self.clock.dtype.type(self.silent - 1)) if in_steps else flat.t_post
        return self._error(
            delta.astype(self.dtype),
            v_peak,
            t_mask,
            NO_WINNER,
            flat.sums,
            surrogate if in_steps else "fired",
            normalise,
        )

    def weight_gradient(self, pre: State, error: Error | StepError, grad: np.ndarray) -> None:
        if isinstance(error, StepError):
            output.output_weight_gradient(pre.t_post.reshape(len(pre.t_post), -1), error.d, grad)
        else:
            super().weight_gradient(pre, error, grad)

    def propagate(self, pre: State, error: Error | StepError) -> np.ndarray:
        if isinstance(error, Error):
            return super().propagate(pre, error)
        n = len(pre.t_post)
        delta_pre = np.empty((n, len(self.rows)), self.dtype)
        peaks = pre.t_peak.reshape(n, -1), pre.v_peak.reshape(n, -1)
        output.output_propagate(*peaks, self.rows, error.d, min(N_SHARDS, n), delta_pre)
        return delta_pre
