"""
Learning curves
===============

How does the network learn?

Each epoch shows wrong answers on the images just learned and on those held out, silent and tied images, and spikes
until the decision. The grey line is the epoch that is evaluated.
"""

import curves
from press.gallery import shipped, show, values, verdict

for name in ("mnist", "mnist-plus", "fashion", "fashion-plus"):
    run = shipped(name)
    alt = (
        f"{run.title}: wrong answers, silent images and spikes in each of {len(run.record['history'])} "
        f"epochs; epoch {run.record['selected']['epoch']} is evaluated."
    )
    show(curves.draw, run, alt, (0, 0, 0.36, 1))

verdict(
    None,
    f"""
    ``fashion`` is best in epoch {values["fashion epochs"]}, and in the last epoch it has {values["fashion last"]} %
    instead of {values["fashion strict"]} %, because its decisions come ever earlier; the plus networks wait, and are
    judged by their last epoch.
    """,
)
