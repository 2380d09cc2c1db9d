"""
Fig. 2: when the output neurons fire
====================================

When does each output neuron fire?

**The paper** draws the mean firing times of the ten output neurons, for the images of each digit. The neuron of the
right digit fires first (section 3.1).

**Ours** gives the numbers. A row is a class of images, a column an output neuron. The right neuron is framed. A
neuron that stays silent counts as 100.
"""

import fig2
from press.gallery import near, shipped, show, values, verdict
from press.matrices import leads, times_in_words

NAMES = ("mnist", "mnist-near", "mnist-plus")
for name in NAMES:
    show(fig2.draw, shipped(name), times_in_words(shipped(name)), part=(0.02, 0.05, 0.82, 1))

faithful, plus = leads(shipped("mnist")), leads(shipped("mnist-plus"))
verdict(
    {"order": min(faithful.min(), plus.min()) > 0, "time": all(near(name, "decision_time", 2) for name in NAMES)},
    f"""
    The right neuron fires first in {(faithful > 0).sum()} of {len(faithful)} classes of ``mnist`` and
    {(plus > 0).sum()} of ``mnist-plus``, at least {faithful.min():.0f} and {plus.min():.0f} steps before any other;
    the mean decision time differs ({values["mnist decision_time mean"]} and
    {values["mnist-plus decision_time mean"]}, the paper: {values["mnist decision_time paper"]}), because the targets
    of ``mnist`` pull decisions forward and the falling threshold of ``mnist-plus`` lets them wait. ``mnist-near``, in
    which outputs in the right order have no error, decides in step {values["mnist-near decision_time mean"]}.
    """,
)
