"""The neurons of the other systems on a few input spikes, with the functions of s4nn_ref/neurons and of its reference.

An input is a time and a weight. The last input of every case in continuous time comes after the spike: it is not
causal, and nothing depends on it.
"""

import math

import numpy as np

from press.cases import show
from s4nn_ref.neurons import alpha, exponential, linear, step, triangular
from s4nn_ref.reference import bs4nn, comsa, mostafa, relpsp, s4nn, stidi

STEP = 1e-6  # of a difference


def events(model, inputs):
    """All inputs and their echoes, in the order of time: time, weight, number of the input, factor."""
    found = [(t + d, w * f, k, f) for k, (t, w) in enumerate(inputs) for d, f in model.echoes]
    return sorted(found, key=lambda event: event[0])


def fire(model, inputs, v_th):
    """Firing time, the sums of the causal set, and the events in it: the first crossing before the next event."""
    sums, came = model.start, events(model, inputs)
    for n, (t, w, _, _) in enumerate(came):
        sums = model.add(sums, t, w)
        following = came[n + 1][0] if n + 1 < len(came) else math.inf
        t_post = model.crossing(sums, v_th)
        if t <= t_post < following:
            return t_post, sums, came[: n + 1]
    return math.inf, sums, []


def derivatives(model, inputs, v_th):
    """dt_post/dw and dt_post/dt of every input: the sums over its events."""
    t_post, sums, causal = fire(model, inputs, v_th)
    of_w, of_t = np.zeros(len(inputs)), np.zeros(len(inputs))
    for t, w, k, factor in causal:
        of_w[k] += factor * model.dt_dw(sums, t_post, t, w)
        of_t[k] += model.dt_dt(sums, t_post, t, w)
    return of_w, of_t


def differences(model, inputs, v_th):
    """The same from the firing time itself, with each weight and each time a little larger and a little smaller."""
    of_t, of_w = np.zeros(len(inputs)), np.zeros(len(inputs))
    for k in range(len(inputs)):
        for which, result in enumerate((of_t, of_w)):
            moved = [[list(pair) for pair in inputs] for _ in range(2)]
            moved[0][k][which] += STEP
            moved[1][k][which] -= STEP
            more, less = (fire(model, of, v_th)[0] for of in moved)
            result[k] = (more - less) / (2 * STEP)
    return of_w, of_t


def compare(model, document, inputs, v_th):
    """Print firing time and derivatives, by the formulas, by differences, and by the document's functions."""
    t_post, of = fire(model, inputs, v_th)[0], derivatives(model, inputs, v_th)
    true = differences(model, inputs, v_th)
    t_pre, w = np.array(inputs).T
    t_document, causal = relpsp.first_spike(t_pre, w, lambda t, w: document.crossing(t, w, v_th))
    of_document = document.derivatives(t_post, t_pre[causal], w[causal])
    show("firing time", t_post)
    show("firing time, in plain loops", t_document)
    for name, formula, difference in zip(("dt/dw", "dt/dt_i"), of, true, strict=True):
        show(f"{name}, by the formula", formula)
        show(f"{name}, by differences", difference)
    print(f"largest difference of the two: {np.abs(np.subtract(of, true)).max():.1g}")
    largest = np.abs(np.array(of)[:, causal] - of_document).max()
    print(f"largest difference from the plain loops: {max(largest, abs(t_post - t_document)):.1g}")


def of_relpsp():
    inputs, v_th = [(0.0, 0.3), (1.0, -0.1), (2.0, 0.4), (5.0, 0.5)], 1.0
    compare(linear, relpsp, inputs, v_th)
    return {"model": linear, "inputs": inputs, "v_th": v_th}


def of_mostafa():
    inputs, v_th = [(math.exp(t), w) for t, w in [(0.0, 0.8), (0.5, -0.3), (0.8, 1.2), (2.5, 0.5)]], 1.0
    compare(exponential, mostafa, inputs, v_th)
    return {"model": exponential, "inputs": inputs, "v_th": v_th}


def of_comsa():
    inputs, v_th = [(0.0, 0.3), (2.0, -0.1), (3.0, 0.4), (9.0, 0.4)], 1.0
    compare(alpha, comsa, inputs, v_th)
    return {"model": alpha, "inputs": inputs, "v_th": v_th}


