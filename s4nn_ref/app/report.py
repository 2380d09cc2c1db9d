"""Tables for people: an evaluation, a prediction, a network, and runs beside the paper."""

import numpy as np

from s4nn_ref.app.paper import PAPER, quoted_of
from s4nn_ref.app.predict import Prediction
from s4nn_ref.config import Config
from s4nn_ref.data.dataset import Dataset
from s4nn_ref.data.pictures import Picture
from s4nn_ref.errors import InputError
from s4nn_ref.network import Network


def dataset_text(dataset: Dataset) -> str:
    """What `s4nn data verify` prints of a split: images, their size, and the classes with their numbers of images."""
    classes = dataset.classes
    counts = np.bincount(dataset.labels, minlength=len(classes)).tolist()
    size = "x".join(map(str, dataset.images.shape[1:]))
    each = ", ".join(f"{name} {n}" for name, n in zip(classes, counts, strict=True))
    return (
        f"{dataset.name} {dataset.split}: {len(dataset.labels)} images, {size}, "
        f"{len(classes)} class{'es' * (len(classes) != 1)}: {each}"
    )


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def evaluation_text(metrics: dict) -> str:
    """What `s4nn evaluate` prints without --json."""
    rows = [
        ("accuracy (strict)", percent(metrics["accuracy_strict"]),
         "earliest output; potentials decide ties and silence"),
        ("accuracy (first spike)", percent(metrics["accuracy_first_spike"]), "no output spike counts as wrong"),
    ]  # fmt: skip
    if "tied" in metrics:
        rows += [
            ("accuracy (unique)", percent(metrics["accuracy_unique"]), "ties count as wrong too"),
            ("accuracy (lenient)", percent(metrics["accuracy_lenient"]), "any tie that includes the label counts"),
            ("accuracy (authors')", percent(metrics["accuracy_authors"]), "as S4NN's authors count ties and silence"),
            ("tied images", percent(metrics["tied"]), ""),
        ]
    rows += [
        ("silent images", percent(metrics["silent"]), "no output spike"),
        (
            "decision time",
            f"{metrics['decision_time_mean']:.1f}",
            "steps (continuous time: its unit), mean over images",
        ),
        ("spikes until decision", f"{metrics['mrn']['total']:.0f}", "mean over images (MRN)"),
        *((f"  {name}", f"{count:.0f}", "") for name, count in metrics["mrn"]["layers"].items()),
    ]
    if "dead" in metrics:
        rows += [
            ("dead hidden neurons", percent(metrics["dead"]["per_image"]), "silent for an image, mean over images"),
            ("", percent(metrics["dead"]["always"]), "silent for every image"),
        ]
    head = f"{metrics['dataset']} {metrics['split']}, {metrics['n']} images, {metrics['seconds']:.1f} s"
    return "\n".join([head, *(f"  {name:<24}{value:>19}   {note}".rstrip() for name, value, note in rows)])


def _named(label: int, names: tuple[str, ...]) -> str:
    """A class as text: its number, and its name if that is another."""
    return str(label) if names[label] == str(label) else f"{label} ({names[label]})"


def prediction_text(path, p: Prediction, t_max: int, names: tuple[str, ...]) -> str:
    """The line that `s4nn predict` prints for an image; its --help explains it. names : of the classes"""
    in_steps = isinstance(p.decision_time, int)
    when = f"decided at t = {p.decision_time:.3g}" + (f" of {t_max} steps" if in_steps else "")
    line = f"{path}: class {_named(p.label, names)}, "
    line += when if p.fired else "no output spike: the largest final potential decides"
    if p.seen is None:
        line += ", without any input spike"
    else:
        line += f", after {100 * p.seen:.0f} % of the input spikes and {sum(p.spikes)} spikes in all"
    if p.runner_up is not None:
        line += f"; runner-up {_named(p.runner_up, names)}"
        if p.fired:
            step = f" step{'s' * (p.lead != 1)}" if in_steps else ""
            line += ", which does not fire" if p.lead is None else f", {p.lead:.3g}{step} later"
    return line


