"""docs/results.md, the page of the shipped results, written from their records alone.

python figures/results.py [--results DIR] [--out FILE] [--check]

The text is results.template.md, beside this script. In it {tables[mnist]} stands for a table, and {mnist-plus[strict]}
for one value of an experiment's records. --check writes nothing and exits with 2 where the page is out of date.
"""

import argparse
import sys
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from common import ROOT, attempt, median_run
from tables import records_of, spread

from s4nn_ref.app.paper import PAPER, TABLE_3
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically

TEMPLATE = Path(__file__).with_name("results.template.md")
# table: its experiments, and whether one column "paper" holds for all of them
TABLES = {
    "mnist": (("mnist-literal", "mnist", "mnist-plus", "mnist-early"), True),
    "fashion": (("fashion", "fashion-plus"), True),
    "baselines": (
        ("s4nn", "bs4nn", "s4nn-fashion", "bs4nn-fashion", "relpsp", "table3-s4nn", "table3-mostafa", "table3-comsa"),
        False,
    ),
}  # fmt: skip
EXPERIMENTS = [experiment for experiments, _ in TABLES.values() for experiment in experiments]


@dataclass(frozen=True)
class Row:
    """One metric: what a table calls it, where a record holds it, its unit and its digits."""

    label: str
    place: str
    scale: float = 100
    digits: int = 2

    def values(self, records: list[dict]) -> list[float] | None:
        """One value per record; None where one of them is older than the metric."""
        try:
            return [reduce(dict.__getitem__, self.place.split("."), record) for record in records]
        except KeyError:
            return None

    def cell(self, values: list[float] | None) -> str:
        return "-" if values is None else spread(values, self.scale, self.digits)


ROWS = {
    "strict": Row("**accuracy (%)**", "selected.test.accuracy_strict"),
    "first_spike": Row("accuracy, first spike only (%)", "selected.test.accuracy_first_spike"),
    "unique": Row("accuracy, unique (%)", "selected.test.accuracy_unique"),
    "lenient": Row("accuracy, lenient (%)", "selected.test.accuracy_lenient"),
    "authors": Row("accuracy, as S4NN's authors count (%)", "selected.test.accuracy_authors"),
    "last": Row("accuracy, last epoch (%)", "last.test.accuracy_strict"),
    "potentials": Row("accuracy of the final potentials (%)", "selected.test.accuracy_potential"),
    "training": Row("accuracy, training images (%)", "selected.train.accuracy_strict"),
    "silent": Row("silent images (%)", "selected.test.silent"),
    "tied": Row("tied images (%)", "selected.test.tied"),
    "decision_time": Row("decision time (steps)", "selected.test.decision_time_mean", 1, 1),
    "mrn": Row("spikes until the decision, MRN", "selected.test.mrn.total", 1, 0),
    "mrn_unpooled": Row("MRN without pooling copies", "selected.test.mrn.total_without_pooling", 1, 0),
    "dead": Row("dead neurons, per image (%)", "selected.test.dead.per_image", 100, 1),
    "always_dead": Row("dead neurons, every image (%)", "selected.test.dead.always", 100, 1),
    "minutes": Row("training (minutes)", "seconds.training", 1 / 60, 1),
}


def extent(values) -> str:
    """The only value, or the first and the last of them in order."""
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low}-{high}"


def quoted(experiment: str, record: dict) -> dict[str, float]:
    """What the paper says of an experiment, by row. Of the networks of Table 3 it gives dead neurons only."""
    config = record["config"]
    values = PAPER.get((config["learning"]["algorithm"], config["data"]["dataset"]), {})
    names = {"test": "strict", "train": "training"}
    values = {names.get(key, key): value for key, value in values.items()}
    dead = {name: share / 100 for _, name, share in TABLE_3}
    if experiment in dead:
        values = ({} if experiment.startswith("table3-") else values) | {"dead": dead[experiment]}
    return values


class Values(dict):
    """Everything the template can name: by experiment, its values as text; under "tables", the tables."""

    def __init__(self, results: Path):
        self.results = results
        super().__init__(tables={name: self.table(*content) for name, content in TABLES.items()})
        self["tables"]["commands"] = self.commands()

    def __missing__(self, experiment: str) -> dict[str, str]:
        records = records_of(experiment, self.results)
        if not records:
            raise InputError(
                f"no records of {experiment} in {self.results}; make them with: s4nn train "
                f"experiments/{experiment}.toml"
            )
        config = records[0]["config"]
        values = {key: row.cell(row.values(records)) for key, row in ROWS.items()}
        values |= {f"paper_{key}": ROWS[key].cell([value]) for key, value in quoted(experiment, records[0]).items()}
        values |= {
            "structure": config["network"]["structure"],
            "t_max": str(config["network"]["t_max"]),
            "epochs": f"{extent([r['selected']['epoch'] for r in records])} of {config['training']['epochs']}",
            "one_by_one": ", ".join(f"{100 * r['selected']['test']['accuracy_strict']:.2f}" for r in records),
            "seeds": ", ".join(str(r["seed"]) for r in records),
            "head": f"{experiment} ({len(records)} seed{'s' * (len(records) > 1)})",
            "threads": extent([r["environment"]["threads"] for r in records]),
            "machine": "{cores} cores, {cpu}".format_map(records[0]["environment"]),
            "revision": ", ".join(dict.fromkeys((r["environment"]["revision"] or "-")[:7] for r in records)),
        }
        self[experiment] = values
        return values

    def table(self, experiments: tuple[str, ...], paper: bool) -> str:
        """Metrics by row, experiments by column; what the paper says in a column of its own, or in rows."""
        columns = [self[experiment] for experiment in experiments]
        rows = [["", *["paper"] * paper, *(c["head"] for c in columns)]]
        for key, row in ROWS.items():
            cells = [c[key] for c in columns]
            says = [c.get(f"paper_{key}", "-") for c in columns]
            if paper:
                rows.append([row.label, next((text for text in says if text != "-"), "-"), *cells])
                continue
            if set(says) != {"-"}:
                rows.append([f"{row.label.replace('*', '')} in the paper", *says])
            rows.append([row.label, *cells])
        for key, label in (("threads", "threads"), ("epochs", "evaluated epoch")):
            rows.append([label, *["-"] * paper, *(c[key] for c in columns)])
        return markdown(rows)

    def commands(self) -> str:
        """How every column came about, and its accuracy seed by seed."""
        rows = [["experiment", "command", "seeds", "median seed", "accuracy, seed by seed (%)", "revision"]]
        for experiment in EXPERIMENTS:
            c = self[experiment]
            median = median_run(experiment, self.results).name.removeprefix("seed")
            command = f"`s4nn train experiments/{experiment}.toml --seed N`"
            rows.append([f"`{experiment}`", command, c["seeds"], median, c["one_by_one"], c["revision"]])
        return markdown(rows)


def markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def write(results: Path, out: Path, check: bool) -> None:
    """Write the page, or compare it. Raises InputError where records are missing, or the page is out of date."""
    page = TEMPLATE.read_text(encoding="utf-8").format_map(Values(results))
    if not check:
        write_atomically(out, page.encode())
        print(out)
    elif not out.exists() or out.read_text(encoding="utf-8") != page:
        raise InputError(f"{out} is not what the records say; write it with: python figures/results.py")


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR", help="folder of the records")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results.md", metavar="FILE",
                        help="the page (default: docs/results.md)")  # fmt: skip
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 2 where the page is out of date")
    args = parser.parse_args(argv)
    return attempt([lambda: write(args.results, args.out, args.check)])


if __name__ == "__main__":
    sys.exit(main())
