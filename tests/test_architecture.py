"""The house: which part may import which, how large an interface may be, and what an import may do."""

import ast
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from numba.core import caching

from s4nn_ref.kernels.compile import WITHOUT_KERNELS, _Files

PACKAGE = Path(__file__).resolve().parent.parent / "s4nn_ref"
MODULES = sorted(PACKAGE.rglob("*.py"))

# every part may import itself and parts of a lower rank
RANKS = [
    ("errors", "decision", "initial", "schedules", "reference", "neurons", "losses"),
    ("encoding", "structure", "settings", "schema", "kernels"),
    ("files",),
    ("engines",),
    ("layers",),
    ("network",),
    ("metrics", "data"),
    ("anytime", "teachers"),
    ("algorithms",),
    ("training",),
    ("config",),
    ("app",),
    ("__main__", "sklearn"),
]
RANK = {part: rank for rank, parts in enumerate(RANKS) for part in parts}
# and these nothing of a lower rank but what is named
ONLY = {"reference": set(), "neurons": set(), "losses": set(), "kernels": {"neurons"}}


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source, importer):
    """Modules of the package that a source imports, anywhere in it; names relative to the package."""
    package = importer.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1, importer
            found = [f"s4nn_ref.{package}.{node.module}"]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            if name.startswith("s4nn_ref."):
                name = name.removeprefix("s4nn_ref.")
                while name and not ((PACKAGE / name.replace(".", "/")).is_dir() or module_path(name).exists()):
                    name = name.rpartition(".")[0]
                if name:
                    yield name


def module_path(name):
    return PACKAGE / (name.replace(".", "/") + ".py")


def trespasses(source, importer):
    """Imports of a module that the house forbids."""
    part = importer.partition(".")[0]
    for imported in imports_of(source, importer):
        other = imported.partition(".")[0]
        if other != part and (RANK[other] >= RANK[part] or other not in ONLY.get(part, {other})):
            yield f"{importer} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path):
    if name := name_of(path):
        assert not list(trespasses(path.read_text(), name))


@pytest.mark.parametrize(
    ("source", "importer"),
    [
        ("from s4nn_ref.errors import InputError", "losses.first_spike"),
        ("def f():\n    import s4nn_ref.kernels.lanes", "neurons.step"),
        ("from s4nn_ref.losses import first_spike", "kernels.plain"),
        ("from s4nn_ref import network", "layers"),
        ("from s4nn_ref.training.loop import Training", "algorithms.ds4nn"),
    ],
)
def test_the_check_finds_a_trespass(source, importer):
    assert len(list(trespasses(source, importer))) == 1


def test_algorithms_never_import_each_other():
    names = {path.stem for path in (PACKAGE / "algorithms").glob("[a-z]*.py")}
    assert {"ds4nn", "s4nn", "bs4nn"} <= names
    for name in names:
        imported = set(imports_of(module_path(f"algorithms.{name}").read_text(), f"algorithms.{name}"))
        assert imported.isdisjoint(f"algorithms.{other}" for other in names)


def test_config_names_no_algorithm_and_no_code_asks_for_the_name_of_a_loss():
    losses = {path.stem.replace("_", "-") for path in (PACKAGE / "losses").glob("[a-z]*.py")}
    for path in MODULES:
        strings = {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)}
        if name_of(path) == "config":
            assert strings.isdisjoint({"s4nn", "bs4nn"})
        compared = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                compared |= {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
        assert compared.isdisjoint(losses), path


def test_there_is_no_circle():
    graph = {name_of(path): set(imports_of(path.read_text(), name_of(path))) for path in MODULES if name_of(path)}
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, " -> ".join([*open_[open_.index(name) :], name])
        if name not in done:
            open_.append(name)
            for other in graph.get(name, ()):
                if other != name:
                    visit(other)
            open_.pop()
            done.add(name)

    for name in graph:
        visit(name)


def test_the_document_needs_numpy_only():
    for path in (PACKAGE / "reference").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} == {"numpy"}
            if isinstance(node, ast.ImportFrom):
                assert node.level == 1 or node.module == "typing"
    assert len((PACKAGE / "reference" / "ds4nn.py").read_text().splitlines()) <= 200


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_public_function_takes_more_than_eight_parameters(path):
    def public(body):
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)
            elif isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_")):
                yield node

    for function in public(ast.parse(path.read_text()).body):
        a = function.args
        names = [arg.arg for arg in a.posonlyargs + a.args + a.kwonlyargs if arg.arg != "self"]
        assert len(names) <= 8, f"{function.name}{names}"


