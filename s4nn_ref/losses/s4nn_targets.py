"""Target times of S4NN: a margin gamma between the first output spike and the others.

Source: Kheradpisheh and Masquelier 2020. In DS4NN's network, for Table 3, a choice of ours (D22). Reference:
reference/s4nn.py, `target_times`.
"""

from dataclasses import dataclass, field

import numpy as np


def target_times(t_out, label, gamma, gamma_silent, t_max, t_target):
    """Target times of one image: the label's is the first firing time; an output that fires less than gamma after it
    shall wait until then; the rest keep their own. In a silent output layer the label shall fire gamma_silent before
    the end.

    t_out : (M,), firing times   label : its class   Overwrites t_target (M,).
    """
    first = t_out.min()
    for k in range(t_out.size):
        t_target[k] = min(first + gamma, t_max) if t_out[k] - first < gamma else t_out[k]
    t_target[label] = first
    if first >= t_max:
        t_target[:] = t_max
        t_target[label] = np.floor(t_max - gamma_silent)  # the authors cut it to an integer


@dataclass(frozen=True)
class Loss:
    """gamma : margin, time steps"""

    gamma: float = field(default=3.0, metadata={"least": 0})

    def error(self, outputs, labels) -> tuple[np.ndarray, np.ndarray]:
        """dE/dt in units of t_max (D7)."""
        target = np.empty(outputs.t_out.shape)
        for t_out, label, t_target in zip(outputs.t_out, labels, target, strict=True):
            target_times(t_out, label, self.gamma, self.gamma, outputs.silent, t_target)
        e = (outputs.t_out - target) / outputs.silent
        return 0.5 * (e**2).sum(axis=1), e
