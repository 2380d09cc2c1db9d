"""The decorator of all kernels: compiled by numba, and kept on disk for as long as no source of the package changes.

Numba's own cache looks at the file of the kernel alone, by its time stamp; kernels here are built from several files,
and inside a container all time stamps may be equal. So the machine code lies in a folder that is named by a digest of
every source (but of app/, data/ and sklearn.py, which hold no kernel and are used by none), of numba's version and of
the number of lanes: after any change it is another folder. It is made when there is something to store. Where nothing
can be written, or what is stored cannot be read, kernels are compiled anew.
"""

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numba
from llvmlite import binding
from numba.core import caching, config

# In single precision 64 lanes are four registers of 512 bits, 32 are four of 256 or eight of 128: potential, peak and
# time fit beside each other into the 32 registers of AVX-512 and of ARM, and into the 16 of AVX2.
LANES = 64 if binding.get_host_cpu_features().get("avx512bw", False) else 32

_PACKAGE = Path(__file__).resolve().parent.parent
# machine code that checks every index (NUMBA_BOUNDSCHECK=1) is kept apart, and neither removes the other's
_PREFIX = "bounds-s4nn_ref-" if config.BOUNDSCHECK else "s4nn_ref-"
WITHOUT_KERNELS = ("app", "data", "sklearn.py")


@cache
def digest() -> str:
    """Names the machine code of these sources, this numba and this number of lanes."""
    found = hashlib.sha256(f"{numba.__version__} {LANES}".encode())
    for source in sorted(_PACKAGE.rglob("*.py")):
        if source.relative_to(_PACKAGE).parts[0] in WITHOUT_KERNELS:
            continue
        found.update(source.relative_to(_PACKAGE).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    return found.hexdigest()[:20]


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or in the nearest one above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


@cache
def folder() -> Path | None:
    """Where machine code is kept: in $NUMBA_CACHE_DIR, the package, the user's cache or the temporary folder, whichever
    can be written first. None: nowhere."""
    own = f"s4nn_ref-cache-{os.getuid() if hasattr(os, 'getuid') else 0}"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    places = [config.CACHE_DIR, _PACKAGE / "__pycache__", Path(home) / "s4nn_ref", Path(tempfile.gettempdir()) / own]
    for place in places:
        if place and _writable(Path(place)):
            return Path(place) / f"{_PREFIX}{digest()}"
    return None


class _Locator(caching._CacheLocator):
    """Tells numba of `folder`."""

    def __init__(self, py_func, py_file):
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno

    def ensure_cache_path(self) -> None:
        path = folder()
        if not path.exists() and path.parent == _PACKAGE / "__pycache__":
            for old in path.parent.glob(f"{_PREFIX}*"):  # of sources that are no more
                shutil.rmtree(old, ignore_errors=True)
        super().ensure_cache_path()

    def get_cache_path(self) -> str:
        return str(folder())

    def get_source_stamp(self) -> str:
        return digest()

    def get_disambiguator(self) -> str:
        name = hashlib.sha256(os.path.relpath(self._py_file, _PACKAGE).encode()).hexdigest()[:8]
        return f"{name}-{self._lineno}"

    @classmethod
    def from_function(cls, py_func, py_file):
        return cls(py_func, py_file)


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = (_Locator,)


def _name(value):
    """What a kernel, or something it closes over, is called: its own name, and the names of what it closes over.

    For a function from outside the package, whose source `digest` does not see, a digest of its file as well.
    """
    function = getattr(value, "py_func", value)
    if not callable(function):
        return repr(function)
    file, cells = Path(function.__code__.co_filename), function.__closure__ or ()
    outside = "" if file.is_relative_to(_PACKAGE) else hashlib.sha256(file.read_bytes()).hexdigest()
    return function.__module__, function.__qualname__, outside, tuple(_name(cell.cell_contents) for cell in cells)


class _Files(caching.IndexDataCacheFile):
    """A file for each key, which it holds too.

    Numba numbers the files of a kernel and keeps an index of them. Two processes that compile at the same time take the
    same number, and then the index may lead to the machine code of another neuron model.
    """

    def _name_of(self, key) -> str:
        return self._data_name_pattern.format(number=int(hashlib.sha256(repr(key).encode()).hexdigest()[:15], 16))

    def save(self, key, data) -> None:
        self._save_data(self._name_of(key), (key, data))

    def load(self, key):
        try:
            stored, data = self._load_data(self._name_of(key))
        except FileNotFoundError:
            return None
        return data if stored == key else None


class _Stored(caching.FunctionCache):
    """A cache that is a convenience: what cannot be read is compiled, what cannot be written is not kept."""

    _impl_class = _Implementation

    def __init__(self, function):
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = _Files(locator.get_cache_path(), self._impl.filename_base, locator.get_source_stamp())

    def _index_key(self, sig, codegen):
        # by name, since the folder holds these sources only; numba would pickle kernels, differently in every process
        return sig, codegen.magic_tuple(), _name(self._py_func)

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a damaged file may raise anything
            return None

    def save_overload(self, sig, data):
        with suppress(OSError):
            super().save_overload(sig, data)


def kernel(function=None, **options):
    """Compile a function, as numba.njit does with error_model="numpy"; keep its machine code as said above.

    Used as @kernel or @kernel(parallel=True).
    """
    if function is None:
        return lambda f: kernel(f, **options)
    # Numba names machine code by the function's name and a number that starts anew in every process. Code of two neuron
    # models, compiled in two processes, could so have one name; a third process that loaded both ran one for both.
    function.__qualname__ += "_" + hashlib.sha256(repr(_name(function)).encode()).hexdigest()[:16]
    compiled = numba.njit(error_model="numpy", **options)(function)
    if not config.DISABLE_JIT and folder() is not None:
        compiled._cache = _Stored(function)
    return compiled
