"""Optimisers and schedules against their formulas."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from s4nn_ref.schedules import Constant, Cosine, Course, Exponential, Step
from s4nn_ref.training.optimisers import Adam, Muon, Optimiser, Sgd, polar_factor


def plain_adam(w, gradients, eta, decay, beta1=0.9, beta2=0.999, eps=1e-8):
    """Kingma and Ba 2015, algorithm 1, with decoupled weight decay."""
    w, m, v = w.copy(), 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - eta * (m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps) + decay * w)
    return w


@pytest.fixture
def problem():
    rng = np.random.default_rng(30)
    w = rng.normal(size=9000)  # more than two chunks
    shards = rng.normal(size=(5, 3, 9000))
    return w, shards


def weights_in_layers(w, *ends):
    """What an optimiser knows of a network: its weights, and where each layer's end."""
    slices = [slice(begin, end) for begin, end in zip((0, *ends), ends, strict=False)]
    return SimpleNamespace(parameters=w.copy(), slices=slices)


def optimise(settings, w, shards, updates_in_epoch=2, epochs=5, n_images=4):
    """An optimiser after an update for each of the shards' sums, and the weights."""
    network = weights_in_layers(w, 9000)
    optimiser = Optimiser(settings, network, updates_in_epoch, epochs)
    for step in shards:
        grad = step.reshape(3, 90, 100).copy()
        optimiser.update([grad], n_images)
        assert not grad.any()  # zeroed for the next batch
    return optimiser, network.parameters


def test_adam_equals_its_formula(problem):
    w, shards = problem
    _, parameters = optimise(Adam(eta=(0.1,), schedule=Constant(), weight_decay=(0.01,)), w, shards)
    expected = plain_adam(w, shards.sum(axis=1) / 4, 0.1, 0.01)
    np.testing.assert_allclose(parameters, expected, rtol=1e-10)


def test_layers_have_rates_and_decays_of_their_own():
    rng = np.random.default_rng(34)
    w, shards = rng.normal(size=500), rng.normal(size=(5, 3, 500))
    settings = Adam(eta=(0.1, 0.3), beta1=0.8, beta2=0.99, schedule=Constant(), weight_decay=(0.01, 0.5))
    network = weights_in_layers(w, 200, 500)
    optimiser = Optimiser(settings, network, 2, 5)
    for step in shards:
        optimiser.update([step[:, :200].reshape(3, 20, 10).copy(), step[:, 200:].reshape(3, 10, 30).copy()], 4)
    mean = shards.sum(axis=1) / 4
    first = plain_adam(w[:200], mean[:, :200], 0.1, 0.01, beta1=0.8, beta2=0.99)
    second = plain_adam(w[200:], mean[:, 200:], 0.3, 0.5, beta1=0.8, beta2=0.99)
    np.testing.assert_allclose(network.parameters, np.concatenate([first, second]), rtol=1e-10)


def test_sgd_equals_its_formula(problem):
    w, shards = problem
    settings = Sgd(eta=(0.1,), momentum=0.5, weight_decay=(0.02,), schedule=Constant())
    _, parameters = optimise(settings, w, shards)
    momentum, expected = 0.0, w.copy()
    for g in shards.sum(axis=1) / 4:
        momentum = 0.5 * momentum + g
        expected -= 0.1 * (momentum + 0.02 * expected)
    np.testing.assert_allclose(parameters, expected, rtol=1e-10)


@pytest.mark.parametrize("shape", [(100, 20), (20, 100)])
def test_muon_equals_its_formula(shape):
    """D31: momentum, whose singular values are made equal, for the hidden layer; Adam for the output layer."""
    rng, n = np.random.default_rng(31), 2000
    w, shards = rng.normal(size=n + 50), rng.normal(size=(5, 3, n + 50))
    settings = Muon(eta=(0.1, 0.2), beta1=0.8, schedule=Constant(), weight_decay=(0.01, 0.02), ema=0.6)
    network = weights_in_layers(w, n, n + 50)
    optimiser, parameters = Optimiser(settings, network, 2, 5), network.parameters
    hidden, momentum, mean = w[:n].reshape(shape), np.zeros(shape), w.copy()
    for step, g in enumerate(shards, 1):
        grad = [g[:, :n].reshape(3, *shape).copy(), g[:, n:].reshape(3, 10, 5).copy()]
        optimiser.update(grad, 4)
        assert not any(g.any() for g in grad)  # zeroed for the next batch
        momentum = 0.8 * momentum + 0.2 * g[:, :n].sum(axis=0).reshape(shape) / 4
        left, _, right = np.linalg.svd(momentum, full_matrices=False)
        hidden = hidden - 0.1 * (10 * left @ right + 0.01 * hidden)  # 10: the root mean square becomes 1
        keep = min(0.6, (1 + step) / (10 + step))
        mean = keep * mean + (1 - keep) * parameters
    np.testing.assert_allclose(parameters[:n].reshape(shape), hidden, rtol=1e-10)
    output = plain_adam(w[n:], shards[:, :, n:].sum(axis=1) / 4, 0.2, 0.02, beta1=0.8)
    np.testing.assert_allclose(parameters[n:], output, rtol=1e-10)
    np.testing.assert_allclose(optimiser.average, mean, rtol=1e-10)


