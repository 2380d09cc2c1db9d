"""Numba kernels: spikes as events, lanes of maps in vector registers; and the plain loops for any neuron model."""
