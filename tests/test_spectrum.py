"""The script that measures how much of a gradient is one direction."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))

from spectrum import main, row


def test_one_direction_and_two():
    x, y = np.array([1.0, 1, 1, -1]), np.array([3.0, 4])
    assert row("8C3", np.outer(x, y)).split()[-4:][0] == "1.00"
    assert row("8C3", np.outer(x, y)).split()[-2:] == ["0.75", "1"]
    assert row("8C3", np.diag([3.0, 1.0])).split()[-4:] == ["0.90", "1.5", "0.50", "1"]


def test_a_line_for_every_layer(tiny_toml, data_dir, capsys):
    assert main([str(tiny_toml), "--images", "50", "--data", str(data_dir)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["layer", "8C3", "8C3", "10"]
    assert main([str(tiny_toml), "--data", str(data_dir / "nowhere")]) == 2
