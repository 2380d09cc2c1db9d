"""The authors' protocol: the summary of a run's test accuracies, and what a run writes."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))

from protocol import COUNTS, main, summary


def test_summary_by_hand():
    history = [{"test": dict.fromkeys(COUNTS, accuracy)} for accuracy in (0.25, 0.75, 0.75, 0.5)]
    for found in summary(history).values():
        assert found == {"best": 0.75, "epoch": 2, "last": 0.5, "late_mean": 0.5625}
    late = summary([{"test": dict.fromkeys(COUNTS, accuracy)} for accuracy in [1.0] + 10 * [0.5]])
    assert late["accuracy_strict"] == {"best": 1.0, "epoch": 1, "last": 0.5, "late_mean": 0.5}


def test_a_run_reads_the_test_set_every_epoch(tmp_path, tiny_toml, data_dir, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [str(tiny_toml), "--epochs", "2", "--data", str(data_dir), "--out", str(tmp_path / "a")]
    assert main(arguments) == 0
    content = json.loads((tmp_path / "a" / "tiny-protocol.json").read_text())
    assert content["config"]["data"]["validation"] == 0
    assert [sorted(set(COUNTS) - set(row["test"])) for row in content["history"]] == [[], []]
    assert content["summary"] == summary(content["history"])
    assert main(arguments) == 0, "a finished run is written again, not made again"
    assert json.loads((tmp_path / "a" / "tiny-protocol.json").read_text())["history"] == content["history"]
    assert main([*arguments[:2], "3", *arguments[3:]]) == 2
    assert "another experiment" in capsys.readouterr().err


def test_an_unknown_experiment_is_an_error_of_one_line(capsys):
    assert main(["nowhere.toml"]) == 2
    assert capsys.readouterr().err.startswith("protocol: ")
