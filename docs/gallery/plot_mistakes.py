"""
The worst mistakes
==================

Which images does the network get wrong most clearly?

Each is shown with the potentials of its answer and of the right class. They are sorted by how far the answer is above
the right class in the end. It needs the test images.
"""

import mistakes
from press.gallery import shipped, show, values, verdict

for name in ("mnist-plus", "fashion-plus"):
    run = shipped(name)
    alt = (
        f"{run.title}: the eight worst mistakes, each with its image and the potentials of the answer "
        "and of the right class."
    )
    show(mistakes.draw, run, alt, (0, 0.05, 0.5, 0.5))

verdict(
    None,
    f"""
    ``mnist-plus`` has {100 - values.mean("mnist-plus", "strict"):.2f} % of the test images wrong and ``fashion-plus``
    {100 - values.mean("fashion-plus", "strict"):.2f} %; many of the worst would puzzle a person too.
    """,
)
