"""The ablation's rows: each a valid experiment that differs from everything in the named keys alone."""

import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "experiments"))

from ablate import ROWS, changed, main, rows_of  # noqa: E402

from s4nn_ref.config import config_of_dict  # noqa: E402


@pytest.mark.parametrize("name", ["mnist-plus", "fashion-plus"])
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


def test_rows_are_written_one_by_one_and_not_run_again(tmp_path, tiny_toml, data_dir, monkeypatch, capsys):
    monkeypatch.setattr("ablate.ROWS", {"everything": {}, "no shift": {"augment.shift": 0}})
    arguments = [
        str(tiny_toml),
        "--epochs",
        "1",
        "--limit",
        "60",
        "--data",
        str(data_dir),
        "--out",
        str(tmp_path / "a"),
    ]
    assert main(arguments) == 0
    assert "| no shift |" in (tmp_path / "a" / "tiny.md").read_text()
    first = (tmp_path / "a" / "tiny.json").read_text()
    assert main(arguments) == 0
    assert (tmp_path / "a" / "tiny.json").read_text() == first
    assert main([*arguments[:2], "2", *arguments[3:]]) == 2
    assert "another experiment or length" in capsys.readouterr().err
