"""The paper's structure strings, e.g. ``64C3-P2-128C3-P2-10``, and the shapes that follow from them.

Tokens, separated by ``-``: ``64C3`` is a convolution of 64 maps with a 3x3 kernel (``64C3S2``: stride 2),
``P2`` spike-pooling over 2x2 windows with stride 2, ``10`` a fully connected layer of 10 neurons, ``S10`` ten
synchronisation pulses beside the neurons of the layer below, for dense layers above (D36). A structure that
starts with a number is a dense network and starts with the size of its input, as in ``784-400-10`` (section 3.1).
``auto`` at the end is as many neurons as the data have classes.
"""

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from s4nn_ref.errors import InputError

MAX_WINDOW = 181  # side of a pooling window, whose places are counted in int16
MAX_LISTS = 2**31  # bytes of a layer's lists of spikes

MAX_WEIGHTS = 2**28  # of a layer: a gibibyte, and some times that while it learns
MAX_NEURONS = 2**24  # of a layer, or pixels of an image

_CONV = re.compile(r"([1-9][0-9]{0,8})C([1-9][0-9]{0,8})(?:S([1-9][0-9]{0,8}))?")
_POOL = re.compile(r"P([1-9][0-9]{0,8})")
_PULSES = re.compile(r"S([1-9][0-9]{0,8})")
_DENSE = re.compile(r"[1-9][0-9]{0,8}")


class Geometry(NamedTuple):
    """Shapes of one weighted layer: all that a kernel needs to know of it.

    A dense layer is the convolution whose kernel covers the whole input map: one position, M neurons.
    """

    height: int  # H of the presynaptic map
    width: int  # W
    maps_pre: int  # C
    kernel_height: int
    kernel_width: int
    stride: int
    pad_top: int
    pad_left: int
    height_post: int  # H'
    width_post: int  # W'
    maps_post: int  # M

    @property
    def shape_pre(self) -> tuple[int, int, int]:
        """(H, W, C)"""
        return self.height, self.width, self.maps_pre

    @property
    def shape_post(self) -> tuple[int, int, int]:
        """(H', W', M)"""
        return self.height_post, self.width_post, self.maps_post

    @property
    def w_shape(self) -> tuple[int, int, int, int]:
        """(M, K_y, K_x, C): the weights seen from the postsynaptic neuron."""
        return self.maps_post, self.kernel_height, self.kernel_width, self.maps_pre

    @property
    def receptive_field(self) -> int:
        """R = K_y * K_x * C, synapses of one neuron."""
        return self.kernel_height * self.kernel_width * self.maps_pre


