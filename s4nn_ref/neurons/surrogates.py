"""Surrogates of dt/dV = -k(V) of the step model (Eq. 8, D5): which neurons take an error, and how much of it.

fired         k = 1 for a neuron that fired, 0 for a silent one: the derivative of a ReLU, as the paper has it
window        k = max(0, 1 - |V - v_th| / v_th) for all, V the peak potential
window-silent 1 for a neuron that fired, the window for a silent one

Derivation: docs/extensions.md.
"""

FIRED, WINDOW, WINDOW_SILENT = 0, 1, 2
SURROGATES = {"fired": FIRED, "window": WINDOW, "window-silent": WINDOW_SILENT}


def factor(v_peak, v_th, surrogate):
    """k of one neuron, in the precision of v_th."""
    one, zero = v_th / v_th, v_th - v_th
    window = max(zero, one - abs(v_peak - v_th) / v_th)
    if surrogate == WINDOW:
        return window
    if v_peak >= v_th:
        return one  # Eq. 8: -dt/dV, as of a ReLU
    return zero if surrogate == FIRED else window
