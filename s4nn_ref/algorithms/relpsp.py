"""ReL-PSP: spike-timing-dependent backpropagation with linear postsynaptic potentials (Zhang et al. 2022).

The neuron is neurons/linear.py; its firing times are differentiated exactly, and the outputs learn by the cross-entropy
of a softmax over -t / temperature. Settings are ours (D38). Reference: reference/relpsp.py.
"""

from dataclasses import dataclass, field

from s4nn_ref.algorithms._continuous import ContinuousAlgorithm, check_continuous
from s4nn_ref.neurons import linear


@dataclass(frozen=True)
class Settings:
    """temperature : of the softmax over firing times, in their unit
    silence     : what a neuron's silence for an image adds to the negative gradient of each of its weights
    enough      : an image whose cost is below has no error
    """

    temperature: float = field(default=1.0, metadata={"above": 0})
    silence: float = field(default=0.0, metadata={"least": 0})
    enough: float = field(default=0.0, metadata={"least": 0})


class Algorithm(ContinuousAlgorithm):
    """See s4nn_ref/algorithms/__init__.py."""

    neuron = linear

    @property
    def enough(self) -> float:
        return self.config.learning.enough

    @staticmethod
    def check(config, specs) -> None:
        check_continuous("relpsp", config)

    def regularise(self, states, n_images: int) -> None:
        self.pull_silent(states, self.config.learning.silence)
