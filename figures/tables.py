"""Tables 1-5 as Markdown and CSV: the paper's values and ours, measured over all shipped seeds.

python figures/tables.py [--results DIR] [--out DIR]
"""

import argparse
import csv
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import OUT, ROOT, attempt, runs_of

from s4nn_ref.app.paper import TABLE_2, TABLE_3, TABLE_4, TABLE_5
from s4nn_ref.app.record import read_record, read_responses
from s4nn_ref.config import read_config
from s4nn_ref.data.classes import known
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically

# faithful, near, improved, improved for early decisions
EXPERIMENTS = {"mnist": ("mnist", "mnist-near", "mnist-plus", "mnist-early"), "fashion": ("fashion", "fashion-plus")}
BASELINES = {
    "mnist": ("s4nn", "s4nn-authors", "bs4nn", "mostafa", "mostafa-noise", "comsa", "relpsp", "relpsp-conv", "stidi"),
    "fashion": ("s4nn-fashion", "bs4nn-fashion", "relpsp-fashion"),
}
DATASETS = {"mnist": "MNIST", "fashion": "Fashion-MNIST"}


@dataclass(frozen=True)
class Table:
    """Rows, the head first, with the name of the file, a title and a note."""

    name: str
    title: str
    rows: list[list[str]]
    note: str = ""


