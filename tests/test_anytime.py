"""The decision that stops at the first output spike equals that of the whole simulation."""

import numpy as np
import pytest

from s4nn_ref.anytime import Anytime
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network, Settings


def whole(network, t_in):
    """Labels, decision times and spikes by the whole simulation."""
    states = network.forward(t_in)
    outputs = network.outputs(states)
    return outputs.decisions(), outputs.t_out.min(axis=1).astype(int), network.spikes_until_decision(states)


@pytest.mark.parametrize(
    ("structure", "padding"),
    [("6C3-P2-70C3-P2-5", "same"), ("5C3S2-P2-P2-6", "valid"), ("P2-4C3-7-5", "same"), ("338-30-10", "valid"),
     ("4C2-P3-5", "valid")],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_decisions_equal_those_of_the_whole_simulation(structure, padding, seed):
    rng = np.random.default_rng(seed)
    collapse = ((1, 1, 1), (2, 0.1, 3), (1.5, 1, 1))[seed]
    network = Network(
        Settings(structure, input_shape=(13, 13, 2), t_max=20, padding=padding, collapse=collapse, delay=seed // 2)
    )
    network.initialise([(-30, 45)] * len(network.w), rng)
    network.w[-1][...] *= (0.3, 2.0, 6.0)[seed]
    t_in = np.where(rng.random((12, 13, 13, 2)) < 0.5, 20, rng.integers(0, 20, (12, 13, 13, 2))).astype(np.int16)
    t_in[3] = 20  # nothing to see
    anytime, (label, time, spikes) = Anytime(network), whole(network, t_in)
    for horizon in (20, 3, 9, 14):
        anytime.horizon = horizon
        decisions = anytime.decide(t_in)
        np.testing.assert_array_equal(decisions.label, label)
        np.testing.assert_array_equal(decisions.time, time)
        np.testing.assert_array_equal(decisions.spikes, spikes)
    assert time[3] == 20
    assert seed == 0 or len(np.unique(time)) > 1
    one = anytime.decide(t_in[7:8], count=False)
    assert (one.label[0], one.time[0], one.spikes) == (label[7], time[7], None)


def test_the_horizon_is_where_waiting_costs_more_than_starting_again(monkeypatch):
    """Three of four images are decided at step 4, the fourth at 18; every second step brings an input spike."""
    network = Network(Settings("10-2", input_shape=(10, 1, 1), t_max=20))
    network.w[0][...] = 0.0
    network.w[0][0, :3] = network.w[0][1, 9:] = 100 / 3
    times = np.arange(0, 20, 2, np.int16).reshape(10, 1, 1)
    late = times.copy()
    late[:3] = 18
    late[9:] = 20
    anytime, t_in = Anytime(network), np.stack([times, times, times, late])
    assert anytime.horizon == 20
    decisions = anytime.decide(t_in)
    assert decisions.time.tolist() == [4, 4, 4, 18]
    assert anytime.horizon == 5
    asked, forward = [], Network.forward

    def watched(network, t_in, **keys):
        asked.append((len(t_in), keys["t_end"]))
        return forward(network, t_in, **keys)

    monkeypatch.setattr(Network, "forward", watched)
    assert anytime.decide(t_in).time.tolist() == [4, 4, 4, 18]
    assert asked == [(4, 5), (1, 20)]


@pytest.mark.parametrize("structure", ["6C3-5", "6C3-P2-5"])
def test_potentials_are_added_in_the_same_order(structure):
    """Weights so unlike that the order of additions decides what single precision keeps of the small ones."""
    rng = np.random.default_rng(8)
    network = Network(Settings(structure, input_shape=(9, 9, 1), t_max=6, padding="same"))
    network.initialise([(-30, 90)] * len(network.w), rng)
    shape = network.w[-1].shape
    network.w[-1][...] = np.where(rng.random(shape) < 0.1, rng.choice([-(2.0**30), 2.0**30], shape), network.w[-1])
    t_in = np.where(rng.random((100, 9, 9, 1)) < 0.5, 6, 0).astype(np.int16)  # everything in one step
    decisions, (label, time, _) = Anytime(network).decide(t_in), whole(network, t_in)
    np.testing.assert_array_equal(decisions.label, label)
    np.testing.assert_array_equal(decisions.time, time)
    assert (time == 0).any()
    assert len(np.unique(label)) > 1


def test_images_of_another_size_are_refused():
    with pytest.raises(InputError):
        Anytime(Network(Settings("338-10", input_shape=(13, 13, 2)))).decide(np.zeros((1, 12, 13, 2), np.int16))
