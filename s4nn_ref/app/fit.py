"""Training from Python: arrays in, a model out, on the same path as `s4nn train` and with the same bits."""

import hashlib
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from s4nn_ref.app import shipped
from s4nn_ref.app.folders import alone_in
from s4nn_ref.app.keywords import config_with
from s4nn_ref.app.model import Model, labels_of
from s4nn_ref.app.run import holds_a_run, start_from, teacher_of, trained
from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import Config, read_tables
from s4nn_ref.data.dataset import Dataset
from s4nn_ref.encoding import intensities
from s4nn_ref.errors import InputError, shown
from s4nn_ref.kernels.running import let_waiting_threads_sleep
from s4nn_ref.teachers import Teacher
from s4nn_ref.training.loop import Start, Training, split_validation

NAME = "arrays"  # of data that have no other


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM while a network learned. Nothing is lost.

    model : Model, with the weights at that moment

    >>> import numpy as np, s4nn_ref as s4nn
    >>> try:  # doctest: +SKIP
    ...     model = s4nn.fit("16C3-P2-10", images, labels)
    ... except s4nn.Interrupted as stop:
    ...     model = stop.resume()  # goes on, to the bits of an uninterrupted run
    """

    def __init__(self, training: Training, out: Path | None, verbose: bool):
        again = f" or fit(..., out={str(out)!r}, resume=True)" if out else ""
        super().__init__(
            f"interrupted in epoch {training.epoch + 1}; .resume(){again} goes on, .model holds its weights"
        )
        self._training, self._out, self._verbose = training, out, verbose
        self.model = Model(training.config, training.algorithm.parameters(), list(training.history))

    def resume(self) -> Model:
        """Go on to the end of the run."""
        return finish(self._training, self._out, self._verbose)


def finish(training: Training, out: Path | None, verbose: bool, resume: bool = False) -> Model:
    """Train to the end, from a checkpoint in `out` if it is to be resumed. Raises Interrupted where it is stopped."""
    with alone_in(out) if out else nullcontext():
        if resume and (out / "checkpoint.npz").exists():
            training.restore(out / "checkpoint.npz")
        if not trained(training, out, verbose):
            raise Interrupted(training, out, verbose)
    return Model(training.config, training.best, training.history)


def _tables(experiment) -> dict:
    """The tables of an experiment: its name, its file's, tables or a Config."""
    if experiment is None:
        return {}
    if isinstance(experiment, Config):
        return experiment.as_dict()
    if isinstance(experiment, Mapping):
        return dict(experiment)
    if not isinstance(experiment, str | Path):
        raise InputError(f"experiment = {shown(experiment)}: expected a name, a path, a dictionary or a Config")
    path = shipped.experiment(Path(experiment))
    return {**read_tables(path), "name": path.stem}


def _dataset(images, labels, name: str, split: str) -> Dataset:
    """Arrays as a data set."""
    images = np.ascontiguousarray(intensities(images))
    labels = labels_of(labels, len(images))
    if not len(labels):
        raise InputError(f"there are no {split} images")
    digests = tuple(hashlib.sha256(array.tobytes()).hexdigest() for array in (images, labels))
    return Dataset(name, split, images, labels, digests)


def _start(start, config: Config) -> Start | None:
    """Weights to begin from: a Model's, or a weights file's."""
    if start is None:
        return None
    if isinstance(start, Model):
        return start_from(start.network, config, "start", "a model")
    path = shipped.network(Path(start))
    return start_from(read_weights(path)[0], config, f"start {start}", path.name)


def _teacher(given) -> Teacher:
    """A network to learn from: a Model's, or a weights file's."""
    if isinstance(given, Model):
        return Teacher(given.network, given.config.data.encoding, "a model", given.config.classes)
    return teacher_of(shipped.network(Path(given)))


def _teachers(given) -> tuple[Teacher, ...]:
    """Networks to learn from, in order."""
    given = () if given is None else given
    if not (isinstance(given, list | tuple) and all(isinstance(one, Model | str | Path) for one in given)):
        raise InputError(f"teachers = {shown(given)}: expected a list of models or weights files")
    return tuple(_teacher(one) for one in given)


