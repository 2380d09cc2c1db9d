"""The kernels against their plain twins, exactly; reductions; invariances."""

import numba
import numpy as np
import oracle
import pytest
from drawn import EIGHTH, GEOMETRIES, drawn_network, drawn_times, options_of
from hypothesis import given, settings
from hypothesis import strategies as st

from s4nn_ref.network import LayerState, Network, Pooled


@pytest.mark.parametrize(("structure", "shape", "padding"), GEOMETRIES)
@pytest.mark.parametrize("silent", [0.3, 0.8])
def test_if_conv_equals_oracle(structure, shape, padding, silent):
    rng = np.random.default_rng(1)
    network = drawn_network(rng, structure, shape, padding=padding)
    t_in = drawn_times(rng, 5, shape, silent=silent)
    states = network.forward(t_in)
    for b in range(len(t_in)):
        t_post, t_peak, v_peak, _ = oracle.if_conv(
            t_in[b], network.w[0], 100.0, 12, padding=padding, **options_of(structure)
        )
        np.testing.assert_array_equal(states[1].t_post[b], t_post)
        np.testing.assert_array_equal(states[1].t_peak[b], t_peak)
        np.testing.assert_array_equal(states[1].v_peak[b], v_peak)
        dense = oracle.if_dense(states[1].t_post[b].ravel(), network.w[1].reshape(7, -1), 100.0, 12)
        np.testing.assert_array_equal(states[2].t_post[b].ravel(), dense[0])
        np.testing.assert_array_equal(states[2].t_peak[b].ravel(), dense[1])
        np.testing.assert_array_equal(states[2].v_peak[b].ravel(), dense[2])
        np.testing.assert_array_equal(states[2].v_end[b], dense[3])


@pytest.mark.parametrize("surrogate", ["fired", "window"])
def test_stretched_time_gives_stretched_spikes_and_the_same_gradients(surrogate):
    """Times close to the longest that int16 lanes allow."""
    rng, stretch, results = np.random.default_rng(17), 1365, []
    t_in, delta = drawn_times(rng, 4, (8, 8, 2), silent=0.9), rng.normal(size=(4, 3))
    for factor in (1, stretch):
        network = drawn_network(
            np.random.default_rng(18), "70C3-P2-6C3-3", (8, 8, 2), t_max=12 * factor, padding="same"
        )
        states, grad = network.forward((t_in * factor).astype(np.int16), every_layer=False), network.gradients()
        network.backward(states, delta, grad, surrogate)
        results.append((states[-1].t_post.astype(int), states[2].t_peak.astype(int), grad))
    (t_post, t_peak, grad), (t_post_long, t_peak_long, grad_long) = results
    assert (t_peak == -1).any()
    assert len(np.unique(t_post)) > 2
    np.testing.assert_array_equal(t_post_long, t_post * stretch)
    np.testing.assert_array_equal(t_peak_long, np.where(t_peak < 0, -1, t_peak * stretch))
    for g, g_long in zip(grad, grad_long, strict=True):
        assert g.any()
        np.testing.assert_array_equal(g_long, g)


@pytest.mark.parametrize("case", ["all silent", "all at 0", "zero weights", "spike at the last step", "one step"])
def test_if_conv_edges_equal_oracle(case):
    rng = np.random.default_rng(2)
    t_max = 1 if case == "one step" else 12
    network = drawn_network(rng, "3C3-5", (5, 5, 2), t_max=t_max, low=0)
    t_in = drawn_times(rng, 1, (5, 5, 2), t_max)
    if case == "all silent":
        t_in[:] = t_max
    elif case == "all at 0":
        t_in[:] = 0
    elif case == "zero weights":
        network.parameters[:] = 0
    elif case == "spike at the last step":
        t_in[:] = t_max - 1
    states = network.forward(t_in)
    t_post, t_peak, v_peak, _ = oracle.if_conv(t_in[0], network.w[0], 100.0, t_max)
    np.testing.assert_array_equal(states[1].t_post[0], t_post)
    np.testing.assert_array_equal(states[1].t_peak[0], t_peak)
    np.testing.assert_array_equal(states[1].v_peak[0], v_peak)
    if case in ("all silent", "zero weights"):
        assert (states[-1].t_post == t_max).all()
        assert (states[-1].t_peak == -1).all()
    if case == "spike at the last step":
        assert (states[1].t_post == t_max - 1).any()


