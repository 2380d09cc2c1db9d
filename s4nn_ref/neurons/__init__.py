"""Neuron models. A module is a model: a start value, four functions of a causal set, and the potential.

A neuron takes its input spikes in the order of time; `sums` is what it must remember of those that have come, its
causal set. A model is

    start                              the sums before the first input
    add(sums, t_pre, w)                the sums with one more input
    crossing(sums, v_th)               the firing time if exactly these inputs were causal; inf: none
    dt_dw(sums, t_post, t_pre, w)      derivative of the firing time with respect to a causal weight
    dt_dt(sums, t_post, t_pre, w)      derivative with respect to a causal input's time
    potential(sums, t)                 the membrane potential at time t, from which peaks and pictures are made
    integer                            whether firing times are integer steps

An engine walks them with one loop. Forward: add all inputs of one moment, then ask for the crossing; accept it where
t_last <= t_post < t_next; else go on; none accepted: silent. Backward: over the causal set of a neuron,
grad += delta dt_dw and delta_pre += delta dt_dt. The functions are plain Python; the engine compiles them.
"""
