"""Metrics: each defined once, computed from raw firing times (section 3 of the paper)."""

from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np

from s4nn_ref.decision import decide, fired
from s4nn_ref.network import BATCH, Network
from s4nn_ref.schema import Count, Positive, Share


class Spikes(TypedDict):
    """Mean required spikes (MRN), per image."""

    layers: dict[str, Positive]
    total: Positive
    total_without_pooling: Positive


class Dead(TypedDict):
    """Shares of hidden neurons that are silent."""

    per_image: Share
    always: Share


class Validation(TypedDict):
    """The metrics of validation images, as a checkpoint and a record hold them."""

    accuracy_strict: Share
    accuracy_first_spike: Share
    accuracy_unique: Share
    accuracy_lenient: Share
    accuracy_authors: NotRequired[Share]  # not in the oldest records
    accuracy_potential: Share
    tied: Share
    silent: Share
    decision_time_mean: Positive
    mrn: Spikes
    dead: Dead


class Metrics(Validation):
    """What `metrics_of` returns."""

    n: Count
    aft: list[Positive | None]


@dataclass(frozen=True)
class Responses:
    """Raw responses of a network to n images, from which every metric is derived.

    t_out, v_peak, v_end : (n, classes), of the output neurons: firing times (t_max = silent), potentials at the spike,
        potentials at the end
    v_late : (n, classes), potentials kernels.output.LATE steps before t_max; None in older records
    spikes : int32 (n, layers + 1), spikes of each layer, input first, up to and including the decision
    silent_hidden : (n,), share of the convolutional and dense hidden neurons silent during the whole simulation
    never_fired : share of those neurons that are silent for every image
    """

    t_out: np.ndarray
    v_peak: np.ndarray
    v_end: np.ndarray
    spikes: np.ndarray
    silent_hidden: np.ndarray
    never_fired: float
    layers: tuple[str, ...]
    t_max: int
    v_late: np.ndarray | None = None

    @property
    def silent(self) -> float:
        """The time that a silent neuron holds."""
        return self.t_max if self.t_out.dtype.kind == "i" else float("inf")


def respond(
    network: Network, images: np.ndarray, encoding: str = "eq1", batch: int = BATCH, progress=None
) -> Responses:
    """Present images to a network (Eqs. 1-3).

    images   : uint8 (n, H, W, C)
    encoding : as in `Network.encode`
    batch    : images presented at once
    progress : called with the number of images of each finished batch
    Raises InputError on images of another size than the network's input.
    """
    n, classes = len(images), network.n_classes
    hidden = [i for i, layer in enumerate(network.layers[:-1], 1) if layer.integrates]
    t_out = np.empty((n, classes), network.clock.dtype)
    v_peak, v_end, v_late = (np.empty((n, classes), network.dtype) for _ in range(3))
    spikes = np.empty((n, len(network.tokens)), np.int32)
    silent_hidden = np.zeros(n)
    fired_once = [np.zeros(network.layers[i - 1].shape_post, bool) for i in hidden]
    size, room = sum(array.size for array in fired_once), network.room(min(n, batch))
    for begin in range(0, n, batch):
        part = slice(begin, min(begin + batch, n))
        states = network.forward(network.encode(images[part], encoding), out=room)
        o, count = network.outputs(states), part.stop - part.start
        t_out[part], v_peak[part], v_end[part], v_late[part] = o.t_out, o.v_peak, o.v_end, o.v_late
        spikes[part] = network.spikes_until_decision(states)
        for i, once in zip(hidden, fired_once, strict=True):
            has_fired = fired(states[i].t_post, network.silent)
            silent_hidden[part] += (~has_fired).reshape(count, -1).sum(axis=1)
            once |= has_fired.any(axis=0)
        if progress:
            progress(count)
    never = sum(int((~once).sum()) for once in fired_once)
    return Responses(
        t_out,
        v_peak,
        v_end,
        spikes,
        silent_hidden / max(size, 1),
        never / max(size, 1),
        network.tokens,
        network.t_max,
        v_late,
    )


def layer_names(layers: tuple[str, ...]) -> list[str]:
    """What metrics call the layers, of which two may have the same token: "0:input", "1:64C3", ..."""
    return [f"{i}:{layer}" for i, layer in enumerate(layers)]


def mean_required_spikes(spikes: np.ndarray, layers: tuple[str, ...]) -> Spikes:
    """MRN per layer and in total. spikes : (n, layers), until the decision; layers : their names, input first."""
    pooling = np.array([layer.startswith("P") for layer in layers])
    return {
        "layers": {name: float(spikes[:, i].mean()) for i, name in enumerate(layer_names(layers))},
        "total": float(spikes.sum(axis=1).mean()),
        "total_without_pooling": float(spikes[:, ~pooling].sum(axis=1).mean()),
    }


def metrics_of(r: Responses, labels: np.ndarray) -> Metrics:
    """Every metric, from raw responses.

    labels : (n,), whole numbers from 0
    Returns a JSON-ready dictionary; accuracies and shares in [0, 1], times in steps, spikes per image.
    """
    n, classes = r.t_out.shape
    row = np.arange(n)
    decision = r.t_out.min(axis=1)
    silent = ~fired(decision, r.silent)
    first = r.t_out == decision[:, None]
    tied = (first.sum(axis=1) > 1) & ~silent
    right = decide(r.t_out, r.v_peak, r.v_end, r.silent) == labels
    # an image without an output spike is wrong unless strict: a "tie" of silent neurons does not count
    lenient = np.where(silent, right, first[row, labels])
    authors = {}
    if r.v_late is not None:  # as the authors of S4NN count
        authors["accuracy_authors"] = float(
            np.where(silent, r.v_late.argmax(axis=1) == labels, first[row, labels]).mean()
        )
    t_out = np.where(fired(r.t_out, r.silent), r.t_out, r.t_max)  # a silent neuron counts as t_max in means
    aft = [float(t_out[labels == c, c].mean()) if (labels == c).any() else None for c in range(classes)]
    return {
        "n": n,
        "accuracy_strict": float(right.mean()),
        "accuracy_first_spike": float((right & ~silent).mean()),
        "accuracy_unique": float((right & ~silent & ~tied).mean()),
        "accuracy_lenient": float(lenient.mean()),
        **authors,
        "accuracy_potential": float((r.v_end.argmax(axis=1) == labels).mean()),
        "tied": float(tied.mean()),
        "silent": float(silent.mean()),
        "decision_time_mean": float(t_out.min(axis=1).mean()),
        "aft": aft,
        "mrn": mean_required_spikes(r.spikes, r.layers),
        "dead": {"per_image": float(r.silent_hidden.mean()), "always": float(r.never_fired)},
    }