@pytest.mark.parametrize("bound", [(1.0, 1.0, 1.0), (2.0, 0.25, 1.0), (1.5, 0.5, 4.0)])
def test_if_output_equals_oracle(bound):
    rng = np.random.default_rng(11)
    network = drawn_network(rng, "60-10", (60, 1, 1), low=-18, high=20, bound=bound, dtype=np.float64)
    t_in = drawn_times(rng, 20, (60, 1, 1))
    t_in[3] = 12
    v_th = network.output_bound()
    assert (v_th[0], v_th[-1]) == (bound[0] * 100, bound[1] * 100)
    assert v_th[4] == pytest.approx(100 * (bound[0] + (bound[1] - bound[0]) * (4 / 11) ** bound[2]))
    out = network.forward(t_in)[-1]
    for b in range(len(t_in)):
        t_post, t_peak, v_peak, v_end = oracle.if_dense(t_in[b].ravel(), network.w[0].reshape(10, -1), v_th, 12)
        np.testing.assert_array_equal(out.t_post[b].ravel(), t_post)
        np.testing.assert_array_equal(out.t_peak[b].ravel(), t_peak)
        np.testing.assert_array_equal(out.v_peak[b].ravel(), v_peak)
        np.testing.assert_array_equal(out.v_end[b], v_end)
    assert 0 < (out.t_post < 12).mean() < 1


def test_a_falling_bound_lets_outputs_fire_without_a_spike():
    """D25: V = 60 from step 0 on; the threshold falls to 50 at the last of five steps."""
    network = Network("1-2", (1, 1, 1), t_max=5, bound=(1.0, 0.5, 1.0))
    network.w[0][...] = np.array([60.0, 30.0]).reshape(2, 1, 1, 1)
    out = network.forward(np.zeros((1, 1, 1, 1), np.int16))[-1]
    assert out.t_post.ravel().tolist() == [4, 5]  # thresholds 100, 87.5, 75, 62.5, 50
    assert out.v_peak.ravel().tolist() == [60, 30]


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("ties", ["index", "potential"])
def test_spike_pool_equals_oracle(window, ties):
    rng = np.random.default_rng(3)
    shape = (7, 8, 3)
    network = drawn_network(rng, f"4C3-P{window}-3", shape, t_max=5, padding="same", pool_ties=ties)
    states = network.forward(drawn_times(rng, 4, shape, 5))
    for b in range(4):
        below, above = states[1], states[2]
        t_post, winner = oracle.spike_pool(below.t_post[b], below.v_peak[b], window, ties == "potential")
        np.testing.assert_array_equal(above.t_post[b], t_post)
        y, x, _ = np.indices(t_post.shape)
        place = (winner[..., 0] - y * window) * window + winner[..., 1] - x * window
        np.testing.assert_array_equal(above.winner[b], place)
        index = (winner[..., 0] * 8 + winner[..., 1]) * 4 + np.arange(4)
        np.testing.assert_array_equal(above.v_peak[b], below.v_peak[b].ravel()[index])
        np.testing.assert_array_equal(above.t_peak[b], below.t_peak[b].ravel()[index])


@pytest.mark.parametrize(
    ("shape", "delay", "at_once"), [((8, 8, 2), 0, True), ((7, 8, 2), 0, False), ((8, 8, 2), 1, False)]
)
def test_spikes_are_counted_inside_the_pooling_where_it_meets_them_all(shape, delay, at_once):
    rng = np.random.default_rng(15)
    network = drawn_network(rng, "70C3-P2-4", shape, padding="same", delay=delay)
    t_in, until = drawn_times(rng, 5, shape), np.array([0, 3, 5, 8, 11])
    whole = [state.spikes_until(until) for state in network.forward(t_in)]
    states = network.forward(t_in, every_layer=False, count=True)
    assert isinstance(states[1], Pooled) == at_once
    for state, expected in zip(states, whole, strict=True):
        np.testing.assert_array_equal(state.spikes_until(until), expected)
    t_hidden = network.forward(t_in)[1].t_post.reshape(5, -1)
    np.testing.assert_array_equal(whole[1], (t_hidden <= until[:, None]).sum(axis=1))


