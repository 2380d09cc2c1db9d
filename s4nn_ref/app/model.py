"""Trained networks in Python: arrays in, arrays out."""

from pathlib import Path

import numpy as np

from s4nn_ref.app import shipped
from s4nn_ref.app.progress import images_bar
from s4nn_ref.app.storage import read_weights, write_weights
from s4nn_ref.config import Config, config_of_dict
from s4nn_ref.data import dataset
from s4nn_ref.data.dataset import Dataset, check_fits
from s4nn_ref.encoding import intensities
from s4nn_ref.errors import InputError, shown
from s4nn_ref.kernels.running import let_waiting_threads_sleep
from s4nn_ref.metrics import Metrics, Responses, metrics_of, respond
from s4nn_ref.network import BATCH


def labels_of(labels, n: int) -> np.ndarray:
    """Labels of n images, whole numbers from 0, as the kernels read them. Raises InputError on any others."""
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise InputError(f"labels are an array {labels.shape} for {n} images, expected ({n},)")
    if labels.dtype.kind not in "iu":
        raise InputError(
            f"labels are {labels.dtype}, expected whole numbers 0, 1, ..; number them by "
            "np.unique(labels, return_inverse=True), or use s4nn_ref.sklearn.S4NNClassifier"
        )
    if n and labels.min() < 0:
        raise InputError(f"label {labels.min()} is negative; number the classes from 0")
    return labels.astype(np.uint8 if not n or labels.max() < 256 else np.int64)


