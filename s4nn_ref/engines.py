"""Ways to compute the same layer: fast, by lanes of the step model in integer time and by blocks of neurons in
continuous time; and plain, for any neuron model.

Layers (layers.py) know shapes and settings; an engine knows kernels. Where sums are exact both give the same firing
times and gradients, bit for bit; which one runs is one key, `network.engine`.
"""

import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numba.core.errors import NumbaError

from s4nn_ref.errors import InputError
from s4nn_ref.kernels import backprop, continuous, convolution, output, plain, two_times
from s4nn_ref.kernels.compile import LANES
from s4nn_ref.kernels.running import running
from s4nn_ref.kernels.spikes import fan_out
from s4nn_ref.kernels.state import Error, State
from s4nn_ref.neurons import step

# parts of a neuron model (neurons/__init__.py)
MODEL = ("integer", "start", "echoes", "add", "crossing", "dt_dw", "dt_dt", "potential")
N_SHARDS = 4  # pieces of a batch; a constant, so that no bit depends on the number of threads
_PACKAGE = Path(__file__).resolve().parent


# lines of a message of numba's that say what is wrong, not where
_REASON = re.compile(
    r"(No implementation|Unknown attribute|Untyped global|Cannot unify|Invalid use|Use of|module |.*Error: )"
)


@contextmanager
def computing(part, advice: str = ""):
    """Run kernels inside (kernels/running.py), into which `part` is compiled, a neuron model or a function.

    Raises InputError, which ends with the advice, where numba cannot compile it and it is not the package's.
    """
    with running():
        try:
            yield
        except (NumbaError, AttributeError) as error:
            file = Path(getattr(part, "__file__", None) or part.__code__.co_filename)
            if file.resolve().is_relative_to(_PACKAGE):
                raise
            said = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # without its colours
            lines = [line.strip() for line in said.splitlines() if line.strip()]
            reasons = [
                line for line in lines if _REASON.match(line) and "pipeline" not in line and "<function" not in line
            ]
            reason = (reasons or lines or [type(error).__name__])[-1].removesuffix(" found for signature:")
            raise InputError(f"{file.name} has a function that numba cannot compile: {reason}{advice}") from error


def _padded(w: np.ndarray) -> np.ndarray:
    """w (rows, columns), C order, zeros appended to its rows until their length is a multiple of LANES."""
    missing = -w.shape[1] % LANES
    return np.ascontiguousarray(np.pad(w, ((0, 0), (0, missing))) if missing else w)


def _by_tap(w: np.ndarray, maps_pre: int) -> np.ndarray:
    """w (K*K*C, M) as (K*K * blocks * M, LANES): of each tap, blocks of LANES maps below, 0 where there are fewer."""
    taps, maps, missing = len(w) // maps_pre, w.shape[1], -maps_pre % LANES
    w = w.reshape(taps, maps_pre, maps)
    w = np.pad(w, ((0, 0), (0, missing), (0, 0))) if missing else w
    return np.ascontiguousarray(w.reshape(taps, -1, LANES, maps).swapaxes(2, 3)).reshape(-1, LANES)


class Fast:
    """Kernels of the step model: lanes of maps in vector registers, one call for a convolution and its pooling."""

    fuses, keeps_sums = True, False

    def fan_out(self, geometry):
        return fan_out(geometry, N_SHARDS)

    def hidden(self, layer, pre: State, post: State, t_end) -> None:
        """Overwrite post with the firing of a hidden layer and the pooling after it."""
        v_th = layer.dtype.type(layer.reaching(layer.v_th))
        convolution.if_conv(
            pre.t_post.reshape(len(pre.t_post), -1),
            _padded(layer.rows),
            v_th,
            t_end,
            layer.geometry,
            layer.pooling,
            layer.fan,
            post.flat(),
        )

    def output(self, layer, pre: State, post: State, t_end) -> None:
        """Overwrite post with the firing of the output layer."""
        n = len(pre.t_post)
        threshold = layer.reaching(layer.threshold)[:t_end]
        flat = State(*(post[i].reshape(n, -1) for i in range(3)), None, None, post.v_end, post.v_late)
        output.if_output(pre.t_post.reshape(n, -1), layer.rows, threshold, min(N_SHARDS, n), flat)

    def weight_gradient(self, layer, pre: State, error: Error, grad) -> None:
        """Add dE/dw to grad (S, R, M) (Eqs. 8 and 12)."""
        t_pre = pre.t_post.reshape(len(pre.t_post), -1)
        backprop.if_conv_weight_gradient(
            error, t_pre, layer.silent, layer.geometry, layer.pooling.window, layer.fan, grad
        )

    def propagate(self, layer, pre: State, error: Error) -> np.ndarray:
        """dE/dt of the layer below, (B, H*W, C) (Eq. 10)."""
        g, n = layer.geometry, len(pre.t_post)
        w_post = _by_tap(layer.rows, g.maps_pre)
        delta_pre = np.empty((n, g.height * g.width, g.maps_pre), layer.dtype)
        t_peak = pre.t_peak.reshape(delta_pre.shape)
        backprop.if_conv_propagate(error, t_peak, w_post, g, layer.pooling.window, min(N_SHARDS, n), delta_pre)
        return delta_pre