@pytest.mark.parametrize("delay", [0, 1])
def test_a_simulation_that_ends_early_equals_the_beginning_of_the_whole(delay):
    rng = np.random.default_rng(16)
    network = drawn_network(rng, "5C3-P2-6C3-20-4", (8, 8, 2), padding="same", delay=delay, bound=(1.5, 0.2, 1))
    t_in = drawn_times(rng, 9, (8, 8, 2))
    whole = [state.t_post.copy() for state in network.forward(t_in)]
    for t_end in (1, 4, 9):
        for state, t_post in zip(network.forward(t_in, t_end=t_end), whole, strict=True):
            np.testing.assert_array_equal(state.t_post, np.minimum(t_post, t_end))


@pytest.mark.parametrize("ties", ["index", "potential"])
@pytest.mark.parametrize("structure", ["5C3-P2-6C3-P2-4", "70C3-P3-4", "3C3S2-P2-P2-4", "5C3-6C3-P2-4"])
def test_pooling_inside_the_convolution_equals_pooling_behind_it(structure, ties):
    """Forward and backward; 70 maps do not fit the lanes, 3 rows of 7 do not fit the windows."""
    rng = np.random.default_rng(14)
    network = drawn_network(rng, structure, (14, 13, 2), padding="same", pool_ties=ties, dtype=np.float64)
    t_in, delta = drawn_times(rng, 5, (14, 13, 2)), rng.integers(-8, 9, (5, 4)) / EIGHTH
    results = []
    for every_layer in (True, False):
        states = network.forward(t_in, every_layer=every_layer)
        grad = network.gradients()
        network.backward(states, delta, grad, "fired")
        results.append((states, grad))
    (whole, grad_whole), (fused, grad_fused) = results
    assert any(isinstance(state, Pooled) for state in fused)
    for a, b in zip(whole, fused, strict=True):
        for name in ("t_post", "t_peak", "v_peak", "winner") if isinstance(b, LayerState) else ():
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert all(np.abs(g).max() > 0 for g in grad_whole)
    for a, b in zip(grad_whole, grad_fused, strict=True):
        np.testing.assert_array_equal(a, b)


def test_full_size_convolution_equals_dense():
    rng = np.random.default_rng(10)
    shape = (6, 6, 2)
    conv, dense = (Network(s, shape, t_max=12) for s in ("9C6-4", "72-9-4"))
    for network in (conv, dense):
        network.initialise([(-30, 40), (-60, 80)], np.random.default_rng(11))
    t_in = drawn_times(rng, 3, shape)
    for a, b in zip(conv.forward(t_in)[1:], dense.forward(t_in)[1:], strict=True):
        np.testing.assert_array_equal(a.t_post.ravel(), b.t_post.ravel())


def everything(network, t_in, delta, surrogate="window", normalise="l2"):
    states = network.forward(t_in)
    grad = network.gradients()
    network.backward(states, delta, grad, surrogate, normalise)
    return [array.copy() for s in states for array in (s.t_post, s.t_peak, s.v_peak)] + grad


@pytest.mark.parametrize("n", [1, 3, 13])
def test_threads_change_no_bit(n):
    rng = np.random.default_rng(12)
    network = Network("8C3-P2-8C3-P2-10", (14, 14, 1))
    network.initialise([(-60, 80), (-30, 30), (-2, 2)], rng)
    t_in, delta = drawn_times(rng, n, (14, 14, 1), 100), rng.normal(size=(n, 10))
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = everything(network, t_in, delta)
        numba.set_num_threads(threads)
        many = everything(network, t_in, delta)
    finally:
        numba.set_num_threads(threads)
    for a, b in zip(one, many, strict=True):
        assert a.tobytes() == b.tobytes()


