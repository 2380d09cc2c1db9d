"""The network of all twelve pages, with what the equation of the page computes: first picture of each page."""

from typing import NamedTuple

import numpy as np

from press.cases import HIDDEN, IMAGE, OUTPUT, case, errors, present, run
from press.equation_style import BLACK, BLUE, GREY, PALE, figure_of, listed, number

COLUMNS = ("pixels", "hidden layer", "output layer")


class Part(NamedTuple):
    """What is shown: the label of each neuron by its column, labels of connections by the column they lead to, as rows
    j of inputs i, and the columns that the equation computes; columns of connections are named by halves, 0.5 and 1.5.
    """

    labels: dict[int, list[str]]
    edges: dict[float, np.ndarray]
    stressed: tuple[float, ...]
    back: bool = False  # whether things go from right to left
    cost: str = ""


def texts(symbol: str, values) -> list[str]:
    return [f"{symbol} = {number(value)}" for value in values]


def times(*columns: int) -> dict[int, list[str]]:
    """Firing times as labels of these columns."""
    states = present()
    return {column: texts("t", states[column].t.ravel()) for column in columns}


def of_errors(symbol: str) -> dict[int, list[str]]:
    return {2: texts(symbol, errors())}


def pixels() -> list[str]:
    return [f"I = {i}, {t}" for i, t in zip(IMAGE.ravel(), times(0)[0], strict=True)]


W1, W2 = HIDDEN.w[:, 0, 0], OUTPUT.w[:, 0, 0]
# what the map of an equation shows, from what its case returns
PARTS = {
    1: lambda of: Part({0: pixels()}, {}, (0,)),
    2: lambda of: Part(times(0) | {1: texts("V", of["v"][:, 6])}, {0.5: W1}, (0.5, 1)),
    3: lambda of: Part(times(0, 1, 2), {0.5: W1, 1.5: W2}, (1, 2)),
    4: lambda of: Part(times(1) | {2: texts("T", of["target"])}, {}, (2,)),
    5: lambda of: Part(of_errors("e"), {}, (2,)),
    6: lambda of: Part(of_errors("e"), {}, (2, 3), cost=f"E = {number(of['E'])}"),
    7: lambda of: Part({2: texts("δ", of["delta"])}, {}, (2, 3), True, "E"),
    8: lambda of: Part(of_errors("δ"), {1.5: of["dw"]}, (1.5,), True),
    9: lambda of: Part(of_errors("δ = e"), {}, (2,), True),
    10: lambda of: Part({1: texts("δ", of["delta"])} | of_errors("δ"), {1.5: of["parts"]}, (1, 1.5), True),
    11: lambda of: Part({2: texts("δ", of["kinds"]["signed-sum"])}, {}, (2,), True),
    12: lambda of: Part(times(1, 2), {1.5: of["lift"]}, (1.5,), True),
}


def neurons(axes, column: int, of: Part) -> None:
    """A column of two neurons, with its name and their labels."""
    stressed = column in of.stressed
    color, width = (BLUE, 3) if stressed else (GREY, 1.5)
    axes.text(column, 1.62, COLUMNS[column], ha="center", va="bottom", color=BLACK if stressed else GREY)
    for j in range(2):
        axes.plot(column, 1 - j, "o", markersize=30, color="white", mec=color, mew=width, zorder=3)
        axes.text(column, 1 - j, str(j), ha="center", va="center", zorder=4)
        if column in of.labels:
            axes.text(column, 1 - j - 0.3, of.labels[column][j], ha="center", va="top", zorder=4,
                      weight="bold" if stressed else "normal")  # fmt: skip


def arrow(axes, left, right, back, color=BLUE, width=2, style="-") -> None:
    """From left to right, or back."""
    start, end = (right, left) if back else (left, right)
    look = {"arrowstyle": "->", "color": color, "lw": width, "linestyle": style, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=look, zorder=1)


def connections(axes, left: int, of: Part) -> None:
    """The four connections from a column to the next, with their labels; dotted where the label is 0."""
    column = left + 0.5
    values, stressed = of.edges.get(column), column in of.stressed
    for j, i in np.ndindex(2, 2):
        none = values is not None and values[j, i] == 0
        color, width = (BLUE, 2) if stressed and not none else (GREY, 1)
        arrow(axes, (left + 0.17, 1 - i), (left + 0.83, 1 - j), of.back, color, width, ":" if none else "-")
        if values is not None:
            x = 0.3 if i != j else 0.5
            y = (1 - i) + (i - j) * x
            axes.text(left + 0.17 + 0.66 * x, y, number(values[j, i]), ha="center", va="center", zorder=2,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip


def draw(equation: int):
    """A figure and its alternative text."""
    of = PARTS[equation](run(case(equation))[0])
    figure, axes = figure_of(2.6)
    for column in range(3):
        neurons(axes, column, of)
        if column < 2:
            connections(axes, column, of)
    if of.cost:
        axes.text(3, 0.5, of.cost, ha="center", va="center", weight="bold",
                  bbox={"boxstyle": "round", "facecolor": PALE, "edgecolor": BLUE})  # fmt: skip
        for j in range(2):
            arrow(axes, (2.17, 1 - j), (2.72, 0.55 - 0.1 * j), of.back)
    axes.set(xlim=(-0.45, 3.4 if of.cost else 2.45), ylim=(-0.6, 1.9))
    axes.axis("off")
    return figure, alternative(of)


def alternative(of: Part) -> str:
    """What the map shows, in words."""
    said = [f"{COLUMNS[column]}: {' and '.join(labels)}" for column, labels in sorted(of.labels.items())]
    for column, values in of.edges.items():
        said.append(f"connections to the {COLUMNS[int(column + 0.5)]}, a row for each neuron: "
                    + "; ".join(listed(row) for row in values))  # fmt: skip
    if of.cost:
        said.append(f"the cost: {of.cost}")
    way = "backward, from right to left" if of.back else "forward, from left to right"
    return f"The network, two pixels, two hidden neurons and two outputs, {way}. {'. '.join(said)}."
