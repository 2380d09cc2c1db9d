"""The dense network that a single-spike network stands for: the same structure with ReLU, in PyTorch.

Cross-entropy of the outputs, Adam. No biases, since a spiking network of ours has none.
"""

from functools import partial

import torch
from torch import nn
from torch.nn import functional

from .modules import modules, pixels


class Relu:
    """A ReLU network of the structure of an s4nn_ref.network.Network, with PyTorch's initial weights.

    channels_last : keep maps last in memory   eta : learning rate
    """

    def __init__(self, network, channels_last: bool, eta: float):
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        layers = modules(network, partial(nn.ReLU, inplace=True))
        self.model = nn.Sequential(*layers).to(memory_format=self.memory_format)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=eta)

    def learn(self, images, labels) -> float:
        """One update from a batch; returns its cost. images : uint8 (B, H, W, C)   labels : int (B,)"""
        outputs = self.model(pixels(images, self.memory_format))
        cost = functional.cross_entropy(outputs, torch.tensor(labels, dtype=torch.long))
        self.optimiser.zero_grad()
        cost.backward()
        self.optimiser.step()
        return cost.item()

    @torch.inference_mode()
    def decide(self, images):
        """Class of each image, (B,)."""
        return self.model(pixels(images, self.memory_format)).argmax(dim=1).numpy()
