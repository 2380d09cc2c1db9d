"""
Table 1: settings
=================

What was set before learning?

**The paper** prints weights for two layers, a learning rate, lambda, the threshold and T_max. It says nothing of
batches, epochs and padding.

**Ours** keeps what is printed where the network can learn with it. The picture shows the initial weights; the paper's
are hatched.
"""

import tables
from press.charts import ranges
from press.gallery import chart, tabulate, values, verdict

from s4nn_ref.config import read_config

names = ["mnist", "mnist-plus", "fashion", "fashion-plus"]
configs = {name: read_config(tables.ROOT / "experiments" / f"{name}.toml").as_dict() for name in names}
weights = {"paper (MNIST)": [(0, 80), (0, 50)]} | {n: c["network"]["init"] for n, c in configs.items()}
alt = "Ranges of the initial weights, layer by layer. " + "; ".join(
    f"{name}: " + ", ".join(f"{low:g} to {high:g}" for low, high in layers) for name, layers in weights.items()
)

chart(ranges(weights), alt, "Drawn from the experiments' files. The output layers' ranges are too narrow to be seen.")
tabulate(tables.table1())

table = {row[0]: row[1:] for row in tables.table1().rows}
same = [key for key in ("learning rate", "lambda", "threshold", "T_max") if table[key][0] in table[key][1].split(", ")]
verdict(
    False,
    f"""
    ``mnist`` has the paper's {", ".join(same)}, but initial weights of its own, which have both signs, because with
    the printed ones the network ends at {values["mnist-literal strict"]} %.
    """,
)