def _folder(out, resume: bool) -> Path | None:
    """The output folder. Raises InputError where training there was not asked for."""
    if out is None:
        if resume:
            raise InputError("resume = True goes on with the run in a folder; name it by out")
        return None
    if holds_a_run(Path(out)) and not resume:
        raise InputError(f"{out} already holds a run; resume=True goes on with it, and another out begins anew")
    return Path(out)


def prepared(structure: str | None, images, labels, experiment, start, keys: dict) -> Training:
    """The training run of `fit`, before its first batch."""
    let_waiting_threads_sleep()
    keys = {"dataset": NAME, **keys}
    teachers = _teachers(keys.pop("teachers", ()))
    validation = keys.pop("validation", None)
    given = isinstance(validation, tuple | list)
    if given or validation is not None:
        keys["validation"] = 0 if given else validation
    if structure is not None:
        keys["structure"] = structure
    data = _dataset(images, labels, str(keys["dataset"]), "training")
    config = config_with(_tables(experiment), {"input_shape": data.images.shape[1:], **keys}).on(data)
    if given:
        if len(validation) != 2:
            raise InputError("validation: expected a number of images, or a pair (images, labels)")
        validate = _dataset(*validation, data.name, "validation")
        learn = replace(data, sha256=data.sha256 + validate.sha256)  # a checkpoint is of these, too
    else:
        learn, validate = split_validation(data, config)
    return Training(config, learn, validate, _start(start, config), teachers)


def fit(
    structure, images, labels, *, experiment=None, start=None, out=None, resume=False, verbose=True, **keys
) -> Model:
    """Train a network on arrays: the same images, keys and seed give the bits of `s4nn train`.

    Parameters
    ----------
    structure  : e.g. "32C5-P2-64C3-P2-10", one output neuron for each class; None: that of the experiment
    images     : (n, rows, columns, channels), or (n, rows, columns), which are grey: bytes, whole numbers 0..255,
                 floats in [0, 1] or booleans
    labels     : whole numbers 0, 1, .. (n,)
    experiment : the keys that are not named here are those of this experiment: its name ("mnist-plus"), a TOML file, a
                 dictionary of tables or a Config. None: the defaults, with which any structure learns
    start      : a Model of the same structure, or a weights file, to begin from instead of random weights (D35)
    out        : folder for a checkpoint after every epoch and for weights.npz and weights-last.npz; None: no file
    resume     : go on with the run that is in `out`, or begin it
    verbose    : print a line for every epoch, and on a terminal show a bar
    keys       : any key of docs/configuration.md: `epochs=5, seed=1, loss="cross-entropy", shift=1`. A section's name
                 takes a dictionary of its keys; `augment={"epochs": 5}` alone needs it, for `epochs` is the length of
                 the run. `validation` may also be a pair (images, labels), on which the epoch is chosen, and `teachers`
                 is a list of Models or weights files, whose opinion is learned too (`distillation`, D48). Where a key
                 chooses another algorithm, loss, rule or schedule than the experiment's, the old one's are left out
    Returns
    -------
    Model, with the weights of the selected epoch (training.select, D19).
    Raises
    ------
    InputError  : arrays, keys or files that do not fit; its message says what to do
    Interrupted : Ctrl-C or SIGTERM, after the current batch, its state saved in `out`; see there how to go on

    >>> import numpy as np, s4nn_ref as s4nn
    >>> images = np.random.default_rng(0).integers(0, 256, (60, 6, 6), np.uint8)
    >>> labels = (images[:, :3].sum((1, 2)) > images[:, 3:].sum((1, 2))).astype(int)
    >>> model = s4nn.fit("36-8-2", images, labels, epochs=30, batch=4, validation=0, verbose=False)
    >>> model.evaluate(images, labels)["accuracy_strict"] > 0.9
    True
    """
    out = _folder(out, resume)
    return finish(prepared(structure, images, labels, experiment, start, keys), out, verbose, resume)
