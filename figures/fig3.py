"""Fig. 3: membrane potentials of all output neurons for a '5' of the test set, and the input spikes used until then.

Needs the data set: the image is chosen as the first correctly recognised one of class 5 whose decision time is the
median of that class.
"""

import sys

import numpy as np
from common import BLACK, BLUE, GREEN, ORANGE, PAGE, PINK, RED, SKY, Run, main
from fig4 import decisions
from matplotlib.figure import Figure

from s4nn_ref.encoding import encode
from s4nn_ref.predict import predict

EMPHASISED = 5
# ten lines that differ in colour and dash
_LINES = [(color, dash) for dash in ("-", "--") for color in (BLUE, ORANGE, GREEN, PINK, SKY)]


def typical_image(run: Run, label: int = EMPHASISED) -> int:
    """Index of a rightly recognised test image of a class, with the class's median decision time; where there is none,
    of one with that time."""
    time = run.responses.t_out.min(axis=1)
    of_class = run.labels == label
    right = of_class & (decisions(run) == label) & (time < run.responses.t_max)
    candidates = np.flatnonzero(right if right.any() else of_class if of_class.any() else time >= 0)
    median = np.sort(time[candidates])[len(candidates) // 2]
    return int(candidates[time[candidates] == median][0])


def draw(run: Run) -> Figure:
    index = typical_image(run)
    image = run.test.images[index]
    p = predict(run.network, image, run.rounding)
    t_in = encode(image[None], run.network.t_max, run.rounding)[0, ..., 0]
    used = (t_in <= p.decision_time) & (t_in < run.network.t_max)
    figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
    axes = figure.subplot_mosaic([["image", "v"], ["used", "v"], ["raster", "raster"]],
                                 width_ratios=(1, 3.6), height_ratios=(1, 1, 0.9))  # fmt: skip
    axes["image"].imshow(image, cmap="gray_r")
    axes["image"].set(title=f"test image {index}")
    axes["used"].imshow(np.where(used, image, 0), cmap="gray_r", vmin=0, vmax=255)
    axes["used"].set(title=f"seen until t = {p.decision_time}")
    for name in ("image", "used"):
        axes[name].set(xticks=[], yticks=[])
        axes[name].spines[:].set_visible(True)
    steps = np.arange(run.network.t_max)
    for c, v in enumerate(p.potentials.T):
        color, dash = _LINES[c % len(_LINES)]
        if c == p.label:
            color, dash = RED, "-"
        axes["v"].plot(steps, v, color=color, ls=dash, lw=2.4 if c == p.label else 1.0, drawstyle="steps-post",
                       label=run.classes[c])  # fmt: skip
    bound = run.network.output_bound()
    axes["v"].plot(steps, bound, color=BLACK, ls=":", lw=1)
    axes["v"].annotate("threshold", (0.5, bound[0]), ha="left", va="bottom", fontsize=8)
    axes["v"].axvline(p.decision_time, color=BLACK, lw=0.8)
    said = f"output {run.classes[p.label]} fires first, t = {p.decision_time}" if p.fired else "no output fires"
    low, high = p.potentials.min(), max(p.potentials.max(), bound.max())
    axes["v"].set(xlim=(0, run.network.t_max), ylim=(low * 1.05, min(high, 3 * bound.max()) * 1.1),
                  ylabel="output potential V",
                  title=f"{run.title}: {said}")  # fmt: skip
    axes["v"].legend(title="output", ncols=1, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.03))
    times = t_in[t_in < run.network.t_max]
    counts = np.bincount(times, minlength=run.network.t_max)
    late = steps > p.decision_time
    axes["raster"].bar(steps[~late], counts[~late], width=1.0, align="edge", color=BLACK, label="used")
    axes["raster"].bar(steps[late], counts[late], width=1.0, align="edge", color="0.75", label="not needed")
    axes["raster"].set(xlim=(0, run.network.t_max), xlabel="time (steps)", ylabel="input spikes")
    axes["raster"].legend(frameon=False, ncols=2)
    axes["raster"].set_title(f"{int(used.sum())} of {len(times)} input spikes used")
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "fig3", "mnist-plus", __doc__))
