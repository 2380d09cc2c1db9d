"""
Fig. 4: which digits are mistaken
=================================

Which digits does the network mistake for others?

**The paper** draws the confusion matrix of its network. Classes stand out clearly from each other, it says, and 99.3
% of the images are right (section 3.1).

**Ours** counts the test images: a row is the class of the image, a column the decision. Blue is logarithmic, so that
few mistakes can be seen.
"""

import fig4
from press.gallery import reaches, shipped, show, values, verdict
from press.matrices import commonest, mistakes_in_words

for name in ("mnist", "mnist-near", "mnist-plus"):
    show(fig4.draw, shipped(name), mistakes_in_words(shipped(name)), part=(0.02, 0.05, 0.82, 1))

c, decision, n = commonest(shipped("mnist-plus"))
verdict(
    {name: reaches(name, 0.1) for name in ("mnist", "mnist-near", "mnist-plus")},
    f"""
    ``mnist-plus`` is right for {values["mnist-plus strict"]} % (its commonest mistake: {c} taken for {decision}, {n}
    times), ``mnist-near`` for {values["mnist-near strict"]}, the paper's network for
    {values["mnist strict paper 1"]} %, and ``mnist`` stays
    {values["mnist strict gap 1"]} points below it, because it decides before the evidence is in.
    """,
)
