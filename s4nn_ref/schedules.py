"""Learning-rate schedules: the factor on eta over the run (D12). Sources: sections 3.2 and 4 of the paper; cosine:
Loshchilov and Hutter 2017."""

import math
from dataclasses import dataclass, field

_DECAY = {"above": 0, "most": 1}


@dataclass(frozen=True)
class Step:
    """eta falls by the factor `decay` every `decay_every` epochs; section 4: "discounts by 10% every 5 epochs"."""

    decay: float = field(default=0.9, metadata=_DECAY)
    decay_every: int = field(default=5, metadata={"least": 1})

    def factor(self, epoch: int, update: int, updates: int) -> float:
        """epoch : finished ones   update, updates : done, and of the whole run"""
        return self.decay ** (epoch // self.decay_every)


@dataclass(frozen=True)
class Exponential:
    """eta falls by the factor `decay` every epoch; section 3.2: "an exponential function"."""

    decay: float = field(default=0.9, metadata=_DECAY)

    def factor(self, epoch: int, update: int, updates: int) -> float:
        return self.decay**epoch


@dataclass(frozen=True)
class Cosine:
    """eta falls to 0 along half a cosine."""

    def factor(self, epoch: int, update: int, updates: int) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * update / max(updates, 1)))


@dataclass(frozen=True)
class Constant:
    """eta stays."""

    def factor(self, epoch: int, update: int, updates: int) -> float:
        return 1.0


SCHEDULES = {"step": Step, "exponential": Exponential, "cosine": Cosine, "constant": Constant}


class Course:
    """How far a run has come, and the factor on its learning rates.

    updates_in_epoch, epochs : the length of the run   step : 0-dimensional int64 array, the updates done
    """

    def __init__(self, schedule, updates_in_epoch: int, epochs: int, step):
        self.schedule, self.updates_in_epoch, self.step = schedule, updates_in_epoch, step
        self.updates = updates_in_epoch * epochs

    def next_factor(self) -> float:
        """The factor of the next update, which is counted."""
        step = int(self.step)
        self.step += 1
        return self.schedule.factor(step // self.updates_in_epoch, step, self.updates)
