"""Pictures of the cases of Eqs. 7-12. Each takes what its case returns, and gives a figure and its alternative text."""

import numpy as np

from press.cases import OUTPUT, T_MAX, potential, present
from press.equation_forward import STYLES, stairs, triangle
from press.equation_style import BLACK, GREY, PALE, SKY, TWO, figure_of, listed, number

WARM = "#f3c27a"  # of negative cells; positive ones are blue, and every cell bears its number


def eq07(e, delta):
    figure, both = figure_of(3.2, 1, 2, sharey=True)
    cost = 0.5 * (np.array(e) ** 2).sum()
    for j, axes in enumerate(both):
        t = present()[-1].t.ravel()[j]
        steps = np.linspace(t - 8, t + 20, 200)
        others = cost - e[j] ** 2 / 2
        axes.plot(steps, others + (e[j] + (steps - t) / T_MAX) ** 2 / 2, color=TWO[j], linestyle=STYLES[j])
        near = np.array([t - 6, t + 6])
        axes.plot(near, cost + delta[j] * (near - t) / T_MAX, color=BLACK, linewidth=1.5)
        axes.plot(t, cost, "*", color=TWO[j], markersize=15, markeredgecolor=BLACK, zorder=3)
        axes.set_title(f"output {j}: slope {number(delta[j])}", loc="left")
        axes.set_xlabel(f"its firing time (now {t})")
    both[0].set(ylabel="E", ylim=(0, 0.04))
    said = "; ".join(f"of output {j} the slope is {number(delta[j])}" for j in range(2))
    return (
        figure,
        f"The cost over the firing time of each output, with a tangent at the present time: {said}.",
    )


def matrix(axes, left, values, title) -> None:
    """Numbers in cells, a row for each output j, from x = left on."""
    values = np.array(values, float)
    for (j, i), value in np.ndenumerate(values):
        shade = PALE if value == 0 else SKY if value > 0 else WARM
        axes.fill([left + i, left + i + 1, left + i + 1, left + i], [-j, -j, -j - 1, -j - 1], shade, ec="white", lw=3)
        axes.text(left + i + 0.5, -j - 0.5, number(value), ha="center", va="center", fontsize=10)
    axes.text(left + values.shape[1] / 2, 0.15, title, ha="center", va="bottom")


def eq08(delta, factor, mask, dw):
    figure, axes = figure_of(2.0)
    matrix(axes, 0, delta[:, None], r"$\delta_j$")
    matrix(axes, 2, np.full((2, 1), factor), "dt/dV")
    matrix(axes, 4, mask, "dV/dw")
    matrix(axes, 7, dw, "dE/dw")
    for x, sign in ((1.5, "×"), (3.5, "×"), (6.5, "=")):
        axes.text(x, -1, sign, ha="center", va="center", fontsize=16)
    for j in range(2):
        axes.text(-0.1, -j - 0.5, f"j = {j}", ha="right", va="center", fontsize=10)
    for left in (4, 7):
        for i in range(2):
            axes.text(left + i + 0.5, -2.1, f"i = {i}", ha="center", va="top", fontsize=10)
    axes.set(xlim=(-1.1, 9.05), ylim=(-2.6, 0.8))
    axes.axis("off")
    said = "; ".join(f"output {j}: delta {number(delta[j])}, gradients {listed(dw[j])}" for j in range(2))
    return figure, f"Three factors in cells, multiplied row by row, dt/dV being {number(factor)} throughout. {said}."


def eq09(e, delta):
    figure, axes = figure_of(3.0)
    step = 0.012
    for j in range(2):
        triangle(axes, e[j], j)
        axes.fill([e[j], e[j], e[j] + step, e[j] + step], [0, abs(e[j]), abs(e[j] + step), 0], hatch="///",
                  facecolor="white", edgecolor=TWO[j])  # fmt: skip
        label = f"output {j}, e = {number(e[j])}\nslope {number(delta[j])}"
        axes.text(e[j] + (0, 1.5 * step)[j], abs(e[j]) + (0.008, 0)[j], label,
                  ha=("center", "left")[j], color=TWO[j])  # fmt: skip
    axes.set(xlim=(-0.2, 0.22), ylim=(-0.01, 0.17), xlabel="e; a later spike is farther right", ylabel="size of e")
    said = "; ".join(f"output {j}: error {number(e[j])}, slope {number(delta[j])}" for j in range(2))
    return figure, (
        "The two triangles of the cost. A spike that comes a little later adds or takes a hatched strip, as high as "
        f"the error is large: {said}."
    )


