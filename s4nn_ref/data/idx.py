"""IDX files (MNIST, Fashion-MNIST, EMNIST and sets of the same form), found on disk or downloaded, and checked.

The checksum is of the uncompressed IDX bytes: gz files differ from mirror to mirror.
"""

import gzip
import hashlib
import os
import sys
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from s4nn_ref.data import emnist
from s4nn_ref.data.classes import EMNIST, known
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically

FILES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
MAGIC = {"images": (0x00000803, 0x00000804), "labels": (0x00000801,)}  # unsigned bytes in 3 or 4, or 1 dimensions

SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
}


def files(name: str) -> dict[tuple[str, str], str]:
    """Names of a data set's four files, by split and content."""
    return emnist.files(name) if name in EMNIST else FILES


def parse_idx(content: bytes, what: str, path="IDX data") -> np.ndarray:
    """Array of an uncompressed IDX file.

    content : the file's bytes   what : "images" (3 dimensions, or 4 with channels) or "labels"   path : named in errors
    Returns uint8 (n, H, W, C) or (n,). Raises InputError on a wrong magic number, size or dimension.
    """
    found = int.from_bytes(content[:4], "big")
    if len(content) >= 4 and found not in MAGIC[what]:
        expected = " or ".join(f"0x{magic:08x}" for magic in MAGIC[what])
        raise InputError(
            f"{path} is not an IDX file of {what}: magic number 0x{found:08x}, expected {expected}; "
            "are images and labels swapped, or the file compressed twice?"
        )
    rank = found & 0xFF
    header = 4 + 4 * rank
    if len(content) < max(header, 4):
        raise InputError(f"{path} is truncated: {len(content)} bytes, too few for an IDX header; get it again")
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    size = 1
    for length in shape:
        size *= length
    if len(content) - header != size:
        raise InputError(
            f"{path} is {'truncated' if len(content) - header < size else 'too long'}: its header promises "
            f"{' x '.join(map(str, shape))} bytes, it holds {len(content) - header}; get it again"
        )
    if size == 0:
        raise InputError(f"{path} holds no {what}")
    array = np.frombuffer(content, np.uint8, offset=header).reshape(shape)
    return array[..., None] if rank == 3 else array  # grey: one channel


def read(path: Path) -> bytes:
    """The uncompressed bytes of a file. Raises InputError where it is truncated, corrupt or unreadable."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is truncated or corrupt ({error}); delete it and get it again") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def cache_dir() -> Path:
    """Where downloads go: the pooch cache of this package."""
    import pooch

    return Path(pooch.os_cache("s4nn_ref"))


def search_path(data_dir: Path | None = None) -> list[Path]:
    """Folders searched for NAME/train-images-idx3-ubyte[.gz] and so on, first found wins.

    data_dir : when given, the only one. Raises InputError where it or $S4NN_DATA is not a folder.
    """
    given = data_dir or os.environ.get("S4NN_DATA")
    if given and not Path(given).is_dir():
        raise InputError(f"{given} is not a folder; correct --data or S4NN_DATA, or leave it out")
    if data_dir:
        return [Path(data_dir)]
    return [*([Path(given)] if given else []), Path("data"), cache_dir()]


def find(name: str, filename: str, data_dir: Path | None = None) -> Path | None:
    """Path of one file of a data set, compressed or not, or None. Raises InputError on a name that is no folder's."""
    if name != Path(name).name or name in ("", ".."):
        raise InputError(f"data set {name!r}: give the folder's name, without slashes, and its parent by --data")
    for folder in search_path(data_dir):
        for place in (name, emnist.FOLDER) if name in EMNIST else (name,):
            for path in (folder / place / filename, folder / place / f"{filename}.gz"):
                if path.is_file():
                    return path
    return None


def is_there(name: str, data_dir: Path | None = None) -> bool:
    """Whether any file of a data set is on disk."""
    return any(find(name, filename, data_dir) for filename in files(name).values())


