"""Fig. 3: membrane potentials of the output neurons for a '5' of the test set, and the input spikes until the decision.

The image is the first one of class 5 that is recognised at the median decision time of that class. Needs the data set.
"""

import sys

import numpy as np
from common import BLACK, BLUE, GREEN, ORANGE, PAGE, PINK, RED, SKY, Run, main, show_image
from fig4 import decisions
from matplotlib.figure import Figure

from s4nn_ref.app.predict import predict
from s4nn_ref.decision import fired
from s4nn_ref.encoding import encode

SHOWN = 5  # class
# ten lines that differ in colour and dash
_LINES = [(color, dash) for dash in ("-", "--") for color in (BLUE, ORANGE, GREEN, PINK, SKY)]


def typical_image(run: Run, label: int = SHOWN) -> int:
    """Index of the first test image of a class that is recognised at the median decision time.

    The median is over the recognised images of the class; if there are none, over all of the class, or else over all.
    """
    time = run.responses.t_out.min(axis=1)
    of_class = run.labels == label
    right = of_class & (decisions(run) == label) & fired(time, run.responses.silent)
    candidates = next(np.flatnonzero(chosen) for chosen in (right, of_class, time >= 0) if chosen.any())
    median = np.sort(time[candidates])[len(candidates) // 2]
    return int(candidates[time[candidates] == median][0])


def draw(run: Run) -> Figure:
    index = typical_image(run)
    image = run.test.images[index]
    p, t_max = predict(run.network, image, run.encoding), run.network.t_max
    t_in = encode(image[None], t_max, run.encoding)[0]
    used = fired(t_in, t_max) & (t_in <= p.decision_time)
    figure = Figure(figsize=(PAGE, 3.6), layout="constrained")
    places = [["image", "v"], ["used", "v"], ["raster", "raster"]]
    axes = figure.subplot_mosaic(places, width_ratios=(1, 3.6), height_ratios=(1, 1, 0.9))
    show_image(axes["image"], image)
    axes["image"].set(title=f"test image {index}")
    show_image(axes["used"], np.where(used, image, 0))
    axes["used"].set(title=f"seen until t = {p.decision_time}")
    for name in ("image", "used"):
        axes[name].set(xticks=[], yticks=[])
        axes[name].spines[:].set_visible(True)
    steps = np.arange(t_max)
    for c, v in enumerate(p.potentials.T):
        color, dash = (RED, "-") if c == p.label else _LINES[c % len(_LINES)]
        width = 2.4 if c == p.label else 1.0
        axes["v"].plot(steps, v, color=color, ls=dash, lw=width, drawstyle="steps-post", label=run.classes[c])
    threshold = run.network.output_threshold()
    axes["v"].plot(steps, threshold, color=BLACK, ls=":", lw=1)
    axes["v"].annotate("threshold", (0.5, threshold[0]), ha="left", va="bottom", fontsize=8)
    axes["v"].axvline(p.decision_time, color=BLACK, lw=0.8)
    said = f"output {run.classes[p.label]} fires first, t = {p.decision_time}" if p.fired else "no output fires"
    low, high = p.potentials.min(), max(p.potentials.max(), threshold.max())
    axes["v"].set(xlim=(0, t_max), ylim=(low * 1.05, min(high, 3 * threshold.max()) * 1.1))
    axes["v"].set(ylabel="output potential V", title=f"{run.title}: {said}")
    axes["v"].legend(title="output", ncols=1, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.03))
    times = t_in[fired(t_in, t_max)]
    counts = np.bincount(times, minlength=t_max)
    late = steps > p.decision_time
    axes["raster"].bar(steps[~late], counts[~late], width=1.0, align="edge", color=BLACK, label="used")
    axes["raster"].bar(steps[late], counts[late], width=1.0, align="edge", color="0.75", label="not needed")
    axes["raster"].set(xlim=(0, t_max), xlabel="time (steps)", ylabel="input spikes")
    axes["raster"].legend(frameon=False, ncols=2)
    axes["raster"].set_title(f"{int(used.sum())} of {len(times)} input spikes used")
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "fig3", "mnist-plus", __doc__))
