"""Training: epochs of shuffled batches, validation, checkpoints, exact resumption.

Every random draw of an update comes from a generator seeded by (seed, purpose, epoch, batch), so that where a run
stands is two integers and a resumed run repeats the uninterrupted one to the bit.
"""

import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from s4nn_ref.algorithms import ALGORITHMS, Algorithm
from s4nn_ref.augment import augment
from s4nn_ref.config import Config, config_of_stored
from s4nn_ref.data import Dataset, check_fits
from s4nn_ref.errors import InputError
from s4nn_ref.metrics import figures_of_merit, respond
from s4nn_ref.network import network_of
from s4nn_ref.storage import read_npz, write_npz

CHECKPOINT_FORMAT = "s4nn_ref checkpoint 3"
_INIT, _SPLIT, _SHUFFLE, _AUGMENT, _REVIVE = range(5)  # purposes of random draws


def split_validation(dataset: Dataset, config: Config) -> tuple[Dataset, Dataset]:
    """Training and validation images: a random cut that depends only on the seed."""
    n = config.data.validation
    if n >= len(dataset.labels):
        raise InputError(
            f"data.validation = {n} leaves no training image of the {len(dataset.labels)} of {dataset.name}; lower it"
        )
    order = np.random.default_rng((config.training.seed, _SPLIT)).permutation(len(dataset.labels))
    parts = np.sort(order[n:]), np.sort(order[:n])
    return tuple(
        Dataset(dataset.name, dataset.split, dataset.images[i], dataset.labels[i], dataset.sha256) for i in parts
    )


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


class Progress:
    """What a training run tells while it works; this one is silent."""

    def start_epoch(self, epoch: int) -> None: ...
    def batch(self, images: int, cost: float, accuracy: float) -> None: ...
    def end_epoch(self, row: dict) -> None: ...


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
    """

    config: Config
    data: Dataset
    validate: Dataset
    epoch: int = 0  # finished epochs
    batch: int = 0  # finished calls of Algorithm.learn in the current one
    running: Running = field(default_factory=Running)
    history: list[dict] = field(default_factory=list)

    def __post_init__(self):
        c = self.config
        self.evaluated = network_of(c)
        for part in (self.data, self.validate):
            check_fits(part, self.evaluated)
        kind, rng = ALGORITHMS[c.learning.algorithm], np.random.default_rng((c.training.seed, _INIT))
        self.presented = kind.presented(c)
        self.batches = -(-len(self.data.labels) // self.presented)
        self.algorithm: Algorithm = kind(c, rng, self.batches)
        self.best = self.algorithm.parameters().copy()
        self.best_epoch = 0

    # ------------------------------------------------------------------------------------------------- learning

    def _order(self) -> np.ndarray:
        """Indices of the current epoch's images, as config.training.order says."""
        n, rng = len(self.data.labels), np.random.default_rng((self.config.training.seed, _SHUFFLE, self.epoch))
        if self.config.training.order == "file":
            return np.arange(n)
        return rng.integers(0, n, n) if self.config.training.order == "drawn" else rng.permutation(n)

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
            if stop["set"]:
                break
        self.running.seconds += time.perf_counter() - began
        return self.batch == self.batches

    def close_epoch(self) -> dict:
        """Validate, append the epoch's row to the history, remember the weights if they are the best so far."""
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
            figures = figures_of_merit(
                respond(self.evaluated, self.validate.images, self.config.data.rounding), self.validate.labels
            )
            row["validation"] = {key: value for key, value in figures.items() if key not in ("aft", "n")}
        self.history.append(row)
        if self.config.training.select == "last" or self._is_best(row):
            self.best[:] = parameters
            self.best_epoch = row["epoch"]
        if row["epoch"] < self.config.training.epochs:
            self.algorithm.end_epoch(r.images, np.random.default_rng((self.config.training.seed, _REVIVE, self.epoch)))
        self.epoch, self.batch, self.running = self.epoch + 1, 0, Running()
        return row

    def _is_best(self, row: dict) -> bool:
        """Whether an epoch's validation accuracy is above that of the best so far; always, without validation."""
        if "validation" not in row or not self.best_epoch:
            return True
        best = self.history[self.best_epoch - 1]
        return row["validation"]["accuracy_strict"] > best["validation"]["accuracy_strict"]

    # ---------------------------------------------------------------------------------------------- checkpoints

    def save(self, path: Path) -> None:
        """Everything that decides how the run goes on. Raises InputError, and keeps the old file, on NaN weights."""
        if not all(np.isfinite(array).all() for array in self.algorithm.state().values()):
            raise InputError(
                f"weights became NaN or infinite behind epoch {self.epoch}; lower optimiser.eta "
                "(the checkpoint before is kept)"
            )
        meta = {
            "format": CHECKPOINT_FORMAT, "config": self.config.as_dict(), "epoch": self.epoch, "batch": self.batch,
            "running": vars(self.running), "history": self.history, "best_epoch": self.best_epoch,
            "images": len(self.data.labels), "sha256": list(self.data.sha256),
        }  # fmt: skip
        write_npz(path, {**self.algorithm.state(), "best": self.best}, meta)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint. Raises InputError on one that is cut, or of another experiment or data set."""
        arrays, meta = read_npz(path)
        if meta.get("format") != CHECKPOINT_FORMAT:
            raise InputError(f"{path} is not a checkpoint of s4nn")
        was, now = config_of_stored(meta["config"], path).as_dict(), self.config.as_dict()
        for section in now:
            if was[section] != now[section]:
                raise InputError(
                    f"{path} belongs to another experiment: {section} was {was[section]}, now {now[section]}; "
                    "restore the configuration, or start anew with --force or another --out"
                )
        if meta["images"] != len(self.data.labels) or meta["sha256"] != list(self.data.sha256):
            raise InputError(f"{path} was trained on other images ({meta['images']}); use the same --data and --limit")
        for key, target in {**self.algorithm.state(), "best": self.best}.items():
            if key not in arrays or arrays[key].shape != target.shape:
                raise InputError(f"{path} is damaged: {key} is missing or of the wrong size; start anew with --force")
            target[...] = arrays[key]
        self.epoch, self.batch = meta["epoch"], meta["batch"]
        self.running, self.history, self.best_epoch = Running(**meta["running"]), meta["history"], meta["best_epoch"]

    def run(self, checkpoint: Path, progress: Progress) -> bool:
        """Train to the end, saving after every epoch; returns False where it was interrupted, its state saved."""
        with deferred_interrupt() as stop:
            self.save(checkpoint)  # now, should the disk be full
            while self.epoch < self.config.training.epochs:
                finished = self.run_epoch(progress, stop)
                row = self.close_epoch() if finished else None
                self.save(checkpoint)
                if row:
                    progress.end_epoch(row)
                if stop["set"] and (not finished or self.epoch < self.config.training.epochs):
                    return False
        return True
