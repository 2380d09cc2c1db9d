"""A training run, from the command line or from Python: its start, its folder, what it prints and leaves."""

import math
from pathlib import Path

from s4nn_ref.app.progress import TerminalProgress
from s4nn_ref.app.storage import read_weights, write_weights
from s4nn_ref.config import Config
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network
from s4nn_ref.teachers import Teacher
from s4nn_ref.training.loop import Progress, Start, Training

FILES = ("record.json", "checkpoint.npz", "weights.npz", "weights-last.npz", "responses.npz")


def holds_a_run(out: Path) -> bool:
    """Whether a folder holds files of a run. Raises InputError where it is a file."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder")
    return any((out / name).exists() for name in FILES)


def start_from(network: Network, config: Config, name: str, file: str) -> Start:
    """The weights of a trained network, to begin a run from (D35).

    name : of the network, for errors   file : the name of its file, for the record
    Raises InputError where they are of another structure than the experiment's.
    """
    needed = config.network_of()
    if network.geometries != needed.geometries:
        found, here = (f"{n.structure} on {'x'.join(map(str, n.input_shape))} images" for n in (network, needed))
        raise InputError(
            f"{name} is a network {found}, the experiment's is {here}, with padding {config.network.padding!r}: "
            "they must be the same"
        )
    return Start(network.parameters.copy(), file)


def teacher_of(path: Path) -> Teacher:
    """The trained network of a weights file, as a teacher (D48)."""
    network, config = read_weights(path)
    return Teacher(network, config.data.encoding, path.name, config.classes)


def _warn_of_few(config: Config, images: int) -> None:
    """Say so where the epoch is chosen on so few images that chance decides: an error of more than a point at 95 %."""
    if config.training.select == "best" and images and (error := math.sqrt(0.95 * 0.05 / images)) > 0.01:
        print(
            f"{images} validation images hardly tell epochs apart (one standard error at 95 % is "
            f'{100 * error:.1f} points); raise data.validation, or set training.select = "last"',
            flush=True,
        )


def _announce(training: Training, out: Path | None) -> None:
    """Say what is trained, on what."""
    config, validate = training.config, training.validate
    begun = f", from {training.start.file}" if training.start else ""
    if taught := len(training.teachers):
        begun += f", with {taught} teacher{'s' * (taught > 1)}"
    into = f", into {out}" if out else ""
    print(
        f"{config.name or 'network'}: {config.network.structure} on {config.data.dataset}, {len(training.data.labels)} "
        f"training and {len(validate.labels)} validation images, seed {config.training.seed}{begun}{into}",
        flush=True,
    )
    _warn_of_few(config, len(validate.labels))


def trained(training: Training, out: Path | None, verbose: bool = True) -> bool:
    """Train to the end, with a checkpoint in the folder `out` after every epoch, and leave the weights there.

    out : None: nothing is written   verbose : a line for every epoch, and a bar on a terminal
    Returns False where the run was interrupted.
    """
    config, images = training.config, len(training.data.labels)
    progress = Progress()
    if verbose:
        _announce(training, out)
        done = training.epoch * images + training.batch * training.presented
        progress = TerminalProgress(config.training.epochs, images, done)
    try:
        finished = training.run(out and out / "checkpoint.npz", progress)
    finally:
        progress.close()
    if finished and out:
        write_weights(out / "weights.npz", config, training.best)
        write_weights(out / "weights-last.npz", config, training.algorithm.parameters())
    return finished
