"""What pyproject.toml cannot say: a wheel carries experiments/ and two networks of weights/, as s4nn_ref/share/.

In the repository they stand once, beside the package; s4nn_ref/app/shipped.py finds them here and there.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
NETWORKS = ("mnist-plus", "mnist-early")  # the wheel is at most 2 MB


def shipped() -> list[str]:
    """Experiments and networks of a wheel, relative to the repository."""
    experiments = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "experiments").rglob("*.toml"))
    return [*experiments, *(f"weights/{name}.npz" for name in NETWORKS)]


class BuildWithShare(build_py):
    """Builds the package, and s4nn_ref/share/ in it. An editable installation needs none: it finds the repository."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for name, target in self._share().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(name, target, preserve_mode=False)

    def _share(self) -> dict[str, str]:
        return {name: str(Path(self.build_lib, "s4nn_ref", "share", name)) for name in shipped()}

    def get_outputs(self, include_bytecode=1):
        added = [] if self.editable_mode else self._share().values()
        return [*super().get_outputs(include_bytecode), *added]

    def get_source_files(self):
        return [*super().get_source_files(), *shipped()]  # of which an sdist is made


setup(cmdclass={"build_py": BuildWithShare})
