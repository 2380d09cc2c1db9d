"""Weights that other programs have stored: graphs of NIR, and of dense networks NumPy arrays, pickles of arrays, and
Comsa's text format.

Four kinds of files, told apart by their first bytes:

    .npy     an array, or an object array of several
    pickle   arrays or lists of arrays, of NumPy or CuPy (as the authors of S4NN and BS4NN publish them)
    text     a network of Comsa et al. 2020, as their program writes it, plain or gzipped
    HDF5     a graph of NIR (docs/nir.md), of any structure
"""

import gzip
import io
import pickle
import warnings
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np

from s4nn_ref.app import graph_file, graph_reader
from s4nn_ref.config import Config
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network

_reconstruct = np.ndarray.__reduce__(np.empty(0))[0]  # what NumPy's pickles call


def _from_buffer(content, dtype, shape, order):
    """As NumPy's function of this name in pickles of protocol 5."""
    return np.frombuffer(content, dtype).reshape(shape, order=order)


_ADMITTED = {
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),  # bytes in pickles of protocol 2
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("cupy.core.core", "array"): np.asarray,
    ("cupy._core.core", "array"): np.asarray,
}
_MAX_BYTES = 2**30  # of a file, decompressed


class _Unpickler(pickle.Unpickler):
    """Knows how arrays are made, and nothing else: a pickle that names anything more is refused before it is called."""

    def find_class(self, module, name):
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise InputError(f"it asks for {module}.{name}, which is no array") from None


def _unpickled(content: bytes):
    with warnings.catch_warnings(action="ignore"):
        return _Unpickler(io.BytesIO(content), encoding="latin1").load()


def _stored(content: bytes):
    """What a .npy file or a pickle holds."""
    file = io.BytesIO(content)
    if not content.startswith(b"\x93NUMPY"):
        return _unpickled(content)
    with warnings.catch_warnings(action="ignore"):  # of a damaged header
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version in read_header and read_header[version](file)[2].hasobject:
            return _unpickled(content[file.tell() :])
        return np.load(io.BytesIO(content), allow_pickle=False)


def _leaves(stored) -> list[np.ndarray]:
    """The arrays of an object array, or of a list of arrays, in their order."""
    if isinstance(stored, list | tuple) or (isinstance(stored, np.ndarray) and stored.dtype == object):
        return [
            array for part in (stored.ravel() if isinstance(stored, np.ndarray) else stored) for array in _leaves(part)
        ]
    if not isinstance(stored, np.ndarray):
        raise InputError(f"it holds a {type(stored).__name__}, no array")
    return [stored]


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} not found") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if content.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(_MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error):
            raise InputError(f"{path} is a damaged gzip file; fetch it again") from None
    if len(content) > _MAX_BYTES:
        raise InputError(f"{path} holds more than a gibibyte; no network of this program is that large")
    return content


def _arrays(path: Path, content: bytes) -> list[np.ndarray]:
    try:
        return _leaves(_stored(content))
    except InputError as error:
        raise InputError(f"{path} is refused: {error}") from None
    except Exception as error:  # a damaged file may raise anything
        said = " ".join(str(error).split())
        raise InputError(f"{path} is not a NumPy array, a pickle of arrays or a network of Comsa: {said}") from None


def _of_comsa(path: Path, content: bytes) -> tuple[float, list[int], list[np.ndarray]]:
    """Threshold, sizes of the layers, and per layer from below the pulses (P,) and weights (M, n + P) of a text file.

    The file: the word pulses_per_layer, the threshold, the number of layers, their sizes, the number of pulses of each,
    the times of all pulses (those of the last layer are not used), and the weights neuron by neuron.
    """
    try:
        threshold, n_layers, *numbers = content.split()[1:]
        n_layers = int(n_layers)
        sizes, n_pulses = [int(n) for n in numbers[:n_layers]], int(numbers[n_layers])
        values = np.array(numbers[n_layers + 1 :], float)
        pulses, weights = np.split(values, [n_layers * n_pulses])
        shapes = [(post, pre + n_pulses) for pre, post in pairwise(sizes)]
        parts = np.split(weights, np.cumsum([rows * columns for rows, columns in shapes])[:-1])
        arrays = []
        for times, part, shape in zip(pulses.reshape(n_layers, n_pulses), parts, shapes, strict=False):
            arrays += [times, part.reshape(shape)]
        return float(threshold), sizes, arrays
    except (ValueError, IndexError, MemoryError):
        raise InputError(f"{path} is a cut or damaged network of Comsa; fetch it again") from None