@dataclass(frozen=True)
class LayerSpec:
    """One layer of a structure: ``kind`` is "conv", "pool", "dense" or "pulses"; ``token`` its piece of the string."""

    token: str
    kind: str
    shape_post: tuple[int, int, int]
    geometry: Geometry | None = None  # weighted layers; of pulses, whose times are learned, a synapse for each
    window: int = 1  # pooling layers


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Output size and leading padding of a "same" convolution along one axis."""
    size_post = -(-size // stride)
    return size_post, max((size_post - 1) * stride + kernel - size, 0) // 2


def _conv(token, shape, maps, kernel, stride, padding) -> LayerSpec:
    height, width, maps_pre = shape
    if padding == "same":
        height_post, pad_top = _same_padding(height, kernel, stride)
        width_post, pad_left = _same_padding(width, kernel, stride)
    else:
        if kernel > min(height, width):
            raise InputError(
                f"structure: {token} has a {kernel}x{kernel} kernel, larger than the {height}x{width} map it reads; "
                'use a smaller kernel, fewer layers before it, or padding = "same"'
            )
        height_post, pad_top = (height - kernel) // stride + 1, 0
        width_post, pad_left = (width - kernel) // stride + 1, 0
    geometry = Geometry(
        height, width, maps_pre, kernel, kernel, stride, pad_top, pad_left, height_post, width_post, maps
    )
    return LayerSpec(token, "conv", geometry.shape_post, geometry)


def _check_size(layer: LayerSpec) -> LayerSpec:
    """The layer, or an InputError where its spikes would not fit into memory."""
    if math.prod(layer.shape_post) > MAX_NEURONS:
        raise InputError(
            f"structure: {layer.token} has {'x'.join(map(str, layer.shape_post))} neurons, at most {MAX_NEURONS:,} are "
            "possible; use fewer, or more pooling before it"
        )
    if g := layer.geometry:
        if (weights := g.receptive_field * g.maps_post) > MAX_WEIGHTS:
            raise InputError(
                f"structure: {layer.token} has {weights:,} weights, at most {MAX_WEIGHTS:,} are "
                "possible; use fewer neurons, or more pooling before it"
            )
        size = 8 * 4 * g.height_post * g.width_post * (g.receptive_field + 1)  # engines.N_SHARDS lists of int64
        if size > MAX_LISTS:
            raise InputError(
                f"structure: {layer.token} would need {size / 2**30:.0f} GiB for its lists of spikes, "
                f"{g.height_post} x {g.width_post} neurons of {g.receptive_field:,} synapses; use a smaller kernel, a "
                "stride, or more pooling before it"
            )
    return layer


def _dense(token, shape, neurons) -> LayerSpec:
    height, width, maps_pre = shape
    geometry = Geometry(height, width, maps_pre, height, width, 1, 0, 0, 1, 1, neurons)
    return LayerSpec(token, "dense", geometry.shape_post, geometry)


def _pulses(token, shape, pulses) -> LayerSpec:
    height, width, maps = shape
    geometry = Geometry(1, 1, pulses, 1, 1, 1, 0, 0, 1, 1, 1)
    return LayerSpec(token, "pulses", (1, 1, height * width * maps + pulses), geometry)


def _pool(token, shape, window) -> LayerSpec:
    height, width, maps = shape
    if window > MAX_WINDOW:
        raise InputError(f"structure: {token} has windows of side {window}, at most {MAX_WINDOW} is possible")
    if window > min(height, width):
        raise InputError(
            f"structure: {token} leaves nothing of the {height}x{width} map it reads; "
            "pool less, or remove a layer before it"
        )
    return LayerSpec(token, "pool", (height // window, width // window, maps), window=window)


def with_outputs(structure: str, n: int) -> str:
    """A structure that ends in "auto" with n output neurons; any other as it is."""
    head, joint, last = structure.rpartition("-")
    return f"{head}-{n}" if joint and last.strip() == "auto" else structure


def parse_structure(structure: str, input_shape: tuple[int, int, int], padding: str = "valid") -> tuple[LayerSpec, ...]:
    """Layers of a structure string.

    Parameters
    ----------
    structure   : e.g. "64C3-P2-128C3-P2-10" or "784-400-10"
    input_shape : (H, W, C) of the encoded image
    padding     : "valid" or "same", for every convolution
    Returns
    -------
    One LayerSpec per layer after the input; the last is dense, one neuron per class.
    Raises
    ------
    InputError : a token that is not a layer, a layer that is too large, a kernel larger than its map, pooling that
        leaves nothing, a dense network whose first number is not the input's size, a convolution after a dense layer,
        no dense layer at the end, "auto" in place of a number that only data can give.
    """
    tokens = [token.strip() for token in structure.split("-")]
    if input_shape == "auto":
        raise InputError(
            "input_shape: not known before a training run reads its data; write it, e.g. input_shape = [28, 28, 1]"
        )
    shape = tuple(input_shape)
    size = shape[0] * shape[1] * shape[2]
    if size > MAX_NEURONS:
        raise InputError(
            f"input_shape: {'x'.join(map(str, shape))} are {size:,} pixels, at most {MAX_NEURONS:,} are read"
        )
    if _DENSE.fullmatch(tokens[0]):
        if int(tokens[0]) != size:
            raise InputError(
                f"structure: {structure!r} starts with {tokens[0]} inputs, but the input is "
                f"{shape[0]}x{shape[1]}x{shape[2]} = {size}; write {size}-... or correct input_shape"
            )
        tokens = tokens[1:]
    layers: list[LayerSpec] = []
    for token in tokens:
        if layers and layers[-1].kind in ("dense", "pulses") and (_CONV.fullmatch(token) or _POOL.fullmatch(token)):
            raise InputError(f"structure: {token} cannot follow {layers[-1].token}, which has no map")
        if conv := _CONV.fullmatch(token):
            maps, kernel, stride = int(conv[1]), int(conv[2]), int(conv[3] or 1)
            layer = _conv(token, shape, maps, kernel, stride, padding)
        elif pool := _POOL.fullmatch(token):
            layer = _pool(token, shape, int(pool[1]))
        elif pulses := _PULSES.fullmatch(token):
            layer = _pulses(token, shape, int(pulses[1]))
        elif _DENSE.fullmatch(token):
            layer = _dense(token, shape, int(token))
        elif token == "auto":
            raise InputError(
                f"structure: {structure!r} has as many outputs as there are classes, which is not known before a "
                'training run reads its data, and only "auto" at the end can mean that; write the number'
            )
        else:
            raise InputError(
                f"structure: {token!r} in {structure!r} is not a layer; "
                "write 64C3 (convolution), 64C3S2 (stride 2), P2 (pooling), S10 (pulses) or 10 (dense), joined by '-'"
            )
        layers.append(_check_size(layer))
        shape = layer.shape_post
    if not layers or layers[-1].kind != "dense":
        raise InputError(f"structure: {structure!r} does not end in a dense layer, one neuron per class, e.g. ...-10")
    return tuple(layers)
