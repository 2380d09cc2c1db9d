"""DS4NN in NumPy and Numba: deep spiking networks with one spike per neuron, trained by temporal backpropagation.

Start reading at docs/reading.md.
"""

__version__ = "0.3.0"