def run(code, folder, **environment):
    """Standard output of a program that imports the package in `folder`."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=True
    ).stdout


FACTOR = """
import numpy as np
from s4nn_ref.kernels import backprop
g = np.empty((1, 1))
backprop.synaptic_error(np.ones((1, 1)), np.full((1, 1), 75.0), np.float64(100), 1, 0, 1, g)
print(g[0, 0])
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, without machine code."""
    shutil.copytree(PACKAGE, tmp_path / "s4nn_ref", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_an_import_changes_nothing(copy):
    before = sorted(copy.rglob("*"))
    assert run("import s4nn_ref, sys; print('numba' in sys.modules)", copy) == "False\n"
    run("import s4nn_ref.app.cli, s4nn_ref.network, s4nn_ref.kernels.convolution, s4nn_ref.training.loop", copy)
    assert sorted(copy.rglob("*")) == before


@pytest.mark.parametrize("cache", ["in the package", "named by the environment"])
def test_stale_machine_code_is_never_run(copy, cache):
    """A function of another file changes, and all time stamps stay as they were."""
    environment = {} if cache == "in the package" else {"NUMBA_CACHE_DIR": str(copy / "cache")}
    folder = copy / "s4nn_ref" / "__pycache__" if cache == "in the package" else copy / "cache"
    assert run(FACTOR, copy, **environment) == "0.75\n"
    (first,) = folder.glob("s4nn_ref-*")
    assert list(first.glob("*.nbc"))
    assert run(FACTOR, copy, **environment) == "0.75\n"
    source = copy / "s4nn_ref" / "neurons" / "surrogates.py"
    stamp = source.stat()
    text = source.read_text()
    assert "one - abs(v_peak - v_th) / v_th" in text
    source.write_text(text.replace("one - abs(v_peak - v_th) / v_th", "one - 2 * abs(v_peak - v_th) / v_th"))
    os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert run(FACTOR, copy, **environment) == "0.5\n"


def test_damaged_machine_code_is_compiled_anew(copy):
    assert run(FACTOR, copy) == "0.75\n"
    stored = list((copy / "s4nn_ref" / "__pycache__").rglob("*.nbc"))
    assert stored
    for path in stored:
        path.write_bytes(path.read_bytes()[:20])
    assert run(FACTOR, copy) == "0.75\n"
    for path in stored:
        path.write_bytes(b"")
    assert run(FACTOR, copy) == "0.75\n"


def test_processes_that_compile_at_the_same_time_do_not_mix_their_kernels(tmp_path, monkeypatch):
    """Two that look into an empty folder, then write. Numba's own files lose one of the kernels, or exchange them."""
    looked, wrote = threading.Barrier(2, timeout=20), threading.Barrier(2, timeout=20)
    look, write = caching.IndexDataCacheFile._load_index, caching.IndexDataCacheFile._save_data
    together = True

    def load_index(self):
        found = look(self)
        if together:
            looked.wait()
        return found

    def save_data(self, name, data):
        wrote.wait()
        write(self, name, data)

    monkeypatch.setattr(caching.IndexDataCacheFile, "_load_index", load_index)
    monkeypatch.setattr(caching.IndexDataCacheFile, "_save_data", save_data)
    kept = {}
    for kind in (_Files, caching.IndexDataCacheFile):
        folder, together = tmp_path / kind.__name__, True
        folder.mkdir()
        files = {name: kind(str(folder), "fire", "stamp") for name in ("linear", "alpha")}
        processes = [
            threading.Thread(target=one.save, args=(model, f"code of {model}")) for model, one in files.items()
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        together = False
        kept[kind] = [one.load(name) == f"code of {name}" for name, one in files.items()]
    assert all(kept[_Files])
    assert not all(kept[caching.IndexDataCacheFile])


TWO_MODELS = """
import importlib
import numpy as np
from s4nn_ref.network import Network, Settings
for name in "{}".split():
    model = importlib.import_module(f"s4nn_ref.neurons.{{name}}")
    network = Network(Settings("3-2", input_shape=(3, 1, 1), v_th=1.0), model)
    network.parameters[:] = [0.5, 1, 0.75, 1, 0.25, 0.5]
    print(network.forward(np.array([[1.0, 2, 3]]).reshape(1, 3, 1, 1))[-1].t_post.ravel())
"""


def test_models_compiled_in_two_processes_are_two_in_a_third(tmp_path):
    """Numba gave their machine code one name, and whichever was loaded first ran for both."""
    models, cache = ("linear", "triangular", "exponential"), {"NUMBA_CACHE_DIR": str(tmp_path)}
    alone = [run(TWO_MODELS.format(model), PACKAGE.parent, **cache) for model in models]
    assert len(set(alone)) == len(models)
    assert run(TWO_MODELS.format(" ".join(models)), PACKAGE.parent, **cache) == "".join(alone)


def test_kernels_run_where_nothing_can_be_written(copy):
    nowhere = "import s4nn_ref.kernels.compile as c\nc._writable = lambda folder: False\n"
    assert run(nowhere + FACTOR, copy) == "0.75\n"
    assert not list(copy.rglob("*.nbc"))


PLAIN = """
import numpy as np
from s4nn_ref.network import Network, Settings
Network(Settings("2-2", input_shape=(2, 1, 1), engine="plain")).forward(np.zeros((1, 2, 1, 1), np.int16))
"""


def test_kernels_of_a_neuron_model_are_kept(copy):
    """They are closures: a second process finds what the first one stored, and stores nothing."""
    run(PLAIN, copy)
    stored = sorted((copy / "s4nn_ref" / "__pycache__").rglob("*.nbc"))
    assert any("fire" in path.name for path in stored)
    run(PLAIN, copy)
    assert sorted((copy / "s4nn_ref" / "__pycache__").rglob("*.nbc")) == stored


OUTSIDE = """
import numpy as np
from own import read
try:
    print(read(np.zeros(1000), 1001) == 5)
except IndexError as error:
    print(error)
"""


def test_machine_code_that_checks_every_index_is_kept_apart(copy):
    """`make test-bounds`: the usual code neither takes its place nor is removed by it."""
    code = "from s4nn_ref.kernels.compile import kernel\n\n\n@kernel\ndef read(values, i):\n    return values[i]\n"
    (copy / "own.py").write_text(code)
    assert run(FACTOR, copy) == "0.75\n"
    assert run(FACTOR + OUTSIDE, copy, NUMBA_BOUNDSCHECK="1") == "0.75\nindex is out of bounds\n"
    folders = sorted(path.name for path in (copy / "s4nn_ref" / "__pycache__").glob("*s4nn_ref-*"))
    assert [name.partition("s4nn_ref-")[0] for name in folders] == ["bounds-", ""]
    assert run(FACTOR + OUTSIDE, copy) == "0.75\nFalse\n"


def test_folders_left_out_of_the_digest_hold_no_kernels():
    """Whoever edits the command line does not wait for the kernels to be compiled again."""
    for folder in WITHOUT_KERNELS:
        for path in (PACKAGE / folder).glob("*.py"):
            nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
            names = {alias.name for node in nodes for alias in node.names if node.module == "s4nn_ref.kernels.compile"}
            compiling = {"kernels.lanes"} & set(imports_of(path.read_text(), name_of(path))) | names - {"folder"}
            assert not compiling and "register_jitable" not in path.read_text(), path


OWN_LOSS = """
import numpy as np
from s4nn_ref.network import Network, Settings
from own import cost
network = Network(Settings("2-2", input_shape=(2, 1, 1)))
outputs = network.outputs(network.forward(np.zeros((1, 2, 1, 1), np.int16)))
print(outputs.for_each_image(cost, np.zeros(1, int), (1.0,))[0][0])
"""


def test_a_change_of_the_users_own_function_is_seen(copy):
    """Its file is not among the sources whose digest names the folder."""
    for value in ("2.0", "3.0"):
        (copy / "own.py").write_text(f"def cost(v, label, threshold, keys, error):\n    return {value}\n")
        assert run(OWN_LOSS, copy) == f"{value}\n"
