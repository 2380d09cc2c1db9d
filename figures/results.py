"""Numbers of the documents, read from the records: README.md and docs/**/*.md, but for the log.

    python figures/results.py [--results DIR] [--check] [DOCUMENT ...]

After a number a hidden comment names where it comes from, as values.py says: 97.63<!--=mnist strict mean--> %. Before a
table such a comment names the table: <!--table mnist-->. Numbers and tables are replaced by what the records say.
--check writes nothing and exits with 2 where one is out of date, with a line for each.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import ladder
from common import ROOT, attempt, median_run
from tables import BASELINES
from values import ROWS, Values, quoted

from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically

# table: its experiments, and whether one column "paper" holds for all of them
TABLES = {
    "mnist": (("mnist-literal", "mnist", "mnist-near", "mnist-plus", "mnist-early"), True),
    "fashion": (("fashion", "fashion-plus"), True),
    "table 3": (("mnist", "table3-s4nn", "table3-mostafa", "table3-comsa"), False),
    "systems mnist": (BASELINES["mnist"], False),
    "systems fashion": (BASELINES["fashion"], False),
}
COMMANDS = {"commands": ("mnist", "fashion", "table 3"), "commands systems": ("systems mnist", "systems fashion")}
# the short tables of README: what the columns are called, and the rows
SHORT = {
    "short mnist": ("MNIST", {"mnist": "faithful", "mnist-plus": "plus", "mnist-early": "early"}),
    "short fashion": ("Fashion-MNIST", {"fashion": "faithful", "fashion-plus": "plus"}),
}
SHORT_ROWS = {
    "test accuracy (strict: first output spike; potentials decide ties and silence)": "{strict} %",
    "test accuracy (first spike only: silence counts as wrong)": "{first_spike} %",
    "images without output spike / with a tie": "{silent mean} / {tied mean} %",
    "decision time, mean over images (of 100 steps)": "{decision_time}",
    "spikes until the decision, mean over images (MRN; without pooling copies)": "{mrn mean} ({mrn_unpooled mean})",
}
NUMBER = re.compile(r"([^\s|(*`>]+(?: ± [\d.]+)?)<!--=(.*?)-->")
TABLE = re.compile(r"<!--table (.*?)-->")


def markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def metrics(values: Values, experiments: tuple[str, ...], paper: bool) -> str:
    """Metrics by row, experiments by column; what the paper says in a column of its own, or in rows."""
    rows = [["", *["paper"] * paper, *(values[f"{experiment} head"] for experiment in experiments)]]
    for key, row in ROWS.items():
        said = [quoted(experiment, values.records(experiment)[0]) for experiment in experiments]
        says = [row.cell([one[key]]) if key in one else "-" for one in said]
        cells = [values[f"{experiment} {key}"] for experiment in experiments]
        if paper:
            rows.append([row.label, next((text for text in says if text != "-"), "-"), *cells])
            continue
        if set(says) != {"-"}:
            rows.append([f"{row.label.replace('*', '')} in the paper", *says])
        rows.append([row.label, *cells])
    for key, label in (("threads", "threads"), ("epochs", "evaluated epoch")):
        rows.append([label, *["-"] * paper, *(values[f"{experiment} {key}"] for experiment in experiments)])
    return markdown(rows)


def epochs(values: Values) -> str:
    """Seconds per epoch of every experiment of the tables, as its runs recorded them: medians over seeds."""
    rows = [
        ["experiment", "structure", "processor", "threads", "first epoch (s)", "median epoch (s)", "epochs", "minutes"]
    ]
    for experiment in dict.fromkeys(name for names, _ in TABLES.values() for name in names):
        records = values.records(experiment)
        seconds = [[row["seconds"] for row in record["history"]] for record in records]
        first, typical = (median(of_run(one) for one in seconds) for of_run in (lambda one: one[0], median))
        length = median(len(one) for one in seconds)
        cpu = ", ".join(sorted({record["environment"]["cpu"] for record in records}))
        places = values[f"{experiment} structure"], cpu, values[f"{experiment} threads"]
        minutes = ROWS["minutes"].cell([median(ROWS["minutes"].values(records))])
        rows.append([f"`{experiment}`", *places, f"{first:.0f}", f"{typical:.0f}", f"{length:.0f}", minutes])
    return markdown(rows)


def commands(values: Values, tables: tuple[str, ...]) -> str:
    """How every column of some tables came about, and its accuracy seed by seed."""
    rows = [["experiment", "command", "seeds", "median seed", "accuracy, seed by seed (%)", "revision"]]
    for experiment in dict.fromkeys(name for table in tables for name in TABLES[table][0]):
        seeds, one_by_one, revision = (values[f"{experiment} {key}"] for key in ("seeds", "one_by_one", "revision"))
        median = median_run(experiment, values.results).name.removeprefix("seed")
        command = f"`s4nn train experiments/{experiment}.toml --seed N`"
        rows.append([f"`{experiment}`", command, seeds, median, one_by_one, revision])
    return markdown(rows)


def short(values: Values, dataset: str, columns: dict[str, str]) -> str:
    """The table of README: the paper's value, and ours by kind of experiment."""
    faithful, *_ = columns
    heads = [f"{label}, {values[f'{name} n']} seeds" for name, label in columns.items()]
    rows = [[f"{dataset}, {values[f'{faithful} structure']}", "paper", *heads]]
    said = quoted(faithful, values.records(faithful)[0])
    for label, form in SHORT_ROWS.items():
        fields = re.findall(r"\{(.*?)\}", form)
        key = fields[0].split()[0]
        digits = 1 if key == "strict" else 0 if key == "mrn" else 1
        paper = f"{ROWS[key].scale * said[key]:.{digits}f}{' %' * (ROWS[key].scale == 100)}" if key in said else "-"
        cells = [re.sub(r"\{(.*?)\}", lambda m, name=name: values[f"{name} {m[1]}"], form) for name in columns]
        rows.append([label, paper, *cells])
    return markdown(rows)


