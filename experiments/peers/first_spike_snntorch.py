"""The same structure in snnTorch, as its documentation has a user write a time-to-first-spike network.

No page of it holds the whole; the pieces are those of its documentation (snntorch.readthedocs.io):

- Tutorial 1, section 2.3: latency coding by `spikegen.latency`, linear and normalised, dark pixels silent;
- Tutorial 6, sections 2.2 to 3.3: convolution, max-pooling and `Leaky` neurons in a Sequential, called once per time
  step, fast-sigmoid surrogate of slope 25, Adam on the gradient through all steps;
- page `snntorch.functional`: `ce_temporal_loss`, the cross-entropy of negated first firing times, and the decision of
  `accuracy_temporal`, the output that fires first.

Neurons do not leak (beta = 1) and there are no biases, as in ours. They may fire again after their first spike: the
library knows none that may not, and its loss and its decision read the first.
"""

from functools import partial

import snntorch
import torch
from snntorch import functional, spikegen, surrogate, utils
from torch import nn

from .modules import modules, pixels


class FirstSpike:
    """The structure and t_max of an s4nn_ref.network.Network, with PyTorch's initial weights. eta : learning rate"""

    def __init__(self, network, eta: float):
        self.t_max = network.t_max
        neuron = partial(snntorch.Leaky, beta=1.0, spike_grad=surrogate.fast_sigmoid(slope=25), init_hidden=True)
        self.model = nn.Sequential(*modules(network, neuron), neuron(output=True))
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=eta)
        self.loss = functional.ce_temporal_loss()

    def spikes(self, images):
        """Output spikes (t_max, B, classes) for uint8 images (B, H, W, C)."""
        coded = spikegen.latency(pixels(images), num_steps=self.t_max, tau=5, clip=True, normalize=True, linear=True)
        utils.reset(self.model)
        return torch.stack([self.model(spikes)[0] for spikes in coded])

    def learn(self, images, labels) -> float:
        """One update from a batch; returns its cost. labels : int (B,)"""
        cost = self.loss(self.spikes(images), torch.tensor(labels, dtype=torch.long))
        self.optimiser.zero_grad()
        cost.backward()
        self.optimiser.step()
        return cost.item()

    @torch.no_grad()
    def decide(self, images):
        """Class of each image, (B,): the output that fires first, of equal ones that of lowest index."""
        spikes = self.spikes(images)
        first = torch.where(spikes.any(dim=0), spikes.argmax(dim=0), self.t_max - 1)
        return first.argmin(dim=1).numpy()
