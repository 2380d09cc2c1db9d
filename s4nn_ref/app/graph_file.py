"""Files of NIR graphs: HDF5, as the package `nir` writes and reads them, an extra (docs/nir.md)."""

import io
from types import ModuleType

from s4nn_ref.errors import InputError

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of an HDF5 file
_MAX_BYTES, _MAX_MEMBERS, _MAX_DEPTH = 2**30, 10_000, 6


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


def _vet(group, left: list[int], depth: int = 0) -> None:
    """Raise InputError where an HDF5 group asks for other files, or for more memory than a network needs.

    left : members and bytes that may still come, counted down
    """
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise InputError(f"{name} is a link to something else")
        member = group[name]
        left[0] -= 1
        if isinstance(member, h5py.Group):
            if depth == _MAX_DEPTH:
                raise InputError("its groups are nested too deep")
            _vet(member, left, depth + 1)
            continue
        if not isinstance(member, h5py.Dataset) or member.is_virtual or member.external:
            raise InputError(f"{name} is kept elsewhere")
        left[1] -= (member.size or 0) * member.dtype.itemsize
        if min(left) < 0:
            raise InputError("it holds more than a network of this program can")


def read_graph(path, content: bytes):
    """The graph, a nir.NIRGraph, of a file's content; path : for errors.

    Raises InputError on a file that is damaged, no graph, or asks for other files or huge arrays.
    """
    nir = nir_package()
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _vet(file, [_MAX_MEMBERS, _MAX_BYTES])
        graph = nir.read(io.BytesIO(content))
        if not isinstance(graph, nir.NIRGraph):
            raise InputError(f"it is a single node, {type(graph).__name__}, no graph")
        return graph
    except InputError as error:
        raise InputError(f"{path} is refused: {error}") from None
    except Exception as error:  # a damaged file may raise anything
        said = " ".join(str(error).split())
        raise InputError(f"{path} is damaged or no graph of NIR ({type(error).__name__}: {said[:200]})") from None
