"""What is measured: a shipped network, images, and what training does with them."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import Config
from s4nn_ref.data import dataset
from s4nn_ref.encoding import encode
from s4nn_ref.network import Network
from s4nn_ref.training.loop import Progress, Training, split_validation
from s4nn_ref.training.optimisers import Optimiser

ROOT = Path(__file__).resolve().parent.parent.parent
BATCH = 32


class Case(NamedTuple):
    """A network, its experiment and test images: uint8 (B, H, W, C), and their labels (B,)."""

    network: Network
    config: Config
    images: np.ndarray
    labels: np.ndarray

    def head(self, batch: int) -> "Case":
        """The same with the first `batch` images."""
        return self._replace(images=self.images[:batch], labels=self.labels[:batch])

    def learner(self):
        """The experiment's algorithm from the network's weights, with a learning rate of 0."""
        config, steps = at_rest(self.config, self.network, batch=len(self.labels)), 1000
        algorithm = ALGORITHMS["ds4nn"](
            config,
            np.random.default_rng(0),
            steps,
            lambda network: Optimiser(config.optimiser, network, steps, config.training.epochs),
        )
        algorithm.network.parameters[:] = self.network.parameters
        return algorithm


def at_rest(config: Config, network: Network, **training) -> Config:
    """The experiment with a learning rate of 0: all training steps take the same time. training : its keys"""
    return config.changed("optimiser", eta=[0.0] * len(network.w)).changed("training", **training)


def case_of(name: str, weights: str, data_dir, batch: int, t_max: int | None = None) -> Case:
    """A shipped experiment with `batch` images.

    weights : "trained" or "initial"   t_max : number of time steps in place of the experiment's
    """
    network, config = read_weights(ROOT / "weights" / f"{name}.npz")
    if t_max:
        trained, config = network, config.changed("network", t_max=t_max)
        network = Network(config.network)
        network.parameters[:] = trained.parameters
    if weights == "initial":
        network.initialise(config.network.init, np.random.default_rng(0))
    images = dataset.load(config.data.dataset, "test", data_dir).head(batch)
    return Case(network, config, images.images, images.labels)


class Work:
    """A network and a batch of images, presented as in training.

    network : the network   fused : the same, as training runs it   room, grad : what `forward` and `backward` overwrite
    """

    def __init__(self, name: str, weights: str, data_dir, batch: int = BATCH, engine: str = "fast"):
        self.case = case_of(name, weights, data_dir, batch)
        network, self.config, self.images, self.labels = self.case
        if engine != self.config.network.engine:
            trained, network = network, Network(replace(self.config.network, engine=engine))
            network.parameters[:] = trained.parameters
        self.name, self.weights, self.network = name, weights, network
        self.t_in = encode(self.images, network.t_max, self.config.data.encoding)
        self.fused, self.grad = network.fused(), network.gradients()
        self.room = self.fused.room(len(self.labels))

    def with_exact_sums(self) -> "Work":
        """Weights in 64ths: their sums do not depend on the order, so firing times can be equal to a peer's."""
        self.network.parameters[:] = np.round(self.network.parameters * 64) / 64
        return self

    def forward(self, t_in=None):
        """The states of the batch, or of other firing times t_in."""
        return self.fused.forward(self.t_in if t_in is None else t_in, out=self.room)

    def output_error(self, states) -> np.ndarray:
        """dE/dV of the output neurons in every step, (B, t_max, classes)."""
        return self.config.learning.loss.error(self.fused.outputs(states), self.labels)[1]

    def backward(self, states) -> None:
        """Add the weight gradients to `grad`."""
        le = self.config.learning
        self.fused.backward(states, self.output_error(states), self.grad, le.surrogate, le.normalise)

    def both(self) -> None:
        """Forward and backward."""
        self.backward(self.forward())

    def epoch(self, data_dir, rounds: int, images: int = 5_500) -> float:
        """Seconds of a training epoch on all threads, with the experiment's batches and augmentation.

        The median over rounds for the first `images` images, scaled to all.
        """
        config = at_rest(self.config, self.network)
        learn, validate = split_validation(dataset.load(config.data.dataset, "train", data_dir), config)
        training = Training(config, learn.head(images), validate.head(0))
        training.algorithm.network.parameters[:] = self.network.parameters
        for _ in range(1 + rounds):
            training.run_epoch(Progress(), {"set": False})
            training.close_epoch()
        seconds = np.median([row["seconds"] for row in training.history[1:]])
        return float(seconds) * len(learn.labels) / len(training.data.labels)

    def step(self):
        """A function that makes one whole training step."""
        learner = self.case.learner()
        return lambda: learner.learn(self.images, self.labels)
