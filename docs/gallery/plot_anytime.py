"""
Stopped at any time
===================

What if the network is stopped before it has decided?

It then answers with the class of its largest potential. The left picture shows wrong answers against time, the right
one against spikes. Most of the accuracy is there early. It needs the test images.
"""

import anytime
from press.gallery import shipped, show, values, verdict

for name in ("mnist-plus", "fashion-plus"):
    run = shipped(name)
    alt = (
        f"{run.title}: the share of wrong answers falls with the time at which the network is stopped, "
        "and with the spikes until then."
    )
    show(anytime.draw, run, alt, (0, 0, 0.5, 1))

verdict(
    None,
    f"""
    A decision is made in step {values["mnist-plus decision_time mean"]} on average (``mnist-plus``) and
    {values["fashion-plus decision_time mean"]} (``fashion-plus``), and what waiting brings at the end is a small
    share of the images.
    """,
)
