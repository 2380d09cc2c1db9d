"""Adam, SGD, Muon, and the moving average of the weights.

Sources: Eq. 8 and section 4 of the paper ("Adam's optimizer", "SGD"); Kingma and Ba 2015 (Adam); Jordan et al. 2024
(Muon, D31); Loshchilov and Hutter 2019 (decoupled weight decay; D12); Polyak averaging as exponential moving average
(D13).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numba
import numpy as np
from numba import prange
from threadpoolctl import ThreadpoolController

from s4nn_ref.kernels.compile import kernel
from s4nn_ref.schedules import SCHEDULES, Course
from s4nn_ref.settings import choice

_CHUNK = 4096  # parameters per task
_FLAT = 1e-3  # singular values below this share of the largest are noise, and are not raised to the others' size
_PER_LAYER, _SHARE = {"least": 0, "per_layer": True}, {"least": 0, "below": 1}


@dataclass(frozen=True)
class Adam:
    """Adam, with decoupled weight decay. eta, weight_decay : one value, or one per weighted layer; eta "auto": see
    initial.py (D34); ema : decay of the moving average of the weights, which is what is evaluated (0: none; D13)."""

    eta: tuple[float, ...] | Literal["auto"] = field(default="auto", metadata=_PER_LAYER)
    beta1: float = field(default=0.9, metadata=_SHARE)  # Kingma and Ba 2015
    beta2: float = field(default=0.999, metadata=_SHARE)
    eps: float = field(default=1e-8, metadata={"above": 0})
    weight_decay: tuple[float, ...] = field(default=(0.0,), metadata=_PER_LAYER)
    ema: float = field(default=0.0, metadata=_SHARE)
    schedule: object = choice(SCHEDULES, "cosine")


@dataclass(frozen=True)
class Muon(Adam):
    """Hidden layers move along the polar factor of their momentum, eta being the root mean square of a weight's change;
    the output layer as Adam does, with the same beta1 (D31)."""

    eta: tuple[float, ...] = field(default=(0.1,), metadata=_PER_LAYER)


@dataclass(frozen=True)
class Sgd:
    """Gradient descent with momentum and weight decay; keys as in Adam (D18)."""

    eta: tuple[float, ...] = field(default=(0.1,), metadata=_PER_LAYER)
    momentum: float = field(default=0.0, metadata=_SHARE)
    weight_decay: tuple[float, ...] = field(default=(0.0,), metadata=_PER_LAYER)
    ema: float = field(default=0.0, metadata=_SHARE)
    schedule: object = choice(SCHEDULES, "cosine")


RULES = {"adam": Adam, "sgd": Sgd, "muon": Muon}


@kernel
def _sum_shards(grad, first, last, n_images):
    """Mean gradient of parameters first..last-1, in the order of the shards; zeroes grad (S, n) there."""
    total = np.zeros(last - first, grad.dtype)
    for s in range(grad.shape[0]):
        shard = grad[s, first:last]
        for i in range(total.size):
            total[i] += shard[i]
        shard[:] = 0
    for i in range(total.size):
        total[i] /= n_images
    return total


@kernel
def _adam(w, g, m, v, eta, decay, beta1, beta2, eps, correct1, correct2, one, tiny):
    """Adam with decoupled weight decay; overwrites w, m and v (n,)."""
    for i in range(w.size):
        m_new = beta1 * m[i] + (one - beta1) * g[i]
        v_new = beta2 * v[i] + (one - beta2) * g[i] * g[i]
        # moments of synapses that rest would decay into denormal numbers, a hundred times slower to compute with
        m[i] = one - one if abs(m_new) < tiny else m_new
        v[i] = one - one if v_new < tiny else v_new
        w[i] -= eta * ((m[i] / correct1) / (np.sqrt(v[i] / correct2) + eps) + decay * w[i])


@kernel
def _sgd(w, g, m, eta, decay, beta1):
    """Gradient descent with momentum and weight decay; overwrites w and m (n,)."""
    for i in range(w.size):
        m[i] = beta1 * m[i] + g[i]
        w[i] -= eta * (m[i] + decay * w[i])


@kernel(parallel=True)
def _update(w, grad, n_images, m, v, w_mean, adam, eta, decay, beta1, beta2, eps, correct1, correct2, one, tiny, mean):
    """One step of one layer's n weights; overwrites w, m, v and w_mean (n,), zeroes grad (S, n)."""
    for chunk in prange((w.size + _CHUNK - 1) // _CHUNK):
        first = chunk * _CHUNK
        last = min(w.size, first + _CHUNK)
        g, part = _sum_shards(grad, first, last, n_images), slice(first, last)
        if adam:
            _adam(w[part], g, m[part], v[part], eta, decay, beta1, beta2, eps, correct1, correct2, one, tiny)
        else:
            _sgd(w[part], g, m[part], eta, decay, beta1)
        for i in range(first, last):
            w_mean[i] += (one - mean) * (w[i] - w_mean[i])


def polar_factor(u: np.ndarray) -> np.ndarray:
    """A layer's momentum with its singular values made alike (Muon, D31).

    u : (R, M)   ->   (R, M), of root mean square 1 where u has full rank; 0 where u is 0
    Derivation: docs/extensions.md.
    """
    tall = u.shape[0] >= u.shape[1]
    gram = (u.T @ u if tall else u @ u.T).astype(np.float64)
    if not np.isfinite(gram).all():
        return np.full_like(u, np.nan)  # found in the weights, and reported, at the next checkpoint
    square, q = np.linalg.eigh(gram)  # of the singular values
    if square[-1] <= 0.0:
        return np.zeros_like(u)
    inverse = (q / np.sqrt(np.maximum(square, _FLAT**2 * square[-1]))) @ q.T  # (u'u)^(-1/2)
    inverse = (inverse * np.sqrt(max(u.shape))).astype(u.dtype)
    return u @ inverse if tall else inverse @ u


class Optimiser:
    """Gradient descent on the weights of a network.

    Parameters
    ----------
    settings : Adam, Sgd or Muon
    network  : its `parameters` are updated in place, layer by layer of its `slices`
    updates_in_epoch, epochs : the length of the run

    Attributes
    ----------
    average : (n,) moving average of the weights; the weights themselves when settings.ema is 0
    m, v    : (n,) first and second moments; of a layer that follows Muon, v holds its last direction
    course  : schedules.Course
    """

    def __init__(self, settings, network, updates_in_epoch: int, epochs: int):
        self.settings, self.parameters, self.slices = settings, network.parameters, network.slices
        self.m, self.v = np.zeros_like(self.parameters), np.zeros_like(self.parameters)
        self.w_mean = self.parameters.copy()
        self.course = Course(settings.schedule, updates_in_epoch, epochs, np.zeros((), np.int64))
        if isinstance(settings, Muon):
            self._threads, self._libraries = ThreadPoolExecutor(numba.get_num_threads()), ThreadpoolController()

    @property
    def average(self) -> np.ndarray:
        return self.w_mean if self.settings.ema else self.parameters

    def state(self) -> dict[str, np.ndarray]:
        """All that changes from update to update, but for the weights."""
        return {"m": self.m, "v": self.v, "w_mean": self.w_mean, "step": self.course.step}

    def update(self, grad: list[np.ndarray], n_images: int) -> None:
        """Step along the mean gradient of a batch.

        grad : per layer (S, R, M), whose sum over shards is the sum of dE/dw over n_images images. Zeroed.
        """
        c, scalar, factor = self.settings, self.parameters.dtype.type, self.course.next_factor()
        step, adam = int(self.course.step), isinstance(c, Adam)
        first, second, eps = (c.beta1, c.beta2, c.eps) if adam else (c.momentum, 0.0, 1.0)
        correct1, correct2 = (1.0 - first**step, 1.0 - second**step) if adam else (1.0, 1.0)
        # the average follows the weights closely while it is young
        mean = min(c.ema, (1.0 + step) / (10.0 + step))
        muon = range(len(self.slices) - 1 if isinstance(c, Muon) else 0)  # the output layer follows Adam (D31)
        directions = self._directions([self.m[self.slices[k]] for k in muon], grad, n_images)
        for layer, (part, shards) in enumerate(zip(self.slices, grad, strict=True)):
            m, v, n, beta1 = self.m[part], self.v[part], n_images, first
            if layer in muon:  # a step of SGD along the direction, whose momentum is itself
                shards, n, m, beta1 = directions[layer][None], 1, v, 0.0
            _update(
                self.parameters[part], shards.reshape(len(shards), -1), scalar(n), m, v, self.w_mean[part],
                adam and layer not in muon, scalar(factor * c.eta[layer]), scalar(c.weight_decay[layer]), scalar(beta1),
                scalar(second), scalar(eps), scalar(correct1), scalar(correct2), scalar(1.0),
                scalar(1e-30), scalar(mean),
            )  # fmt: skip

    def _directions(self, momenta, grad, n_images: int) -> list[np.ndarray]:
        """Muon's directions of the layers that follow it, their momenta (n,) renewed; one thread works on each layer.

        More threads in one matrix product would sum in another order, and wait beside the kernels' threads.
        """
        if not momenta:
            return []
        renewed = [self._momentum(m.reshape(g.shape[1:]), g, n_images) for m, g in zip(momenta, grad, strict=False)]
        with self._libraries.limit(limits=1, user_api="blas"):
            return list(self._threads.map(polar_factor, renewed))

    def _momentum(self, m, shards, n_images: int) -> np.ndarray:
        """Muon's momentum of one layer (R, M), renewed in place; zeroes shards (S, R, M)."""
        beta1 = m.dtype.type(self.settings.beta1)
        mean = _sum_shards(shards.reshape(len(shards), -1), 0, m.size, m.dtype.type(n_images))
        m *= beta1
        m += (1 - beta1) * mean.reshape(m.shape)
        return m
