"""Fig. 3: membrane potentials of the output neurons for a '5' of the test set, and the input spikes until the decision.

The image is the first one of class 5 that is recognised at the median decision time of that class. Needs the data set.
"""

import sys

import numpy as np
from common import BLACK, PAGE, Run, main, show_image
from fig4 import decisions
from matplotlib.figure import Figure

from s4nn_ref.app.predict import draw_potentials, predict
from s4nn_ref.decision import fired
from s4nn_ref.encoding import encode

SHOWN = 5  # class


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
    places = [["image", "v"], ["used", "v"], [".", "raster"]]
    axes = figure.subplot_mosaic(places, width_ratios=(1, 3.6), height_ratios=(1, 1, 0.9))
    show_image(axes["image"], image)
    axes["image"].set(title=f"test image {index}")
    show_image(axes["used"], np.where(used, image, 0))
    axes["used"].set(title=f"seen until t = {p.decision_time}" if p.fired else "seen: all of it")
    for name in ("image", "used"):
        axes[name].set(xticks=[], yticks=[])
        axes[name].spines[:].set_visible(True)
    draw_potentials(axes["v"], run.network, p, run.classes)
    said = f"output {run.classes[p.label]} fires first, t = {p.decision_time}" if p.fired else "no output fires"
    axes["v"].set_title(f"{run.title}: {said}")
    times = t_in[fired(t_in, t_max)]
    counts = np.bincount(times, minlength=t_max)
    steps = np.arange(t_max)
    late = steps > p.decision_time
    axes["raster"].bar(steps[~late], counts[~late], width=1.0, align="edge", color=BLACK, label="used")
    if late.any():
        axes["raster"].bar(steps[late], counts[late], width=1.0, align="edge", color="0.75", label="not needed")
    axes["raster"].set(xlim=(0, t_max), xlabel="time (steps)", ylabel="input spikes")
    axes["raster"].legend(frameon=False, ncols=2)
    axes["raster"].set_title(f"{int(used.sum())} of {len(times)} input spikes used")
    return figure


if __name__ == "__main__":
    sys.exit(main(draw, "fig3", "mnist-plus", __doc__))
