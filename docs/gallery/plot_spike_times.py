"""
When each layer spikes
======================

When do spikes come, from input to output?

A row is a layer. Bars count spikes in each step, on a logarithmic axis. The dashed line is the median decision. It
needs the test images.
"""

import numpy as np
import spike_times
from press.gallery import shipped, show, verdict

for name in ("mnist-plus", "fashion-plus"):
    run = shipped(name)
    alt = (
        f"{run.title}: spikes per image in each time step, one row of bars per layer, with the median "
        "decision as a dashed line."
    )
    show(spike_times.draw, run, alt)

n = spike_times.N_IMAGES  # those of the picture
median = np.median(shipped("mnist-plus").responses.t_out[:n].min(axis=1))
verdict(
    None,
    f"""
    Half of these {n} images are decided by step {median:.0f} in ``mnist-plus``, and the spikes after that (right of
    the dashed line) are not needed for them.
    """,
)
