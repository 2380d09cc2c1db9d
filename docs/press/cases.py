"""Equations 1-12 worked on the two-pixel network of docs/derivation.md, with the functions of reference/ds4nn.py.

A page shows the lines of a case, what they print, and a picture of what they return. They run when the site is built.
"""

import ast
import inspect
import io
from contextlib import redirect_stdout
from textwrap import dedent

import numpy as np

from s4nn_ref.reference import ds4nn
from s4nn_ref.reference.ds4nn import Weighted


def dense(rows):
    """A dense layer; row j holds the weights of neuron j."""
    return Weighted(np.array(rows, float)[:, None, None, :])


IMAGE = np.array([[[244, 239]]])  # two pixels
HIDDEN = dense([[120, 0], [60, 60]])
OUTPUT = dense([[150, 10], [50, 70]])
LABEL, LAM, V_TH, T_MAX = 1, 10, 100.0, 100
FOUR = [([60, 50], [3, 7]), ([60, 40], [3, 7]), ([120, -30], [5, 5]), ([120, -30], [5, 6])]  # weights, inputs


def show(name, values):
    start, values = f"{name} = ", np.round(np.array(values, float), 4) + 0.0  # + 0.0: no -0
    print(start + np.array2string(values, separator=", ", prefix=start, formatter={"all": "{:g}".format}))


def present():
    """The image, carried forward through both layers."""
    return ds4nn.forward(ds4nn.encode(IMAGE, T_MAX), [HIDDEN, OUTPUT], V_TH, T_MAX)


def errors():
    """The errors of both outputs."""
    return ds4nn.temporal_error(present()[-1].t.ravel(), LABEL, LAM, T_MAX)


def through(delta, kind="none"):
    """Weight gradient of the output layer, and delta of the hidden neurons, from delta of the outputs."""
    _, pre, post = present()
    g = ds4nn.synaptic_error(np.reshape(delta, (1, 1, -1)), np.full((1, 1, 2), V_TH), V_TH, kind=kind)
    dw, below = ds4nn.gradients(g, post.t, pre, OUTPUT, T_MAX)
    return dw[:, 0, 0], below.ravel()


def potential(t_pre, w, t_max=T_MAX):
    """V_j(t) of every step, as if nothing fired: Eq. 2 summed over time."""
    steps = np.arange(t_max)
    return np.array(w, float) @ (np.array(t_pre)[:, None] <= steps)


def eq01():
    image = np.array([[[255, 244, 239, 128, 0]]])
    t = ds4nn.encode(image, T_MAX)
    show("t", t.ravel())
    return {"intensity": image.ravel(), "t": t.ravel()}


def eq02():
    v = potential([4, 6], HIDDEN.w[:, 0, 0])
    show("V(3)", v[:, 3])
    show("V(4)", v[:, 4])
    show("V(5)", v[:, 5])
    show("V(6)", v[:, 6])
    firing = ds4nn.fire(ds4nn.encode(IMAGE, T_MAX), HIDDEN, V_TH, T_MAX)
    show("V at the spike", firing.v_peak.ravel())
    return {"v": v}


def eq03():
    t = []
    for w, inputs in FOUR:
        firing = ds4nn.fire(np.reshape(inputs, (1, 1, 2)), dense([w]), V_TH, T_MAX)
        t.append(firing.t.item())
        print(f"weights {w}, inputs at {inputs}: t = {t[-1]}")
    _, hidden, output = present()
    show("the example: t of the hidden neurons", hidden.t.ravel())
    show("the example: t of the outputs", output.t.ravel())
    return {"t": t}


def eq04():
    t = present()[-1].t.ravel()
    target = ds4nn.target_times(t, LABEL, LAM, T_MAX)
    show("t", t)
    show("T", target)
    show("t = (30, 40, 60): T", ds4nn.target_times(np.array([30, 40, 60]), LABEL, LAM, T_MAX))
    return {"t": t, "target": target}


def eq05():
    t = present()[-1].t.ravel()
    e = ds4nn.temporal_error(t, LABEL, LAM, T_MAX)
    show("e", e)
    show("t = (30, 40, 60): e", ds4nn.temporal_error(np.array([30, 40, 60]), LABEL, LAM, T_MAX))
    return {"t": t, "e": e}


def eq06():
    e = errors()
    E = ds4nn.cost(e)
    show("e squared / 2", e**2 / 2)
    show("E", E)
    show("t = (30, 40, 60): E", ds4nn.cost(np.array([-0.4, 0.2, -0.1])))
    return {"e": e, "E": E}


