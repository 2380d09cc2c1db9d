"""The command `s4nn train`: from an experiment file to weights and a record in an output folder."""

import time
from dataclasses import dataclass
from pathlib import Path

from s4nn_ref.app.folders import alone_in
from s4nn_ref.app.legacy import config_of_stored
from s4nn_ref.app.progress import images_bar, tell
from s4nn_ref.app.record import environment, read_record, write_record
from s4nn_ref.app.report import comparison_text
from s4nn_ref.app.run import FILES, holds_a_run, start_from, teacher_of, trained
from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import Config, read_config
from s4nn_ref.data.classes import known
from s4nn_ref.data.dataset import Dataset, check_fits, load
from s4nn_ref.errors import InputError
from s4nn_ref.metrics import Responses, metrics_of, respond
from s4nn_ref.training.checkpoint import named
from s4nn_ref.training.loop import Start, Training, split_validation


def _holds_a_run(out: Path, resume: bool, force: bool) -> bool:
    """Whether `out` holds files of a run; an InputError where training there was not asked for."""
    if resume and force:
        raise InputError("--resume and --force exclude each other: go on with the run, or discard it?")
    held = holds_a_run(out)
    if held and not (resume or force):
        raise InputError(f"{out} already holds a run; --resume goes on with it, --force discards it")
    return held


def _finished(out: Path, config: Config, limit: int | None, start: Start | None, teachers: tuple) -> dict | None:
    """The record of a finished run of this very experiment, images, start and teachers in `out`, if there is one."""
    if not (out / "record.json").exists():
        return None
    record = read_record(out)
    was, now = config_of_stored(record["config"], out / "record.json").as_dict(), config.as_dict()
    changed = [
        f"{section}.{key} was {was.get(section, {}).get(key)}, is {keys.get(key)}"
        for section, keys in now.items()
        for key in (keys if isinstance(keys, dict) else ())
        if was.get(section, {}).get(key) != keys.get(key)
    ]
    if record.get("limit") != limit:
        was_limit, asked = ("all images" if n is None else f"the first {n}" for n in (record.get("limit"), limit))
        changed.append(f"it saw {was_limit}, not {asked} (--limit)")
    begun, asked = record.get("start") or {}, start.as_dict() if start else {}
    if begun.get("sha256") != asked.get("sha256"):
        names = [one.get("file", "random weights") for one in (begun, asked)]
        changed.append(f"it began from {names[0]}, not from {names[1]} (--init)")
    taught, asked = named(record.get("teachers", [])), named([teacher.as_dict() for teacher in teachers])
    if taught != asked:
        changed.append(f"it learned from {taught}, not from {asked} (--teacher)")
    if changed == [f"training.epochs was {was['training']['epochs']}, is {now['training']['epochs']}"]:
        raise InputError(
            f"{out} is finished, {changed[0]}; to train its network on: --init {out / 'weights-last.npz'} --out OTHER"
        )
    if was != now or changed:
        what = "; ".join(changed) or "another name"
        raise InputError(f"{out} holds a finished run of another experiment ({what}); use --force, or another --out")
    return record


def _training_images(config: Config, data_dir: Path | None) -> Dataset:
    """The training images, of the size that the experiment names if it names one."""
    shape = config.network.input_shape
    return load(config.data.dataset, "train", data_dir, None if shape == "auto" else shape)


def _test_images(config: Config, data_dir: Path | None) -> Dataset:
    """The test images of an experiment of known size, of the classes that it learns."""
    return load(config.data.dataset, "test", data_dir, config.network.input_shape).called(config.classes)


def _judge(config: Config, parameters, train: Dataset, test: Dataset) -> tuple[dict, Responses]:
    """Metrics of one set of weights on the test set and on the training images, and the raw test responses."""
    network, metrics, responses = config.network_of(), {}, {}
    network.parameters[:] = parameters
    for name, dataset in (("test", test), ("train", train)):
        with images_bar(len(dataset.labels), f"evaluate {name}") as advance:
            responses[name] = respond(network, dataset.images, config.data.encoding, progress=advance)
        metrics[name] = metrics_of(responses[name], dataset.labels)
    return metrics, responses["test"]


