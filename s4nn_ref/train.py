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

from s4nn_ref.augment import augment
from s4nn_ref.config import Config, config_of_dict
from s4nn_ref.data import Dataset, check_fits
from s4nn_ref.ds4nn import cost, decide, temporal_error
from s4nn_ref.encoding import encode
from s4nn_ref.errors import InputError
from s4nn_ref.metrics import figures_of_merit, respond
from s4nn_ref.network import N_SHARDS, network_of
from s4nn_ref.optimiser import Optimiser
from s4nn_ref.rivals import comsa_error, mostafa_error, s4nn_error
from s4nn_ref.storage import read_npz, write_npz

CHECKPOINT_FORMAT = "s4nn_ref checkpoint 2"
_INIT, _SPLIT, _SHUFFLE, _AUGMENT = range(4)  # purposes of random draws


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
    batch: int = 0  # finished batches of the current one
    running: Running = field(default_factory=Running)
    history: list[dict] = field(default_factory=list)

    def __post_init__(self):
        c = self.config
        self.network = network_of(c)
        for part in (self.data, self.validate):
            check_fits(part, self.network)
        self.network.initialise(c.network.init, np.random.default_rng((c.training.seed, _INIT)))
        self.batches = -(-len(self.data.labels) // c.training.batch)
        self.optimiser = Optimiser(
            c.optimiser, self.network.parameters, self.network.slices, self.batches, c.training.epochs
        )
        self.averaged = network_of(c)  # holds the weights that are evaluated
        self.best = self.network.parameters.copy()
        self.best_epoch = 0
        self._grad = self.network.gradients(min(N_SHARDS, c.training.batch))

    # ------------------------------------------------------------------------------------------------- learning

    def learn(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One update from a batch: forward, error, backward, step.

        images : uint8 (B, H, W)   labels : (B,)
        Returns cost and whether the decision was right, (B,) each.
        """
        c, le, net = self.config.network, self.config.learning, self.network
        v_th = le.v_th_output or c.v_th
        states = net.forward(encode(images, c.t_max, self.config.data.rounding), v_th, every_layer=False)
        out = states[-1]
        t_out = out.t_post.reshape(len(labels), -1)
        right = decide(t_out, out.v_peak.reshape(t_out.shape), out.v_end, c.t_max) == labels
        if le.error == "race":
            costs = net.backward_race(
                states, labels, v_th, le.noise, le.readout, self._grad, le.surrogate, le.normalise
            )
        else:
            delta, costs = self._output_error(t_out, labels)
            net.backward(states, delta, self._grad, le.surrogate, le.normalise)
        self.optimiser.update(self._grad, len(labels))
        return costs, right

    def _output_error(self, t_out, labels) -> tuple[np.ndarray, np.ndarray]:
        """dE/dt of the output neurons (B, classes) and the cost of each image, for errors on firing times."""
        le, t_max = self.config.learning, self.config.network.t_max
        if le.error == "s4nn":
            return s4nn_error(t_out, labels, le.lam, t_max)
        if le.error == "mostafa":
            return mostafa_error(t_out, labels, t_max)
        if le.error == "comsa":
            return comsa_error(t_out, labels, t_max)
        e = temporal_error(t_out, labels, le.lam, t_max, le.hinge)
        return e, cost(e)

    def run_epoch(self, progress: Progress, stop: dict) -> bool:
        """Learn the rest of the current epoch; returns whether it was finished (not stopped)."""
        c = self.config
        order = np.random.default_rng((c.training.seed, _SHUFFLE, self.epoch)).permutation(len(self.data.labels))
        progress.start_epoch(self.epoch + 1)
        began = time.perf_counter()
        for batch in range(self.batch, self.batches):
            index = order[batch * c.training.batch : (batch + 1) * c.training.batch]
            images = self.data.images[index]
            if c.augment.active:
                rng = np.random.default_rng((c.training.seed, _AUGMENT, self.epoch, batch))
                images = augment(c.augment, images, rng)
            e, right = self.learn(images, self.data.labels[index])
            r = self.running
            r.images, r.cost, r.right = r.images + len(e), r.cost + float(e.sum()), r.right + int(right.sum())
            self.batch = batch + 1
            progress.batch(len(e), r.cost / r.images, r.right / r.images)
            if stop["set"]:
                break
        self.running.seconds += time.perf_counter() - began
        return self.batch == self.batches

    def evaluation_parameters(self) -> np.ndarray:
        """The weights that count: their moving average, or themselves without one."""
        return self.optimiser.w_mean if self.config.optimiser.ema else self.network.parameters

    def close_epoch(self) -> dict:
        """Validate, append the epoch's row to the history, remember the weights if they are the best so far."""
        parameters = self.evaluation_parameters()
        r = self.running
        row = {
            "epoch": self.epoch + 1,
            "eta_factor": self.optimiser.rate(),
            "cost": r.cost / r.images,
            "train_accuracy": r.right / r.images,
            "seconds": r.seconds,
            "images_per_second": r.images / max(r.seconds, 1e-9),
            "w_abs_mean": [float(np.abs(w).mean()) for w in self.network.w],
        }
        if len(self.validate.labels):
            self.averaged.parameters[:] = parameters
            figures = figures_of_merit(
                respond(self.averaged, self.validate.images, self.config.data.rounding), self.validate.labels
            )
            row["validation"] = {key: value for key, value in figures.items() if key not in ("aft", "n")}
        self.history.append(row)
        if self.config.training.select == "last" or self._is_best(row):
            self.best[:] = parameters
            self.best_epoch = row["epoch"]
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
        o = self.optimiser
        if not np.isfinite(self.network.parameters).all():
            raise InputError(
                f"weights became NaN or infinite behind epoch {self.epoch}; lower optimiser.eta "
                "(the checkpoint before is kept)"
            )
        meta = {
            "format": CHECKPOINT_FORMAT, "config": self.config.as_dict(), "epoch": self.epoch, "batch": self.batch,
            "step": o.step, "running": vars(self.running), "history": self.history, "best_epoch": self.best_epoch,
            "images": len(self.data.labels), "sha256": list(self.data.sha256),
        }  # fmt: skip
        arrays = {"parameters": self.network.parameters, "m": o.m, "v": o.v, "w_mean": o.w_mean, "best": self.best}
        write_npz(path, arrays, meta)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint. Raises InputError on one that is cut, or of another experiment or data set."""
        arrays, meta = read_npz(path)
        if meta.get("format") != CHECKPOINT_FORMAT:
            raise InputError(f"{path} is not a checkpoint of s4nn")
        was, now = config_of_dict(meta["config"]).as_dict(), self.config.as_dict()
        for section in now:
            if was[section] != now[section]:
                raise InputError(
                    f"{path} belongs to another experiment: {section} was {was[section]}, now {now[section]}; "
                    "restore the configuration, or start anew with --force or another --out"
                )
        if meta["images"] != len(self.data.labels) or meta["sha256"] != list(self.data.sha256):
            raise InputError(f"{path} was trained on other images ({meta['images']}); use the same --data and --limit")
        o = self.optimiser
        targets = {"parameters": self.network.parameters, "m": o.m, "v": o.v, "w_mean": o.w_mean, "best": self.best}
        for key, target in targets.items():
            if key not in arrays or arrays[key].shape != target.shape:
                raise InputError(f"{path} is damaged: {key} is missing or of the wrong size; start anew with --force")
            target[:] = arrays[key]
        self.epoch, self.batch, o.step = meta["epoch"], meta["batch"], meta["step"]
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