def test_a_step_along_polar_factors_does_not_depend_on_the_matrix_librarys_threads():
    program = """if True:
        import sys, numpy as np
        from types import SimpleNamespace
        from s4nn_ref.schedules import Constant
        from s4nn_ref.training.optimisers import Muon, Optimiser
        r, shapes = np.random.default_rng(33), ((1152, 128), (9, 128), (20, 10))
        ends = np.cumsum([0] + [rows * maps for rows, maps in shapes]).tolist()
        w = np.zeros(ends[-1], np.float32)
        network = SimpleNamespace(parameters=w, slices=[slice(*ends[k : k + 2]) for k in range(3)])
        settings = Muon(eta=(0.1,) * 3, weight_decay=(0.0,) * 3, schedule=Constant())
        optimiser = Optimiser(settings, network, 1, 1)
        optimiser.update([r.normal(size=(1, *shape)).astype(np.float32) for shape in shapes], 1)
        assert (w != 0).mean() > 0.9
        sys.stdout.buffer.write(w.tobytes())"""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"OPENBLAS_NUM_THREADS": n},
            capture_output=True,
            check=True,
        ).stdout
        for n in ("1", "2")
    ]
    assert len(outputs[0]) == 4 * (128 * (1152 + 9) + 200)
    assert outputs[0] == outputs[1]


def test_the_polar_factor_of_what_has_none():
    """Dead maps stay where they are, noise is not raised to the size of a signal, NaN does not hide."""
    u = np.random.default_rng(32).normal(size=(30, 6)).astype(np.float32)
    u[:, 2] = 0
    o = polar_factor(u)
    assert o.dtype == np.float32
    assert np.abs(o[:, 2]).max() < 1e-3
    np.testing.assert_allclose(np.linalg.svd(o)[1][:5], np.sqrt(30), rtol=1e-4)
    assert not polar_factor(np.zeros((4, 3))).any()
    weak = polar_factor(np.diag([1.0, 0.5, 1e-5]))
    np.testing.assert_allclose(np.diag(weak) / np.sqrt(3), [1, 1, 0.01], rtol=1e-6)
    u[3, 3] = np.nan
    assert np.isnan(polar_factor(u)).all()


def test_weight_average(problem):
    w, shards = problem
    settings = Adam(eta=(0.1,), ema=0.6, schedule=Constant())
    path, mean = [], w.copy()
    for n in range(1, 6):
        path.append(optimise(settings, w, shards[:n])[1])
    for n, current in enumerate(path, 1):
        keep = min(0.6, (1 + n) / (10 + n))
        mean = keep * mean + (1 - keep) * current
    optimiser, _ = optimise(settings, w, shards)
    np.testing.assert_allclose(optimiser.average, mean, rtol=1e-10)
    optimiser, parameters = optimise(Adam(eta=(0.1,), schedule=Constant()), w, shards)
    assert optimiser.average is parameters  # without an average the weights themselves are evaluated


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Step(decay_every=2), [1, 1, 0.9, 0.9, 0.81]),  # x 0.9 every 2 epochs
        (Step(decay=0.5, decay_every=1), [1, 0.5, 0.25, 0.125, 0.0625]),
        (Exponential(decay=0.5), [1, 0.5, 0.25, 0.125, 0.0625]),
        (Cosine(), [0.5 * (1 + np.cos(np.pi * epoch / 5)) for epoch in range(5)]),
        (Constant(), [1] * 5),
    ],
)
def test_schedules(schedule, expected):
    course = Course(schedule, updates_in_epoch=4, epochs=5, step=np.zeros((), np.int64))
    factors = [course.next_factor() for _ in range(20)]
    assert factors[::4] == pytest.approx(expected)
    assert course.step == 20
    if isinstance(schedule, Cosine):  # falls with every update, the others with the epoch
        assert (np.diff(factors) < 0).all()
    else:
        assert factors == pytest.approx(np.repeat(expected, 4))


def test_the_schedule_steers_the_optimiser(problem):
    w, shards = problem
    _, parameters = optimise(Sgd(eta=(0.1,), schedule=Exponential(decay=0.5)), w, shards)
    rates = 0.1 * np.array([1, 1, 0.5, 0.5, 0.25])  # two updates in an epoch
    np.testing.assert_allclose(parameters, w - np.tensordot(rates, shards.sum(axis=1) / 4, 1), rtol=1e-10)


def test_a_nan_gradient_is_not_hidden(problem):
    w, shards = problem
    shards[2, 1, 5] = np.nan
    _, parameters = optimise(Adam(eta=(0.1,), schedule=Constant()), w, shards)
    assert np.isnan(parameters[5])
    assert np.isfinite(np.delete(parameters, 5)).all()
