"""The script that measures how much of a gradient lies in one direction."""

import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import online_toml

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))

from spectrum import main, row


def test_one_direction_and_two():
    x, y = np.array([1.0, 1, 1, -1]), np.array([3.0, 4])
    assert row("8C3", np.outer(x, y)).split()[-4] == "1.00"
    assert row("8C3", np.outer(x, y)).split()[-2:] == ["0.75", "1"]
    assert row("8C3", np.diag([4.0, 1.0])).split()[-4:] == ["0.94", "1.6", "0.50", "1"]
    assert row("8C3", np.diag([4.0, 3.0])).split()[-1] == "2"


def test_a_line_for_every_layer(tiny_toml, data_dir, capsys):
    arguments = [str(tiny_toml), "--data", str(data_dir), "--images", "50"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["layer", "8C3", "8C3", "10"]
    assert main(arguments) == 0  # the same weights again
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--images", "0"], "at least 1"), (["--data", "nowhere"], "not a folder"), (["--weights", "mnist.npz"], "64C3")],
)
def test_what_cannot_be_measured_is_refused(tiny_toml, data_dir, arguments, message, capsys):
    weights = str(Path(__file__).parent.parent / "weights" / "mnist.npz")
    arguments = [weights if argument == "mnist.npz" else argument for argument in arguments]
    assert main([str(tiny_toml), "--data", str(data_dir), *arguments]) == 2
    assert message in capsys.readouterr().err
    tiny_toml.write_text(online_toml("s4nn"))
    assert main([str(tiny_toml), "--data", str(data_dir)]) == 2
    assert "online" in capsys.readouterr().err
