"""The command line of `s4nn`: commands, arguments, and the help that teaches them."""

import argparse
from pathlib import Path

from s4nn_ref.errors import InputError

EXAMPLES = """\
examples:
  s4nn info                           the experiments and networks that come along
  s4nn train demo                     train on the embedded digits, no data set needed
  s4nn train mnist-plus               train on MNIST (found, or downloaded once)
  s4nn train mnist-plus --resume
  s4nn train mnist-early --init mnist-plus
  s4nn train my.toml                  an experiment of yours
  s4nn evaluate mnist-plus --json
  s4nn evaluate runs/demo/seed0/weights.npz
  s4nn predict mnist-plus digit.png --invert --plot potentials.png
  s4nn predict mnist-plus photo.jpg --invert --like-mnist
  s4nn import s4nn hidden.npy output.npy --out s4nn.npz
  s4nn export mnist-plus --nir mnist-plus.nir
  s4nn data verify mnist

CONFIG is a TOML file or the name of an experiment, WEIGHTS an NPZ file or the name of a network; a file wins.

Data sets are searched in --data DIR, or else in $S4NN_DATA, data/ and the download cache,
each as DIR/mnist/train-images-idx3-ubyte[.gz] and so on. Own data are DIR/NAME/train/CLASS/*.png and
DIR/NAME/test/CLASS/*.png, DIR/NAME.npz or DIR/NAME.csv (docs/data.md); s4nn data verify NAME says what is found.

train, import, export, data fetch and predict --plot do their work whether or not anybody reads what they print."""

PREDICTION = """\
A picture of another size than the network's is scaled with its aspect kept, centred, and padded with its
background, the median of its edge; this is said on stderr. Transparent parts are white. It should look like
the training images: light on dark (else --invert), and of their size in the frame (MNIST: digits 20 of 28
pixels high; Fashion-MNIST: from edge to edge).

--like-mnist brings a drawn digit into that form, as MNIST's makers did: its background becomes black and its
brightest pixel white; what bounds it is scaled, its aspect kept, to fit 20 x 20 pixels, with grey edges; and
its centre of mass is put at the centre of 28 x 28, to the next pixel. One digit, light on dark (else --invert).

One line is printed for each picture, for example

  digit.png: class 5, decided at t = 55 of 100 steps, after 66 % of the input spikes and 1845 spikes in all; \
runner-up 3, 19 steps later

class 5      the output neuron that fires first, with its name where the training data gave it one;
             where "no output spike" is said, the one of the largest potential in the end
t = 55       the time step of that spike; steps count from 0
66 %         how much of the picture had come by then: bright pixels come first, black ones never
1845 spikes  of all layers, input included, until then
runner-up 3  the class if output 5 were left out, and how much later it fires; few steps are a close call"""


