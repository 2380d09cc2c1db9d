"""Initial weights and learning rates that follow from the geometry of a network: "auto" (D17, D34).

Ours, not the paper's. Derivation: docs/extensions.md.
"""

import math

_PIXELS, _NEURONS = 0.5, 0.3  # share of a neuron's inputs that fire: of the image, and of a layer of neurons
_HIDDEN, _OUTPUT = 0.02, 0.05  # learning rate, in units of the width


def initial_widths(receptive_fields: list[int], v_th: float) -> list[float]:
    """Half-widths a of the initial weights, uniform in [-a, a], potential units.

    receptive_fields : synapses R of a neuron, of each weighted layer from below; the last is the output

    With n = share * R expected input spikes, the potential of a hidden neuron ends with the standard deviation v_th,
    and that of an output neuron would reach 1.5 v_th if all these spikes pushed the same way.
    """
    widths = []
    for layer, r in enumerate(receptive_fields):
        x = 3.0 / ((_NEURONS if layer else _PIXELS) * r)
        output = layer == len(receptive_fields) - 1
        widths.append(float(f"{v_th * (min(x, math.sqrt(x)) if output else math.sqrt(x)):.3g}"))
    return widths


def learning_rates(widths: list[float]) -> tuple[float, ...]:
    """Adam's learning rate of each weighted layer, potential units: a share of the width of its initial weights."""
    shares = [_HIDDEN] * (len(widths) - 1) + [_OUTPUT]
    return tuple(float(f"{share * width:.3g}") for share, width in zip(shares, widths, strict=True))