def prediction_json(path, picture: Picture, p: Prediction, names: tuple[str, ...]) -> dict:
    """What `s4nn predict --json` prints for an image. names : of the classes"""
    second = (
        {"class": p.runner_up, "name": names[p.runner_up], "steps_later": p.lead} if p.runner_up is not None else None
    )
    return {
        "image": str(path),
        "fitted": picture.fitted or None,
        "class": p.label,
        "name": names[p.label],
        "decision_time": p.decision_time,
        "fired": p.fired,
        "runner_up": second,
        "spikes": sum(p.spikes),
        "spikes_per_layer": p.spikes,
        "input_seen": p.seen,
        "t_out": p.t_out.tolist(),
    }


def _falling(network: Network) -> str:
    """How the output threshold falls with time (D25), where it does."""
    threshold = network.output_threshold()
    return f" (output {threshold[0]:g} falling to {threshold[-1]:g})" if threshold[0] > threshold[-1] else ""


def network_text(network: Network, config: Config) -> str:
    """What `s4nn info` prints."""
    lines = [
        f"{network.structure}  ({config.name or 'unnamed'}: {config.data.dataset}, seed {config.training.seed})",
        f"input {'x'.join(map(str, network.input_shape))}, T_max {network.t_max}, threshold {network.v_th:g}"
        f"{_falling(network)}, {network.settings.padding} padding, {network.parameters.size:,} weights",
        f"  {'layer':<10}{'neurons':>16}{'weights':>10}{'mean':>10}{'std':>10}{'min':>10}{'max':>10}",
    ]
    if config.data.names:
        lines.insert(1, f"classes {', '.join(config.data.names)}")
    weights = iter(network.w)
    for spec in network.specs:
        neurons = "x".join(map(str, spec.shape_post))
        if spec.geometry is None:
            lines.append(f"  {spec.token:<10}{neurons:>16}")
        else:
            w = next(weights)
            numbers = "".join(f"{value:>10.3g}" for value in (w.mean(), w.std(), w.min(), w.max()))
            lines.append(f"  {spec.token:<10}{neurons:>16}{w.size:>10,}{numbers}")
    return "\n".join(lines)


def comparison_text(records: list[dict]) -> str:
    """The paper's metrics beside those of runs on the same data set, as a Markdown table.

    Runs of one system alone stand beside what is quoted of it.
    """
    datasets = {record["config"]["data"]["dataset"] for record in records}
    if len(datasets) != 1:
        raise InputError(
            f"these runs are on different data sets ({', '.join(sorted(datasets))}); compare one at a time"
        )
    of_each = [quoted_of(record["config"]) for record in records]
    same = all(one == of_each[0] for one in of_each)
    paper = of_each[0] if same else PAPER.get(("ds4nn", datasets.pop()), {})

    def of(record: dict, path: str):
        value = record["selected"]
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    spikes, steps = "{:.0f}".format, "{:.1f}".format
    rows = [
        ("test accuracy (strict)", "test", "test.accuracy_strict", percent),
        ("test accuracy (first spike only)", None, "test.accuracy_first_spike", percent),
        ("test accuracy (lenient)", None, "test.accuracy_lenient", percent),
        ("test accuracy (as S4NN's authors count)", None, "test.accuracy_authors", percent),
        ("training accuracy (strict)", "train", "train.accuracy_strict", percent),
        ("tied images", None, "test.tied", percent),
        ("silent images", None, "test.silent", percent),
        ("decision time (steps, mean over images)", "decision_time", "test.decision_time_mean", steps),
        ("spikes until decision (MRN, mean over images)", "mrn", "test.mrn.total", spikes),
        ("dead neurons (mean over images)", None, "test.dead.per_image", percent),
    ]
    names = [f"{record['experiment']} (seed {record['seed']})" for record in records]
    table = [["", "paper", *names]]
    for title, key, path, show in rows:
        quoted = paper.get(key) if key else None
        table.append([title, "-" if quoted is None else show(quoted), *(show(of(r, path)) for r in records)])
    table.append(
        ["selected epoch / epochs", "-", *(f"{r['selected']['epoch']} / {len(r['history'])}" for r in records)]
    )
    table.append(["training images", "-", *(str(of(r, "train.n")) for r in records)])
    table.append(["training time (min)", "-", *(f"{r['seconds']['training'] / 60:.1f}" for r in records)])
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in table]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)