@dataclass(frozen=True)
class Options:
    """Options of `s4nn train`; see its --help."""

    data: Path | None = None
    out: Path | None = None
    seed: int | None = None
    epochs: int | None = None
    limit: int | None = None
    engine: str | None = None
    no_test: bool = False
    resume: bool = False
    force: bool = False
    init: Path | None = None
    teacher: tuple[Path, ...] = ()


def train(config_path: Path, options: Options = Options()) -> int:
    """Train one experiment; returns the exit code, 0 or 130 where interrupted."""
    config = read_config(config_path).changed("training", seed=options.seed, epochs=options.epochs)
    config = config.changed("network", engine=options.engine)
    out = Path(options.out or Path("runs") / config.name / f"seed{config.training.seed}")
    data_dir, limit = options.data, options.limit
    held = _holds_a_run(out, options.resume, options.force)
    dataset, start = None, None
    if config.open or config.data.validation == "auto" or not known(config.data.dataset):  # records hold what it says
        dataset = _training_images(config, data_dir)
        config = config.on(dataset)
    if options.init:
        start = start_from(read_weights(options.init)[0], config, f"--init {options.init}", options.init.name)
    teachers = tuple(teacher_of(path) for path in options.teacher)
    if options.resume and (record := _finished(out, config, limit, start, teachers)):
        print(f"{out} is finished")
        print(comparison_text([record]))
        return 0
    ran_with = environment()  # now: the checkout may change while a long run goes on
    dataset = (dataset or _training_images(config, data_dir)).called(config.classes)
    test = None if options.no_test else _test_images(config, data_dir)
    tell(dataset, test)
    learn, validate = split_validation(dataset, config)
    training = Training(config, learn.head(limit), validate, start, teachers)
    if test:
        check_fits(test, training.evaluated)
    with alone_in(out):
        if not _trained(training, out, options, held):
            return 130
        if not test:
            print(f"{out}: weights of epoch {training.best_epoch}; the test set was not read, --resume reads it")
            return 0
        content, responses = _judged(training, test)
        whole = {"environment": ran_with, "dataset_sha256": {"train": dataset.sha256, "test": test.sha256}}
        whole |= {"limit": limit, "start": start and start.as_dict()}
        whole |= {"teachers": [teacher.as_dict() for teacher in teachers]}
        write_record(out, config, {**whole, **content}, responses, test.labels)
    print(comparison_text([read_record(out)]))
    return 0


def _trained(training: Training, out: Path, options: Options, held: bool) -> bool:
    """Train, and write the weights; returns False where the run was interrupted."""
    checkpoint = out / "checkpoint.npz"
    if options.resume and checkpoint.exists():
        training.restore(checkpoint)
    if held and options.force:  # not before everything else has proved right
        for name in FILES:
            (out / name).unlink(missing_ok=True)
    finished = trained(training, out)
    if not finished:
        print(f"interrupted in epoch {training.epoch + 1}; state saved in {checkpoint}, go on with --resume")
    return finished


def _judged(training: Training, test: Dataset) -> tuple[dict, Responses]:
    """What the record says of a finished training, and the raw responses to the test set."""
    began = time.perf_counter()
    selected, responses = _judge(training.config, training.best, training.data, test)
    last = selected
    if training.best_epoch != training.epoch:
        last, _ = _judge(training.config, training.algorithm.parameters(), training.data, test)
    return {
        "seconds": {
            "training": sum(row["seconds"] for row in training.history),
            "evaluation": time.perf_counter() - began,
        },
        "selected": {"epoch": training.best_epoch, **selected},
        "last": {"epoch": training.epoch, **last},
        "history": training.history,
    }, responses
