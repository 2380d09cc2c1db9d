"""The command `s4nn train`: from an experiment file to weights and a record in an output folder."""

import time
from pathlib import Path

from s4nn_ref.config import Config, config_of_stored, read_config
from s4nn_ref.data import Dataset, check_fits, load
from s4nn_ref.errors import InputError
from s4nn_ref.metrics import Responses, figures_of_merit, respond
from s4nn_ref.network import network_of
from s4nn_ref.progress import TerminalProgress, images_bar
from s4nn_ref.record import environment, read_record, write_record
from s4nn_ref.report import comparison_text
from s4nn_ref.storage import write_weights
from s4nn_ref.train import Training, split_validation

_OURS = ("record.json", "checkpoint.npz", "weights.npz", "weights-last.npz", "responses.npz")


def _holds_a_run(out: Path, resume: bool, force: bool) -> bool:
    """Whether `out` holds files of a run; an InputError where training there was not asked for."""
    if resume and force:
        raise InputError("--resume and --force exclude each other: go on with the run, or discard it?")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder by --out")
    held = any((out / name).exists() for name in _OURS)
    if held and not (resume or force):
        raise InputError(f"{out} already holds a run; --resume goes on with it, --force discards it")
    return held


def _finished(out: Path, config: Config) -> dict | None:
    """The record of a finished run of this very experiment in `out`, if there is one."""
    if not (out / "record.json").exists():
        return None
    record = read_record(out)
    if config_of_stored(record["config"], out / "record.json") != config:
        raise InputError(
            f"{out} holds a finished run of another experiment; discard it by --force, or use another --out"
        )
    return record


def _judge(config: Config, parameters, train: Dataset, test: Dataset) -> tuple[dict, Responses]:
    """Figures of merit of one set of weights on the test set and on the training images, and the raw test responses."""
    network, figures, responses = network_of(config), {}, {}
    network.parameters[:] = parameters
    for name, dataset in (("test", test), ("train", train)):
        with images_bar(len(dataset.labels), f"evaluate {name}") as advance:
            responses[name] = respond(network, dataset.images, config.data.rounding, progress=advance)
        figures[name] = figures_of_merit(responses[name], dataset.labels)
    return figures, responses["test"]


def train(config_path, data_dir=None, out=None, seed=None, epochs=None, limit=None, resume=False, force=False) -> int:
    """Train one experiment; returns the exit code, 0 or 130 where interrupted. See `s4nn train --help`."""
    config = read_config(config_path).with_training(seed=seed, epochs=epochs)
    out = Path(out or Path("runs") / config.name / f"seed{config.training.seed}")
    held = _holds_a_run(out, resume, force)
    if resume and (record := _finished(out, config)):
        print(f"{out} is finished")
        print(comparison_text([record]))
        return 0
    ran_with = environment()  # now: the checkout may change while a long run goes on
    dataset = load(config.data.dataset, "train", data_dir)
    test = load(config.data.dataset, "test", data_dir)
    learn, validate = split_validation(dataset, config)
    training = Training(config, learn.head(limit), validate)
    check_fits(test, training.evaluated)
    checkpoint = out / "checkpoint.npz"
    if resume and checkpoint.exists():
        training.restore(checkpoint)
    if held and force:  # not before everything else has proved right
        for name in _OURS:
            (out / name).unlink(missing_ok=True)
    images = len(training.data.labels)
    print(
        f"{config.name}: {config.network.structure} on {config.data.dataset}, {images} training and "
        f"{len(validate.labels)} validation images, seed {config.training.seed}, into {out}",
        flush=True,
    )
    progress = TerminalProgress(
        config.training.epochs, images, training.epoch * images + training.batch * training.presented
    )
    try:
        finished = training.run(checkpoint, progress)
    finally:
        progress.close()
    if not finished:
        print(f"interrupted in epoch {training.epoch + 1}; state saved in {checkpoint}, go on with --resume")
        return 130
    began = time.perf_counter()
    best, final = training.best, training.algorithm.parameters()
    write_weights(out / "weights.npz", config, best)
    write_weights(out / "weights-last.npz", config, final)
    selected, responses = _judge(config, best, training.data, test)
    last = selected
    if training.best_epoch != training.epoch:
        last, _ = _judge(config, final, training.data, test)
    content = {
        "environment": ran_with,
        "dataset_sha256": {"train": dataset.sha256, "test": test.sha256},
        "limit": limit,
        "seconds": {
            "training": sum(row["seconds"] for row in training.history),
            "evaluation": time.perf_counter() - began,
        },
        "selected": {"epoch": training.best_epoch, **selected},
        "last": {"epoch": training.epoch, **last},
        "history": training.history,
    }
    write_record(out, config, content, responses, test.labels)
    print(comparison_text([read_record(out)]))
    return 0
