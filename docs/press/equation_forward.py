"""Pictures of the cases of Eqs. 1-6. Each takes what its case returns, and gives a figure and its alternative text."""

import numpy as np

from press.cases import FOUR, HIDDEN, LABEL, LAM, T_MAX, V_TH, potential
from press.equation_style import BLACK, GREY, ORANGE, PALE, TWO, figure_of, listed, number

STYLES = ("-", "--")  # of the lines of neurons 0 and 1


def stairs(axes, v, fires=None, color=BLACK, style="-") -> None:
    """V of the first steps of a neuron; pale after its spike, as if it had gone on."""
    steps = np.arange(len(v) + 1)
    last = len(v) if fires is None else min(fires + 1, len(v))
    axes.step(steps, [*v, v[-1]], where="post", color=GREY, linewidth=1, linestyle=":")
    axes.step(steps[: last + 1], [*v[:last], v[last - 1]], where="post", color=color, linestyle=style)
    axes.axhline(V_TH, color=GREY, linewidth=1)
    if fires is not None and fires < len(v):
        axes.plot(fires, v[fires], "*", color=color, markersize=14, markeredgecolor=BLACK, zorder=3, clip_on=False)


def eq01(intensity, t):
    figure, axes = figure_of(2.9)
    for row, (level, when) in enumerate(zip(intensity, t, strict=True)):
        y = len(t) - row
        axes.plot([0, T_MAX], [y, y], color=PALE, zorder=0)
        axes.plot(-16, y, "s", markersize=22, color=str(level / 255), markeredgecolor=BLACK, clip_on=False)
        axes.text(-27, y, f"I = {level}", ha="right", va="center")
        if when < T_MAX:
            axes.plot([when, when], [y - 0.3, y + 0.3], color=ORANGE, linewidth=3)
        axes.text(when + 3 if when < T_MAX else T_MAX, y + 0.12, f"t = {when}" if when < T_MAX else "no spike",
                  ha="left" if when < T_MAX else "right", va="bottom")  # fmt: skip
    axes.set(xlim=(-58, T_MAX + 2), ylim=(0.5, len(t) + 0.9), xticks=range(0, T_MAX + 1, 20), yticks=[])
    axes.set_xlabel("time step", x=0.68)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_bounds(0, T_MAX)
    pairs = [f"{i} fires at {w}" if w < T_MAX else f"{i} never fires" for i, w in zip(intensity, t, strict=True)]
    return figure, f"Five pixels and their spikes on a line of {T_MAX} time steps: intensity " + ", ".join(pairs) + "."


def eq02(v):
    figure, rows = figure_of(4.2, 2, 1, sharex=True, sharey=True)
    w = HIDDEN.w[:, 0, 0]
    for j, axes in enumerate(rows):
        stairs(axes, v[j, :10], color=TWO[j])
        axes.set_title(f"hidden neuron {j}", loc="left", color=TWO[j])
        axes.set(ylabel="V", ylim=(-5, 150), yticks=[0, 60, 120])
        for i, t in enumerate((4, 6)):
            y = v[j, t] - w[j, i] / 2 if w[j, i] else v[j, t] + 3
            axes.text(t - 0.15, y, f"+{w[j, i]:g}", ha="right", va="center" if w[j, i] else "bottom")
    rows[0].text(0, V_TH + 4, "threshold", va="bottom")
    rows[1].set(xlabel="time step; spikes come at 4 and 6", xticks=range(0, 11, 2))
    steps = "; ".join(f"hidden neuron {j}: {listed(v[j, 3:7])} in steps 3 to 6" for j in range(2))
    return figure, f"The potentials of two neurons as stairs that rise where an input spike comes. {steps}."


def eq03(t):
    figure, grid = figure_of(4.6, 2, 2, sharex=True, sharey=True)
    said = []
    for axes, (w, inputs), fires in zip(grid.flat, FOUR, t, strict=True):
        stairs(axes, potential(inputs, [w])[0, :10], fires if fires < T_MAX else None, TWO[0])
        what = f"fires at {fires}" if fires < T_MAX else "silent"
        axes.set_title(f"{listed(w)} at {listed(inputs)}:\n{what}", loc="left")
        said.append(f"weights {listed(w)} with inputs at {listed(inputs)}: {what}")
    grid[0, 0].text(0, V_TH + 3, "threshold", va="bottom")
    for axes in grid[:, 0]:
        axes.set_ylabel("V")
    for axes in grid[1]:
        axes.set(xlabel="time step", xticks=range(0, 11, 2), ylim=(-5, 145))
    return figure, f"Four potentials and the threshold {V_TH:g}; a star is the spike. " + ". ".join(said) + "."


