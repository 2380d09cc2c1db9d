"""
Table 2: accuracy on MNIST
==========================

How often is the network right, and how often are others?

**The paper** quotes accuracies of networks that are trained on spike times.

**Ours** are measured on the 10,000 test images, for DS4NN and for other systems that we trained. A dot is a seed.
Numbers are means and standard deviations over seeds. All metrics are in :doc:`the results </results>`.
"""

import tables
from press.charts import accuracies
from press.gallery import chart, reaches, tabulate, values, verdict

from s4nn_ref.app.paper import TABLE_2

names = [*tables.EXPERIMENTS["mnist"], *tables.BASELINES["mnist"]]
measured = {name: [100 * r["selected"]["test"]["accuracy_strict"] for r in values.records(name)] for name in names}
alt = "Test accuracies in %. " + "; ".join(
    [f"{model} {accuracy}" for model, _, accuracy in TABLE_2]
    + [f"ours, {name} {values[name + ' strict']}" for name in names]
)

chart(accuracies(TABLE_2, measured), alt, part=(0.38, 0, 1, 1))
tabulate(
    tables.comparison(2, "mnist", TABLE_2, values.results),
    ["Model", "Structure", "Source", "Accuracy (%)", "Difference to DS4NN", "Seeds"],
    note=False,
)

verdict(
    {name: reaches(name, 0.1) for name in ("mnist", "mnist-near", "mnist-plus", "mnist-early")},
    f"""
    ``mnist-plus`` has {values["mnist-plus strict"]} %, {values["mnist-plus strict gap 2"]} points from the paper's
    {values["mnist strict paper 1"]}, and ``mnist-near``, which keeps its targets and masks,
    {values["mnist-near strict"]}; the equations as printed (``mnist``) stay {values["mnist strict gap 1"]} points
    below, because their relative targets make decisions ever earlier, before the evidence is in.
    """,
)
