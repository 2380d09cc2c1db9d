"""Training: epochs of batches, validation, the choice of the epoch, exact resumption.

Every random draw of an update comes from a generator seeded by (seed, purpose, epoch, batch), so that where a run
stands is two integers and a resumed run repeats the uninterrupted one to the bit.
"""

import hashlib
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from s4nn_ref.algorithms import ALGORITHMS
from s4nn_ref.data.dataset import Dataset, check_fits
from s4nn_ref.errors import InputError
from s4nn_ref.metrics import metrics_of, respond
from s4nn_ref.teachers import Teacher, Teachers
from s4nn_ref.training import checkpoint
from s4nn_ref.training.augmentation import augment
from s4nn_ref.training.health import Watch
from s4nn_ref.training.optimisers import Optimiser

_INIT, _SPLIT, _SHUFFLE, _AUGMENT, _EPOCH_END = range(5)  # purposes of random draws


@dataclass(frozen=True)
class Settings:
    """How long, and in which order: section [training].

    batch  : images per update
    order  : of the images of an epoch: shuffled, as in the file, or sampled with replacement
    first  : with the order of the file: the image that an epoch begins with; those before it come last
    seed   : of initial weights, split, order and augmentation
    select : which weights are the run's result: of the last epoch, or of the last one that is as good on the
             validation images as the best before it, but for one image (D19)
    """

    epochs: int = field(default=20, metadata={"least": 0})
    batch: int = field(default=16, metadata={"least": 1, "most": 1_000_000})
    order: Literal["shuffled", "file", "with-replacement"] = "shuffled"
    first: int = field(default=0, metadata={"least": 0})
    seed: int = field(default=0, metadata={"least": 0})
    select: Literal["best", "last"] = "best"


