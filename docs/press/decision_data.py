"""What the page of one decision shows: networks, images and their firing times, computed here, written as scripts.

A page that is opened from a disk cannot read other files, but it can load scripts. Each network gets two: `NAME.js`,
its layers and some test images with the firing times of every neuron, and `NAME.weights.js`, for drawings.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from sphinx.errors import ExtensionError
from sphinx.util import logging

from s4nn_ref.app import shipped
from s4nn_ref.app.storage import read_weights
from s4nn_ref.config import Config
from s4nn_ref.data.dataset import load, whereabouts
from s4nn_ref.decision import fired
from s4nn_ref.encoding import firing_times_of_intensities
from s4nn_ref.layers import Pool
from s4nn_ref.network import Network, Outputs

logger = logging.getLogger(__name__)

NETWORKS = ("mnist-plus", "mnist", "mnist-near", "mnist-early", "fashion-plus", "fashion", "fashion-near")
STAND_IN = {"mnist": "glyphs"}  # where the data set is not at hand
BATCH, SEARCHED = 128, 1024  # test images that are presented at once, and at most, to find one of each class
DARKEST = 0.35  # of the colour scale: what is darker cannot be told from the ground


@dataclass(frozen=True)
class Shown:
    """A shipped network and the data set whose test images it is shown with; None where none is at hand."""

    name: str
    network: Network
    config: Config
    images: str | None

    @property
    def reads_digits(self) -> bool:
        """Whether it can decide a drawing."""
        return self.config.data.dataset == "mnist"

    @property
    def about(self) -> str:
        """The first sentence of the experiment's file."""
        lines = takewhile(lambda line: line.startswith("#"), shipped.experiments()[self.name].read_text().splitlines())
        first = re.split(r"\.(?: (?=[A-Z])|$)", " ".join(line.removeprefix("# ") for line in lines))[0]
        return re.sub(r" \((?:D\d+(?:, )?)+\)", "", first)  # its numbers of departures are for those who look them up


def at_hand(dataset: str) -> bool:
    """Whether a data set can be read without a network."""
    return all(path for _, path in whereabouts(dataset))


@cache
def shown() -> tuple[Shown, ...]:
    """The networks of NETWORKS that are shipped. One that the page cannot show is an error of the build, said once."""
    found = []
    for name in NETWORKS:
        if name in shipped.networks():
            try:
                found.append(read(name))
            except ExtensionError as error:
                logger.error("%s", error)
    return tuple(found)


def read(name: str) -> Shown:
    """A shipped network. Raises ExtensionError if the page cannot show it."""
    network, config = read_weights(shipped.networks()[name])
    if not network.neuron.integer or network.settings.delay or network.input_shape[2] != 1:
        raise ExtensionError(f"decision page: {name} needs a forward pass that docs/decision/network.js does not have")
    own = config.data.dataset
    return Shown(name, network, config, own if at_hand(own) else STAND_IN.get(own))


# ------------------------------------------------------------------------------------------------ as JSON


def text_of(array: np.ndarray) -> str:
    """The bytes of an array, lowest first, as base64."""
    return b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()


def number(value: int) -> Iterator[int]:
    """A whole number as bytes of seven bits, lowest first, the eighth set where more follow."""
    while value > 127:
        yield value & 127 | 128
        value >>= 7
    yield value


def packed(t_post: np.ndarray, silent: int) -> str:
    """Firing times of a layer: for each spike the number of silent neurons before it, and its time, as base64."""
    flat, out, expected = t_post.ravel(), bytearray(), 0
    for j in np.flatnonzero(fired(flat, silent)).tolist():
        out.extend(number(j - expected))
        out.extend(number(int(flat[j])))
        expected = j + 1
    return b64encode(out).decode()


def colours(t_max: int) -> list[str]:
    """A colour for each step, early ones bright: a scale that colour-blind readers see as others do."""
    scale = matplotlib.colormaps["cividis"]
    return [to_hex(scale(x)) for x in np.linspace(1.0, DARKEST, t_max)]


def description(network: Network, classes: tuple[str, ...], encoding: str = "eq1") -> dict:
    """All that docs/decision/network.js needs to know of a network but its weights."""
    parts, layers = iter(network.slices), []
    for layer in network.layers:
        one = {"token": "-".join(layer.tokens), "shape": layer.shape_post}
        if isinstance(layer, Pool):
            one["window"] = layer.pooling.window
        else:
            part = next(parts)
            threshold = getattr(layer, "threshold", np.full(network.t_max, layer.v_th))
            one |= {"geometry": layer.geometry._asdict(), "weights": (part.start, part.stop)}
            one["threshold"] = layer.reaching(threshold).tolist()
        layers.append(one)
    return {
        "classes": classes,
        "t_max": network.t_max,
        "input_shape": network.input_shape,
        "firing_times": firing_times_of_intensities(network.t_max, encoding).tolist(),
        "layers": layers,
    }


# ------------------------------------------------------------------------------------------------ images


def stored(network: Network, states, outputs: Outputs, b: int) -> dict:
    """Image b of a batch that was presented: the firing times of all neurons, and the potentials of the outputs."""
    return {
        "decided": int(outputs.decisions()[b]),
        "spikes": [packed(state.t_post[b], network.silent) for state in states],
        "potentials": text_of(outputs.potentials(b).astype(np.float32)),
    }


def examples(one: Shown) -> list[dict]:
    """The first test image of each class that the network decides right, and after them the first that it does not."""
    network, test, found = one.network, load(one.images, "test"), {}
    wrong = network.n_classes  # sorted after all classes
    for begin in range(0, SEARCHED, BATCH):
        part = test.part(slice(begin, begin + BATCH))
        states = network.forward(network.encode(part.images, one.config.data.encoding))
        outputs = network.outputs(states)
        for b, (label, decided) in enumerate(zip(part.labels.tolist(), outputs.decisions().tolist(), strict=True)):
            kind = label if decided == label else wrong
            if kind not in found:
                image = {"number": begin + b, "label": label, "pixels": text_of(part.images[b])}
                found[kind] = image | stored(network, states, outputs, b)
        if len(found) > network.n_classes:
            break
    return [found[kind] for kind in sorted(found)]


def scripts(one: Shown) -> Iterator[tuple[str, str]]:
    """The scripts of a network, as (name of the file, text)."""
    network, config = one.network, one.config
    whole = description(network, config.classes, config.data.encoding)
    whole |= {"about": one.about, "colours": colours(network.t_max), "set": one.images, "images": examples(one)}
    text = json.dumps(whole, separators=(",", ":"))
    yield f"{one.name}.js", f"s4nn.networks[{json.dumps(one.name)}] = {text};\n"
    if one.reads_digits:
        yield f"{one.name}.weights.js", f's4nn.weights[{json.dumps(one.name)}] = "{text_of(network.parameters)}";\n'
