"""The ladder from the paper's rule to the paper's numbers: its picture, and the table of docs/ladder.md.

python figures/ladder.py [--results DIR] [--out DIR]
"""

import argparse
import sys
from pathlib import Path

from common import BLACK, BLUE, GREEN, ORANGE, OUT, PAGE, ROOT, SKY, attempt, save
from matplotlib.figure import Figure
from tables import records_of
from values import ROWS

from s4nn_ref.app.paper import PAPER
from s4nn_ref.errors import InputError

# experiment: what it adds to the one before
RUNGS = {
    "mnist": "Eqs. 1-12",
    "ladder/1-window": "window on dt/dV (D5)",
    "ladder/2-steps": "many small steps in the output layer (D17)",
    "ladder/3-average": "weight decay (D12), averaged weights (D13)",
    "ladder/4-augment": "distorted images (D14), 12 epochs",
    "ladder/5-hinge": "no error where the order is right (D10), lambda 30 (D27)",
    "ladder/6-sparse": "sparser first layer (D17), larger rates, 26 epochs",
    "mnist-near": "output threshold that falls (D25)",
}
COLUMNS = ("strict", "first_spike", "unique", "lenient", "potentials", "silent", "tied", "decision_time", "mrn", "dead")


def present(results: Path) -> dict[str, list[dict]]:
    """Records of the rungs that have been run. Raises InputError where there are none."""
    found = {experiment: records_of(experiment, results) for experiment in RUNGS}
    found = {experiment: records for experiment, records in found.items() if records}
    if not found:
        raise InputError(f"no records of the ladder in {results}; make them with: make ladder")
    return found


def table(rungs: dict[str, list[dict]]) -> list[list[str]]:
    """A rung by row: what it adds, its metrics, and the average firing time of the right output (Table 5)."""
    head = ["rung", "adds", "seeds", *(ROWS[key].label.replace("*", "") for key in COLUMNS), "AFT (steps)"]
    rows = [head]
    for experiment, records in rungs.items():
        aft = [sum(r["selected"]["test"]["aft"]) / len(r["selected"]["test"]["aft"]) for r in records]
        cells = [ROWS[key].cell(ROWS[key].values(records)) for key in COLUMNS]
        rows.append(
            [
                f"{list(RUNGS).index(experiment)} `{experiment}`",
                RUNGS[experiment],
                str(len(records)),
                *cells,
                ROWS["decision_time"].cell(aft),
            ]
        )
    paper = PAPER["ds4nn", "mnist"]
    said = {
        "strict": f"{100 * paper['test']:.2f}",
        "mrn": f"{paper['mrn']:.0f}",
        "decision_time": str(paper["decision_time"]),
    }
    rows.append(["the paper", "", "", *(said.get(key, "-") for key in COLUMNS), "-"])
    return rows


def draw(rungs: dict[str, list[dict]]) -> Figure:
    """Accuracy, decision time and spikes, rung by rung; a dot for each seed, a line through their means."""
    figure, paper = Figure(figsize=(PAGE, 1.2 + 0.45 * len(rungs)), layout="constrained"), PAPER["ds4nn", "mnist"]
    axes = figure.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
    accuracies = (("strict", BLUE, "first spike, ties and silence as D20"), ("potentials", ORANGE, "final potentials"))
    panels = (
        (axes[0], accuracies, 100 * paper["test"]),
        (axes[1], (("decision_time", GREEN, ""),), paper["decision_time"]),
        (axes[2], (("mrn", SKY, ""),), paper["mrn"]),
    )
    for ax, lines, quoted in panels:
        for key, color, label in lines:
            row, means = ROWS[key], []
            for y, records in enumerate(rungs.values()):
                values = [row.scale * value for value in row.values(records)]
                ax.plot(values, [y] * len(values), "o", color=color, ms=3, alpha=0.7)
                means.append(sum(values) / len(values))
            ax.plot(means, range(len(means)), color=color, label=label or None)
        ax.axvline(quoted, color=BLACK, ls=":", lw=1, label="the paper")
        ax.grid(axis="x")
    axes[0].set(xlabel="accuracy, test images (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
    axes[1].set(xlabel="decision time\n(steps)")
    axes[2].set(xlabel="spikes until\nthe decision")
    names = [RUNGS[experiment].replace(", ", ",\n", 1) for experiment in rungs]
    axes[0].set_yticks(range(len(rungs)), [f"{'+ ' if y else ''}{name}" for y, name in enumerate(names)])
    axes[0].set_ylim(len(rungs) - 0.5, -0.5)
    return figure


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR", help="folder of the records")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where to write (default: figures/out)")
    args = parser.parse_args(argv)
    return attempt([lambda: save(draw(present(args.results)), "ladder", args.out)])


if __name__ == "__main__":
    sys.exit(main())
