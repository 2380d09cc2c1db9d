"""Figures of merit: each defined once, computed from raw firing times (section 3 of the paper)."""

from dataclasses import dataclass

import numpy as np

from s4nn_ref.encoding import encode
from s4nn_ref.network import BATCH, Network


@dataclass(frozen=True)
class Responses:
    """Raw responses of a network to n images, from which every figure of merit is derived.

    t_out, v_peak, v_end : (n, classes), of the output neurons: firing times (t_max = silent), potentials at the spike,
        potentials at the end
    v_late : (n, classes), potentials dense.BEFORE_END steps before t_max; None in older records
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


def decide(t_out: np.ndarray, v_peak: np.ndarray, v_end: np.ndarray, t_max: int) -> np.ndarray:
    """Class of each image: the earliest output neuron (section 2.1).

    Ties are broken by the larger potential in that step, then the lowest index; when no output fires, the largest
    potential at the end decides (D20).

    t_out, v_peak, v_end : (B, classes), firing times, potentials at the spike, potentials at the end
    Returns int (B,).
    """
    first = t_out == t_out.min(axis=1, keepdims=True)
    silent = (t_out >= t_max).all(axis=1, keepdims=True)
    return np.where(silent, v_end, np.where(first, v_peak, -np.inf)).argmax(axis=1)


def spikes_until_decision(states, t_max: int) -> np.ndarray:
    """Spikes of each layer up to and including the first output spike; all of them where there is none.

    states : what Network.forward returned   Returns int32 (B, layers + 1), input first.
    """
    n = len(states[-1].t_post)
    # a neuron that holds t_max has not fired, so the last step that counts is t_max - 1
    decision = np.minimum(states[-1].t_post.reshape(n, -1).min(axis=1), t_max - 1)
    return np.stack([state.spikes_until(decision) for state in states], axis=1).astype(np.int32)


def respond(
    network: Network, images: np.ndarray, rounding: str = "floor", batch: int = BATCH, progress=None
) -> Responses:
    """Present images to a network (Eqs. 1-3).

    images : uint8 (n, H, W); progress : called with the number of images of each finished batch
    """
    n, classes, t_max = len(images), network.n_classes, network.t_max
    hidden = [i + 1 for i, layer in enumerate(network.layers[:-1]) if layer.kind != "pool"]
    t_out = np.empty((n, classes), np.int16)
    v_peak, v_end, v_late = (np.empty((n, classes), network.dtype) for _ in range(3))
    spikes = np.empty((n, len(network.layers) + 1), np.int32)
    silent_hidden = np.zeros(n)
    fired_once = [np.zeros(network.layers[i - 1].shape_post, bool) for i in hidden]
    size = sum(array.size for array in fired_once)
    for begin in range(0, n, batch):
        part = slice(begin, min(begin + batch, n))
        states = network.forward(encode(images[part], t_max, rounding))
        out, count = states[-1], part.stop - part.start
        t_out[part] = out.t_post.reshape(count, classes)
        v_peak[part], v_end[part], v_late[part] = out.v_peak.reshape(count, classes), out.v_end, out.v_late
        spikes[part] = spikes_until_decision(states, t_max)
        for i, once in zip(hidden, fired_once, strict=True):
            fired = states[i].t_post < t_max
            silent_hidden[part] += (~fired).reshape(count, -1).sum(axis=1)
            once |= fired.any(axis=0)
        if progress:
            progress(count)
    never = sum(int((~once).sum()) for once in fired_once)
    layers = ("input", *(layer.token for layer in network.layers))
    return Responses(
        t_out, v_peak, v_end, spikes, silent_hidden / max(size, 1), never / max(size, 1), layers, t_max, v_late
    )  # fmt: skip


def mean_required_spikes(spikes: np.ndarray, layers: tuple[str, ...]) -> dict:
    """MRN per layer and in total. spikes : (n, layers), until the decision; layers : their names, input first."""
    pooling = np.array([layer.startswith("P") for layer in layers])
    return {
        "layers": {f"{i}:{layer}": float(spikes[:, i].mean()) for i, layer in enumerate(layers)},
        "total": float(spikes.sum(axis=1).mean()),
        "total_without_pooling": float(spikes[:, ~pooling].sum(axis=1).mean()),
    }


def figures_of_merit(r: Responses, labels: np.ndarray) -> dict:
    """Every figure of merit, from raw responses.

    labels : (n,)
    Returns a JSON-ready dictionary; accuracies and shares in [0, 1], times in steps, spikes per image.
    """
    n, classes = r.t_out.shape
    row = np.arange(n)
    decision = r.t_out.min(axis=1)
    silent = decision >= r.t_max
    first = r.t_out == decision[:, None]
    tied = (first.sum(axis=1) > 1) & ~silent
    right = decide(r.t_out, r.v_peak, r.v_end, r.t_max) == labels
    # an image without an output spike is wrong unless strict: its "tie" of silent neurons is none
    lenient = np.where(silent, right, first[row, labels])
    authors = {}
    if r.v_late is not None:  # as the authors of S4NN count
        authors["accuracy_authors"] = float(
            np.where(silent, r.v_late.argmax(axis=1) == labels, first[row, labels]).mean()
        )
    aft = [float(r.t_out[labels == c, c].mean()) if (labels == c).any() else None for c in range(classes)]
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
        "decision_time_mean": float(decision.mean()),
        "aft": aft,
        "mrn": mean_required_spikes(r.spikes, r.layers),
        "dead": {"per_image": float(r.silent_hidden.mean()), "always": float(r.never_fired)},
    }
