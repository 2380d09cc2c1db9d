"""The last step of training: output weights are raised until hardly a validation image stays silent (D23).

Multiplying the output weights by a factor is the same as dividing the output threshold by it: the order of the hidden
spikes, and of the output potentials, stays; decisions come earlier, and from a spike instead of the final potentials.
"""

import numpy as np

from s4nn_ref.config import Config
from s4nn_ref.data import Dataset
from s4nn_ref.dense import output_potentials
from s4nn_ref.encoding import encode
from s4nn_ref.network import BATCH, Network, network_of

_ROUNDING = 1.0 + 1e-5  # sums in single precision must reach the threshold too


def nearest_to_threshold(network: Network, images: np.ndarray, rounding: str) -> np.ndarray:
    """How near each image brings an output to its threshold: the largest V(t) / theta(t), over outputs and time, as if
    none had fired (Eq. 2); theta falls with time where the network says so (D25).

    images : uint8 (n, H, W)   ->   (n,)
    """
    nearest, w_pre = np.empty(len(images)), network.matrices(network.parameters)[-1]
    bound = network.output_bound()[:, None]
    for begin in range(0, len(images), BATCH):
        states = network.forward(encode(images[begin : begin + BATCH], network.t_max, rounding), every_layer=False)
        for b, t_pre in enumerate(states[-2].t_post):
            nearest[begin + b] = (output_potentials(t_pre.ravel(), w_pre, network.t_max) / bound).max()
    return nearest


def output_factor(nearest: np.ndarray, silent: float) -> float:
    """The least factor >= 1, but for a margin of 1e-5, that leaves at most a share `silent` of images without an output
    spike.

    nearest : (n,) of `nearest_to_threshold`. Images that excite no output at all cannot be helped and are left out.
    """
    reach = np.sort(nearest)[min(int(silent * len(nearest)), len(nearest) - 1) :]
    reach = reach[reach > 0]
    return max(1.0, _ROUNDING / reach[0]) if len(reach) else 1.0


def calibrated(config: Config, parameters: np.ndarray, validate: Dataset) -> tuple[np.ndarray, float]:
    """parameters with the output layer's raised as config.training.silent asks of the validation images; the factor."""
    if not config.training.silent:
        return parameters, 1.0
    network = network_of(config)
    network.parameters[:] = parameters
    nearest = nearest_to_threshold(network, validate.images, config.data.rounding)
    factor = output_factor(nearest, config.training.silent)
    network.parameters[network.slices[-1]] *= factor
    return network.parameters, float(factor)
