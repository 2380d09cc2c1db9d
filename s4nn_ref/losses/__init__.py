"""Losses: the error of the output layer, and nothing else. A module is a loss; a new file is a new loss.

Its class Loss is a frozen dataclass. Its fields are the loss's keys in section [learning], with ranges as in
s4nn_ref/settings.py (`field(default=10.0, metadata={"least": 0})`, or a Literal). Its method gives the error:

    Loss(...).error(outputs, labels) -> cost, error

    outputs : network.Outputs, what the output neurons did with a batch of B images
    labels  : (B,), the class of each image
    cost    : (B,), of each image; only reported
    error   : of each image, not divided by B: dE/dt of the output neurons (B, classes), > 0 where a neuron should fire
              earlier; or dE/dV in every step (B, t_max, classes), float64, < 0 where a potential should be higher. The
              caller may overwrite it.

The unit of E is free: the optimiser divides it out or eta absorbs it. A silent output holds outputs.silent, t_max in
integer time. An example, the whole file:

    @dataclass(frozen=True)
    class Loss:
        margin: float = field(default=5.0, metadata={"least": 0})

        def error(self, outputs, labels):
            rows = np.arange(len(labels))
            late = outputs.t_out[rows, labels][:, None] + self.margin - outputs.t_out
            late[rows, labels] = 0
            hinge = np.maximum(late, 0.0)       # others that do not come `margin` steps after the label's
            delta = -hinge
            delta[rows, labels] = hinge.sum(axis=1)
            return 0.5 * (hinge**2).sum(axis=1), delta

A loss on the potentials runs a function of one image through outputs.for_each_image, which compiles it: see
first_spike.py. Modules are plain Python and import nothing of the package.
"""
