"""
What the first layer looks for
==============================

Which patterns make a neuron of the first layer fire early?

A square is a filter of 3 x 3 weights, orange where a spike raises the potential and violet where it lowers it. They
are sorted by the sum of their weights.
"""

import filters
from press.gallery import shipped, show, verdict

for name in ("mnist", "mnist-plus", "fashion-plus"):
    run = shipped(name)
    alt = (
        f"{run.title}: the filters of the first layer, {len(run.network.w[0])} squares of 3 x 3 "
        "weights, from mostly positive to mostly negative."
    )
    show(filters.draw, run, alt, (0, 0.1, 0.5, 1))

low = {name: 100 * (shipped(name).network.w[0].sum(axis=(1, 2, 3)) < 0).mean() for name in ("mnist", "mnist-plus")}
verdict(
    None,
    f"""
    In {low["mnist-plus"]:.0f} % of the filters of ``mnist-plus`` and {low["mnist"]:.0f} % of those of ``mnist`` the
    weights sum to less than 0, so that a bright patch without an edge keeps the neuron silent.
    """,
)
