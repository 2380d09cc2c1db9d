"""What each change of an improved experiment is worth: short runs with all of them, and with all but one.

    python experiments/ablate.py experiments/mnist-plus.toml [--limit 30000] [--epochs 5] [--seed 0] [--data DIR]

After every run the row is written to results/ablation/EXPERIMENT.json, and the table to EXPERIMENT.md; rows that are
already there are not run again. Metrics are those of the last epoch on the 5,000 validation images; the test set is not
read. Short runs favour what learns fast: only large differences mean something.
"""

import argparse
import json
import sys
import tomllib
from pathlib import Path

from s4nn_ref.app.progress import TerminalProgress
from s4nn_ref.app.record import environment
from s4nn_ref.config import config_of_dict
from s4nn_ref.data.dataset import load
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically, write_json
from s4nn_ref.training.loop import Training, split_validation

ROOT = Path(__file__).resolve().parent.parent
# what is taken away: the keys that do it; None removes a key
ROWS = {
    "everything": {},
    "constant output threshold (D25)": {"network.collapse": [1, 1, 1]},
    "no auxiliary loss on the final potentials (D21)": {"learning.final_potentials": 0},
    "target times and hinge instead of the first-spike loss (D15)": {
        "learning.loss": "relative-targets",
        "learning.lam": 30,
        "learning.hinge": True,
        "learning.noise": None,
        "learning.final_potentials": None,
        "learning.latency_penalty": None,
        "network.collapse": [1, 1, 1],
    },
    "the paper's dt/dV, no window (D5)": {"learning.surrogate": "fired"},
    "window for silent neurons only (D5)": {"learning.surrogate": "window-silent"},
    "valid padding (D16)": {"network.padding": "valid"},
    "pooling ties to the lowest index (D8)": {"network.pool_ties": "index"},
    "no weight decay (D12)": {"optimiser.weight_decay": 0},
    "constant eta (D12)": {"optimiser.schedule": "constant"},
    "no average of the weights (D13)": {"optimiser.ema": 0},
    "no augmentation (D14)": {"augment": {}},
}
# rows of a single experiment
OWN_ROWS = {
    "fashion-plus": {
        "no flip (D14)": {"augment.flip": False},
        "no erased squares (D14)": {"augment.erase": 0},
        "Adam, with its own rates and decay (D31)": {
            "optimiser.rule": "adam",
            "optimiser.beta1": 0.9,
            "optimiser.eta": [0.1, 0.08, 0.08, 0.006],
            "optimiser.weight_decay": [1e-4, 3e-4, 3e-4, 3e-3],
        },
    },
}
COLUMNS = {
    "accuracy_strict": "strict (%)",
    "accuracy_first_spike": "first spike (%)",
    "accuracy_potential": "potentials (%)",
    "silent": "silent (%)",
    "tied": "tied (%)",
}


def rows_of(experiment: str) -> dict:
    """The rows of an experiment: what is taken away -> the keys that do it."""
    return ROWS | OWN_ROWS.get(experiment, {})


def changed(tables: dict, changes: dict) -> dict:
    """An experiment's tables with other values of keys, "section.key", or of whole sections. None removes a key."""
    tables = {section: dict(keys) for section, keys in tables.items()}
    for path, value in changes.items():
        section, _, key = path.partition(".")
        if not key:
            tables[section] = value
        elif value is None:
            tables.get(section, {}).pop(key, None)
        else:
            tables.setdefault(section, {})[key] = value
    return tables


def validated(config, train, limit: int) -> dict:
    """The last epoch's row of a run on the first `limit` training images."""
    config = config.on(train)
    learn, validate = split_validation(train.called(config.classes), config)
    training, stop = Training(config, learn.head(limit), validate), {"set": False}
    progress = TerminalProgress(config.training.epochs, len(training.data.labels), 0)
    try:
        for _ in range(config.training.epochs):
            training.run_epoch(progress, stop)
            row = training.close_epoch()
    finally:
        progress.close()
    return row


def table(content: dict) -> str:
    """The rows that have been run, as a Markdown table."""
    base = content["rows"]["everything"]["validation"]
    head = ["Without", *COLUMNS.values(), "change, strict", "decision time", "MRN"]
    lines = [
        f"# {content['experiment']}: everything but one",
        "",
        f"First {content['limit']:,} training images, {content['epochs']} epochs, seed {content['seed']}; validation "
        "images, last epoch.",
        "",
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
    ]
    for name, row in content["rows"].items():
        v = row["validation"]
        cells = [name, *(f"{100 * v[key]:.2f}" for key in COLUMNS)]
        cells.append(f"{100 * (v['accuracy_strict'] - base['accuracy_strict']):+.2f}" if name != "everything" else "")
        cells += [f"{v['decision_time_mean']:.1f}", f"{v['mrn']['total']:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--limit", type=int, default=30_000, metavar="N", help="training images (default: 30000)")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets, as for s4nn train")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "ablation", metavar="DIR")
    args = parser.parse_args(argv)
    try:
        tables = tomllib.loads(args.config.read_text())
        path = args.out / f"{args.config.stem}.json"
        settings = {"experiment": args.config.stem, "limit": args.limit, "epochs": args.epochs, "seed": args.seed}
        content = json.loads(path.read_text()) if path.exists() else {**settings, "tables": tables, "rows": {}}
        if {key: content[key] for key in (*settings, "tables")} != {**settings, "tables": tables}:
            raise InputError(
                f"{path} is of another experiment or length, or of another version; remove it, or use another --out"
            )
        train = None
        for name, changes in rows_of(args.config.stem).items():
            if name in content["rows"]:
                continue
            config = config_of_dict(changed(tables, changes)).changed("training", seed=args.seed, epochs=args.epochs)
            train = train or load(config.data.dataset, "train", args.data)
            print(name, flush=True)
            row = validated(config, train, args.limit)
            content["rows"][name] = {"changes": changes, "revision": environment()["revision"], **row}
            write_json(path, content)
            write_atomically(path.with_suffix(".md"), table(content).encode())
    except (InputError, OSError, tomllib.TOMLDecodeError) as error:
        print(f"ablate: {error}", file=sys.stderr)
        return 2
    print(table(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