def test_an_image_does_not_depend_on_its_batch():
    rng = np.random.default_rng(13)
    network = drawn_network(rng, "6C3-P2-5", (8, 8, 1))
    t_in = drawn_times(rng, 9, (8, 8, 1))
    together = [s.t_post.copy() for s in network.forward(t_in)]
    for b in range(9):
        for whole, alone in zip(together, network.forward(t_in[b : b + 1]), strict=True):
            np.testing.assert_array_equal(whole[b], alone.t_post[0])


small_nets = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(seed=small_nets)
def test_raising_a_weight_never_delays_its_neuron(seed):
    rng = np.random.default_rng(seed)
    network = drawn_network(rng, "30-4", (5, 3, 2))
    t_in = drawn_times(rng, 2, (5, 3, 2))
    before = network.forward(t_in)[-1].t_post.copy()
    m = rng.integers(4)
    network.w[0][m].reshape(-1)[rng.integers(30)] += rng.integers(1, 200) / EIGHTH
    after = network.forward(t_in)[-1].t_post
    assert (after[..., m] <= before[..., m]).all()
    others = np.delete(np.arange(4), m)
    np.testing.assert_array_equal(after[..., others], before[..., others])


@settings(max_examples=40, deadline=None)
@given(seed=small_nets, shift=st.integers(1, 9))
def test_shifting_all_inputs_shifts_all_outputs(seed, shift):
    rng = np.random.default_rng(seed)
    t_in = drawn_times(rng, 2, (6, 6, 1))
    times = []
    for extra in (0, shift):
        network = drawn_network(np.random.default_rng(seed + 1), "3C3-P2-4", (6, 6, 1), t_max=12 + extra)
        shifted = np.where(t_in == 12, 12 + extra, t_in + extra).astype(np.int16)
        times.append([s.t_post.copy() for s in network.forward(shifted)])
    for early, late in zip(*times, strict=True):
        np.testing.assert_array_equal(np.where(early == 12, 12 + shift, early + shift), late)


@settings(max_examples=40, deadline=None)
@given(seed=small_nets)
def test_inputs_may_be_permuted_with_their_weights(seed):
    rng = np.random.default_rng(seed)
    network = drawn_network(rng, "30-4", (30, 1, 1))
    t_in = drawn_times(rng, 2, (30, 1, 1))
    before = network.forward(t_in)[-1].t_post.copy()
    order = rng.permutation(30)
    network.w[0][...] = network.w[0][:, order]
    np.testing.assert_array_equal(network.forward(t_in[:, order])[-1].t_post, before)


@settings(max_examples=40, deadline=None)
@given(seed=small_nets)
def test_doubling_weights_and_threshold_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    network = Network("3C3-P2-4", (6, 6, 1), t_max=12)
    double = Network("3C3-P2-4", (6, 6, 1), t_max=12, v_th=200.0)
    network.initialise([(-40, 60), (-40, 60)], rng)
    double.parameters[:] = 2 * network.parameters
    t_in = drawn_times(rng, 2, (6, 6, 1))
    for a, b in zip(network.forward(t_in), double.forward(t_in), strict=True):
        np.testing.assert_array_equal(a.t_post, b.t_post)


@settings(max_examples=40, deadline=None)
@given(seed=small_nets, window=st.integers(1, 4))
def test_pooling_is_the_minimum_of_its_window(seed, window):
    rng = np.random.default_rng(seed)
    network = drawn_network(rng, f"2C3-P{window}-4", (8, 8, 1), padding="same")
    states = network.forward(drawn_times(rng, 1, (8, 8, 1)))
    size = 8 // window
    cut = states[1].t_post[0, : size * window, : size * window]
    minimum = cut.reshape(size, window, size, window, 2).min(axis=(1, 3))
    np.testing.assert_array_equal(states[2].t_post[0], minimum)
