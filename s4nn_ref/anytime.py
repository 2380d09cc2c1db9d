"""The decision as soon as it falls: all layers advance through time together and stop at the first output spike.

`Network.forward` computes every firing time of the whole simulation. A decision needs less: the spikes until the first
output spike, and nothing behind it. Here time runs in the outer loop. In each step the spikes of a layer are added to
the potentials they reach, the neurons that were reached are tested (outputs in every step: their threshold may fall,
D25), and those that fire are the spikes of the layer above, in the same step (D2); when an output fires, the rest of
the simulation is left out. Work follows the spikes that were needed (MRN), and decision, its time and the number of
spikes are exactly those of the whole simulation: potentials are added in the same order, of time and then of the
presynaptic index.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from s4nn_ref.encoding import encode
from s4nn_ref.errors import InputError
from s4nn_ref.kernels import spikes_in_time_order
from s4nn_ref.lanes import LANES, any_lane, load, splat, store
from s4nn_ref.metrics import mean_required_spikes
from s4nn_ref.network import BATCH, N_SHARDS, Network, _padded

POOL, WEIGHTED = 0, 1


@dataclass(frozen=True)
class Decisions:
    """Decisions for n images.

    label : int (n,)   time : int (n,), of the first output spike; t_max where there is none
    spikes : int32 (n, layers + 1), spikes of each layer, input first, up to and including the decision
    """

    label: np.ndarray
    time: np.ndarray
    spikes: np.ndarray


# columns of `sizes`, a row for each layer: kind, maps below and here, pooling window, widths below and here, height
_KIND, _MAPS_PRE, _MAPS, _WINDOW, _WIDTH_PRE, _WIDTH_POST, _HEIGHT_POST = range(7)


@njit(cache=True, error_model="numpy")
def _weighted_step(size, first, position, offset, w, arriving, n, v, seen, image, touched, mark, v_th, leaving):
    """Add n arriving spikes, test the positions they reach; returns the number of neurons that fire, in `leaving`.

    size : of the layer   first, position, offset : fan-out of the layer below   w (R, M), columns padded as for if_conv
    v (P, M) : potentials, valid where seen (P,) holds the number of this image; -inf for neurons that have fired
    touched, mark (P,) : scratch; mark holds zeros.
    """
    reached, columns, zero = 0, w.shape[1], splat(v_th - v_th)
    for s in range(n):
        pixel = arriving[s] // size[_MAPS_PRE]
        c = arriving[s] - pixel * size[_MAPS_PRE]
        for i in range(first[pixel], first[pixel + 1]):
            p, row = np.int64(position[i]), np.int64(offset[i]) + c
            if mark[p] == 0:
                mark[p] = 1
                touched[reached] = p
                reached += 1
                if seen[p] != image:  # the first spike to come here
                    seen[p] = image
                    for block in range(0, columns, LANES):
                        store(v, p, block, zero)
            for block in range(0, columns, LANES):
                store(v, p, block, load(v, p, block) + load(w, row, block))  # Eq. 2
    touched[:reached].sort()  # spikes leave in the order of their index
    fired, theta = 0, splat(v_th)
    for i in range(reached):
        p = touched[i]
        mark[p] = 0
        for block in range(0, columns, LANES):
            if not any_lane(load(v, p, block) >= theta):
                continue
            for m in range(block, min(block + LANES, size[_MAPS])):
                if v[p, m] >= v_th:  # Eq. 3
                    v[p, m] = -np.inf  # never again
                    leaving[fired] = p * size[_MAPS] + m
                    fired += 1
    return fired


@njit(cache=True, error_model="numpy")
def _pool_step(size, arriving, n, done, leaving):
    """Pass on the first spike of each window; returns the number of pooling neurons that fire, in `leaving`."""
    fired, maps = 0, size[_MAPS_PRE]
    for s in range(n):
        pixel = arriving[s] // maps
        c = arriving[s] - pixel * maps
        y, x = pixel // size[_WIDTH_PRE] // size[_WINDOW], pixel % size[_WIDTH_PRE] // size[_WINDOW]
        if y >= size[_HEIGHT_POST] or x >= size[_WIDTH_POST]:
            continue  # in no window
        p = y * size[_WIDTH_POST] + x
        if done[p, c] == 0:  # section 2.1: the first spike of the window
            done[p, c] = 1
            leaving[fired] = p * maps + c
            fired += 1
    leaving[:fired].sort()
    return fired


@njit(cache=True, error_model="numpy")
def _decide_image(
    t_in, b, sizes, first, position, offset, w, v_th, bound, v, seen, done, images, shard, scratch, spikes
):
    """Decision of image b; overwrites spikes (layers + 1,); returns label and decision time."""
    top, t_max = len(w) - 1, bound.size
    images[shard] += 1
    v[top][shard] = 0
    for i in range(top):
        done[i][shard] = 0
    spikes[:] = 0
    order, begin = spikes_in_time_order(t_in, b, t_max), 0
    arriving, leaving, touched, mark = scratch[0], scratch[1], scratch[2], scratch[3]
    v_out = v[top][shard, 0]
    for t in range(t_max):
        n = 0
        while begin < order.size and t_in[b, order[begin]] == t:
            arriving[n] = order[begin]
            n, begin = n + 1, begin + 1
        spikes[0] += n
        for i in range(top):
            if n == 0:
                break
            if sizes[i, _KIND] == POOL:
                n = _pool_step(sizes[i], arriving, n, done[i][shard], leaving)
            else:
                n = _weighted_step(
                    sizes[i], first[i], position[i], offset[i], w[i], arriving, n, v[i][shard], seen[i][shard],
                    images[shard], touched, mark, v_th, leaving,
                )  # fmt: skip
            spikes[i + 1] += n
            arriving, leaving = leaving, arriving
        for s in range(n):
            for m in range(v_out.size):
                v_out[m] += w[top][arriving[s], m]  # Eq. 2
        best = v_out.argmax()  # D20: the larger potential wins, then the lower index
        if v_out[best] >= bound[t]:  # Eq. 3, D25
            spikes[top + 1] = (v_out >= bound[t]).sum()
            return best, t
    return v_out.argmax(), t_max


@njit(cache=True, parallel=True, error_model="numpy")
def _decide(t_in, sizes, first, position, offset, w, v_th, bound, v, seen, done, images, scratch, label, time, spikes):
    """Decisions of a batch: t_in int16 (B, H*W*C), work arrays with a leading axis of shards; overwrites the rest."""
    n, n_shards = t_in.shape[0], scratch.shape[0]
    for shard in prange(n_shards):
        for b in range(shard * n // n_shards, (shard + 1) * n // n_shards):
            label[b], time[b] = _decide_image(
                t_in, b, sizes, first, position, offset, w, v_th, bound, v, seen, done, images, shard, scratch[shard],
                spikes[b],
            )  # fmt: skip


class Anytime:
    """A network that stops at its first output spike. Weights are read once: make a new one after changing them."""

    def __init__(self, network: Network):
        if network.delay:
            raise InputError("stopping at the first spike is for networks without delay; leave --anytime out")
        self.network = network
        weights = iter(zip(network.matrices(network.parameters), network._fan_out, strict=True))
        nothing = np.zeros(1, np.int32), np.zeros(1, np.uint32), np.zeros(1, np.uint32), np.zeros((1, 1), network.dtype)
        sizes, parts, v, seen, done = [], [], [], [], []
        shape, largest = network.input_shape, int(np.prod(network.input_shape))
        for layer in network.layers:
            post, pool = layer.shape_post, layer.kind == "pool"
            w, fan = (None, None) if pool else next(weights)
            if layer is not network.layers[-1] and not pool:
                w = _padded(w)
            parts.append(nothing if pool else (fan.first, fan.position, fan.offset, w))
            sizes.append((POOL if pool else WEIGHTED, shape[2], post[2], layer.window, shape[1], post[1], post[0]))
            v.append(np.zeros((N_SHARDS, 1 if pool else post[0] * post[1], parts[-1][3].shape[1]), network.dtype))
            seen.append(np.zeros((N_SHARDS, post[0] * post[1]), np.int64))
            done.append(np.zeros((N_SHARDS, post[0] * post[1] if pool else 0, post[2]), np.uint8))
            shape, largest = post, max(largest, int(np.prod(post)))
        self._v_th, self._bound = network.reaching(network.v_th)[()], network.reaching(network.output_bound())
        self._sizes = np.array(sizes)
        self._arrays = tuple(zip(*parts, strict=True))
        self._work = tuple(v), tuple(seen), tuple(done), np.zeros(N_SHARDS, np.int64)
        self._scratch = np.zeros((N_SHARDS, 4, largest), np.int64)

    def decide(self, t_in: np.ndarray) -> Decisions:
        """Decisions for a batch of encoded images.

        t_in : int16 (B, H, W, C), as for Network.forward
        Raises InputError on images of another size than the network's input.
        """
        if t_in.shape[1:] != self.network.input_shape:
            raise InputError(f"images are {t_in.shape[1:]}, the network reads {self.network.input_shape}")
        n = len(t_in)
        label, time = np.empty(n, np.int64), np.empty(n, np.int64)
        spikes = np.zeros((n, len(self._sizes) + 1), np.int32)
        _decide(
            np.ascontiguousarray(t_in.reshape(n, -1), np.int16), self._sizes, *self._arrays,
            self._v_th, self._bound, *self._work,
            self._scratch[: min(N_SHARDS, n)], label, time, spikes,
        )  # fmt: skip
        return Decisions(label, time, spikes)


def figures_until_decision(network: Network, dataset, rounding: str = "floor", progress=None) -> dict:
    """The figures of merit that the decision alone gives, as metrics.figures_of_merit defines them.

    dataset : data.Dataset; progress : called with the number of images of each finished batch
    """
    anytime, images, labels = Anytime(network), dataset.images, dataset.labels
    parts = []
    for begin in range(0, len(labels), BATCH):
        parts.append(anytime.decide(encode(images[begin : begin + BATCH], network.t_max, rounding)))
        if progress:
            progress(len(parts[-1].label))
    label, time, spikes = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "time", "spikes")
    )  # fmt: skip
    right, silent = label == labels, time >= network.t_max
    return {
        "n": len(labels),
        "accuracy_strict": float(right.mean()),
        "accuracy_first_spike": float((right & ~silent).mean()),
        "silent": float(silent.mean()),
        "decision_time_mean": float(time.mean()),
        "mrn": mean_required_spikes(spikes, ("input", *(layer.token for layer in network.layers))),
    }
