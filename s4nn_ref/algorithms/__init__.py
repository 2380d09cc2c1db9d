"""Learning algorithms behind one small contract: DS4NN, and its predecessors S4NN and BS4NN (docs/algorithms.md)."""

from typing import Protocol

import numpy as np

from s4nn_ref.algorithms.bs4nn import BS4NN
from s4nn_ref.algorithms.ds4nn import DS4NN
from s4nn_ref.algorithms.s4nn import S4NN
from s4nn_ref.config import Config

ALGORITHMS = {"ds4nn": DS4NN, "s4nn": S4NN, "bs4nn": BS4NN}


class Algorithm(Protocol):
    """What training asks of an algorithm, made as Algorithm(config, rng, batches).

    rng draws the initial weights; batches : calls of `learn` in an epoch.
    """

    @staticmethod
    def presented(config: Config) -> int:
        """Images per call of `learn`."""

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Learn from uint8 images (n, H, W) and labels (n,); returns cost and whether the decision was right, (n,)."""

    def parameters(self) -> np.ndarray:
        """The weights to evaluate, laid out as Network.parameters."""

    def end_epoch(self, images: int, rng: np.random.Generator) -> None:
        """Called between two epochs, of so many images each, behind the validation of the first."""

    def state(self) -> dict[str, np.ndarray]:
        """All that changes while learning: written to a checkpoint, and filled in place from one."""