def eq07():
    e = errors()
    step = 1 / T_MAX  # a time is counted in units of T_max
    rate = []
    for j in range(2):
        later, earlier = e.copy(), e.copy()
        later[j] += step  # output j fires a step later, and its target stays
        earlier[j] -= step
        rate.append((ds4nn.cost(later) - ds4nn.cost(earlier)) / (2 * step))
    show("change of E per unit of time: delta", rate)
    return {"e": e, "delta": rate}


def eq08():
    delta, (_, hidden, output) = errors(), present()
    factor = -ds4nn.minus_dt_dv(V_TH, V_TH)
    mask = hidden.t.ravel() <= output.t.ravel()[:, None]
    show("delta_j", delta)
    show("dt/dV", factor)
    show("dV_j/dw_ji", mask)
    show("the product", delta[:, None] * factor * mask)
    dw, _ = through(delta)
    show("dE/dw", dw)
    return {"delta": delta, "factor": factor, "mask": mask, "dw": dw}


def eq09():
    e = errors()
    step = 1e-6
    slope = [(ds4nn.cost(e + step * one) - ds4nn.cost(e - step * one)) / (2 * step) for one in np.eye(2)]
    show("e", e)
    show("dE/dt", slope)
    return {"e": e, "delta": slope}


def eq10():
    delta, (_, hidden, output) = errors(), present()
    mask = hidden.t.ravel() <= output.t.ravel()[:, None]
    parts = delta[:, None] * OUTPUT.w[:, 0, 0] * mask
    show("delta_j w_ji [t_i <= t_j]", parts)
    _, below = through(delta)
    show("delta of the hidden neurons", below)
    first, _ = ds4nn.backward(present(), [HIDDEN, OUTPUT], delta, V_TH, T_MAX)
    show("dE/dw of the hidden layer", first[:, 0, 0])
    _, of_test = through([3, 5])
    show("delta_j = (3, 5): delta of the hidden neurons", of_test)
    return {"parts": parts, "mask": mask, "delta": below}


def eq11():
    e = errors()
    kinds = {kind: ds4nn.normalise(e, kind) for kind in ("none", "signed-sum", "l1", "l2")}
    for kind, delta in kinds.items():
        show(kind, delta)
    _, below = through(e, "signed-sum")
    show("hidden layer, signed-sum", below)
    show("and normalised itself", ds4nn.normalise(below, "signed-sum"))
    show("(3, 5), signed-sum", ds4nn.normalise(np.array([3, 5]), "signed-sum"))
    show("(-0.1, 0.11), signed-sum", ds4nn.normalise(np.array([-0.1, 0.11]), "signed-sum"))
    return {"kinds": kinds}


def eq12():
    _, hidden, output = present()
    w, more, lift = OUTPUT.w[:, 0, 0], 20, np.zeros((2, 2))
    for j, i in np.ndindex(2, 2):
        raised = w.copy()
        raised[j, i] += more
        before = potential(hidden.t.ravel(), w)
        after = potential(hidden.t.ravel(), raised)
        lift[j, i] = (after - before)[j, output.t.ravel()[j]] / more
    show("V_j(t_j) rises with w_ji by", lift)
    dw, _ = through([1, 1])  # delta = 1, so that dE/dw = -dV/dw
    show("-dE/dw where delta is 1", -dw)
    return {"more": more, "lift": lift}


def case(number: int):
    """The case of an equation, a function."""
    return globals()[f"eq{number:02}"]


def run(function) -> tuple[dict, str]:
    """What a case returns, and what it prints."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        values = function()
    return values, printed.getvalue().rstrip()


def code(function) -> str:
    """The lines of a case as they are shown: without its name, and without what it hands to the picture."""
    source = inspect.getsource(function)
    (definition,) = ast.parse(source).body
    return dedent("\n".join(source.splitlines()[1 : definition.body[-1].lineno - 1]))


def network_code() -> str:
    """The lines that make the network, and what the cases share."""
    lines = inspect.getsource(inspect.getmodule(dense)).splitlines(keepends=True)
    begin = lines.index(inspect.getsource(dense).splitlines(keepends=True)[0])
    end = next(k for k, line in enumerate(lines) if line.startswith("def eq01"))
    return "".join(lines[begin:end]).rstrip()
