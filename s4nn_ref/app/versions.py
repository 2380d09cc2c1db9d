"""What a bug report needs: `s4nn --version`. Imports nothing that may be missing or broken."""

import platform
from importlib import metadata

from s4nn_ref import __version__

PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "matplotlib", "pillow", "pooch", "threadpoolctl", "tqdm")
_WORTH_NAMING = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bw", "neon", "sve")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    """The processor as the compiler sees it, and those of its vector extensions on which speed depends."""
    try:
        from llvmlite import binding

        features = binding.get_host_cpu_features()
        return " ".join([binding.get_host_cpu_name(), *(name for name in _WORTH_NAMING if features.get(name))])
    except (ImportError, OSError, RuntimeError, AttributeError):
        return "unknown: llvmlite cannot be used"


def versions_text() -> str:
    """One line for each of: this package, Python, the packages it uses, platform, processor."""
    rows = [
        ("s4nn_ref", __version__),
        ("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        *((package, _version(package)) for package in PACKAGES),
        ("platform", platform.platform()),
        ("cpu", _cpu()),
    ]
    return "\n".join(f"{name} {value}" for name, value in rows)