WHOLE = {"ladder": lambda values: markdown(ladder.table(ladder.present(values.results))), "epochs": epochs}


def table(values: Values, name: str) -> str:
    """A table by its name."""
    if name in TABLES:
        return metrics(values, *TABLES[name])
    if name in SHORT:
        return short(values, *SHORT[name])
    if name in COMMANDS:
        return commands(values, COMMANDS[name])
    if name in WHOLE:
        return WHOLE[name](values)
    raise InputError(f"no table is called {name!r}; there are {', '.join((*TABLES, *SHORT, *COMMANDS, *WHOLE))}")


@dataclass(frozen=True)
class Stale:
    """What stands in a line of a document, and what the records say."""

    document: Path
    line: int
    there: str
    record: str
    name: str

    def __str__(self):
        return f"{self.there} stands here, the records say {self.record} ({self.name}): make results"


def fresh(path: Path, values: Values) -> tuple[str, list[Stale]]:
    """The text of a document as the records have it, and where that is not what it says.

    Raises InputError where a mark has no number, or a name no record.
    """
    lines, out, stale = path.read_text(encoding="utf-8").split("\n"), [], []
    at = 0
    while at < len(lines):
        line, number = lines[at], at + 1

        def replaced(match, number=number, stale=stale):
            text = _value(values, match[2], path, number)
            if text != match[1]:
                stale.append(Stale(path, number, match[1], text, match[2]))
            return f"{text}<!--={match[2]}-->"

        if line.count("<!--=") != len(NUMBER.findall(line)) or (TABLE.search(line) and not TABLE.fullmatch(line)):
            raise InputError(f"{path}:{number}: a mark needs a number before it, or a line of its own: {line.strip()}")
        out.append(NUMBER.sub(replaced, line))
        at += 1
        if mark := TABLE.fullmatch(line):
            there = _rows(lines, at)
            said = _value(values, line, path, number).split("\n")
            stale += _differences(path, at, there, said, mark[1])
            out += said
            at += len(there)
    return "\n".join(out), stale


def _value(values: Values, name: str, path: Path, number: int) -> str:
    """A number or a table; an error names the line."""
    try:
        mark = TABLE.fullmatch(name)
        return table(values, mark[1]) if mark else values[name]
    except InputError as error:
        raise InputError(f"{path}:{number}: {error}") from error


def _rows(lines: list[str], at: int) -> list[str]:
    """The rows of the table that begins at a line."""
    end = next((i for i in range(at, len(lines)) if not lines[i].startswith("|")), len(lines))
    return lines[at:end]


def _differences(path: Path, at: int, there: list[str], said: list[str], name: str) -> Iterator[Stale]:
    """The first cell of each row that differs."""
    for i in range(max(len(there), len(said))):
        old, new = (rows[i].split(" | ") if i < len(rows) else ["nothing"] for rows in (there, said))
        if old != new:
            cells = zip(old, new, strict=False)
            cell = next(((a, b) for a, b in cells if a != b), (" | ".join(old), " | ".join(new)))
            yield Stale(path, at + 1 + i, *cell, f"table {name}")


def documents(root: Path = ROOT) -> list[Path]:
    """README and the documents, but for the log, which is history."""
    pages = sorted(path for path in (root / "docs").rglob("*.md") if not {"_build", "log"} & set(path.parts))
    return [root / "README.md", *pages]


def update(path: Path, values: Values, check: bool) -> bool:
    """Write a document that is out of date, or only say where it is. False where it stays so."""
    text, stale = fresh(path, values)
    for one in stale if check else ():
        print(f"{one.document}:{one.line}: {one}", file=sys.stderr)
    if stale and not check:
        write_atomically(path, text.encode())
        print(path)
    return not (stale and check)


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="*", type=Path, metavar="DOCUMENT", help="default: README.md and docs/")
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR", help="folder of the records")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 2 where one is out of date")
    args = parser.parse_args(argv)
    values, good = Values(args.results), []

    def work(path: Path) -> None:
        good.append(update(path, values, args.check))

    status = attempt([lambda path=path: work(path) for path in args.documents or documents()])
    return status if all(good) else 2


if __name__ == "__main__":
    sys.exit(main())
