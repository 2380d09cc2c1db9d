"""What a search came to: every trial in one table, the best ones, a plot, and which keys matter."""

import csv
import io
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from s4nn_ref.app.journal import Result
from s4nn_ref.app.space import OBJECTIVES, Rung
from s4nn_ref.files import write_atomically

_SHOWN = 10  # trials, and keys, in the summary


def signed(result: Result, objectives: Sequence[str]) -> tuple[float, ...]:
    """Values of the objectives, each such that more is better."""
    return tuple(result.values[name] * (1 if OBJECTIVES[name][0] else -1) for name in objectives)


def fronts(results: list[Result], objectives: Sequence[str]) -> list[list[Result]]:
    """Pareto fronts, the best first: no trial of a front is at least as good as another of it in everything, and better
    in something. Within a front by the first objective."""
    left, found = list(results), []
    while left:
        points = [signed(result, objectives) for result in left]
        beaten = [
            any(q != p and all(a >= b for a, b in zip(q, p, strict=True)) for q in points) for p in points
        ]  # fmt: skip
        front = [result for result, is_beaten in zip(left, beaten, strict=True) if not is_beaten]
        found.append(sorted(front, key=lambda result: signed(result, objectives)[0], reverse=True))
        left = [result for result, is_beaten in zip(left, beaten, strict=True) if is_beaten]
    return found


def climbers(results: list[Result], keep: float, objectives: Sequence[str]) -> list[Result]:
    """The share of complete trials that climb to the next rung, rounded up: front by front, the best first."""
    complete = [result for result in results if result.state == "complete"]
    ranked = [result for front in fronts(complete, objectives) for result in front]
    return ranked[: math.ceil(keep * len(complete) - 1e-9)]


def write_table(path: Path, results: list[Result], rungs: list[Rung]) -> None:
    """A CSV file, a line for each trial in each rung: its budget, its end, values of all objectives, what was drawn
    where that is no experiment, its curves (per seed a list of epochs, each a list of journal.CURVE), and every key of
    its experiment."""
    flat = [{f"{s}.{k}": v for s, keys in r.config.items() if s != "name" for k, v in keys.items()} for r in results]
    keys = list(dict.fromkeys(key for config in flat for key in config))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    budget = ("limit", "epochs", "seeds")
    rows.writerow(["trial", "rung", *budget, "state", "reason", *OBJECTIVES, "drawn", "curves", *keys])
    for result, config in zip(results, flat, strict=True):
        rung = rungs[result.rung]
        epochs = config.get("training.epochs", "") if rung.epochs == "experiment" else rung.epochs
        values = [f"{result.values[name]:.6g}" if name in result.values else "" for name in OBJECTIVES]
        drawn = "" if config else _json(result.params)
        rows.writerow([
            result.number, result.rung, rung.limit, epochs, rung.seeds, result.state, result.reason, *values,
            drawn, _json(result.curves), *(_cell(config.get(key, "")) for key in keys),
        ])  # fmt: skip
    write_atomically(path, text.getvalue().encode())


def _json(value) -> str:
    return json.dumps(value, separators=(",", ":"))


def _cell(value) -> str:
    return value if isinstance(value, str) else _json(value)


def plot(path: Path, results: list[Result]) -> None:
    """Accuracy of the complete trials, of which there are some, over decision time and over MRN; the highest rung in
    colour, its Pareto front joined."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    complete = [result for result in results if result.state == "complete"]
    top = max(result.rung for result in complete)
    panels = zip(figure.subplots(1, 2, sharey=True), ("decision_time", "mrn"), ("steps", "spikes"), strict=True)
    for axes, name, unit in panels:
        for rung in range(top + 1):
            ours = [result.values for result in complete if result.rung == rung]
            shade = f"C{rung}" if rung == top else str(0.8 - 0.4 * rung / max(top, 1))
            axes.plot(
                [v[name] for v in ours], [100 * v["accuracy"] for v in ours], ".", color=shade, label=f"rung {rung}"
            )
        front = fronts([result for result in complete if result.rung == top], ("accuracy", name))[0]
        axes.plot([r.values[name] for r in front], [100 * r.values["accuracy"] for r in front], color=f"C{top}", lw=1)
        axes.set_xlabel(f"{name.replace('_', ' ')} ({unit})")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.axes[0].set_ylabel("validation accuracy (%)")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=200)
    write_atomically(path, drawn.getvalue())


def summary(results: list[Result], rungs: list[Rung], objectives: Sequence[str], importance: dict) -> str:
    """How many trials ended how, the best of the highest rung, and the importance of each key; Markdown."""
    lines = []
    for number, rung in enumerate(rungs):
        ours = [result for result in results if result.rung == number]
        if ours:
            lines.append(_rung_line(number, rung, ours))
    complete = [result for result in results if result.state == "complete"]
    if not complete:
        return "\n".join(lines)
    top = max(result.rung for result in complete)
    best = fronts([result for result in complete if result.rung == top], objectives)[0]
    what = "best trial" if len(objectives) == 1 else f"Pareto front of {', '.join(objectives)}"
    lines += ["", f"{what}, rung {top}:", "", "| trial | accuracy | first spike | decision time | MRN | drawn |"]
    lines.append("|---|---|---|---|---|---|")
    for result in best[:_SHOWN]:
        v, drawn = result.values, ", ".join(f"{key} {_number(value)}" for key, value in result.params.items())
        lines.append(
            f"| {result.number} | {100 * v['accuracy']:.2f} % | {100 * v['first_spike']:.2f} % | "
            f"{v['decision_time']:.1f} | {v['mrn']:.0f} | {drawn} |"
        )
    for name, shares in importance.items():
        if shares:
            told = [f"{key} {share:.2f}" for key, share in list(shares.items())[:_SHOWN]]
            lines += ["", f"importance for {name} in the first rung, in all 1: {', '.join(told)}"]
    return "\n".join(lines)


def _rung_line(number: int, rung: Rung, results: list[Result]) -> str:
    """How the trials of a rung ended, and the spread of their accuracies."""
    states = [result.state for result in results]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    line = f"rung {number} ({rung.limit} images, epochs: {rung.epochs}, seeds: {rung.seeds}): {counts}"
    accuracies = [100 * result.values["accuracy"] for result in results if result.state == "complete"]
    if accuracies:
        line += f"; accuracy median {statistics.median(accuracies):.2f} %, best {max(accuracies):.2f} %"
    return line


def _number(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