def fetch(name: str, filename: str, data_dir: Path | None = None) -> Path:
    """Download one file from the first mirror that serves the right bytes, into data_dir or the cache.

    Returns its path. Raises InputError where no mirror does, or none is known for this data set.
    """
    import pooch

    if name not in MIRRORS:
        folders = ", ".join(map(str, search_path(data_dir)))
        missing = f"{_called(name, filename)} not found in {folders}"
        raise InputError(f"{missing}, and no mirror is known for {name}; {_advice(name)}")
    path = (data_dir or cache_dir()) / name / f"{filename}.gz"
    failures = []
    for mirror in MIRRORS[name]:
        url = f"{mirror}{path.name}"
        with TemporaryDirectory() as folder:
            try:
                bar = sys.stderr.isatty()
                fetched = pooch.retrieve(url, known_hash=None, fname=path.name, path=Path(folder), progressbar=bar)
                right = hashlib.sha256(read(Path(fetched))).hexdigest() == SHA256[name][filename]
                content = Path(fetched).read_bytes()
            except (OSError, ValueError) as error:  # requests' errors are OSErrors; ours are ValueErrors
                failures.append(f"{url}: {getattr(error, 'strerror', None) or type(error).__name__}")
                continue
        if right:
            write_atomically(path, content)
            return path
        failures.append(f"{url}: wrong checksum")
    raise InputError(
        f"cannot download {name}/{filename} ({'; '.join(failures)}); get the IDX files elsewhere "
        f"and name their folder by --data or S4NN_DATA"
    )


def checked(name: str, filename: str, content: bytes, path: Path) -> str:
    """Checksum of the content; an InputError if it is not the one known for this file."""
    digest = hashlib.sha256(content).hexdigest()
    original = SHA256.get(name, {}).get(filename)
    if original and digest != original:
        other = next((n for n, files in SHA256.items() if files.get(filename) == digest), None)
        is_what = f"is {other}'s file, not {name}'s" if other else f"is not {name}'s original: wrong checksum"
        raise InputError(f"{path} {is_what}; delete it and run: s4nn data fetch {name}")
    return digest


def _called(name: str, filename: str) -> str:
    """A file as errors name it."""
    return f"{emnist.FOLDER if name in EMNIST else name}/{filename}[.gz]"


def _advice(name: str) -> str:
    """Where a data set that is not there comes from, or what it may be."""
    if name in EMNIST:
        return f"put it there, out of {emnist.SOURCE}, or name its folder's parent by --data or S4NN_DATA"
    if name in MIRRORS:
        return f"run: s4nn data fetch {name}"
    return (
        f"put IDX files, {name}.npz, {name}.csv or pictures {name}/train/CLASS/*.png there (docs/data.md), or name "
        "their folder by --data or S4NN_DATA"
    )


def load(name: str, split: str, data_dir: Path | None = None) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    """Images uint8 (n, H, W, C), upright, labels uint8 (n,), from 0, and the files' checksums; downloaded if need be.

    data_dir : when given, the only folder searched
    Raises InputError on missing, truncated, swapped or corrupt files.
    """
    arrays, digests = {}, []
    for what in ("images", "labels"):
        filename = files(name)[split, what]
        path = find(name, filename, data_dir)
        if path is None and data_dir:
            others = [end for end in (".npz", ".csv") if (Path(data_dir) / f"{name}{end}").exists()]
            hint = "" if known(name) else " (own data: docs/data.md)"
            if others:
                hint = f"; this name is that of IDX files: call {name}{others[0]} otherwise"
            raise InputError(
                f"{_called(name, filename)} not found in {data_dir}; correct --data, or leave it out{hint}"
            )
        path = path or fetch(name, filename)
        content = read(path)
        array = parse_idx(content, what, path)  # first: it tells more than a checksum
        arrays[what] = emnist.upright(name, what, array) if name in EMNIST else array
        digests.append(checked(name, filename, content, path))
    images, labels = arrays["images"], arrays["labels"]
    if len(images) != len(labels):
        raise InputError(
            f"{name} {split}: {len(images)} images but {len(labels)} labels; the files do not belong together"
        )
    return images, labels, (digests[0], digests[1])


def verify(name: str, data_dir: Path | None = None) -> list[tuple[str, str]]:
    """(path, checksum) of every file of a data set; raises InputError for the first that is missing or wrong."""
    rows = []
    for (_, what), filename in files(name).items():
        path = find(name, filename, data_dir)
        if path is None:
            folders = ", ".join(map(str, search_path(data_dir)))
            raise InputError(f"{_called(name, filename)} is in none of {folders}; {_advice(name)}")
        content = read(path)
        parse_idx(content, what, path)
        rows.append((str(path), checked(name, filename, content, path)))
    return rows
