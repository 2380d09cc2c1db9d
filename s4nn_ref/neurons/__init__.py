"""Neuron models. A module is a model: a start value, four functions of a causal set, and the potential.

A neuron takes its input spikes in the order of time. `sums`, a tuple of floats, is what it must remember of those that
have come: its causal set. A model is

    start                              the sums before the first input
    add(sums, t_pre, w)                the sums with one more input
    crossing(sums, v_th)               the firing time if exactly these inputs were causal; inf: none
    dt_dw(sums, t_post, t_pre, w)      derivative of the firing time with respect to a causal weight, its sign included
    dt_dt(sums, t_post, t_pre, w)      derivative with respect to a causal input's time
    potential(sums, t)                 the membrane potential at time t, for peaks, pictures and tests
    echoes                             ((0.0, 1.0),); or the delay and the factor of each of the inputs that a spike
                                       is to the four functions: its weight times the factor, so much later
    integer                            whether firing times are integer steps

and in continuous time, for the fast kernels (kernels/continuous.py), whose models have two sums, linear in the weights,

    may_fire(sums, t_last, t_next, v_th)   whether the crossing may lie between t_last, the last input's time, and
                                       t_next: a cheap test that is true too often rather than too rarely

The fast kernels give `add`, `may_fire`, `dt_dw` and `dt_dt` many neurons at once: times, sums and weights may be lanes
(kernels/lanes.py), which know operators, np.minimum and np.maximum; t_pre, t_last and t_next are numbers.

The plain engine (kernels/plain.py) walks any model with one loop. Forward: add all inputs of one moment t_last, then
ask for the crossing; accept it where t_last <= t_post < t_next, the moment of the next inputs; else go on; none
accepted: silent. Backward: over the causal set of a neuron that fired, grad += delta dt_dw and delta_pre += delta
dt_dt. In integer time a surrogate multiplies delta, and silent neurons may learn (D5, D6); in continuous time they do
not. `collapse`, `exceeds` and `delay` of a network are for integer time.

The functions are plain Python that numba can compile. A model is used by the algorithm that names it as its `neuron`
(s4nn_ref/algorithms/__init__.py). In integer time the fast engine computes the step model alone; others have
engine = "plain".
"""
