"""Weights of dense networks that other programs have stored as NumPy arrays."""

import sys
import warnings
from pathlib import Path

import numpy as np

from s4nn_ref.errors import InputError
from s4nn_ref.network import Network


def _arrays(path: Path, allow_pickle: bool) -> list[np.ndarray]:
    """The array of a .npy file, or those of an object array where pickles are allowed."""
    try:
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:  # a damaged header
            content = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} not found") from None
    except (OSError, EOFError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    except Exception as error:  # a damaged header may raise anything
        if "allow_pickle" not in str(error):
            raise InputError(f"{path} is not a NumPy array: {' '.join(str(error).split())}") from None
        if not allow_pickle:
            raise InputError(
                f"{path} holds Python objects, and reading them can run any code; where you trust its origin, use "
                "--allow-pickle"
            ) from None
        print(f"s4nn: warning: {path} is unpickled, which runs whatever code it holds", file=sys.stderr)
        try:
            with open(path, "rb") as file:
                content = np.load(file, allow_pickle=True)
        except Exception as unpickled:  # anything may come out of a pickle
            raise InputError(f"{path} cannot be unpickled: {type(unpickled).__name__}: {unpickled}") from None
    if not isinstance(content, np.ndarray):
        raise InputError(f"{path} is an archive of several arrays; give one .npy per layer")
    if content.dtype != object:
        return [content]
    try:
        return [np.asarray(part) for part in content.ravel()]
    except ValueError as error:
        raise InputError(f"{path} holds objects that are not arrays: {error}") from None


def read_arrays(network: Network, paths: list[Path], allow_pickle: bool = False, factor: list[float] | None = None):
    """Fill a dense network's weights from .npy files, a layer each.

    paths : arrays (n_post, n_pre), (n_post, n_pre, 1) or, above an image, (n_post, H, W); or, with allow_pickle, one
            object array of all layers
    factor : one per layer for networks of signs (BS4NN): weights become factor * sign(w)
    Raises InputError on a file that is not an array, a pickle that was not allowed, another number or shape of arrays,
    and NaN.
    """
    if any(spec.kind != "dense" for spec in network.specs):
        raise InputError(f"{network.structure} is not dense; arrays are read for dense networks, e.g. 784-400-10")
    arrays = [array for path in paths for array in _arrays(path, allow_pickle)]
    if len(arrays) != len(network.w):
        raise InputError(f"{len(arrays)} arrays for the {len(network.w)} layers of {network.structure}; give one each")
    if factor is not None and (len(factor) != len(network.w) or not all(0 < f < float("inf") for f in factor)):
        raise InputError(f"factors {factor}: give one for each of the {len(network.w)} layers, finite and > 0")
    for i, (w, array) in enumerate(zip(network.w, arrays, strict=True)):
        n_pre = w[0].size
        shapes = [(len(w), n_pre), (len(w), n_pre, 1)] + [w.shape[:3]] * (w.shape[3] == 1)
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
