"""Numbers that documents take from records, by name.

    mnist-plus strict           mean ± standard deviation over the seeds of an experiment
    mnist-plus strict mean      the mean alone
    mnist strict gap 1          how far it is from the paper's value, with one digit
    mnist strict paper          the paper's value
    tried/NAME strict           of a single record, results/tried/NAME.json
    bench speed/mnist-plus+trained/seconds_per_image/forward us
                                a place in results/bench/bench.json, and its unit; A : B is their quotient
    log 2026-11-27-table3 87.4  a number that stands in docs/log/2026-11-27-table3.md

`Values(results)[name]` is the text.
"""

import json
import re
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path

from common import ROOT
from tables import records_of, spread

from s4nn_ref.app.paper import TABLE_3, quoted_of
from s4nn_ref.errors import InputError


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
UNITS = {  # of numbers in bench.json
    "us": lambda x: f"{1e6 * x:.1f}" if 1e6 * x < 10 else f"{1e6 * x:.0f}",
    "s": lambda x: f"{x:.0f}",
    "ms": lambda x: f"{1e3 * x:.1f}" if 1e3 * x < 10 else f"{1e3 * x:.0f}",
    "ns": lambda x: f"{1e9 * x:.2f}",
    "MB": lambda x: f"{x / 1e6:.0f}",
    "10^3": lambda x: f"{x / 1e3:.1f}" if x < 1e5 else f"{x / 1e3:.0f}",
    "10^6": lambda x: f"{x / 1e6:.1f}" if x < 1e8 else f"{x / 1e6:.0f}",
    "%": lambda x: f"{100 * x:.0f}",
    "times": lambda x: f"{x:.0f}",
    "ratio": lambda x: f"{x:.2f}",
}


def extent(values) -> str:
    """The only value, or the first and the last of them in order."""
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low}-{high}"


def quoted(experiment: str, record: dict) -> dict[str, float]:
    """What the paper says of an experiment, by row. Of the networks of Table 3 it gives dead neurons only."""
    values = quoted_of(record["config"])
    names = {"test": "strict", "train": "training"}
    values = {names.get(key, key): value for key, value in values.items()}
    dead = {name: share / 100 for _, name, share in TABLE_3}
    if experiment in dead:
        values = ({} if experiment.startswith("table3-") else values) | {"dead": dead[experiment]}
    return values


class Values:
    """The text of every name, from the records below a folder. Raises InputError where there is no such number."""

    def __init__(self, results: Path = ROOT / "results"):
        self.results = results
        self.records = cache(self._records)

    def __getitem__(self, name: str) -> str:
        source, _, rest = name.partition(" ")
        try:
            if source in ("bench", "log"):
                return self._bench(rest) if source == "bench" else _logged(*rest.split(" ", 1))
            return self._metric(source, *rest.split())
        except InputError:
            raise
        except (KeyError, IndexError, OSError, TypeError, ValueError) as error:
            raise InputError(f"no number is called {name!r}: figures/values.py says how they are") from error

    def _records(self, experiment: str) -> list[dict]:
        """The records of an experiment, at least one."""
        single = self.results / f"{experiment}.json"
        if experiment.startswith("tried/") and single.exists():
            return [json.loads(single.read_text(encoding="utf-8"))]
        if records := records_of(experiment, self.results):
            return records
        raise InputError(
            f"no records of {experiment} in {self.results}; make them with: s4nn train experiments/{experiment}.toml"
        )

    def paper(self, experiment: str, key: str) -> float:
        """What the paper says, in the unit of the row. Raises KeyError where it says nothing."""
        return ROWS[key].scale * quoted(experiment, self.records(experiment)[0])[key]

    def mean(self, experiment: str, key: str) -> float:
        """The mean over seeds, in the unit of the row."""
        values = ROWS[key].values(self.records(experiment))
        return ROWS[key].scale * sum(values) / len(values)

    def _metric(self, experiment: str, key: str, form: str = "spread", digits: str | None = None) -> str:
        if key not in ROWS:
            return self._about(experiment, key)
        row = ROWS[key]
        places = row.digits if digits is None else int(digits)
        if form == "spread":
            return row.cell(row.values(self.records(experiment)))
        mean = self.mean(experiment, key) if form in ("mean", "gap") else 0.0
        paper = self.paper(experiment, key) if form in ("paper", "gap") else 0.0
        return f"{ {'mean': mean, 'paper': paper, 'gap': abs(paper - mean)}[form]:.{places}f}"

    def _about(self, experiment: str, key: str) -> str:
        """What records say of themselves."""
        records = self.records(experiment)
        config, tests = records[0]["config"], [record["selected"]["test"] for record in records]
        about = {
            "structure": lambda: config["network"]["structure"],
            "t_max": lambda: str(config["network"]["t_max"]),
            "epochs": lambda: f"{extent([r['selected']['epoch'] for r in records])} of {config['training']['epochs']}",
            "one_by_one": lambda: ", ".join(f"{100 * test['accuracy_strict']:.2f}" for test in tests),
            "seeds": lambda: ", ".join(str(record["seed"]) for record in records),
            "n": lambda: str(len(records)),
            "head": lambda: f"{experiment} ({len(records)} seed{'s' * (len(records) > 1)})",
            "threads": lambda: extent([record["environment"]["threads"] for record in records]),
            "revision": lambda: ", ".join(
                dict.fromkeys((record["environment"]["revision"] or "-")[:7] for record in records)
            ),
        }
        return about[key]()

    def _bench(self, place: str) -> str:
        """A number of the benchmark, or the quotient of two, with its unit."""
        *places, unit = place.rsplit(" ", 1)
        bench = json.loads((self.results / "bench" / "bench.json").read_text(encoding="utf-8"))
        first, *second = [reduce(_step, path.split("/"), bench) for path in places[0].split(" : ")]
        return UNITS[unit](first / second[0] if second else first)


def _logged(name: str, number: str) -> str:
    """A number that the log has. Raises KeyError where it stands there no longer."""
    text = (ROOT / "docs" / "log" / f"{name}.md").read_text(encoding="utf-8")
    if not re.search(rf"(?<![\d.]){re.escape(number)}(?!\.?\d)", text):
        raise KeyError(number)
    return number


def _step(place, word: str):
    """One step of a path: a key, an index, or the row of a list that holds all of these values, joined by +."""
    if isinstance(place, dict):
        return place[word]
    if word.isdigit():
        return place[int(word)]
    rows = [row for row in place if set(word.split("+")) <= {str(value) for value in row.values()}]
    (row,) = rows
    return row
