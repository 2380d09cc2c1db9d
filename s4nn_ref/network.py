"""A single-spike network: two loops over its layers, forward and backward.

`Network` knows neither labels nor losses nor data. Source: Mirsadeghi et al. 2023, section 2.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from s4nn_ref.decision import decide, fired
from s4nn_ref.encoding import encode, latencies
from s4nn_ref.engines import N_SHARDS, computing, engine_of
from s4nn_ref.errors import InputError
from s4nn_ref.kernels.output import for_each_image, output_potentials
from s4nn_ref.kernels.state import State
from s4nn_ref.layers import Clock, Conv, ConvPool, Dense, Output, Pool, Pulses, room, spikes_of
from s4nn_ref.neurons import step
from s4nn_ref.structure import parse_structure

BATCH = 128  # images presented at once where nothing is learned


@dataclass(frozen=True)
class Settings:
    """The network of an experiment: section [network].

    structure   : e.g. "64C3-P2-128C3-P2-10"; "...-auto": as many outputs as the data have classes
    init        : (low, high) of each weighted layer's uniform initial weights, potential units (Table 1); "auto": see
                  initial.py (D17)
    input_shape : (H, W, C); "auto": of the data's images. A `Network` needs the numbers
    padding     : of convolutions
    t_max       : number of time steps, 0 .. t_max - 1; a neuron that holds t_max is silent (D3, D24)
    v_th        : threshold of every neuron, potential units
    pool_ties   : which of several earliest neurons of a pooling window takes its error, the one of lowest index or of
                  largest potential (D8)
    collapse    : (start, end, power) of the collapsing threshold of the output, in units of v_th (D25)
    exceeds     : a neuron fires where V > v_th, not where V >= v_th (D26)
    delay       : steps between the crossing and the spike (D26)
    precision   : of weights and potentials
    engine      : see engines.py; changes no result beyond rounding
    """

    structure: str
    init: tuple[tuple[float, float], ...] | Literal["auto"] = "auto"
    input_shape: tuple[int, int, int] | Literal["auto"] = field(default="auto", metadata={"least": 1})
    padding: Literal["valid", "same"] = "valid"
    t_max: int = field(default=100, metadata={"least": 1, "most": 2**14 - 1})  # section 3.1
    v_th: float = field(default=100.0, metadata={"above": 0})  # section 3.1
    pool_ties: Literal["index", "potential"] = "index"
    collapse: tuple[float, float, float] = field(default=(1.0, 1.0, 1.0), metadata={"above": 0})
    exceeds: bool = False
    delay: int = field(default=0, metadata={"least": 0, "most": 1})
    precision: Literal["float32", "float64"] = "float32"
    engine: Literal["fast", "plain"] = "fast"


@dataclass(frozen=True)
class Outputs:
    """What the output neurons did with a batch.

    t_out, v_peak, v_end, v_late : (B, classes), firing times, potentials at the spike, at the end and shortly before it
    silent    : the time of a neuron that did not fire; t_max in integer time
    threshold : (t_max,), threshold in each step, potential units
    t_pre, w  : (B, n) firing times of the layer below, and (n, classes) the weights
    """

    t_out: np.ndarray
    v_peak: np.ndarray
    v_end: np.ndarray
    v_late: np.ndarray
    silent: float
    threshold: np.ndarray
    t_pre: np.ndarray
    w: np.ndarray

    def decisions(self) -> np.ndarray:
        """Class of each image, (B,): the earliest output; ties and silence as in D20."""
        return decide(self.t_out, self.v_peak, self.v_end, self.silent)

    def potentials(self, b: int) -> np.ndarray:
        """Potentials at every step of image b, as if no output had fired (Eq. 2; Fig. 3): float64 (t_max, classes)."""
        return output_potentials(self.t_pre[b], self.w, self.threshold.size)

    def for_each_image(self, cost_of_image, labels: np.ndarray, keys: tuple) -> tuple[np.ndarray, np.ndarray]:
        """Cost (B,) and dE/dV in every step (B, t_max, classes) of a loss on the potentials.

        cost_of_image : function(v, label, threshold, keys, error) -> cost of one image, plain Python that numba can
                        compile; see kernels.output.for_each_image
        """
        n, classes = self.t_out.shape
        cost, error = np.empty(n), np.empty((n, self.threshold.size, classes))
        run = for_each_image(cost_of_image)
        with computing(cost_of_image):
            run(self.t_pre, self.w, labels, self.threshold, keys, min(N_SHARDS, n), cost, error)
        return cost, error


class Network:
    """Neurons that fire at most once, in the layers of a structure string.

    Parameters
    ----------
    settings : Settings; `init` is not used here, see `initialise`
    neuron   : a module of s4nn_ref.neurons
    Raises
    ------
    InputError : an impossible structure, a threshold that its precision cannot hold, or an engine that does not compute
        this neuron

    Attributes
    ----------
    parameters : (n,), all weights, potential units
    w    : list of (M, K_y, K_x, C), one per weighted layer, w_ji seen from the postsynaptic neuron j (D32); views
    rows : list of (R, M), the same memory, a row for each synapse i of the receptive field
    """

    def __init__(self, settings: Settings, neuron=step):
        self.settings, self.neuron, self.dtype = settings, neuron, np.dtype(settings.precision)
        with np.errstate(over="ignore"):
            lowest = self.dtype.type(settings.v_th) * self.dtype.type(min(*settings.collapse[:2], 1.0))
        if not 0 < lowest < np.inf:
            raise InputError(f"a threshold of {lowest:g} in {self.dtype}: v_th and collapse must give more than 0")
        self.specs = parse_structure(settings.structure, settings.input_shape, settings.padding)
        self.structure, self.input_shape = settings.structure, tuple(settings.input_shape)
        self.t_max, self.v_th = settings.t_max, settings.v_th
        engine = engine_of(settings.engine, neuron)
        self.clock = (
            Clock(np.dtype(np.int16), self.t_max) if neuron.integer else Clock(np.dtype(np.float64), float("inf"))
        )
        self.geometries = [spec.geometry for spec in self.specs if spec.geometry]
        ends = np.cumsum([g.receptive_field * g.maps_post for g in self.geometries]).tolist()
        self.slices = [slice(begin, end) for begin, end in pairwise([0, *ends])]
        self.parameters = np.zeros(ends[-1], self.dtype)
        self.rows = self.matrices(self.parameters)
        self.layers = self._layers(engine)
        self.w = [layer.w for layer in self.layers if layer.weighted]

    def _layers(self, engine) -> list:
        kinds = {"conv": Conv, "dense": Dense}
        rows, layers = iter(self.rows), []
        for spec in self.specs:
            if spec.kind == "pool":
                layers.append(Pool(spec, self.settings, self.clock, self.dtype))
            elif spec.kind == "pulses":
                layers.append(Pulses(spec, self.clock, next(rows)))
            else:
                kind = Output if spec is self.specs[-1] else kinds[spec.kind]
                layers.append(kind(spec, self.settings, self.clock, engine, next(rows)))
        return layers

    def fused(self, counts: bool = False) -> "Network":
        """The same network, of the same weights, that keeps of a convolution only what its pooling passes on: faster.

        counts : count the spikes that are not kept; where that cannot be (a delay, a window that does not divide its
                 layer) the convolution is kept
        """
        other = object.__new__(Network)
        vars(other).update(vars(self))
        other.layers, layers = [], list(self.layers)
        while layers:
            layer = layers.pop(0)
            if isinstance(layer, Conv) and layer.engine.fuses and layers and isinstance(layers[0], Pool):
                whole = not (layer.delay or any(size % layers[0].pooling.window for size in layer.shape_post[:2]))
                if whole or not counts:
                    layer = ConvPool(layer, layers.pop(0), counts)
            other.layers.append(layer)
        return other

    @property
    def silent(self) -> float:
        """The time that a silent neuron holds."""
        return self.clock.silent

    @property
    def tokens(self) -> tuple[str, ...]:
        """Names of the layers of the structure, input first."""
        return ("input", *(token for layer in self.layers for token in layer.tokens))

    @property
    def n_classes(self) -> int:
        """The number of output neurons."""
        return self.layers[-1].shape_post[2]

    @property
    def _advice(self) -> str:
        """To whoever has a neuron model of their own that cannot be compiled."""
        if self.settings.engine == "plain":
            return ""
        return (
            "; the fast engine gives a neuron's functions lanes, which know operators, np.minimum and np.maximum, and "
            'engine = "plain" gives them numbers'
        )

    def matrices(self, flat: np.ndarray) -> list[np.ndarray]:
        """Per-layer views (R, M), a row for each synapse of the receptive field, of a vector like `parameters`."""
        pairs = zip(self.slices, self.geometries, strict=True)
        return [flat[s].reshape(g.receptive_field, g.maps_post) for s, g in pairs]

    def views(self, flat: np.ndarray) -> list[np.ndarray]:
        """Per-layer views (M, K_y, K_x, C) of a vector laid out as `parameters`."""
        pairs = zip(self.slices, self.geometries, strict=True)
        return [flat[s].reshape(*g.w_shape[1:], g.maps_post).transpose(3, 0, 1, 2) for s, g in pairs]

    def initialise(self, ranges, rng: np.random.Generator) -> None:
        """Draw the weights of layer l uniformly from ranges[l] = (low, high), potential units (Table 1); spread the
        times of pulses evenly between them."""
        weighted = [layer for layer in self.layers if layer.weighted]
        for layer, (low, high) in zip(weighted, ranges, strict=True):
            layer.initialise(low, high, rng)

    def output_threshold(self) -> np.ndarray:
        """Threshold of the output neurons in each step, v_th (start + (end - start) (t / (t_max - 1))^power) (D25).

        ->   float64 (t_max,), potential units
        """
        return self.layers[-1].threshold

    # ------------------------------------------------------------------------------------------------- forward

    def encode(self, images: np.ndarray, encoding: str = "eq1") -> np.ndarray:
        """Input firing times of images (B, H, W, C), as the network's neurons tell time (Eq. 1).

        images, encoding : see encoding.py
        """
        return (encode if self.neuron.integer else latencies)(images, self.t_max, encoding)

    def room(self, n: int, peaks: bool = True) -> list[State]:
        """States for n images, to be overwritten by `forward` again and again.

        peaks : peaks of potentials too, and winners of windows, without which nothing can be learned; not writing them
                is faster. Layers in continuous time, those of the plain engine, and what is pooled in a pass of its own
                keep them
        """
        states = [room(self.clock, self.dtype, (n, *self.input_shape)), *(layer.room(n) for layer in self.layers)]
        for i, layer in enumerate(self.layers[:-1], 1):
            if not peaks and layer.forgets_peaks and not isinstance(self.layers[i], Pool):
                states[i] = states[i].without_peaks()
        return states

    def forward(self, t_in: np.ndarray, out: list[State] | None = None, t_end: int | None = None) -> list[State]:
        """Firing times of all layers for a batch (Eqs. 2-3).

        Parameters
        ----------
        t_in  : (B, H, W, C), input firing times, int16 steps in [0, t_max], t_max = no spike (Eq. 1); or float64, inf =
                no spike, for a neuron in continuous time
        out   : states of `room`, of B or more images, that are overwritten and returned
        t_end : stop after so many steps, at most t_max; neurons that have not fired until then hold t_end
        Returns
        -------
        One state for the input and one per layer; the caller's own, unless `out` was given.
        Raises
        ------
        InputError : images of another size than the network's input
        ValueError : `out` is for fewer images
        """
        if t_in.shape[1:] != self.input_shape:
            raise InputError(f"images are {t_in.shape[1:]}, the network reads {self.input_shape} (rows, columns, maps)")
        n, t_end = len(t_in), self.silent if t_end is None else t_end
        if out and len(out[0].t_post) < n:
            raise ValueError(f"out holds {len(out[0].t_post)} images, {n} are presented")
        states = [state.head(n) for state in out] if out else self.room(n)
        np.minimum(t_in, self.clock.dtype.type(t_end), out=states[0].t_post)
        states[0].t_peak[...] = states[0].t_post  # an input neuron takes no error; its peak is its spike
        with computing(self.neuron, self._advice):
            for layer, (pre, post) in zip(self.layers, pairwise(states), strict=True):
                layer.forward(pre, post, t_end)
        return states

    def outputs(self, states: list[State], t_end: int | None = None) -> Outputs:
        """The output layer's part of `states`. t_end : as in `forward`"""
        pre, post = states[-2], states[-1]
        n = len(post.t_post)
        t_out, v_peak = post.t_post.reshape(n, -1), post.v_peak.reshape(n, -1)
        silent, threshold = self.silent if t_end is None else t_end, self.output_threshold()
        t_pre = pre.t_post.reshape(n, -1)
        return Outputs(t_out, v_peak, post.v_end, post.v_late, silent, threshold, t_pre, self.rows[-1])

    def spikes_until(self, states: list[State], t: np.ndarray) -> np.ndarray:
        """Spikes of each layer of the structure, input first, in the steps 0 .. t: t (B,) -> int32 (B, layers + 1)."""
        counts = [spikes_of(states[0], t)]
        for layer, state in zip(self.layers, states[1:], strict=True):
            counts += layer.spikes_until(state, t)
        return np.stack(counts, axis=1).astype(np.int32)

    def spikes_until_decision(self, states: list[State], t_end: int | None = None) -> np.ndarray:
        """Spikes of each layer up to and including the first output spike; all of them where there is none.

        Returns int32 (B, layers + 1), input first. t_end : as in `forward`
        """
        decision, silent = self.outputs(states).t_out.min(axis=1), self.silent if t_end is None else t_end
        last = silent - 1 if self.neuron.integer else np.finfo(float).max  # the last time at which neurons fire
        return self.spikes_until(states, np.where(fired(decision, silent), decision, last).astype(self.clock.dtype))

    # ------------------------------------------------------------------------------------------------ backward

    def gradients(self, n_shards: int = N_SHARDS) -> list[np.ndarray]:
        """Zeros for `backward`: one (S, R, M) array per weighted layer, an entry for each shard."""
        return [np.zeros((n_shards, *rows.shape), self.dtype) for rows in self.rows]

    def backward(self, states, error, grad, surrogate: str = "fired", normalise: str = "none", local=None) -> None:
        """Temporal backpropagation of an output error through all layers (Eqs. 8 and 10-12).

        Parameters
        ----------
        states    : what `forward` returned
        error     : of the output neurons: dE/dt (B, classes) (Eq. 9), or dE/dV in every step (B, t_max, classes), of
                    its natural sign, float64, which is overwritten with sums over time (D15)
        grad      : what `gradients` returned; each shard's sum over its images of dE/dw is added to its entry
        surrogate : a key of neurons.surrogates.SURROGATES, of hidden layers; the output's is always 1 (D5)
        normalise : "none", "signed-sum", "l1" or "l2" over each weighted layer's neurons (Eq. 11, D4)
        local     : function(t_post, dE/dt) -> the error of a hidden layer in place of dE/dt, for layers that have
                    targets or costs of their own; (B, ...) each, of as many neurons. Where a pooling follows, of its
                    neurons, which alone pass spikes on
        """
        delta, of_layers = error, list(grad)  # Eq. 7: delta = dE/dt of the outputs
        with computing(self.neuron, self._advice):
            for i in reversed(range(len(self.layers))):
                layer, pre, post = self.layers[i], states[i], states[i + 1]
                if local and self._passes_spikes_on(i):
                    delta = local(post.t_post, delta)
                g = layer.synaptic_error(post, delta, surrogate, normalise)  # Eqs. 8 and 11; g holds the masks' times
                if layer.weighted:
                    layer.weight_gradient(pre, g, of_layers.pop())  # Eq. 12
                if not of_layers:
                    return
                delta = layer.propagate(pre, g)  # Eq. 10

    def _passes_spikes_on(self, i: int) -> bool:
        """Whether layer i is hidden, not of pulses, and its spikes reach other neurons than those of a pooling."""
        layer, above = self.layers[i], self.layers[i + 1 : i + 2]
        return bool(above) and not isinstance(layer, Pulses) and not isinstance(above[0], Pool)
