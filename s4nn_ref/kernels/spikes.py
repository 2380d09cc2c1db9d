"""Spikes as lists of events: in time order for a layer, and for every position of a convolution above it.

Letters   B images of a batch, S shards of it, H W C presynaptic rows, columns, maps, H' W' M postsynaptic ones,
          K kernel side, R = K*K*C synapses of a neuron, P = H'*W' positions.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from s4nn_ref.kernels.compile import kernel
from s4nn_ref.kernels.lanes import LANES, any_lane, load, splat

ONE = np.uint64(1)  # unsigned indices need no test for a negative one
ROW = 2**32 - 1  # the part of a spike's entry that is its row of the weights


class Inputs(NamedTuple):
    """The inputs of every position, in the order of time, then of the presynaptic index; E inputs of an image, echoes
    of a spike among them, N = R of a position, or R for each echo.

    time   : float64 (E + 1,), when each comes, followed by infinity
    factor : float64 (E,), of the weight: of the echo of a spike (neurons/__init__.py), else 1
    source : int32 (E,), indices in the layer below
    event  : uint32 (P, N + 1), which of them reach a position, followed by E
    row    : uint32 (P, N), their rows of the weights
    count  : int32 (P,), how many there are
    """

    time: np.ndarray
    factor: np.ndarray
    source: np.ndarray
    event: np.ndarray
    row: np.ndarray
    count: np.ndarray


class FanOut(NamedTuple):
    """Where the spikes of a layer go, and the lists that spikes_of_positions fills with them.

    first            : int32 (H*W + 1,); pixel x reaches the positions first[x] <= i < first[x + 1] of the next two
    position, offset : uint32, output position, and the row of the weights (R, M) for map 0 of the pixel
    end              : uint64 (S, P), one after the last spike of each position in `spike`
    spike            : int64 (S, P*(R + 1)), the spikes of position p from p * (R + 1) on: t * 2**32 + row
    """

    first: np.ndarray
    position: np.ndarray
    offset: np.ndarray
    end: np.ndarray
    spike: np.ndarray


def fan_out(geometry, n_shards: int) -> FanOut:
    """The fan-out of a convolution or dense layer, its lists not yet filled."""
    g = geometry
    n_positions = g.height_post * g.width_post
    p, ky, kx = np.ogrid[:n_positions, : g.kernel_height, : g.kernel_width]
    y, x = p // g.width_post * g.stride + ky - g.pad_top, p % g.width_post * g.stride + kx - g.pad_left
    inside = (y >= 0) & (y < g.height) & (x >= 0) & (x < g.width)
    pixel = (y * g.width + x)[inside]
    by_pixel = np.argsort(pixel, kind="stable")
    position = np.broadcast_to(p, inside.shape)[inside][by_pixel].astype(np.uint32)
    offset = np.broadcast_to((ky * g.kernel_width + kx) * g.maps_pre, inside.shape)[inside][by_pixel].astype(np.uint32)
    first = np.searchsorted(pixel[by_pixel], np.arange(g.height * g.width + 1)).astype(np.int32)
    end = np.zeros((n_shards, n_positions), np.uint64)
    spike = np.zeros((n_shards, n_positions * (g.receptive_field + 1)), np.int64)
    return FanOut(first, position, offset, end, spike)


@kernel
def spikes_in_time_order(t_pre, b, t_max):
    """Indices of the neurons of image b that fired, by time, then by index (a counting sort).

    t_pre : int16 (B, H*W*C)   ->   int32 (spikes,)
    """
    size, silent = t_pre.shape[1], splat(np.int16(t_max))
    fired = np.empty(size + 1, np.int32)
    first = np.zeros(t_max + 1, np.int32)
    n = 0
    for block in range(0, size, LANES):
        if block + LANES <= size and not any_lane(load(t_pre, b, block) < silent):
            continue  # most neurons are silent
        for j in range(block, min(block + LANES, size)):
            fired[n] = j  # overwritten unless j fired: cheaper than a branch
            n += t_pre[b, j] < t_max
    for s in range(n):
        first[t_pre[b, fired[s]] + 1] += 1
    for t in range(t_max):
        first[t + 1] += first[t]
    order = np.empty(n, np.int32)
    for s in range(n):
        t = t_pre[b, fired[s]]
        order[first[t]] = fired[s]
        first[t] += 1
    return order


@kernel(parallel=True)
def spikes_until(t_post, t):
    """Neurons that have fired by step t of their image: t_post (B, N), t (B,) -> int32 (B,)."""
    count = np.zeros(t.size, np.int32)
    for b in prange(t.size):
        for time in t_post[b]:
            count[b] += time <= t[b]
    return count


@kernel
def spikes_of_positions(t_pre, b, maps_pre, t_max, fan, shard):
    """For every output position, the spikes of its receptive field in time order.

    t_pre : int16 (B, H*W*C), of which image b is read; fan : FanOut, whose lists of one shard are overwritten
    A sentinel at t_max follows the last spike of each list.
    """
    end, spike = fan.end[shard], fan.spike[shard]
    length = spike.size // end.size
    for p in range(end.size):
        end[p] = p * length
    for j in spikes_in_time_order(t_pre, b, t_max):
        pixel = np.uint32(j) // np.uint32(maps_pre)
        arriving = (np.int64(t_pre[b, j]) << 32) + np.int64(np.uint32(j) - pixel * np.uint32(maps_pre))
        for i in range(np.uint64(fan.first[pixel]), np.uint64(fan.first[pixel + np.uint32(1)])):
            p = fan.position[i]
            spike[end[p]] = arriving + np.int64(fan.offset[i])
            end[p] += ONE
    for p in range(end.size):
        spike[end[p]] = np.int64(t_max) << 32


class OfPixels(NamedTuple):
    """The spikes of an image, pixel by pixel; N = H*W*C.

    first : uint64 (H*W + 1,), those of pixel x are first[x] <= s < first[x + 1]
    map   : uint64 (N + 1,), which map of the pixel fired   time : real (N + 1,), when
    """

    first: np.ndarray
    map: np.ndarray
    time: np.ndarray


@kernel
def spikes_of_pixels(t_pre, b, t_max, spikes):
    """Overwrite spikes, OfPixels, with those of image b: t_pre int16 (B, H*W*C)."""
    maps, silent, n = t_pre.shape[1] // (spikes.first.size - 1), splat(np.int16(t_max)), 0
    for pixel in range(spikes.first.size - 1):
        spikes.first[pixel] = n
        for c in range(0, maps, LANES):
            j = pixel * maps + c
            if c + LANES <= maps and not any_lane(load(t_pre, b, j) < silent):
                continue  # most neurons are silent
            for i in range(min(LANES, maps - c)):
                spikes.map[n], spikes.time[n] = c + i, t_pre[b, j + i]  # overwritten unless it fired
                n += t_pre[b, j + i] < t_max
    spikes.first[spikes.first.size - 1] = n


@kernel
def in_time_order(t):
    """Indices of real times, by time, then by index (a radix sort, a byte at a time).

    t : float64 (n,)   ->   int32 (n,)
    """
    order, moved = np.arange(t.size).astype(np.int32), np.empty(t.size, np.int32)
    bits = (t + 0.0).view(np.uint64)  # 0.0 takes the sign of zeros
    key, sign = np.empty(t.size, np.uint64), np.uint64(1) << np.uint64(63)
    first = np.zeros((8, 257), np.int32)
    for i in range(t.size):
        key[i] = ~bits[i] if bits[i] & sign else bits[i] | sign  # in the order of the times
        for byte in range(8):
            first[byte, (key[i] >> np.uint64(8 * byte)) % np.uint64(256) + np.uint64(1)] += 1
    for byte in range(8):
        if first[byte].max() == t.size:
            continue  # all have the same
        shift = np.uint64(8 * byte)
        for value in range(256):
            first[byte, value + 1] += first[byte, value]
        for i in order:
            value = (key[i] >> shift) % np.uint64(256)
            moved[first[byte, value]] = i
            first[byte, value] += 1
        order, moved = moved, order
    return order


@kernel
def inputs_of_positions(t_pre, silent, fan, receptive_field, echoes):
    """For every output position, the spikes of its receptive field, and their echoes, in time order, as Inputs.

    t_pre  : (H*W*C,), firing times of one image, `silent` where there is none, in any kind of time   fan : FanOut
    echoes : (delay, factor) of each echo of a spike
    """
    fired = np.flatnonzero(t_pre < silent).astype(np.int32)
    n_positions, maps_pre = fan.end.shape[1], np.uint32(t_pre.size // (fan.first.size - 1))
    n_events, n = fired.size * len(echoes), receptive_field * len(echoes)
    arriving = np.empty(n_events)
    for e in range(len(echoes)):
        arriving[e * fired.size : (e + 1) * fired.size] = t_pre[fired] + echoes[e][0]
    factors = np.array([echo[1] for echo in echoes])
    time, factor, source = np.empty(n_events + 1), np.empty(n_events), np.empty(n_events, np.int32)
    event, row = np.empty((n_positions, n + 1), np.uint32), np.empty((n_positions, n), np.uint32)
    count = np.zeros(n_positions, np.int32)
    for k, arrival in enumerate(in_time_order(arriving)):
        echo = arrival // fired.size
        i = fired[arrival - echo * fired.size]
        time[k], factor[k], source[k] = arriving[arrival], factors[echo], i
        pixel = np.uint32(i) // maps_pre
        channel = np.uint32(i) - pixel * maps_pre
        for f in range(fan.first[pixel], fan.first[pixel + np.uint32(1)]):
            p = fan.position[f]
            event[p, count[p]], row[p, count[p]] = k, fan.offset[f] + channel
            count[p] += 1
    time[n_events] = np.inf
    for p in range(n_positions):
        event[p, count[p]] = n_events
    return Inputs(time, factor, source, event, row, count)
