"""Pictures of the tables, for their pages in the gallery: the paper's values hollow, ours filled."""

import numpy as np
from common import BLACK, BLUE, GREEN, ORANGE, PAGE, SKY
from matplotlib.figure import Figure

PAPER = {"marker": "D", "mfc": "white", "mec": BLACK, "ls": "", "label": "quoted in the paper"}


def ranges(networks: dict[str, list[tuple[float, float]]]) -> Figure:
    """Table 1: the range of the initial weights, a bar for each layer, the paper's hatched."""
    figure = Figure(figsize=(PAGE, 0.6 + 0.55 * len(networks)), layout="constrained")
    axes = figure.subplots()
    colors = (BLUE, ORANGE, GREEN, SKY)
    for row, layers in enumerate(networks.values()):
        for layer, (low, high) in enumerate(layers):
            y = row + 0.2 * (layer - (len(layers) - 1) / 2)
            last = layer == len(layers) - 1
            color = colors[3 if last and layer > 1 else layer]
            width = max(high - low, 0.8)  # an output layer's range would be too narrow to be seen
            axes.barh(y, width, left=(low + high - width) / 2, height=0.16, color=color, hatch="" if row else "///",
                      edgecolor=BLACK if row == 0 else color, lw=0.6)  # fmt: skip
    axes.axvline(0, color=BLACK, lw=0.8)
    axes.set_yticks(range(len(networks)), networks)
    axes.invert_yaxis()
    axes.set(xlabel="initial weight (threshold: 100)")
    axes.set_title("of each network, from top to bottom: the first layer to the last")
    axes.grid(axis="x")
    return figure


def accuracies(literature, measured: dict[str, list[float]]) -> Figure:
    """Tables 2 and 4: quoted accuracies, and ours, a dot for each seed."""
    names = [f"{model}, {structure}" for model, structure, _ in literature] + list(measured)
    figure = Figure(figsize=(PAGE, 0.7 + 0.22 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.plot([accuracy for *_, accuracy in literature], range(len(literature)), **PAPER)
    for y, values in enumerate(measured.values(), len(literature)):
        axes.plot(values, [y] * len(values), "o", color=BLUE, alpha=0.7, label="" if y > len(literature) else "ours")
    axes.axvline(literature[-1][2], color=BLACK, ls=":", lw=1)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="test accuracy (%); dotted: DS4NN in the paper")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    axes.grid(axis="x")
    return figure


def dead(names: list[str], paper: list[float], ours: list[float]) -> Figure:
    """Table 3: dead neurons in the paper and here."""
    figure = Figure(figsize=(PAGE, 0.9 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(names))
    for y, low, high in zip(rows, paper, ours, strict=True):
        axes.annotate(
            "", (high, y), (low, y), arrowprops={"arrowstyle": "->", "color": "0.6", "shrinkA": 5, "shrinkB": 5}
        )
    axes.plot(paper, rows, **PAPER)
    axes.plot(ours, rows, "o", color=BLUE, label="ours")
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.margins(y=0.2)
    axes.set(xlabel="dead neurons (%)", xlim=(50, 100))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    axes.grid(axis="x")
    return figure


def by_class(classes: tuple[str, ...], panels: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Table 5: a panel for each quantity, a line for each source; the first is the paper's."""
    figure = Figure(figsize=(PAGE, 2.9), layout="constrained")
    styles = (PAPER | {"ls": ":", "color": BLACK, "label": "paper"},
              {"marker": "o", "color": BLUE}, {"marker": "^", "color": ORANGE, "ls": "--"})  # fmt: skip
    for axes, (title, lines) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for (label, values), style in zip(lines.items(), styles, strict=False):
            axes.plot(values, **({"label": label} | style))
        axes.set_xticks(range(len(classes)), classes, rotation=50, ha="right", rotation_mode="anchor")
        axes.set(title=title, ylim=(0, None))
        axes.grid(axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
