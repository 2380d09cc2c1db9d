"""
From the printed rule to the printed numbers
============================================

Does the paper's rule reach the paper's accuracy?

Each row adds one thing to the rows above it. A dot is a seed, the dotted line is the paper. The story is on the page
of :doc:`the ladder </ladder>`.
"""

import ladder
from press.gallery import chart, values, verdict

alt = "Accuracy, decision time and spikes, rung by rung. " + "; ".join(
    f"{what}: {values[name + ' strict mean']} %" for name, what in ladder.RUNGS.items()
)

rungs = ladder.present(values.results)
chart(
    ladder.draw(rungs),
    alt,
    "Drawn from all records in ``results/ladder/``, ``results/mnist/`` and ``results/mnist-near/``.",
    (0.18, 0.08, 0.64, 1),
)

verdict(
    None,
    f"""
    The rungs lead from {values["mnist strict"]} to {values["mnist-near strict"]} % (the paper:
    {values["mnist strict paper 1"]}), with many small steps in the output layer, distorted images, no error where the
    order is right, and an output threshold that falls; with a constant one they end at
    {values["ladder/6-sparse strict"]} %.
    """,
)
