"""
Fig. 6: which clothes are mistaken
==================================

Which clothes does the network mistake for others?

**The paper** draws the confusion matrix for Fashion-MNIST. Its network confuses ankle boots, sandals and sneakers,
and it confuses T-shirts, shirts, dresses, coats and pullovers (section 3.2).

**Ours** counts the test images: a row is the class of the image, a column the decision. Blue is logarithmic, so that
few mistakes can be seen.
"""

import fig4
import numpy as np
from press.gallery import near, shipped, show, values, verdict
from press.matrices import mistakes, mistakes_in_words

GROUPS = (("Ankle boot", "Sandal", "Sneaker"), ("T-shirt", "Shirt", "Dress", "Coat", "Pullover"))


def within(run):
    """Share of the mistakes that stay within a group of the paper, in %."""
    places = [[run.classes.index(name) for name in group] for group in GROUPS]
    counts = mistakes(run)
    return 100 * sum(counts[np.ix_(group, group)].sum() for group in places) / counts.sum()


for name in ("fashion", "fashion-plus"):
    show(fig4.draw, shipped(name), mistakes_in_words(shipped(name)), part=(0.02, 0.05, 0.82, 1))

verdict(
    {name: within(shipped(name)) > 80 and near(name, "strict", 0.5) for name in ("fashion", "fashion-plus")},
    f"""
    {within(shipped("fashion-plus")):.0f} % of the mistakes of ``fashion-plus`` and {within(shipped("fashion")):.0f} %
    of those of ``fashion`` stay within the two groups that the paper names; ``fashion-plus`` is right for
    {values["fashion-plus strict"]} % (paper: {values["fashion strict paper 1"]}), and ``fashion`` for
    {values["fashion strict"]} %, because it decides ever earlier while it learns.
    """,
)