def write(table: Table, out: Path) -> None:
    """Write NAME.md with title and note, and NAME.csv, and say where."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in table.rows]
    lines.insert(1, "|" + "---|" * len(table.rows[0]))
    page = "\n".join([f"# {table.title}", "", *lines, "", *([table.note, ""] if table.note else [])])
    sheet = io.StringIO(newline="")
    csv.writer(sheet).writerows(table.rows)
    write_atomically(out / f"{table.name}.md", page.encode())
    write_atomically(out / f"{table.name}.csv", sheet.getvalue().encode())
    print(f"{out / table.name}.md, .csv")


def spread(values, scale: float = 1.0, digits: int = 2) -> str:
    """Mean and standard deviation over seeds, as text; a single value as it is."""
    values = scale * np.asarray(values, float)
    mean = f"{values.mean():.{digits}f}"
    return f"{mean} ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else mean


def records_of(experiment: str, results: Path) -> list[dict]:
    """The records of an experiment, in the order of their seeds."""
    return [read_record(run) for run in runs_of(experiment, results)]


def measured(experiment: str, results: Path) -> list[str] | None:
    """An experiment's cells of Tables 2 and 4: four accuracies, tied, silent, seeds. None without records; "-" where a
    record is older than the metric."""
    tests = [record["selected"]["test"] for record in records_of(experiment, results)]
    if not tests:
        return None
    keys = ("accuracy_strict", "accuracy_first_spike", "accuracy_lenient", "accuracy_authors", "tied", "silent")
    cells = [spread([t[key] for t in tests], 100) if all(key in t for t in tests) else "-" for key in keys]
    return [*cells, str(len(tests))]


def threshold(network: dict) -> str:
    """The threshold of all layers, and that of the output where it falls with time (D25)."""
    v_th, (start, end, power) = network["v_th"], network["collapse"]
    falls = f"; output {start * v_th:g} to {end * v_th:g}, power {power:g}" if start != end else ""
    return f"{v_th:g}{falls}"


def table1() -> Table:
    """Table 1: settings."""
    quoted = {
        "initial weights": "[0, 80], [0, 50]", "learning rate": "0.1", "lambda": "10", "threshold": "100",
        "T_max": "100", "optimiser": "Adam (SGD in section 4)", "batch, epochs, padding": "not said",
    }  # fmt: skip
    names = [name for dataset in DATASETS for name in EXPERIMENTS[dataset]]
    configs = [read_config(ROOT / "experiments" / f"{name}.toml").as_dict() for name in names]
    ours = {
        "initial weights": lambda c: ", ".join(f"[{low:g}, {high:g}]" for low, high in c["network"]["init"]),
        "learning rate": lambda c: ", ".join(f"{eta:g}" for eta in dict.fromkeys(c["optimiser"]["eta"])),
        "lambda": lambda c: (
            f"{c['learning']['lam']:g}" if "lam" in c["learning"] else f"none ({c['learning']['loss']})"
        ),
        "threshold": lambda c: threshold(c["network"]),
        "T_max": lambda c: str(c["network"]["t_max"]),
        "optimiser": lambda c: "{rule}, {schedule}".format_map(c["optimiser"]),
        "batch, epochs, padding": lambda c: "{batch}, {epochs}, ".format_map(c["training"]) + c["network"]["padding"],
    }
    rows = [["", "paper (MNIST)", *names]]
    rows += [[key, value, *(ours[key](c) for c in configs)] for key, value in quoted.items()]
    return Table("table1", "Table 1: settings", rows)


def comparison(number: int, dataset: str, literature, results: Path) -> Table:
    """Tables 2 and 4: our accuracy, that of our baselines, and what the paper quotes of the literature."""
    head = ["Model", "Structure", "Source", "Accuracy (%)", "Difference to DS4NN", "First spike only (%)"]
    head += ["Lenient (%)", "As S4NN's authors count (%)", "Tied (%)", "Silent (%)", "Seeds"]
    ds4nn = next(accuracy for model, _, accuracy in literature if model.startswith("DS4NN"))
    rows = [head]
    for model, structure, accuracy in literature:
        rows.append([model, structure, "quoted", f"{accuracy:.1f}", f"{accuracy - ds4nn:+.1f}", *["-"] * 6])
    for experiment in (*EXPERIMENTS[dataset], *BASELINES[dataset]):
        if cells := measured(experiment, results):
            structure = records_of(experiment, results)[0]["config"]["network"]["structure"]
            difference = float(cells[0].split()[0]) - ds4nn
            rows.append([experiment, structure, "measured", cells[0], f"{difference:+.2f}", *cells[1:]])
    if len(rows) == 1 + len(literature):
        raise InputError(
            f"no records of {', '.join(EXPERIMENTS[dataset])} in {results}; make them with: s4nn train "
            f"experiments/{dataset}.toml"
        )
    note = (
        "Measured: strict accuracy on the 10,000 test images, mean ± standard deviation over seeds. Tied, silent: "
        "share of all test images. As S4NN's authors count: a tie that includes the label is right; a silent image is "
        "judged by the potentials at T_max - 3."
    )
    return Table(f"table{number}", f"Table {number}: accuracy on {DATASETS[dataset]}", rows, note)


def table3(results: Path) -> Table:
    """Table 3: dead neurons for different target times; same network, same number of epochs."""
    head = ["Target times", "Experiment", "Dead, paper (%)", "Dead, measured (%)", "Always dead (%)"]
    rows = [[*head, "Accuracy (%)", "Silent images (%)", "Seeds"]]
    for title, experiment, quoted in TABLE_3:
        tests = [record["selected"]["test"] for record in records_of(experiment, results)]
        cells = ["-"] * 4
        if tests:
            values = [(t["dead"]["per_image"], t["dead"]["always"], t["accuracy_strict"], t["silent"]) for t in tests]
            cells = [spread(column, 100) for column in zip(*values, strict=True)]
        rows.append([title, experiment, f"{quoted:.1f}", *cells, len(tests) or "-"])
    if all(row[-1] == "-" for row in rows[1:]):
        raise InputError(
            f"no records for table 3 in {results}; make them with: s4nn train experiments/table3-s4nn.toml"
        )
    note = (
        "Dead: hidden neurons that are silent for an image, mean over all test images. Always dead: silent for every "
        "one. Mean ± standard deviation over seeds."
    )
    return Table("table3", "Table 3: dead neurons", rows, note)


def per_class(results: Path, experiment: str) -> tuple[np.ndarray, np.ndarray, int]:
    """AFT of the right output neuron and MRN by class, (seeds, classes) each, and the number of seeds."""
    aft, mrn = [], []
    for run in runs_of(experiment, results):
        r, labels = read_responses(run)
        classes = range(r.t_out.shape[1])
        aft.append([r.t_out[labels == c, c].mean() for c in classes])
        mrn.append([r.spikes[labels == c].sum(axis=1).mean() for c in classes])
    return np.array(aft), np.array(mrn), len(aft)


def table5(results: Path) -> Iterator[Table]:
    """Table 5: AFT and MRN by class, of both data sets."""
    for dataset, suffix in (("fashion", ""), ("mnist", "-mnist")):
        classes = known({"fashion": "fashion-mnist"}.get(dataset, dataset)).classes
        rows = [["", "Source", *classes, "mean over classes"]]
        if dataset == "fashion":
            for name, values in TABLE_5.items():
                rows.append([name, "paper", *map(str, values), f"{np.mean(values):.1f}"])
        for experiment in EXPERIMENTS[dataset]:
            aft, mrn, seeds = per_class(results, experiment)
            if seeds == 0:
                continue
            source = f"{experiment}, {seeds} seed{'s' * (seeds > 1)}"
            for name, values in (("AFT", aft), ("MRN", mrn)):
                digits = 1 if name == "AFT" else 0
                cells = [spread(column, digits=digits) for column in values.T]
                rows.append([name, source, *cells, spread(values.mean(axis=1), digits=digits)])
                if dataset == "fashion" and name == "MRN":  # AFT depends on T_max
                    change = values.mean(axis=0) - TABLE_5[name]
                    rows.append([f"{name} - paper", source, *(f"{x:+.0f}" for x in change), f"{change.mean():+.0f}"])
        if len(rows) > 1 + 2 * (dataset == "fashion"):
            title = f"Table 5: firing time of the right output neuron, and spikes, by class of {DATASETS[dataset]}"
            note = (
                "AFT in steps, mean over the test images of a class; a silent neuron counts as T_max (100 in the "
                "paper; ours: Table 1). MRN: spikes until the decision, mean over the test images of a class. Mean "
                "over classes: every class counts alike, so where classes differ in size it is not the MRN of Fig. 1 "
                "and results.md, which is a mean over all test images."
            )
            yield Table(f"table5{suffix}", title, rows, note)
        else:
            raise InputError(
                f"no records for table 5 in {results}; make them with: s4nn train experiments/{dataset}.toml"
            )


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR", help="folder of the records")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write (default: figures/out)")
    args = parser.parse_args(argv)

    def write_table5() -> None:
        for table in table5(args.results):
            write(table, args.out)

    return attempt([
        lambda: write(table1(), args.out),
        lambda: write(comparison(2, "mnist", TABLE_2, args.results), args.out),
        lambda: write(table3(args.results), args.out),
        lambda: write(comparison(4, "fashion", TABLE_4, args.results), args.out),
        write_table5,
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