class Model:
    """A trained network and its experiment.

    It is made by `s4nn_ref.fit` and `s4nn_ref.load`. Images are (n, rows, columns, channels), or (n, rows, columns) if
    they are grey: bytes, whole numbers 0..255, floats in [0, 1] or booleans (D39). Every array that is returned is the
    caller's own. Times are in steps 0 .. t_max - 1, and t_max stands for no spike; where the neurons are in continuous
    time, they are floats in its unit, and inf stands for no spike. Methods raise InputError on other images, and on
    images of another size than the network's.

    Attributes
    ----------
    config  : Config, the experiment, every key with its value; `config.as_dict()` gives tables
    history : list of dict, of each epoch: cost, train_accuracy, seconds, validation, ...; empty where it was loaded
    network : Network, for all that is not here

    >>> import numpy as np, s4nn_ref as s4nn
    >>> images, labels = np.eye(4, dtype=bool).reshape(4, 2, 2), np.arange(4)
    >>> model = s4nn.fit("4-4", images, labels, epochs=60, validation=0, verbose=False)
    >>> model.predict(images)
    array([0, 1, 2, 3])
    """

    def __init__(self, config: Config, parameters: np.ndarray, history: list[dict] | None = None):
        let_waiting_threads_sleep()
        self.config, self.network, self.history = config, config.network_of(), history or []
        self.network.parameters[:] = parameters

    def __repr__(self) -> str:
        size = "x".join(map(str, self.network.input_shape))
        return f"<Model {self.network.structure} on {size} images, {self.network.parameters.size:,} weights>"

    def __reduce__(self):
        return _rebuilt, (self.config.as_dict(), self.network.parameters, self.history)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, input first: ("input", "32C5", "P2", ..., "10")."""
        return self.network.tokens

    @property
    def weights(self) -> list[np.ndarray]:
        """Weights of each convolution and dense layer, float32 (maps, K_y, K_x, maps below), potential units."""
        return [w.copy() for w in self.network.w]

    def _read(self, images) -> np.ndarray:
        images = intensities(images)
        if images.shape[1:] != self.network.input_shape:
            found, needed = ("x".join(map(str, shape)) for shape in (images.shape[1:], self.network.input_shape))
            raise InputError(f"images are {found}, the network reads {needed}; bring them to this size")
        return images

    def responses(self, images) -> Responses:
        """What the network does with images, to the end of the simulation: see s4nn_ref.metrics.Responses."""
        images = self._read(images)
        with images_bar(len(images), "images") as advance:
            return respond(self.network, images, self.config.data.encoding, progress=advance)

    def predict(self, images) -> np.ndarray:
        """Classes of images, int64 (n,): of the output neuron that fires first.

        A tie goes to the larger potential; where no output fires, the largest final potential decides.
        """
        return self._decided(images)[0]

    def decision_times(self, images) -> np.ndarray:
        """Times of the first output spike, (n,)."""
        return self._decided(images)[1]

    def _decided(self, images) -> tuple[np.ndarray, np.ndarray]:
        """Classes of images and times of their decisions: `responses` would count spikes too, in twice the time."""
        images, network = self._read(images), self.network.fused()
        label, time = np.empty(len(images), np.int64), np.empty(len(images), network.clock.dtype)
        room = network.room(min(len(images), BATCH), peaks=False)
        with images_bar(len(images), "images") as advance:
            for begin in range(0, len(images), BATCH):
                part = slice(begin, begin + BATCH)
                t_in = network.encode(images[part], self.config.data.encoding)
                outputs = network.outputs(network.forward(t_in, out=room))
                label[part], time[part] = outputs.decisions(), outputs.t_out.min(axis=1)
                advance(len(t_in))
        return label, time

    def spikes(self, images) -> np.ndarray:
        """Spikes of each of `layers` up to and including the first output spike, all where there is none: int32
        (n, layers)."""
        return self.responses(images).spikes

    def firing_times(self, images) -> list[np.ndarray]:
        """Firing times of all neurons, an array (n, rows, columns, maps) for each of `layers`.

        Of 1000 MNIST images and 64C3-P2-128C3-P2-10 they are 180 MB.
        """
        images, network = self._read(images), self.network
        shapes = [network.input_shape, *(layer.shape_post for layer in network.layers)]
        times = [np.empty((len(images), *shape), network.clock.dtype) for shape in shapes]
        room = network.room(min(len(images), BATCH))
        for begin in range(0, len(images), BATCH):
            part = slice(begin, begin + BATCH)
            states = network.forward(network.encode(images[part], self.config.data.encoding), out=room)
            for all_of_them, state in zip(times, states, strict=True):
                all_of_them[part] = state.t_post
        return times

    def evaluate(self, images, labels) -> Metrics:
        """The metrics that `s4nn evaluate --json` prints, a dictionary: accuracies and shares in [0, 1], times in
        steps, spikes per image.

        labels : whole numbers (n,), below the number of output neurons
        """
        images = self._read(images)
        labels = labels_of(labels, len(images))
        if not len(labels):
            raise InputError("there are no images to evaluate")
        check_fits(Dataset(self.config.data.dataset, "data", images, labels, ("", "")), self.network)
        return metrics_of(self.responses(images), labels)

    def save(self, path) -> None:
        """Write a weights file, which `s4nn_ref.load` and the command line read. A file of that name is replaced.

        path : a name that ends in .npz. Raises InputError on another.
        """
        if Path(path).suffix != ".npz":
            raise InputError(f"{path}: weights are .npz files")
        write_weights(Path(path), self.config, self.network.parameters)


def _rebuilt(tables: dict, parameters: np.ndarray, history: list[dict]) -> Model:
    """A model out of a pickle."""
    return Model(config_of_dict(tables), parameters, history)


def load(path) -> Model:
    """A network out of a weights file of `Model.save`, `s4nn train` or `s4nn import`; or a shipped one, by its name.

    Raises InputError on a file that is missing, incomplete or of another kind.

    >>> import s4nn_ref as s4nn
    >>> s4nn.load("mnist-plus")
    <Model 64C3-P2-128C3-P2-10 on 28x28x1 images, 137,024 weights>
    """
    network, config = read_weights(shipped.network(Path(path)))
    return Model(config, network.parameters)


def load_data(name: str, split: str, data=None) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (n, rows, columns, channels), and labels, int64 (n,), of a data set.

    name  : "glyphs", digits that need no files; "mnist" and "fashion-mnist", which are downloaded where they are in
            none of the usual places; or the name of a folder with IDX files
    split : "train" or "test"
    data  : the folder that holds that folder, as --data
    Raises InputError where the set is missing or damaged.
    """
    if split not in ("train", "test"):
        raise InputError(f'split = {shown(split)}: expected "train" or "test"')
    found = dataset.load(name, split, data and Path(data))
    return found.images.copy(), found.labels.astype(np.int64)
