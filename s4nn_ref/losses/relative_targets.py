"""Relative target times, temporal error and cost of DS4NN (Eqs. 4-6 and 9).

Source: Mirsadeghi et al. 2023, sections 2.2.1 and 2.2.2. Departures D7 and D10 in docs/deviations.md. Reference:
reference/ds4nn.py, Eqs. 4-6 and 9.
"""

from dataclasses import dataclass, field

import numpy as np


def target_times(t_out: np.ndarray, labels: np.ndarray, lam: float, t_max: int) -> np.ndarray:
    """Relative target firing times (Eq. 4).

    t_out  : (B, classes) firing times of the output layer, time steps
    labels : (B,) class of each image
    lam    : separation margin lambda, time steps
    Returns float (B, classes): tau_min - lam for the label, tau_max + lam for the others, clipped to [0, t_max].
    """
    tau_min = t_out.min(axis=1).astype(np.float64)
    tau_max = t_out.max(axis=1).astype(np.float64)
    t_target = np.repeat(np.minimum(tau_max + lam, t_max)[:, None], t_out.shape[1], axis=1)  # Eq. 4, i != j
    t_target[np.arange(len(labels)), labels] = np.maximum(tau_min - lam, 0.0)  # Eq. 4, i = j
    return t_target


def leads(t_out: np.ndarray, labels: np.ndarray, lam: float) -> np.ndarray:
    """Outputs whose order is already right: true for a wrong output at least lam later than the label's, and for the
    label's where all of them are (the hinge, D10).

    Shapes as in `target_times`; returns bool (B, classes).
    """
    row = np.arange(len(labels))
    done = t_out - t_out[row, labels].astype(np.float64)[:, None] >= lam
    done[row, labels] = True
    done[row, labels] = done.all(axis=1)
    return done


def temporal_error(t_out, labels, lam, t_max, hinge=False) -> np.ndarray:
    """Temporal error, which is also the output layer's delta (Eqs. 5 and 9), in units of t_max (D7).

    Shapes as in `target_times`; hinge drops the errors of outputs in the right order (D10).
    Returns float (B, classes).
    """
    e = (t_out - target_times(t_out, labels, lam, t_max)) / t_max  # Eqs. 5 and 9
    if hinge:
        e[leads(t_out, labels, lam)] = 0.0
    return e


def cost(e: np.ndarray) -> np.ndarray:
    """Cost of each image (Eq. 6). e : (B, classes) -> (B,)."""
    return 0.5 * (e**2).sum(axis=1)  # Eq. 6


@dataclass(frozen=True)
class Loss:
    """lam : separation margin lambda, time steps   hinge : outputs in the right order have no error (D10)"""

    lam: float = field(default=10.0, metadata={"least": 0})  # Table 1
    hinge: bool = False

    def error(self, outputs, labels) -> tuple[np.ndarray, np.ndarray]:
        e = temporal_error(outputs.t_out, labels, self.lam, outputs.silent, self.hinge)
        return cost(e), e