class Plain:
    """The loops over causal sets of a neuron model (kernels/plain.py); arguments as in Fast."""

    fuses = keeps_sums = False

    def __init__(self, model):
        self.model, self.kernels = model, plain.compiled(model)

    def fan_out(self, geometry):
        return fan_out(geometry, 0)

    def hidden(self, layer, pre: State, post: State, t_end) -> None:
        self._fire(layer, pre, post, t_end, np.empty((1, 0), layer.dtype))

    def _fire(self, layer, pre: State, post: State, t_end, v_end) -> None:
        v_th = float(layer.reaching(layer.v_th) if self.model.integer else layer.v_th)
        self.kernels.fire(*self._inputs(layer, pre), v_th, t_end, layer.fan, post.flat(), v_end)

    def output(self, layer, pre: State, post: State, t_end) -> None:
        if self.model.integer:
            threshold = layer.reaching(layer.threshold)[:t_end].astype(float)
            self.kernels.fire_in_steps(*self._inputs(layer, pre), threshold, layer.fan, post.flat())
        else:
            self._fire(layer, pre, post, t_end, post.v_end)
            post.v_late[...] = post.v_end

    def weight_gradient(self, layer, pre: State, error: Error, grad) -> None:
        self.kernels.weight_gradient(error, *self._inputs(layer, pre), layer.silent, layer.fan, grad)

    def propagate(self, layer, pre: State, error: Error) -> np.ndarray:
        g, n = layer.geometry, len(pre.t_post)
        delta_pre, below = np.empty((n, g.height * g.width, g.maps_pre), layer.dtype), pre.flat()
        below = State(*(array.reshape(delta_pre.shape) for array in below[:3]))
        self.kernels.propagate(error, below, self._w(layer), layer.silent, g, layer.fan, delta_pre)
        return delta_pre

    def _w(self, layer) -> np.ndarray:
        return np.ascontiguousarray(layer.rows.T)

    def _inputs(self, layer, pre: State):
        return pre.t_post.reshape(len(pre.t_post), -1), self._w(layer)


class Continuous(Plain):
    """Blocks of neurons for a model in continuous time (kernels/continuous.py)."""

    keeps_sums = True

    def __init__(self, model):
        super().__init__(model)
        self.blocks = continuous.compiled(model)

    def _fire(self, layer, pre: State, post: State, t_end, v_end) -> None:
        t_pre, w = _times(pre), layer.rows
        self.blocks.fire(t_pre, w, self._sum_w(layer, t_pre), float(layer.v_th), layer.fan, post.flat(), v_end)

    def _sum_w(self, layer, t_pre) -> np.ndarray:
        once = len(self.model.echoes) == 1
        return two_times.sum_of_weights(t_pre, layer.rows) if layer.dense and once else np.empty(0)

    def weight_gradient(self, layer, pre: State, error: Error, grad) -> None:
        t_pre, w = _times(pre), layer.rows
        late = self.blocks.weight_gradient(error, t_pre, w, self._sum_w(layer, t_pre), layer.fan, grad)
        if late.size:
            grad[0] += late.astype(grad.dtype)

    def propagate(self, layer, pre: State, error: Error) -> np.ndarray:
        t_pre = _times(pre)
        delta_pre = np.empty(t_pre.shape, layer.dtype)
        self.blocks.propagate(error, t_pre, layer.rows, layer.fan, delta_pre)
        return delta_pre


def _times(state: State) -> np.ndarray:
    """Firing times of a layer, (B, N)."""
    return state.t_post.reshape(len(state.t_post), -1)


def engine_of(name: str, model) -> Fast | Plain:
    """The engine called "fast" or "plain" for a neuron model.

    Raises InputError where there is no fast one, or the model lacks a part.
    """
    integer = getattr(model, "integer", False)
    if name == "fast" and integer and model is not step:
        raise InputError(
            f'network.engine = "fast" computes no model in integer time but step, not {model.__name__}; use engine = '
            '"plain"'
        )
    needed = MODEL if name == "plain" or integer else (*MODEL, "may_fire")
    if missing := [part for part in needed if not hasattr(model, part)]:
        raise InputError(
            f'the neuron model {model.__name__} has no {", ".join(missing)}, which engine = "{name}" needs: '
            "s4nn_ref/neurons/__init__.py says what each of them is"
        )
    if not isinstance(model.start, tuple):
        raise InputError(f"start of the neuron model {model.__name__} is {model.start!r}: a tuple of numbers is needed")
    if name == "plain":
        return Plain(model)
    if integer:
        return Fast()
    if len(model.start) != 2:
        raise InputError(
            f'network.engine = "fast" computes models of two sums, and {model.__name__} has {len(model.start)}; use '
            'engine = "plain"'
        )
    return Continuous(model)
