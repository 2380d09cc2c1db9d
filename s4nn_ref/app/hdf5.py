"""A program of its own that reads an HDF5 file from standard input and writes what it holds to standard output.

The HDF5 library may crash on a damaged file. Here it takes no other work with it: app/graph_file.py runs this file as a
process, and sees an exit code in place of a crash. It imports nothing of the package.
Output: an .npz file; `tree` is JSON, groups as tables, texts as strings or lists, arrays as {"/": their name}.
Exit code 2: the file is refused, standard error says why.
"""

import io
import json
import sys

import h5py
import numpy as np

MAX_BYTES, MAX_MEMBERS, MAX_DEPTH = 2**30, 10_000, 6


class Refused(Exception):
    """A whole file, but none that is read."""


def text(value):
    """Strings of an HDF5 file, or lists of them."""
    if isinstance(value, np.ndarray):
        return [text(one) for one in value]
    return value.decode() if isinstance(value, bytes) else str(value)


def tree_of(group, arrays: dict, left: list[int], depth: int = 0) -> dict:
    """What a group holds, but for metadata; arrays are put into `arrays`.

    left : members and bytes that may still come, counted down
    Raises Refused where it asks for other files, or for more memory than a network needs.
    """
    tree = {}
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise Refused(f"{name} is a link to something else")
        left[0] -= 1
        member = group[name]
        if isinstance(member, h5py.Group):
            if depth == MAX_DEPTH:
                raise Refused("its groups are nested too deep")
            if name != "metadata":
                tree[name] = tree_of(member, arrays, left, depth + 1)
            continue
        if not isinstance(member, h5py.Dataset) or member.is_virtual or member.external:
            raise Refused(f"{name} is kept elsewhere")
        left[1] -= (member.size or 0) * member.dtype.itemsize
        if min(left) < 0:
            raise Refused("it holds more than a network of this program can")
        if member.dtype.kind in "OS":
            tree[name] = text(member[()])
        else:
            tree[name] = {"/": f"a{len(arrays)}"}  # a name that no member can have
            arrays[f"a{len(arrays)}"] = np.asarray(member[()])
    return tree


def main() -> int:
    arrays = {}
    try:
        with h5py.File(io.BytesIO(sys.stdin.buffer.read()), "r") as file:
            tree = tree_of(file, arrays, [MAX_MEMBERS, MAX_BYTES])
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    except Exception as error:  # a damaged file may raise anything
        said = " ".join(str(error).split())[:150]
        print(f"it is damaged, {type(error).__name__}: {said}; write it again", file=sys.stderr)
        return 2
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.array(json.dumps(tree)), **arrays)
    sys.stdout.buffer.write(buffer.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
