"""The wheel: what is in it, how large it is, and that an sdist gives the same. Built without a network."""

import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from s4nn_ref import __version__

pytest.importorskip("setuptools", minversion="77", reason="building the wheel needs setuptools >= 77, see .venv")
ROOT = Path(__file__).resolve().parent.parent
PARTS = ("s4nn_ref", "experiments", "weights", "pyproject.toml", "setup.py", "README.md", "LICENSE")
NETWORKS = {"mnist-plus", "mnist-early"}
MODULES = sorted((ROOT / "s4nn_ref").rglob("*.py"))
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.toml"))


def build(source, out):
    """A wheel of a folder or an sdist."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "-w", out, source], capture_output=True, text=True, timeout=300, cwd=out.parent)
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the repository, so that building leaves nothing in it."""
    folder = tmp_path_factory.mktemp("wheel") / "checkout"
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout):
    return build(checkout, checkout.parent / "dist")


def contents(wheel):
    """Files of a wheel and their bytes, without what tells of the wheel itself."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith(("/RECORD", "/WHEEL"))}


def test_a_wheel_carries_the_package_and_what_goes_with_it(wheel):
    inside = {name for name in contents(wheel) if name.startswith("s4nn_ref/")}
    modules = {f"s4nn_ref/{path.relative_to(ROOT / 's4nn_ref').as_posix()}" for path in MODULES}
    experiments = {f"s4nn_ref/share/{path.relative_to(ROOT).as_posix()}" for path in EXPERIMENTS}
    networks = {f"s4nn_ref/share/weights/{name}.npz" for name in NETWORKS}
    assert len(experiments) > 20
    assert inside == modules | experiments | networks | {"s4nn_ref/py.typed"}
    outside = {name.partition("/")[0] for name in contents(wheel)} - {"s4nn_ref"}
    assert outside == {f"s4nn_ref-{__version__}.dist-info"}


def test_what_it_carries_is_what_the_repository_holds(wheel):
    found = contents(wheel)
    for path in [*EXPERIMENTS, *(ROOT / "weights" / f"{name}.npz" for name in NETWORKS)]:
        assert found[f"s4nn_ref/share/{path.relative_to(ROOT).as_posix()}"] == path.read_bytes()


def test_a_wheel_is_at_most_two_megabytes(wheel):
    assert wheel.stat().st_size <= 2_000_000
    assert wheel.name == f"s4nn_ref-{__version__}-py3-none-any.whl"


def test_what_it_says_of_itself(wheel):
    found = {name.rpartition("/")[2]: content.decode() for name, content in contents(wheel).items() if "dist-" in name}
    about = Parser().parsestr(found["METADATA"])
    assert (about["Name"], about["Version"], about["License-Expression"]) == ("s4nn_ref", __version__, "MIT")
    assert about["Requires-Python"] == ">=3.11"
    needed = {line.split("<")[0].split(">")[0] for line in about.get_all("Requires-Dist") if "extra" not in line}
    assert needed == {"numpy", "numba", "scipy", "matplotlib", "pillow", "pooch", "threadpoolctl", "tqdm"}
    assert "s4nn = s4nn_ref.app.cli:main" in found["entry_points.txt"]


def test_an_sdist_gives_the_same_wheel(checkout, wheel, tmp_path):
    command = [sys.executable, "-c", f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"]
    subprocess.run(command, cwd=checkout, capture_output=True, timeout=300, check=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    assert contents(build(sdist, tmp_path / "dist")) == contents(wheel)