def eq04(t, target):
    figure, axes = figure_of(2.7)
    for name, tau, side in (("tau_min", t.min(), "right"), ("tau_max", t.max(), "left")):
        symbol = {"tau_min": r"$\tau_{min}$", "tau_max": r"$\tau_{max}$"}[name]
        axes.axvline(tau, color=GREY, linewidth=1, linestyle=":")
        axes.text(tau, 1.75, f" {symbol} = {tau} ", ha=side, va="bottom")
    for j in range(2):
        y = 1 - j
        axes.annotate("", (target[j], y), (t[j], y), arrowprops={"arrowstyle": "->", "color": TWO[j], "lw": 2})
        axes.plot(t[j], y, "*", color=TWO[j], markersize=16, markeredgecolor=BLACK)
        axes.plot(target[j], y, "D", color="white", markersize=10, markeredgecolor=TWO[j], markeredgewidth=2)
        axes.text(t[j], y + 0.22, f"t = {t[j]}", ha="center", va="bottom")
        axes.text(target[j], y + 0.22, f"T = {target[j]}", ha="center", va="bottom")
    axes.set(xlim=(-1.5, 20), ylim=(-0.5, 2.2), xticks=range(0, 21, 4), xlabel="time step", yticks=[1, 0])
    axes.set_yticklabels(["output 0\n(wrong)", "output 1\n(right class)"])
    said = [f"output {j} fires at {t[j]} and shall fire at {target[j]}" for j in range(2)]
    return figure, f"Two time lines: {said[0]}; {said[1]}, for it is the right class {LABEL}. lambda is {LAM}."


def eq05(t, e):
    figure, axes = figure_of(2.5)
    side = ["too early" if value < 0 else "too late" for value in e]
    for j in range(2):
        axes.barh(1 - j, e[j], height=0.5, color=TWO[j], edgecolor=BLACK, hatch=("//", "")[j])
        axes.text(0, 1 - j + 0.3, f" {number(e[j])}: {side[j]} ", ha="right" if e[j] < 0 else "left", va="bottom")
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.set(xlim=(-0.15, 0.15), ylim=(-0.5, 1.8), yticks=[1, 0], xlabel="e, in units of T_max")
    axes.set_yticklabels(["output 0\n(wrong)", "output 1\n(right class)"])
    said = [f"output {j}, which fired at {t[j]}, has the error {number(e[j])}, {side[j]}" for j in range(2)]
    return figure, "Two bars from 0: " + "; ".join(said) + "."


def triangle(axes, e, j) -> None:
    """The cost of output j as the area under the line of height |e|."""
    axes.fill([0, e, e], [0, 0, abs(e)], color=TWO[j], alpha=0.35)
    axes.plot([0, e], [0, abs(e)], color=TWO[j], linestyle=STYLES[j])
    axes.plot([e, e], [0, abs(e)], color=TWO[j])
    axes.axhline(0, color=BLACK, linewidth=1)
    axes.axvline(0, color=BLACK, linewidth=1)


def eq06(e, E):
    figure, axes = figure_of(3.0)
    for j in range(2):
        triangle(axes, e[j], j)
        axes.text(e[j], abs(e[j]) + 0.005, f"output {j}\ne = {number(e[j])}", ha="center", va="bottom", color=TWO[j])
        axes.text((e[j] / 2, e[j] + 0.003)[j], (-0.006, 0.015)[j], f"area {number(e[j] ** 2 / 2)}",
                  ha=("center", "left")[j], va=("top", "bottom")[j])  # fmt: skip
    axes.set(xlim=(-0.15, 0.13), ylim=(-0.03, 0.17), xlabel="e", ylabel="size of e")
    axes.set_title(f"E = {number(e[0] ** 2 / 2)} + {number(e[1] ** 2 / 2)} = {number(E)}", loc="left")
    areas = "; ".join(f"output {j}: error {number(e[j])}, area {number(e[j] ** 2 / 2)}" for j in range(2))
    return figure, f"The cost as the area of two triangles, one for each output. {areas}. Together E = {number(E)}."
