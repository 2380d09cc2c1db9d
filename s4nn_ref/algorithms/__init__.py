"""Learning algorithms. A module is an algorithm; adding a file adds one, nothing else needs to know of it.

A module offers two classes. `Settings` is a frozen dataclass (s4nn_ref/settings.py): the keys of section [learning].
`Algorithm` learns:

class Algorithm:
    neuron = step                    the neuron model of its network, a module of s4nn_ref/neurons
    uses_optimiser = True            whether section [optimiser] is for it; else it updates weights by itself

    @staticmethod
    def check(config, specs):        raises InputError on an experiment that it would not follow; specs : of the layers
    @staticmethod
    def presented(config) -> int:    images per call of `learn`

    def __init__(self, config, rng, calls, optimiser):
        rng draws the initial weights; calls : of `learn` in an epoch; optimiser : function(network) -> Optimiser
    def learn(self, images, labels) -> (cost, right):
        learns from uint8 images (n, H, W, C) and labels (n,); cost of each image, and whether its decision was right
    def firing_times(self):          of the images presented last: for each layer, input first, its name and an array
                                     (n, ...), which the next `learn` overwrites
    def start_from(self, parameters):
        begins from the weights of a trained network, laid out as Network.parameters; called before the first `learn`;
        raises InputError where that cannot be
    def taught_by(self, teachers):   learns their opinion too (s4nn_ref/teachers.py), called before the first `learn`;
        only of an algorithm whose settings have the key `distillation`
    def parameters(self):            the weights to evaluate, laid out as Network.parameters
    def end_epoch(self, images, rng):  called between two epochs, of `images` images each
    def state(self) -> dict:         arrays of all that changes while learning: stored in checkpoints, filled in place
"""

from s4nn_ref.errors import InputError
from s4nn_ref.settings import Registry

SETTINGS = Registry("s4nn_ref.algorithms", "Settings")
ALGORITHMS = Registry("s4nn_ref.algorithms", "Algorithm")


def require(name: str, needs: list[tuple[str, bool, str]]) -> None:
    """Raise InputError for the first need that is not met: (key, whether it is as needed, what is needed)."""
    for key, good, needed in needs:
        if not good:
            raise InputError(f'learning.algorithm = "{name}" needs {key} = {needed}')
