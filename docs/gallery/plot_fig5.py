"""
Fig. 5: when the output neurons fire, Fashion-MNIST
===================================================

When does each output neuron fire, for clothes?

**The paper** draws Fig. 2 again for Fashion-MNIST. Where classes look alike, as sandal, sneaker and ankle boot do,
the right neuron is not much earlier than the others (section 3.2).

**Ours** gives the numbers. A row is a class of images, a column an output neuron. The right neuron is framed. A
neuron that stays silent counts as 100.
"""

import fig2
import numpy as np
from press.gallery import shipped, show, values, verdict
from press.matrices import leads, times_in_words

for name in ("fashion", "fashion-plus"):
    show(fig2.draw, shipped(name), times_in_words(shipped(name)), part=(0.02, 0.05, 0.82, 1))

run = shipped("fashion-plus")
plus = leads(run)
least = [run.classes[c] for c in np.argsort(plus)[:3]]
verdict(
    plus.min() > 0 and plus.min() < plus.max() / 2,
    f"""
    In all classes of ``fashion-plus`` the right neuron fires first, by {plus.min():.0f} to {plus.max():.0f} steps on
    average, and least so for {least[0]}, {least[1]} and {least[2]}, which look like other classes; all fire late, at
    {values["fashion-plus decision_time"]} on average, because the falling threshold lets the network wait
    (``fashion``: {values["fashion decision_time"]}).
    """,
)
