"""
Table 5: time and spikes, class by class
========================================

Which clothes take long, and which cost many spikes?

**The paper** lists two values for each class of Fashion-MNIST. AFT is the mean firing time of the right output
neuron. MRN is the mean number of spikes until the decision.

**Ours** are means over the seeds.
"""

import numpy as np
import tables
from press.charts import by_class
from press.gallery import chart, shipped, tabulate, values, verdict

from s4nn_ref.app.paper import TABLE_5

classes = shipped("fashion").classes
measured = {name: tables.per_class(values.results, name) for name in ("fashion", "fashion-plus")}
panels = {
    title: {"paper": np.array(TABLE_5[key])} | {name: ours[i].mean(axis=0) for name, ours in measured.items()}
    for i, (key, title) in enumerate((("AFT", "AFT (steps)"), ("MRN", "MRN (spikes)")))
}
alt = "By class, paper, fashion and fashion-plus. " + "; ".join(
    f"{title}, {name}: " + ", ".join(f"{c} {v:.0f}" for c, v in zip(classes, line, strict=True))
    for title, lines in panels.items()
    for name, line in lines.items()
)

chart(by_class(classes, panels), alt, part=(0, 0, 0.5, 0.9))
fashion, mnist = tables.table5(values.results)
tabulate(fashion)
tabulate(mnist, note=False)


def alike(x, y):
    """Rank correlation."""
    return np.corrcoef([np.argsort(np.argsort(z)) for z in (x, y)])[0, 1]


aft, mrn = (panels[title] for title in panels)
verdict(
    False,
    f"""
    ``fashion`` fires at {aft["fashion"].mean():.1f} on average where the paper has {aft["paper"].mean():.1f}, with
    the classes nearly in its order (rank correlation {alike(aft["fashion"], aft["paper"]):.2f}), and sends
    {mrn["fashion"].mean():.0f} spikes where it has {mrn["paper"].mean():.0f}; ``fashion-plus`` waits until
    {aft["fashion-plus"].mean():.1f} and sends {mrn["fashion-plus"].mean():.0f}, because its threshold falls late and
    its hidden neurons fire meanwhile.
    """,
)