def _whole_number(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _seeds(text: str) -> tuple[int, ...]:
    """Seeds from "0-4" or "0-2,5", each once."""
    ranges = [part.partition("-") for part in text.split(",")]
    seeds = tuple(seed for first, _, last in ranges for seed in range(int(first), int(last or first) + 1))
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError
    return seeds


class _Version(argparse.Action):
    """Print what a bug report needs, and exit."""

    def __call__(self, parser, *_):
        from s4nn_ref.app.versions import versions_text

        print(versions_text())
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str):
        self.exit(2, f"s4nn: {InputError(message)}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The command line, see --help."""
    raw = argparse.RawDescriptionHelpFormatter
    top = _Parser(
        prog="s4nn",
        formatter_class=raw,
        epilog=EXAMPLES,
        description="DS4NN: deep spiking networks with one spike per neuron, trained by temporal backpropagation.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="versions of all that takes part, for bug reports")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    def command(name, about, more=""):
        return commands.add_parser(name, help=about, description=f"{about}.\n\n{more}".strip(), formatter_class=raw)

    def add_data(p):
        p.add_argument(
            "--data",
            type=Path,
            metavar="DIR",
            help="folder of the data sets, as DIR/mnist/... (default: $S4NN_DATA, data/, download cache)",
        )

    trained = "a trained network: its file, or the name of one that comes along, e.g. mnist-plus"

    def add_threads(p):
        p.add_argument("--threads", type=_whole_number, metavar="N", help="CPU threads (results do not depend on it)")

    p = command(
        "train",
        "train the network of an experiment and leave weights and a record",
        "A checkpoint is written after every epoch. Ctrl-C saves the state and exits with 130;\n"
        "--resume goes on from there to exactly the result of an uninterrupted run.\n\n"
        "DIR then holds weights.npz (selected epoch), weights-last.npz, record.json (settings and all\n"
        "metrics), responses.npz (raw responses to the test set) and checkpoint.npz.",
    )
    p.add_argument("config", type=Path, metavar="CONFIG", help="an experiment: its file, or its name, e.g. mnist-plus")
    add_data(p)
    p.add_argument("--out", type=Path, metavar="DIR", help="output folder (default: runs/EXPERIMENT/seedN)")
    p.add_argument("--seed", type=int, metavar="N", help="seed of weights, split, order and augmentation")
    p.add_argument("--epochs", type=int, metavar="N", help="train this many epochs")
    p.add_argument("--limit", type=_whole_number, metavar="N", help="use only the first N training images")
    add_threads(p)
    p.add_argument(
        "--engine",
        choices=("fast", "plain"),
        help="plain: the loops of the equations, slower (default: as CONFIG says)",
    )
    p.add_argument(
        "--no-test", action="store_true", help="leave the test set unread (choices are made on validation images)"
    )
    p.add_argument("--init", type=Path, metavar="WEIGHTS", help="start from a trained network of the same structure")
    p.add_argument(
        "--teacher",
        type=Path,
        action="append",
        default=[],
        metavar="WEIGHTS",
        help="a trained network whose opinion is learned too (learning.distillation > 0); once for each of several",
    )
    p.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped (or start)")
    p.add_argument("--force", action="store_true", help="discard the run that is in the output folder")

    def add_cluster(p, runs):
        p.add_argument("--workers", type=_whole_number, metavar="N", help=f"{runs} at a time (default: as many as fit)")
        p.add_argument(
            "--threads", type=_whole_number, metavar="N", help="CPU threads of each run (default: cores / workers)"
        )
        p.add_argument(
            "--scheduler",
            metavar="ADDRESS",
            help="an existing dask cluster, tcp://HOST:PORT or its scheduler file (default: this machine)",
        )

    p = command(
        "sweep",
        "train experiments with several seeds each, on this machine or on a cluster",
        "Each run is a process of `s4nn train --resume` into DIR/EXPERIMENT/seedN; train.log there holds what it\n"
        "prints. Runs that have a record are not repeated. Ctrl-C lets all save their state, and the same command\n"
        "goes on. A run that fails does not stop the others; the exit code is then 2.\n"
        "On a cluster (docs/sweep.md) all nodes share DIR and find the data set. Needs the extra s4nn_ref[sweep].\n\n"
        "  s4nn sweep mnist mnist-plus --seeds 0-4\n"
        "  s4nn sweep mnist --seeds 0-9 --scheduler tcp://node1:8786 --threads 4",
    )
    p.add_argument("configs", type=Path, nargs="+", metavar="CONFIG", help="experiments: their files or names")
    p.add_argument("--seeds", type=_seeds, default=(0,), metavar="LIST", help="such as 0-4 or 0,2,7-9 (default: 0)")
    add_data(p)
    p.add_argument("--out", type=Path, default=Path("runs"), metavar="DIR", help="output folder (default: runs)")
    p.add_argument("--epochs", type=int, metavar="N", help="train this many epochs")
    p.add_argument("--limit", type=_whole_number, metavar="N", help="use only the first N training images")
    p.add_argument(
        "--no-test", action="store_true", help="leave the test set unread; without this, a second call reads it"
    )
    add_cluster(p, "runs")

    p = command(
        "search",
        "search a space of experiments, on this machine or on a cluster",
        "SPACE names a base experiment, ranges and choices over any of its keys, budgets and objectives\n"
        "(docs/sweep.md). Trials are compared by validation images; the test set is never read. DIR then holds\n"
        "trials.csv (every trial, its whole experiment and its curve), pareto.png, summary.md and the runs of the\n"
        "trials that came to the end. Ctrl-C loses nothing: the same command goes on, with more --trials too.\n"
        "Needs the extra s4nn_ref[sweep].\n\n"
        "  s4nn search mnist --trials 40",
    )
    p.add_argument("space", type=Path, metavar="SPACE", help="a space: its file, or its name, e.g. mnist")
    p.add_argument("--trials", type=_whole_number, metavar="N", help="trials in all (default: as SPACE says)")
    add_data(p)
    p.add_argument("--out", type=Path, metavar="DIR", help="output folder (default: runs/search/SPACE)")
    add_cluster(p, "runs")

    p = command("evaluate", "metrics of a trained network on a data set")
    p.add_argument("weights", type=Path, metavar="WEIGHTS", help=trained)
    add_data(p)
    p.add_argument(
        "--dataset",
        metavar="NAME",
        help="mnist, fashion-mnist, glyphs or the name of own data in DIR (default: what it was trained on)",
    )
    p.add_argument("--split", choices=("test", "train"), default="test", help="default: test")
    p.add_argument("--limit", type=_whole_number, metavar="N", help="only the first N images")
    add_threads(p)
    p.add_argument(
        "--anytime",
        action="store_true",
        help="stop at the first output spike: the same decisions, no metrics that need more",
    )
    p.add_argument("--json", action="store_true", help="one JSON object")

    p = command("predict", "recognise PNG or JPEG files of any size, grey or colour", PREDICTION)
    p.add_argument("weights", type=Path, metavar="WEIGHTS", help=trained)
    p.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="a PNG or JPEG file")
    p.add_argument("--invert", action="store_true", help="the images are dark on light")
    p.add_argument("--like-mnist", action="store_true", help="centre and scale a drawn digit as MNIST's are")
    p.add_argument(
        "--json", action="store_true", help="one JSON object per image and line, with the firing times of all outputs"
    )
    p.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the potentials of all outputs over time")
    p.add_argument("--force", action="store_true", help="overwrite OUT.png")

    p = command(
        "data",
        "fetch, verify or locate a data set",
        "fetch downloads what is missing; verify reads it all and says what it found: files and checksums, images,\n"
        "their size, classes and how many images each has; where says in which file it would be read.\n\n"
        "NAME is mnist, fashion-mnist, emnist-letters (balanced, byclass, bymerge, digits, mnist) or own data in DIR:\n"
        "  NAME/train/CLASS/*.png and NAME/test/CLASS/*.png, or NAME/CLASS/*.png (.jpg too)\n"
        "  NAME.npz with x_train, y_train, x_test, y_test, or train_images, train_labels and so on\n"
        "  NAME.csv, or NAME/train.csv and NAME/test.csv: label and pixels, a row for each image (.csv.gz too)\n"
        "  NAME/train-images-idx3-ubyte and so on (.gz too)",
    )
    p.add_argument("action", choices=("fetch", "verify", "where"))
    p.add_argument("name", nargs="?", metavar="NAME", help="default: mnist and fashion-mnist")
    add_data(p)

    p = command("info", "layers, weights and origin of a trained network; or what comes along")
    p.add_argument(
        "weights", type=Path, nargs="?", metavar="WEIGHTS", help=f"{trained} (default: list what comes along)"
    )

    p = command(
        "import",
        "weights that another program stored: of a dense network, or a graph of NIR",
        "FILE is a NumPy array (.npy), a pickle of NumPy or CuPy arrays, a network of Comsa (text, or .gz), or a\n"
        "graph of the Neuromorphic Intermediate Representation (NIR, needs the package nir; docs/nir.md).\n"
        "Arrays are (n_post, n_pre), (n_post, n_pre, 1) or, above the image, (n_post, rows, columns), a layer each\n"
        "from below; a file may hold several. A pickle that asks for anything but arrays is refused, and nothing\n"
        "of it is run. A graph may have convolutions and pooling; where it differs from CONFIG, one line says in\n"
        "what.\n\n"
        "  s4nn import s4nn hidden.npy output.npy --out s4nn.npz\n"
        "  s4nn import s4nn weights.pickle --classes 4,1,0,7,9,2,3,5,8,6 --out s4nn.npz\n"
        "  s4nn import comsa fast_network.txt --out comsa.npz\n"
        "  s4nn import mnist-plus mnist-plus.nir --out mnist-plus.npz\n"
        "  s4nn evaluate comsa.npz",
    )
    p.add_argument("config", type=Path, metavar="CONFIG", help="the experiment that the weights are of: file or name")
    p.add_argument("files", type=Path, nargs="+", metavar="FILE", help="the weights")
    p.add_argument("--out", type=Path, required=True, metavar="WEIGHTS.npz", help="where to write")
    p.add_argument(
        "--factor", type=float, nargs="+", metavar="F", help="for BS4NN: a factor per layer; weights become F * sign(w)"
    )
    p.add_argument(
        "--classes",
        type=_numbers,
        metavar="C,C,...",
        help="the class that each output neuron stands for (default: 0,1,..)",
    )
    p.add_argument("--force", action="store_true", help="overwrite WEIGHTS.npz")

    p = command(
        "export",
        "write a trained network as a graph for other simulators and chips (NIR)",
        "The graph consists of standard nodes of the Neuromorphic Intermediate Representation and is the network:\n"
        "the same spikes, one per neuron at most. A time step is one unit of NIR's time, dt = 1. What becomes of\n"
        "each layer, how time is told and what was checked: docs/nir.md. Needs the package nir.\n\n"
        "  s4nn export mnist-plus --nir mnist-plus.nir",
    )
    p.add_argument("weights", type=Path, metavar="WEIGHTS", help=trained)
    p.add_argument("--nir", type=Path, required=True, metavar="OUT.nir", help="where to write the graph")
    p.add_argument("--force", action="store_true", help="overwrite OUT.nir")

    p = command(
        "compare",
        "metrics of finished runs beside the paper's",
        "A Markdown table: one column of what the paper says of this data set, one for each run. Example:\n\n"
        "  s4nn compare results/mnist/seed0 results/mnist-plus/seed0",
    )
    p.add_argument("runs", type=Path, nargs="+", metavar="DIR", help="output folder of a training run, runs/NAME/seedN")
    return top
