"""Teachers: trained networks whose opinion of an image is learned beside its label (D48; Hinton, Vinyals, Dean 2015).

The opinion of one teacher is a softmax of its final potentials, q_c ~ exp(V_c(t_max - 1) / temperature); that of
several is their mean. With weight alpha (`learning.distillation`) and label l, the target is the distribution

    y_c = (1 - alpha) [c = l] + alpha q_c,     and the cost     E = sum_c y_c E(c),

E(c) being what the loss says of class c, so that any loss can be taught. Derivation: docs/extensions.md.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from s4nn_ref.network import Network

NEGLIGIBLE = 1e-3  # an opinion of so small a share of the largest one is none: each class costs the loss once more


@dataclass(frozen=True)
class Teacher:
    """A trained network in integer time.

    encoding : of its images   file : the name of its file   classes : their names, () where it has none
    """

    network: Network
    encoding: str
    file: str
    classes: tuple[str, ...] = ()

    def as_dict(self) -> dict:
        """What a record and a checkpoint say of it."""
        digest = hashlib.sha256(self.network.parameters.tobytes())
        digest.update(repr((self.network.settings, self.encoding)).encode())
        return {"file": self.file, "sha256": digest.hexdigest()}


class Teachers:
    """Trained networks of the same images and classes, asked together.

    teachers : at least one   batch : the largest number of images that are asked about at once
    """

    def __init__(self, teachers: tuple[Teacher, ...], batch: int):
        self.asked = []
        for teacher in teachers:
            network = teacher.network.fused()
            self.asked.append((network, network.room(batch, peaks=False), teacher.encoding))

    def opinions(self, images: np.ndarray, temperature: float) -> np.ndarray:
        """q (B, classes) of images (B, H, W, C); classes of less than NEGLIGIBLE of the likeliest have 0.

        temperature : potential units
        """
        q = 0.0
        for network, room, encoding in self.asked:
            v = network.outputs(network.forward(network.encode(images, encoding), out=room)).v_end.astype(float)
            likely = np.exp((v - v.max(axis=1, keepdims=True)) / temperature)
            q = q + likely / likely.sum(axis=1, keepdims=True)
        q[q < NEGLIGIBLE * q.max(axis=1, keepdims=True)] = 0.0
        return q / q.sum(axis=1, keepdims=True)


def targets(labels: np.ndarray, q: np.ndarray, distillation: float) -> np.ndarray:
    """y (B, classes) of labels (B,) and opinions q (B, classes)."""
    y = distillation * q
    y[np.arange(len(labels)), labels] += 1.0 - distillation
    return y


def expected_error(loss, outputs, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cost (B,) and error of a loss (losses/__init__.py) where y (B, classes) says how much each class is the label."""
    images, ranked = np.arange(len(y)), np.argsort(-y, axis=1, kind="stable")
    cost, error = np.zeros(len(y)), 0.0
    for classes in ranked.T:  # the likeliest class of each image, then the second ..
        share = y[images, classes]
        if not share.any():
            break
        of_classes, slope = loss.error(outputs, classes)
        cost += share * of_classes
        error = error + share.reshape(-1, *(1,) * (slope.ndim - 1)) * slope
    return cost, error
