"""What the kernels compute with: lanes, compiled and as NumPy arrays, and the order of real times."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from s4nn_ref.kernels import lanes
from s4nn_ref.kernels.lanes import REALS, bits, lane, lowest, real, reals, store, total, where
from s4nn_ref.kernels.spikes import in_time_order

EDGE = 3  # columns of the last, incomplete block


def use_of_reals(a, b, out):
    """Everything that lanes of reals can do; a, b (2, REALS + EDGE), out (8, REALS + EDGE)."""
    found = (0, 0, 0.0, 0.0)
    for first in (0, REALS):
        x, y = reals(a, 0, first), reals(b, 1, first)
        store(out, 0, first, 2.0 * x + y - 1)
        store(out, 1, first, x / y)
        store(out, 2, first, where((x > y) & (x >= 0.25), x, real(0.0)))
        store(out, 3, first, np.minimum(np.maximum(x, -0.5), 0.5))
        number = bits(x < y)
        found = (number, lowest(number), lane(y, EDGE - 1), total(x * y))
        if first == 0:
            out[4, 0], out[4, 1], out[4, 2], out[4, 3] = found
    out[5, 0], out[5, 1], out[5, 2], out[5, 3] = found


def operands(precision):
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 2, REALS + EDGE)).astype(precision)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_lanes_of_reals_do_what_arrays_do(precision):
    a, b = operands(precision)
    out = np.zeros((8, REALS + EDGE))
    numba.njit(error_model="numpy")(use_of_reals)(a, b, out)
    x, y = a[0].astype(float), b[1].astype(float)
    np.testing.assert_array_equal(out[0], 2 * x + y - 1)
    np.testing.assert_allclose(out[1], x / y, rtol=1e-15)
    np.testing.assert_array_equal(out[2], np.where((x > y) & (x >= 0.25), x, 0))
    np.testing.assert_array_equal(out[3], np.clip(x, -0.5, 0.5))
    for row, first, width in ((4, 0, REALS), (5, REALS, EDGE)):
        block = slice(first, first + width)
        set_ = np.flatnonzero(x[block] < y[block])
        assert out[row, 0] == (1 << set_).sum()
        assert out[row, 1] == set_[0]
        assert out[row, 2] == y[block][EDGE - 1]
        assert out[row, 3] == pytest.approx((x[block] * y[block]).sum(), rel=1e-14)


def test_without_a_compiler_lanes_are_arrays():
    """NUMBA_DISABLE_JIT=1: the same function, the same numbers."""
    a, b = operands("float32")
    out = np.zeros((8, REALS + EDGE))
    numba.njit(error_model="numpy")(use_of_reals)(a, b, out)
    plain = "import numpy, test_lanes as t; o = numpy.zeros((8, t.REALS + t.EDGE))\n"
    plain += "t.use_of_reals(*t.operands('float32'), o); print(o.tolist())"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(["tests", "."])}
    text = subprocess.run([sys.executable, "-c", plain], env=environment, check=True, capture_output=True, text=True)
    np.testing.assert_allclose(np.array(eval(text.stdout)), out, rtol=1e-14, atol=0)


def test_lanes_of_two_widths_do_not_mix():
    with pytest.raises(numba.TypingError):
        numba.njit(lambda a: lanes.load(a, 0, 0) + lanes.reals(a, 0, 0))(np.zeros((1, 64)))


@pytest.mark.parametrize("n", [0, 1, 7, 300, 5000])
def test_times_are_sorted_stably(n):
    rng = np.random.default_rng(n)
    t = rng.choice([rng.normal(size=n), rng.uniform(0, 1e-300, n), 1e9 + rng.integers(0, 9, n)], axis=0).ravel()[:n]
    t[rng.random(n) < 0.2] = np.inf
    t[rng.random(n) < 0.2] = 3.5
    t[rng.random(n) < 0.1] = -0.0
    t[rng.random(n) < 0.1] = 0.0
    np.testing.assert_array_equal(in_time_order(t), np.argsort(t, kind="stable"))