def held_out(config, n: int) -> int:
    """How many of n training images are validation images: data.validation, or a tenth of them, at most 5000 (D19)."""
    return min(n // 10, 5000) if config.data.validation == "auto" else config.data.validation


def split_validation(dataset: Dataset, config) -> tuple[Dataset, Dataset]:
    """Training and validation images: a random cut that depends only on the seed."""
    n = held_out(config, len(dataset.labels))
    if n >= len(dataset.labels):
        raise InputError(
            f"data.validation = {n} leaves no training image of the {len(dataset.labels)} of {dataset.name}; lower it"
        )
    order = np.random.default_rng((config.training.seed, _SPLIT)).permutation(len(dataset.labels))
    return dataset.part(np.sort(order[n:])), dataset.part(np.sort(order[:n]))


@contextmanager
def deferred_interrupt():
    """Ctrl-C or SIGTERM sets a flag that the training loop reads between batches; a second one ends at once."""
    flag = {"set": False}

    def handler(number, frame):
        if flag["set"]:
            raise KeyboardInterrupt
        flag["set"] = True

    try:
        previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are the caller's business
        previous = {}
    try:
        yield flag
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


@dataclass(frozen=True)
class Start:
    """Weights of a trained network, from which a run begins instead of from random ones (D35).

    parameters : as Network.parameters   file : the name of their file
    """

    parameters: np.ndarray
    file: str

    def as_dict(self) -> dict:
        """What a record and a checkpoint say of it."""
        return {"file": self.file, "sha256": hashlib.sha256(self.parameters.tobytes()).hexdigest()}


def _check_teachers(teachers: tuple[Teacher, ...], config, student) -> None:
    """Raise InputError unless there are teachers exactly where some are asked for, of the student's images, classes and
    kind of time."""
    if teachers and not hasattr(config.learning, "distillation"):
        raise InputError(f'algorithm "{config.algorithm}" has no teachers; leave them out, or use "ds4nn"')
    asked = getattr(config.learning, "distillation", 0) > 0
    if asked and not teachers:
        raise InputError(
            "learning.distillation > 0 needs trained networks as teachers: s4nn train CONFIG --teacher WEIGHTS, or "
            "fit(..., teachers=[..]) in Python"
        )
    if teachers and not asked:
        raise InputError(
            "teachers are given, and learning.distillation is 0: set it, 0.5 for instance, or leave them out"
        )
    for teacher in teachers:
        net = teacher.network
        if teacher.classes and config.classes and tuple(teacher.classes) != tuple(config.classes):
            has, needs = (", ".join(names[:3]) + ", .." for names in (teacher.classes, config.classes))
            raise InputError(f"the teacher {teacher.file} knows classes {has}, the experiment {needs}")
        if not net.neuron.integer:
            raise InputError(f"the teacher {teacher.file} is in continuous time, where potentials are no opinion")
        found, needed = ((n.input_shape, n.n_classes) for n in (net, student))
        if found != needed:
            has, needs = (f"{'x'.join(map(str, shape))} images and {n} classes" for shape, n in (found, needed))
            raise InputError(f"the teacher {teacher.file} has {has}, the experiment {needs}: they must be the same")


class Progress:
    """What a training run tells while it works; this one is silent."""

    def start_epoch(self, epoch: int) -> None: ...
    def batch(self, images: int, cost: float, accuracy: float) -> None: ...
    def end_epoch(self, row: dict) -> None: ...
    def warn(self, line: str) -> None: ...
    def close(self) -> None: ...


@dataclass
class Running:
    """Sums over the images of the current epoch."""

    images: int = 0
    cost: float = 0.0
    right: int = 0
    seconds: float = 0.0


@dataclass
class Training:
    """A training run that can stop after any batch and go on later.

    Parameters
    ----------
    config   : the experiment
    data     : training images, validation removed
    validate : validation images (may be empty)
    start    : weights to begin from; None: random ones
    teachers : networks to learn from too (D48), where learning.distillation > 0 and only there
    Raises
    ------
    InputError : images that do not fit the network, an algorithm that cannot begin from `start`, teachers that are not
        asked for, are missing, or do not fit
    """

    config: object  # config.Config
    data: Dataset
    validate: Dataset
    start: Start | None = None
    teachers: tuple[Teacher, ...] = ()
    epoch: int = 0  # finished epochs
    batch: int = 0  # finished calls of Algorithm.learn in the current one
    running: Running = field(default_factory=Running)
    history: list[dict] = field(default_factory=list)

    def __post_init__(self):
        c = self.config
        kind, rng = ALGORITHMS[c.algorithm], np.random.default_rng((c.training.seed, _INIT))
        self.presented = kind.presented(c)
        self.batches = -(-len(self.data.labels) // self.presented)
        self.algorithm = kind(
            c, rng, self.batches, lambda net: Optimiser(c.optimiser, net, self.batches, c.training.epochs)
        )
        if self.start:
            self.algorithm.start_from(self.start.parameters)
        self.evaluated = c.network_of()
        _check_teachers(self.teachers, c, self.evaluated)
        if self.teachers:
            self.algorithm.taught_by(Teachers(self.teachers, self.presented))
        for part in (self.data, self.validate):
            check_fits(part, self.evaluated)
        self.watch = Watch(c, self.data.labels, len(self.validate.labels), self.evaluated)
        self.best = self.algorithm.parameters().copy()
        self.best_epoch = 0

    # ------------------------------------------------------------------------------------------------- learning

    def _order(self) -> np.ndarray:
        """Indices of the current epoch's images, as config.training.order says."""
        n, rng = len(self.data.labels), np.random.default_rng((self.config.training.seed, _SHUFFLE, self.epoch))
        if self.config.training.order == "file":
            return np.roll(np.arange(n), -self.config.training.first)
        return rng.integers(0, n, n) if self.config.training.order == "with-replacement" else rng.permutation(n)

    def run_epoch(self, progress: Progress, stop: dict) -> bool:
        """Learn the rest of the current epoch; returns whether it was finished (not stopped)."""
        c, order, changes = self.config, self._order(), self.config.augment.at(self.epoch)
        progress.start_epoch(self.epoch + 1)
        began = time.perf_counter()
        for batch in range(self.batch, self.batches):
            index = order[batch * self.presented : (batch + 1) * self.presented]
            images = self.data.images[index]
            if changes.active:
                rng = np.random.default_rng((c.training.seed, _AUGMENT, self.epoch, batch))
                images = augment(changes, images, rng)
            e, right = self.algorithm.learn(images, self.data.labels[index])
            r = self.running
            r.images, r.cost, r.right = r.images + len(e), r.cost + float(e.sum()), r.right + int(right.sum())
            self.batch = batch + 1
            progress.batch(len(e), r.cost / r.images, r.right / r.images)
            for line in self.watch.after_batch(self.algorithm, e, right):
                progress.warn(line)
            if stop["set"]:
                break
        self.running.seconds += time.perf_counter() - began
        return self.batch == self.batches

    def close_epoch(self) -> dict:
        """Validate, append the epoch's row to the history, remember the weights if they are to be the result."""
        parameters = self.algorithm.parameters()
        r = self.running
        row = {
            "epoch": self.epoch + 1,
            "cost": r.cost / r.images,
            "train_accuracy": r.right / r.images,
            "seconds": r.seconds,
            "images_per_second": r.images / max(r.seconds, 1e-9),
        }
        self.evaluated.parameters[:] = parameters
        row["w_abs_mean"] = [float(np.abs(w).mean()) for w in self.evaluated.w]
        if len(self.validate.labels):
            responses = respond(self.evaluated, self.validate.images, self.config.data.encoding)
            found = metrics_of(responses, self.validate.labels)
            row["validation"] = {key: value for key, value in found.items() if key not in ("aft", "n")}
        self.history.append(row)
        if self.config.training.select == "last" or self._is_taken():
            self.best[:] = parameters
            self.best_epoch = row["epoch"]
        if row["epoch"] < self.config.training.epochs:
            self.algorithm.end_epoch(
                r.images, np.random.default_rng((self.config.training.seed, _EPOCH_END, self.epoch))
            )
        self.epoch, self.batch, self.running = self.epoch + 1, 0, Running()
        return row

    def _is_taken(self) -> bool:
        """Whether the last epoch has as many validation images right as the best one, or one fewer; always, without
        validation (D19)."""
        if not (n := len(self.validate.labels)):
            return True
        right = [round(row["validation"]["accuracy_strict"] * n) for row in self.history]
        return right[-1] >= max(right) - 1

    # ---------------------------------------------------------------------------------------------- checkpoints

    def save(self, path: Path | None) -> None:
        """Everything that decides how the run goes on; to no file where path is None.

        Raises InputError, and keeps the old file, on NaN weights.
        """
        if not all(np.isfinite(array).all() for array in self.algorithm.state().values()):
            kept = " (the checkpoint before is kept)" if path else ""
            raise InputError(f"weights became NaN or infinite after epoch {self.epoch}; lower eta{kept}")
        if path is None:
            return
        progress = {
            "epoch": self.epoch,
            "batch": self.batch,
            "running": vars(self.running),
            "history": self.history,
            "best_epoch": self.best_epoch,
        }
        checkpoint.write(path, self._identity(), progress, {**self.algorithm.state(), "best": self.best})

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint. Raises InputError on one that is damaged, or of another experiment or data set."""
        progress = checkpoint.read(path, self._identity(), {**self.algorithm.state(), "best": self.best})
        seen = min(progress["batch"] * self.presented, len(self.data.labels))
        validated = all(("validation" in row) == (len(self.validate.labels) > 0) for row in progress["history"])
        validated = validated and checkpoint.whole(progress["history"], self.evaluated.tokens)
        within = progress["epoch"] <= self.config.training.epochs and progress["batch"] < self.batches
        if not (within and validated and progress["running"]["images"] == seen):
            raise InputError(f"{path} is damaged: it does not stand where a run can; start anew with --force")
        self.epoch, self.batch, self.history = progress["epoch"], progress["batch"], progress["history"]
        self.running, self.best_epoch = Running(**progress["running"]), progress["best_epoch"]

    def _identity(self) -> dict:
        """What must be the same for a run to go on."""
        return {
            "config": self.config.as_dict(),
            "images": len(self.data.labels),
            "sha256": list(self.data.sha256),
            "start": self.start and self.start.as_dict(),
            "teachers": [teacher.as_dict() for teacher in self.teachers],
        }

    def run(self, path: Path | None, progress: Progress) -> bool:
        """Train to the end, saving after every epoch; returns False where it was interrupted, its state saved.

        path : of the checkpoint; None: the state is in this object alone, and another call goes on
        """
        with deferred_interrupt() as stop:
            self.save(path)  # now, should the disk be full
            while self.epoch < self.config.training.epochs:
                finished = self.run_epoch(progress, stop)
                row = self.close_epoch() if finished else None
                self.save(path)
                if row:
                    progress.end_epoch(row)
                    for line in self.watch.after_epoch(self.history):
                        progress.warn(line)
                if stop["set"] and (not finished or self.epoch < self.config.training.epochs):
                    return False
        return True
