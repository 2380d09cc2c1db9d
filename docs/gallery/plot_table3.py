"""
Table 3: dead neurons
=====================

Which way to set target times leaves neurons silent?

**The paper** says that its relative targets keep more neurons alive: 61 % are dead, against 95 % and more with the
losses of other systems.

**Ours** is the network of ``mnist`` with each of these losses. An arrow leads from the paper's value to ours. Dead
means silent for an image, the mean over all test images.
"""

import tables
from press.charts import dead
from press.gallery import chart, tabulate, values, verdict

from s4nn_ref.app.paper import TABLE_3

ours = [values.mean(name, "dead") for _, name, _ in TABLE_3]
names, quoted = [title for title, *_ in TABLE_3], [share for *_, share in TABLE_3]
alt = "Dead neurons in %, the paper's value and ours. " + "; ".join(
    f"{title}: {share:g}, {mean:.1f}" for title, share, mean in zip(names, quoted, ours, strict=True)
)

chart(dead(names, quoted, ours), alt, part=(0, 0, 0.75, 1))
tabulate(tables.table3(values.results))

verdict(
    (ours[0] < min(ours[1:])) == (quoted[0] < min(quoted[1:])),
    f"""
    It is the other way round: the relative targets leave {values["mnist dead"]} % dead (paper:
    {values["mnist dead paper"]}), the cross-entropies {values["table3-mostafa dead"]} and
    {values["table3-comsa dead"]} (paper: {values["table3-comsa dead paper"]}), perhaps because silent neurons learn
    here (D5), or because the paper calls something else dead.
    """,
)
