"""What kernels hand to each other: the state of a layer, its error, and how it is pooled."""

from typing import NamedTuple

import numpy as np

NO_WINNER = np.empty((1, 0, 0), np.int16)
NOT_COUNTED = np.empty((1, 0), np.int32)


class State(NamedTuple):
    """Firing of one layer for a batch of B images; kernels see the positions P = H*W as one axis, see `flat`.

    t_post : (B, H, W, M) firing times; int16 steps with t_max where silent, or float64 with inf where silent (D33)
    t_peak : (B, H, W, M) when the potential was largest, up to and including the threshold crossing; the firing time of
             a neuron that fired; -1 where the potential never rose above 0, and for silent neurons in continuous time
    v_peak : (B, H, W, M) that potential, potential units; at least the threshold where the neuron fired; 0 for silent
             neurons in continuous time, which do not learn
    winner : int16 (B, H, W, M), after a pooling: the place in its window, row by row, of the neuron whose spike was
             passed on; None for other layers
    spikes : int32 (B, t_max), after a convolution that was pooled at once: how many of its neurons fire in each step;
             None where that is not counted
    v_end  : (B, M), output layer: the potential after the last input spike; None for other layers
    v_late : (B, M), output layer: the potential LATE steps before t_max; None for other layers
    sums   : float64 (B, 2, P, M), the sums (neurons/__init__.py) with which each neuron that fired did so; None but in
             the fast engine of continuous time
    """

    t_post: np.ndarray
    t_peak: np.ndarray
    v_peak: np.ndarray
    winner: np.ndarray | None = None
    spikes: np.ndarray | None = None
    v_end: np.ndarray | None = None
    v_late: np.ndarray | None = None
    sums: np.ndarray | None = None

    def head(self, n: int) -> "State":
        """The first n images, views."""
        return State(*(None if array is None else array[:n] for array in self))

    def without_peaks(self) -> "State":
        """The same without peaks of potentials and winners: arrays of no positions."""
        no_peaks = (array[:, :0] for array in self[1:3])
        return State(self.t_post, *no_peaks, None, *self[4:])

    def flat(self) -> "State":
        """The same memory with positions as one axis, (B, P, M), and empty arrays in place of None."""
        n, maps = len(self.t_post), self.t_post.shape[-1]
        whole = [None if array is None else array.reshape(n, -1, maps) for array in self[:4]]
        whole[3] = NO_WINNER if self.winner is None else whole[3]
        return State(*whole, NOT_COUNTED if self.spikes is None else self.spikes, self.v_end, self.v_late, self.sums)


class Pooling(NamedTuple):
    """Spike-pooling after a layer: the side of its window (1: none), and whether ties go to the larger potential
    instead of the lowest index (D8)."""

    window: int
    by_potential: bool


class Error(NamedTuple):
    """The error of a layer, as it enters Eqs. 10 and 12; P'' positions, after pooling.

    g      : (B, P'', M), synaptic error: dE/dt dt/dV without its sign, normalised (Eqs. 8 and 11)
    t_mask : (B, P'', M), time of the neuron in the causality masks
    winner : int16 (B, P'', M), as in State; empty without pooling
    sums   : as in State
    """

    g: np.ndarray
    t_mask: np.ndarray
    winner: np.ndarray
    sums: np.ndarray | None = None
