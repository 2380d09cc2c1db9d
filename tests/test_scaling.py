"""How the benchmark measures growth: a wanted activity, counted operations; and a section measured anew."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parent.parent / "experiments" / "bench"


@pytest.fixture
def bench(monkeypatch):
    """Imports modules of experiments/bench, some of whose names figures/ has too."""
    monkeypatch.setattr(sys, "path", [str(BENCH), *sys.path])
    names = [file.stem for file in BENCH.glob("[!_]*.py")]
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    yield import_module
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(before)


def random_times(t_max, shape):
    rng = np.random.default_rng(0)
    return np.where(rng.random(shape) < 0.3, rng.integers(0, t_max, shape), t_max).astype(np.int16)


def test_the_wanted_share_of_every_layer_fires(bench):
    t_in = random_times(20, (8, 9, 9, 2))
    network = bench("scaling").network_of("7C3-P2-6C3-5C3-4", (9, 9, 2), 20, 0.25, t_in)
    states = network.forward(t_in)
    for i in (1, 3, 4):
        assert (states[i].t_post < 20).mean() == pytest.approx(0.25, abs=0.01)


def test_operations_are_synapses_that_spikes_reach(bench):
    """One spike, on a corner and in the middle: 4 and 9 positions of 3x3 kernels, of 5 maps each."""
    scaling, t_in = bench("scaling"), np.full((2, 6, 6, 1), 20, np.int16)
    t_in[0, 0, 0] = t_in[1, 3, 3] = 4
    network = scaling.network_of("5C3-3", (6, 6, 1), 20, 0.5, t_in)
    network.w[0][...] = 0
    assert scaling.spikes_and_operations(network, t_in) == (0, (4 + 9) * 5 / 2)


def test_a_section_measured_anew_says_so(bench):
    renewed = bench("report").renewed
    whole = {"environment": {"revision": "old"}, "scaling": [1], "speed": [2]}
    once = renewed(whole, "scaling", {"environment": {"revision": "new"}, "rounds": 1, "scaling": [3]})
    assert once == whole | {"scaling": [3], "later": {"scaling": {"revision": "new", "rounds": 1}}}
    twice = renewed(once, "speed", {"environment": {"revision": "newer"}, "rounds": 5, "speed": [4]})
    assert twice["later"] == once["later"] | {"speed": {"revision": "newer", "rounds": 5}}
