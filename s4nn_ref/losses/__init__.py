"""Losses: the error of the output layer, and nothing else. A module is a loss; its class Loss holds the loss's keys.

    Loss(...).error(outputs, labels) -> cost (B,), error

outputs : network.Outputs, what the output neurons did with a batch; labels (B,), the class of each image. The error is
dE/dt of the output neurons, (B, classes), or dE/dV in every step, (B, t_max, classes). Network.backward takes either.
Modules are plain Python and import nothing of the package; loops over images are compiled by the caller.
"""
