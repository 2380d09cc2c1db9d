"""
What each system pays in spikes
===============================

How accurate is each system, and how many spikes does its decision take?

A small dot is a seed, a large mark their mean. The star is the paper's network, as it is quoted. Further up is better;
further left, fewer neurons had to fire.
"""

import systems
from press.gallery import chart, values, verdict

found = [name for dataset in systems.DATASETS for name in systems.points(dataset, values.results)]
alt = "Test accuracy against spikes until the decision. " + "; ".join(
    f"{name}: {values[name + ' strict mean']} %, {values[name + ' mrn mean']} spikes" for name in found
)

chart(systems.draw(values.results), alt, "Drawn from all records of these systems in ``results/``.")

verdict(
    None,
    f"""
    On MNIST dense networks need the fewest spikes: STiDi-BP has {values["stidi strict"]} % with
    {values["stidi mrn mean"]} and ReL-PSP {values["relpsp strict"]} % with {values["relpsp mrn mean"]}, where the
    convolutions of ``mnist-plus`` have {values["mnist-plus strict"]} % with {values["mnist-plus mrn mean"]}.
    """,
)