def _read_graph(network: Network, path: Path, content: bytes, signs: bool) -> None:
    """Put the weights of a graph into a network. signs : whether those of a layer must be of one size (BS4NN)"""
    graph = graph_file.read_graph(path, content)
    try:
        graph_reader.fill(network, graph, signs)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_network(experiment: Config, paths: list[Path], factor=None, classes=None) -> tuple[Network, Config]:
    """A network of an experiment with the weights of files, and the experiment, whose threshold is that of a network of
    Comsa.

    paths   : files of arrays (n_post, n_pre), (n_post, n_pre, 1) or, above an image, (n_post, H, W), a layer each from
              below, or of several layers; or one network of Comsa; or one graph of NIR
    factor  : one per layer for networks of signs (BS4NN): weights become factor * sign(w)
    classes : the class that each output neuron of the files stands for
    Raises InputError on a file that is none of these, a pickle that calls anything, another number or shape of arrays,
    NaN, and a graph that differs from the experiment.
    """
    network = experiment.network_of()
    contents = {path: _bytes(path) for path in paths}
    is_graph = any(content.startswith(graph_file.SIGNATURE) for content in contents.values())
    if (experiment.algorithm == "bs4nn" and not is_graph) != (factor is not None):
        wanted = "needed for" if factor is None else "not for a graph of" if is_graph else "not for"
        raise InputError(f"--factor is {wanted} {experiment.algorithm}")
    if any(content.startswith(b"pulses_per_layer") for content in contents.values()):
        if len(paths) > 1:
            raise InputError("a network of Comsa is one file")
        threshold, sizes, arrays = _of_comsa(paths[0], contents[paths[0]])
        structure = "-".join([*(f"{n}-S{len(arrays[0])}" for n in sizes[:-1]), str(sizes[-1])])
        if experiment.algorithm != "comsa" or experiment.network.structure != structure:
            raise InputError(
                f'{paths[0]} is a network of Comsa; give an experiment with learning.algorithm = "comsa" and '
                f'network.structure = "{structure}"'
            )
        experiment = experiment.changed("network", v_th=threshold)
        network = experiment.network_of()
        _fill(network, arrays, None)
    elif is_graph:
        if len(paths) > 1:
            raise InputError("a graph of NIR is one file")
        _read_graph(network, paths[0], contents[paths[0]], experiment.algorithm == "bs4nn")
    else:
        if any(spec.kind != "dense" for spec in network.specs):
            raise InputError(f"{network.structure} is not dense; arrays are read for dense networks, e.g. 784-400-10")
        _fill(network, [array for path in paths for array in _arrays(path, contents[path])], factor)
    if classes is not None:
        w = network.w[-1]
        if sorted(classes) != list(range(len(w))):
            raise InputError(f"--classes {','.join(map(str, classes))}: give each of 0 to {len(w) - 1} once")
        w[classes] = w.copy()
    return network, experiment


def _fill(network: Network, arrays: list[np.ndarray], factor) -> None:
    """Put arrays into the weights of a network. Raises InputError where they do not fit."""
    if len(arrays) != len(network.w):
        raise InputError(f"{len(arrays)} arrays for the {len(network.w)} layers of {network.structure}; give one each")
    if factor is not None and (len(factor) != len(network.w) or not all(0 < f < float("inf") for f in factor)):
        raise InputError(f"factors {factor}: give one for each of the {len(network.w)} layers, finite and > 0")
    for i, (w, array) in enumerate(zip(network.w, arrays, strict=True)):
        n_pre = w[0].size
        shapes = [(len(w), n_pre), (len(w), n_pre, 1)] + [w.shape[:3]] * (w.shape[3] == 1) + [(n_pre,)] * (len(w) == 1)
        if array.dtype.kind not in "fiub" or array.shape not in shapes:
            raise InputError(
                f"array {i} is {array.dtype} {array.shape}; layer {i} of {network.structure} needs numbers of shape "
                + " or ".join(map(str, dict.fromkeys(shapes)))
            )
        values = array.reshape(w.shape)
        with np.errstate(all="ignore"):
            # + 0: NumPy gives booleans no sign
            w[...] = values if factor is None else np.sign(values + 0) * factor[i]
        if not np.isfinite(w).all():
            raise InputError(f"array {i} holds NaN, infinite weights or such as {network.dtype} cannot hold")
