"""DS4NN in NumPy and Numba: deep spiking networks with one spike per neuron, trained by temporal backpropagation.

    import s4nn_ref as s4nn

    images, labels = s4nn.load_data("glyphs", "train")
    model = s4nn.fit("16C3-P2-10", images, labels, epochs=2)
    classes = model.predict(images)

docs/python.md shows the rest. To read the algorithm, start at docs/reading.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s4nn_ref.app.fit import Interrupted, fit
    from s4nn_ref.app.model import Model, load, load_data
    from s4nn_ref.errors import InputError

__version__ = "0.6.0"
__all__ = ["InputError", "Interrupted", "Model", "fit", "load", "load_data"]

_MODULES = {
    "fit": "app.fit", "Interrupted": "app.fit", "load": "app.model", "load_data": "app.model", "Model": "app.model",
    "InputError": "errors",
}  # fmt: skip


def __getattr__(name: str):
    """A public name, imported when it is asked for: numba takes a second."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
