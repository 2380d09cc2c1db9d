"""
Fig. 1: spikes in each layer
============================

How many spikes does the network send until it decides, and where?

**The paper** draws a bar for each layer. A few spikes in every layer are enough, it says: 1126 in the whole network,
the mean over the test images (section 3.1).

**Ours** counts the same. A pooling layer passes spikes on; its bars are lighter.
"""

import fig1
from press.gallery import shipped, show, values, verdict


def told(run):
    spikes = run.responses.spikes.mean(axis=0)
    bars = ", ".join(f"{layer} {n:.0f}" for layer, n in zip(run.responses.layers, spikes, strict=True))
    return f"Bars, {run.title}: spikes per image until the decision. {bars}."


for name in ("mnist", "mnist-near", "mnist-plus"):
    show(fig1.draw, shipped(name), told(shipped(name)), part=(0, 0.05, 1, 0.9))

verdict(
    abs(values.mean("mnist", "mrn") / values.paper("mnist", "mrn") - 1) < 0.1,
    f"""
    With the copies that pooling passes on, ``mnist`` sends {values["mnist mrn"]} spikes, ``mnist-near``
    {values["mnist-near mrn"]} and ``mnist-plus`` {values["mnist-plus mrn"]}; without them
    {values["mnist mrn_unpooled mean"]}, {values["mnist-near mrn_unpooled mean"]} and
    {values["mnist-plus mrn_unpooled mean"]}, and the paper, which does not say whether it counts them, has
    {values["mnist mrn paper"]}.
    """,
)