def eq10(parts, mask, delta):
    figure, both = figure_of(3.3, 1, 2, sharey=True)
    said = []
    for i, axes in enumerate(both):
        values = [*parts[:, i], delta[i]]
        axes.bar(range(3), values, width=0.7, color=[*TWO, GREY], edgecolor=BLACK, hatch=None)
        for k, value in enumerate(values):
            masked = k < 2 and not mask[k, i]
            axes.text(k, max(value, 0) + 0.4, "not\ncausal" if masked else number(value), ha="center", va="bottom")
        axes.axhline(0, color=BLACK, linewidth=1)
        axes.set_title(f"hidden neuron {i}", loc="left")
        axes.set_xticks(range(3), ["from\noutput 0", "from\noutput 1", r"$\delta$"])
        causal = [f"{number(parts[j, i])} from output {j}" for j in range(2) if mask[j, i]]
        said.append(f"hidden neuron {i} receives {' and '.join(causal)}, together {number(delta[i])}")
    both[0].set(ylabel=r"$\delta_j\,w_{ji}$", ylim=(-20, 9))
    return figure, "Bars of what each output sends back. " + "; ".join(said) + "."


def eq11(kinds):
    figure, grid = figure_of(4.4, 2, 2)
    said = []
    for axes, (kind, delta) in zip(grid.flat, kinds.items(), strict=True):
        turned = (np.sign(delta) != np.sign(kinds["none"])).any()
        axes.bar((0, 1), delta, width=0.6, color=TWO, edgecolor=BLACK)
        axes.axhline(0, color=BLACK, linewidth=1)
        room = 0.45 * np.abs(delta).max()
        axes.set_ylim(min(delta) - room, max(delta) + room)
        for j in range(2):
            up = delta[j] > 0
            axes.annotate(number(delta[j]), (j, delta[j]), (0, 3 if up else -3), textcoords="offset points",
                          ha="center", va="bottom" if up else "top")  # fmt: skip
        axes.set_title(f"{kind}: signs turn" if turned else kind, loc="left", weight="bold" if turned else "normal")
        axes.set_xticks((0, 1), ["output 0", "output 1"])
        said.append(f"{kind} {listed(delta)}" + (", both signs turned" if turned else ""))
    return figure, "The two deltas, divided by four sums of the layer: " + "; ".join(said) + "."


def eq12(more, lift):
    figure, grid = figure_of(4.8, 2, 2, sharex=True, sharey=True)
    _, hidden, output = present()
    said = []
    for (j, i), axes in np.ndenumerate(grid):
        w, fires = OUTPUT.w[:, 0, 0].copy(), output.t.ravel()[j]
        stairs(axes, potential(hidden.t.ravel(), w)[j, :9], fires, TWO[j])
        w[j, i] += more
        raised = potential(hidden.t.ravel(), w)[j, :9]
        axes.step(range(10), [*raised, raised[-1]], where="post", color=BLACK, linewidth=1.5, linestyle="--")
        axes.set_title(f"output {j}, weight from {i}:\ndV/dw = {number(lift[j, i])}", loc="left")
        said.append(f"{number(lift[j, i])} for output {j} and input {i}")
    for axes in grid[:, 0]:
        axes.set_ylabel("V")
    for axes in grid[1]:
        axes.set(xlabel="time step", xticks=range(0, 9, 2), ylim=(-5, 200))
    return figure, (
        f"Potentials of the outputs, dashed with one weight raised by {more}; a star is the spike. At the spike the "
        f"potential is higher by so much per unit of weight: {', '.join(said)}."
    )
