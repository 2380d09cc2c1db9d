"""Experiments and networks by name: what a name finds, what wins, what an unknown one is told."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import assert_refused

from s4nn_ref.app import shipped
from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import read_config
from s4nn_ref.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


def test_every_experiment_and_network_has_its_name():
    found = [*shipped.experiments().values(), *shipped.spaces().values()]
    assert sorted(found) == sorted((ROOT / "experiments").rglob("*.toml"))
    assert shipped.spaces()["mnist"] == ROOT / "experiments" / "search" / "mnist.toml"
    assert set(shipped.networks().values()) == set((ROOT / "weights").glob("*.npz"))
    assert shipped.experiments()["ladder/6-sparse"] == ROOT / "experiments" / "ladder" / "6-sparse.toml"
    assert shipped.networks()["mnist-plus"] == ROOT / "weights" / "mnist-plus.npz"


def test_all_of_them_can_be_read():
    for name, path in shipped.experiments().items():
        assert read_config(path).name == Path(name).name


def test_a_file_wins_and_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert shipped.experiment(Path("demo")) == ROOT / "experiments" / "demo.toml"
    (tmp_path / "mnist").write_text("")
    assert shipped.experiment(Path("mnist")) == Path("mnist")
    (tmp_path / "run").mkdir()
    assert shipped.network(Path("run")) == Path("run")  # its reader says that it is a folder


@pytest.mark.parametrize(
    ("find", "given", "words"),
    [
        (shipped.experiment, "dmo", "dmo not found; give a file, or one of the experiments: demo, "),
        (shipped.experiment, "experiments/mnist-pls.toml", "one of the experiments: mnist-plus, "),
        (shipped.experiment, "ladder/6-spars", "one of the experiments: ladder/6-sparse, "),
        (shipped.network, "weights/fashion-plos.npz", "one of the networks: fashion-plus, "),
    ],
)
def test_unknown_names_get_the_nearest_first_and_all(tmp_path, monkeypatch, find, given, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refused:
        find(Path(given))
    assert words in str(refused.value)
    known = shipped.experiments() if find is shipped.experiment else shipped.networks()
    assert sorted(str(refused.value).partition("s: ")[2].split(", ")) == sorted(known)


def test_commands_take_names(s4nn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = s4nn("info", "mnist-plus")
    assert (code, out.splitlines()[0]) == (0, "64C3-P2-128C3-P2-10  (mnist-plus: mnist, seed 0)")
    code, out, _ = s4nn("evaluate", "bs4nn", "--dataset", "glyphs", "--limit", 5, "--json")
    assert (code, json.loads(out)["n"]) == (0, 5)
    # the structure is checked before any data are sought
    assert_refused(s4nn("train", "mnist-early", "--init", "bs4nn"), "bs4nn.npz", "784-600-10")
    assert_refused(s4nn("train", "mnist-early", "--init", "bs5nn"), "bs5nn not found", "networks: bs4nn")
    assert_refused(s4nn("import", "demos", "a.npy", "--out", "b.npz"), "demos not found", "experiments: demo")
    assert_refused(s4nn("predict", "mnist-pluss", "a.png"), "networks: mnist-plus")


def test_info_lists_what_comes_along(s4nn):
    code, out, _ = s4nn("info")
    assert code == 0
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert set(shipped.experiments()) < set(rows)
    assert rows["mnist-plus"] == ["mnist-plus", "mnist", "64C3-P2-128C3-P2-10", "yes"]
    assert rows["demo"] == ["demo", "glyphs", "16C3-P2-32C3-P2-10"]
    assert str(ROOT / "experiments") in out


def test_an_installed_package_finds_what_it_carries(tmp_path, monkeypatch):
    (tmp_path / "experiments").mkdir()
    shutil.copy(ROOT / "experiments" / "demo.toml", tmp_path / "experiments")
    monkeypatch.setattr(shipped, "_ROOT", tmp_path)
    assert list(shipped.experiments()) == ["demo"]
    assert shipped.networks() == {}
    assert read_config(shipped.experiment(Path("demo"))).data.dataset == "glyphs"
    with pytest.raises(InputError, match="mnist-plus not found"):
        shipped.network(Path("mnist-plus"))


def test_the_networks_of_a_wheel_are_networks():
    for name in ("mnist-plus", "mnist-early"):
        network, config = read_weights(shipped.networks()[name])
        assert config.name == name
        assert network.n_classes == 10