def of_stidi():
    inputs, v_th = [(0.0, 0.6), (10.0, -0.3), (30.0, 1.2), (90.0, 0.5)], 1.0
    t_pre, w = np.array(inputs).T
    t_post, _, _ = fire(triangular, inputs, v_th)
    show("firing time", t_post)
    show("firing time, in plain loops", stidi.first_spike(t_pre, w, v_th))
    of = derivatives(triangular, inputs, v_th)
    since = t_post - t_pre
    in_loops = -t_post / v_th * stidi.eps(since), t_post / v_th * w * stidi.slope(since)
    true = differences(triangular, inputs, v_th)
    for name, formula, difference in zip(("dt/dw", "dt/dt_i"), of, true, strict=True):
        show(f"{name}, the surrogate", formula)
        show(f"{name}, by differences", difference)
    ratio = (w * stidi.slope(since)).sum() * t_post / v_th
    show("slope of V at the spike, over that of the line from 0", ratio)
    scaled, loops = np.abs(np.subtract(of, np.multiply(true, ratio))), np.abs(np.subtract(of, in_loops))
    print(f"largest difference from the true one times that number: {scaled.max():.1g}")
    print(f"largest difference from the plain loops: {loops.max():.1g}")
    return {"model": triangular, "inputs": inputs, "v_th": v_th}


def of_s4nn():
    inputs, v_th, t_max = [(3, 60.0), (7, 50.0), (9, 40.0)], 100.0, 256
    exceeds = math.nextafter(v_th, math.inf)  # V > v_th is V >= the next larger number
    show("firing time", fire(step, inputs, exceeds)[0] + 1)
    t_pre, w = np.array(inputs).T
    (_, t_post), _ = s4nn.present(t_pre, [w[None]], [v_th], t_max)
    show("firing time, in plain loops", t_post)
    show("dt/dw, the surrogate", derivatives(step, inputs, exceeds)[0])
    show("dt/dt_i, the surrogate", derivatives(step, inputs, exceeds)[1])
    true = differences(step, inputs, exceeds)
    show("dt/dw, by differences", true[0])
    inputs_less = [(3, 60.0), (7, 40.0), (9, 40.0)]  # 60 + 40 reaches the threshold, but does not exceed it
    show("firing time with 40 in place of 50", fire(step, inputs_less, exceeds)[0] + 1)
    return {"model": step, "inputs": inputs, "v_th": v_th, "delay": 1}


def with_signs(t_pre, w, factor):
    """Inputs as BS4NN's neurons meet them."""
    return [(int(t), factor * np.sign(w_i)) for t, w_i in zip(t_pre, w, strict=True)]


def of_bs4nn():
    t_pre, w, factor, t_max = np.array([3, 5, 7, 8]), np.array([0.7, -0.2, 1.3, 0.1]), 60.0, 256
    inputs = with_signs(t_pre, w, factor)
    exceeds = math.nextafter(bs4nn.V_TH, math.inf)
    show("weights that the spikes meet", [w_i for _, w_i in inputs])
    show("firing time", fire(step, inputs, exceeds)[0] + 1)
    (_, t_post), _ = s4nn.present(t_pre, [np.sign(w)[None]], [bs4nn.V_TH / factor], t_max)
    show("firing time, in plain loops", t_post)
    show("dt/dw, the surrogate", derivatives(step, inputs, exceeds)[0])
    moved = [with_signs(t_pre, w + d, factor) for d in (0.05, -0.05)]
    show("firing time, weights 0.05 larger, and smaller", [fire(step, of, exceeds)[0] + 1 for of in moved])
    weights, factors = [np.array([w, -w])], np.array([factor])  # a second output, which stays silent
    bs4nn.update(t_pre, 1, weights, factors, ([1.0], [0.0], 0.01), 1, t_max)
    show("what an update adds to the weights", weights[0] - [w, -w])
    show("and to the factor", factors - factor)
    return {"model": step, "inputs": inputs, "v_th": bs4nn.V_TH, "delay": 1}
