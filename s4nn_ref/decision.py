"""The decision of a network: the class of its earliest output neuron (section 2.1)."""

import numpy as np


def fired(t: np.ndarray, silent: float) -> np.ndarray:
    """Whether neurons fired, of firing times t.

    silent : the time held by a neuron that did not fire: t_max where times are integer steps, inf where continuous
    """
    return t < silent


def decide(t_out: np.ndarray, v_peak: np.ndarray, v_end: np.ndarray, silent: float) -> np.ndarray:
    """Class of each image: the earliest output neuron.

    Ties are broken by the larger potential in that step, then the lowest index; when no output fires, the largest
    potential at the end decides (D20).

    t_out, v_peak, v_end : (B, classes), firing times, potentials at the spike, potentials at the end
    silent : see `fired`
    Returns int (B,).
    """
    first = t_out == t_out.min(axis=1, keepdims=True)
    none = ~fired(t_out, silent).any(axis=1, keepdims=True)
    return np.where(none, v_end, np.where(first, v_peak, -np.inf)).argmax(axis=1)
