"""Files of NIR graphs: HDF5, as the package `nir` writes them, an extra (docs/nir.md)."""

import io
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from s4nn_ref.errors import InputError

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of an HDF5 file
_SECONDS = 600  # after which a file that still is not read is taken for a damaged one


def nir_package() -> ModuleType:
    """The package `nir`; InputError where it is not installed."""
    try:
        import nir
    except ImportError:
        raise InputError('graphs of NIR need the package nir: pip install "s4nn_ref[nir]"') from None
    return nir


def graph_bytes(graph) -> bytes:
    """The content of a file with a graph, a nir.NIRGraph."""
    buffer = io.BytesIO()
    nir_package().write(buffer, graph)
    return buffer.getvalue()


def read_graph(path, content: bytes):
    """The graph, a nir.NIRGraph, of a file's content; path : for errors.

    Raises InputError on a file that is damaged, no graph, or asks for other files or huge arrays.
    """
    nir = nir_package()
    try:
        node = _node(content)
        if node["type"] != "NIRGraph":
            raise InputError(f"it is a single node, {node['type']}, no graph")
        return nir.dict2NIRNode(node)
    except InputError as error:
        raise InputError(f"{path} is refused: {error}") from None
    except Exception as error:  # what is no graph may raise anything
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is damaged or no graph of NIR ({type(error).__name__}: {said})") from None


def _node(content: bytes) -> dict:
    """The node that a file holds, as nir.dict2NIRNode takes it; read by a process of its own (app/hdf5.py)."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("hdf5.py"))]
    try:
        reader = subprocess.run(command, input=content, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"it is not read within {_SECONDS} s; write it again") from None
    if reader.returncode == 2:
        raise InputError(reader.stderr.decode(errors="replace").strip())
    if reader.returncode:
        raise InputError("it is damaged, the HDF5 library breaks down over it; write it again")
    with np.load(io.BytesIO(reader.stdout), allow_pickle=False) as arrays:
        return _filled(json.loads(str(arrays["tree"]))["node"], arrays)


def _filled(tree, arrays):
    """A tree of app/hdf5.py with its arrays in it."""
    if not isinstance(tree, dict):
        return tree
    if "/" in tree:
        return arrays[tree["/"]][()]
    return {name: _filled(member, arrays) for name, member in tree.items()}
