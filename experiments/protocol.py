"""The protocol of the authors of S4NN and BS4NN: learn from all 60,000 images, read the test set after every epoch.

    python experiments/protocol.py experiments/s4nn.toml [--epochs N] [--limit N] [--data DIR] [--out DIR]

The best epoch is then chosen on the test set, so its accuracy is not a result of ours. It tells how much of the
distance to a quoted accuracy comes from the protocol. Writes EXPERIMENT-protocol.json into the output folder (default:
results/tried). After every epoch the run is saved in runs/EXPERIMENT-protocol; the same command goes on with it.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from s4nn_ref.app.progress import TerminalProgress
from s4nn_ref.app.record import environment
from s4nn_ref.config import read_config
from s4nn_ref.data.dataset import load
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_json
from s4nn_ref.training.loop import Training

ROOT = Path(__file__).resolve().parent.parent
COUNTS = ("accuracy_strict", "accuracy_first_spike", "accuracy_lenient", "accuracy_authors")


def summary(history: list[dict]) -> dict:
    """For each way to count: the best test accuracy and its epoch, the last, and the mean of the last ten epochs."""
    out = {}
    for count in COUNTS:
        accuracies = [row["test"][count] for row in history]
        late, best = accuracies[-10:], max(accuracies)
        out[count] = {"best": best, "epoch": accuracies.index(best) + 1, "last": accuracies[-1]}
        out[count]["late_mean"] = sum(late) / len(late)
    return out


def text(summaries: dict) -> str:
    """`summary`, a line for each way to count."""
    lines = [
        f"{count:<22} best {100 * s['best']:.2f} % (epoch {s['epoch']}), last {100 * s['last']:.2f} %, mean of the "
        f"last ten {100 * s['late_mean']:.2f} %"
        for count, s in summaries.items()
    ]
    return "\n".join(lines)


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--epochs", type=int, metavar="N", help="default: those of the experiment")
    parser.add_argument("--limit", type=int, metavar="N", help="training images (default: all)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets, as for s4nn train")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "tried", metavar="DIR")
    args = parser.parse_args(argv)
    try:
        config = read_config(args.config).changed("training", epochs=args.epochs).changed("data", validation=0)
        config = replace(config, name=f"{config.name}-protocol")
        ran_with = environment()
        train, test = (load(config.data.dataset, split, args.data) for split in ("train", "test"))
        config = config.on(train)
        train, test = (one.called(config.classes) for one in (train, test))
        training = Training(config, train.head(args.limit), test)
        checkpoint = Path("runs", config.name, "checkpoint.npz")
        if checkpoint.exists():
            training.restore(checkpoint)
        images = len(training.data.labels)
        done = training.epoch * images + training.batch * training.presented
        progress = TerminalProgress(config.training.epochs, images, done)
        print(f"{config.name}: metrics called validation are those of the test set", flush=True)
        try:
            finished = training.run(checkpoint, progress)
        finally:
            progress.close()
        if not finished:
            print(f"interrupted in epoch {training.epoch + 1}; the same command goes on")
            return 130
        history = [{**row, "test": row["validation"]} for row in training.history]
        for row in history:
            del row["validation"]
        path = args.out / f"{config.name}.json"
        content = {"config": config.as_dict(), "environment": ran_with, "limit": args.limit}
        write_json(path, {**content, "summary": summary(history), "history": history})
    except (InputError, OSError) as error:
        print(f"protocol: {error}", file=sys.stderr)
        return 2
    print(text(summary(history)))
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
