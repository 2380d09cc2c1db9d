"""The rows of the ablation: each is a valid experiment that differs from the whole one in the named keys only."""

import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "experiments"))

from ablate import ROWS, changed, main, rows_of  # noqa: E402

from s4nn_ref.config import config_of_dict  # noqa: E402


@pytest.mark.parametrize("name", ["mnist-plus", "mnist-early", "fashion-plus"])
def test_rows_are_valid_and_change_something(name):
    tables = tomllib.loads((ROOT / "experiments" / f"{name}.toml").read_text())
    everything = config_of_dict(changed(tables, ROWS["everything"]))
    assert everything == config_of_dict(tables)
    for row, changes in rows_of(name).items():
        config = config_of_dict(changed(tables, changes))
        assert (config == everything) == (row == "everything")
        before, now = everything.as_dict(), config.as_dict()
        sections = {section for section in now if now[section] != before[section]}
        assert sections == {path.partition(".")[0] for path in changes} - {s for s in before if before[s] == now[s]}


def test_keys_are_changed_added_and_removed():
    tables = {"network": {"t_max": 100}, "learning": {"noise": 5, "lam": 3}}
    changes = {"learning.lam": 10, "learning.noise": None, "learning.gamma": None, "augment.shift": 1, "network": {}}
    assert changed(tables, changes) == {"network": {}, "learning": {"lam": 10}, "augment": {"shift": 1}}
    assert tables == {"network": {"t_max": 100}, "learning": {"noise": 5, "lam": 3}}


def test_rows_are_written_one_by_one_and_not_run_again(tmp_path, tiny_toml, data_dir, monkeypatch, capsys):
    monkeypatch.setattr("ablate.ROWS", {"everything": {}, "no shift": {"augment.shift": 0}})
    out = ["--data", str(data_dir), "--out", str(tmp_path / "a")]
    arguments = [str(tiny_toml), "--limit", "60", *out]
    assert main([*arguments, "--epochs", "1"]) == 0
    assert "| no shift |" in (tmp_path / "a" / "tiny.md").read_text()
    first = (tmp_path / "a" / "tiny.json").read_text()
    assert main([*arguments, "--epochs", "1"]) == 0
    assert (tmp_path / "a" / "tiny.json").read_text() == first
    assert main([*arguments, "--epochs", "2"]) == 2
    assert "another experiment or length" in capsys.readouterr().err
