"""How the cost grows: with time steps, maps, threads, the batch, the image, the depth, and the spikes.

Random weights, layer by layer as large as lets a wanted share of its neurons fire: so a larger or deeper network has
neither more nor fewer spikes per neuron, and one thing varies at a time.
"""

import numba
import numpy as np
from measure import additions, median_seconds, threads
from work import BATCH, Work

from s4nn_ref.losses.first_spike import Loss
from s4nn_ref.network import Network, Settings

STRUCTURE = "64C3-P2-128C3-P2-10"
# of another size: what is said of them is measured, on a few images
SIZES = {
    "CIFAR-10": ("64C3-64C3-P2-128C3-128C3-P2-256C3-256C3-P2-512-10", (32, 32, 3), 8),
    "ImageNet": ("64C3-P2-128C3-P2-256C3-256C3-P2-512C3-512C3-P2-512C3-512C3-P2-4096-1000", (224, 224, 3), 4),
}


def network_of(structure: str, shape, t_max: int, firing: float, t_in: np.ndarray) -> Network:
    """A network of random weights, in each of whose hidden layers the share `firing` of the neurons fires on t_in."""
    rng = np.random.default_rng(1)
    network = Network(Settings(structure, (), shape, "same", t_max, pool_ties="potential"))
    network.initialise([(-1, 1)] * (len(network.w) - 1) + [(-0.45, 0.45)], rng)
    hidden = [layer for layer in network.layers[:-1] if layer.weighted]
    states = network.room(len(t_in))
    states[0].t_post[...] = t_in
    for layer, pre, post in zip(network.layers, states, states[1:], strict=False):
        if layer in hidden:
            layer.rows *= 1e-6  # nobody fires: v_peak is the largest potential
            layer.forward(pre, post, t_max)
            layer.rows *= network.v_th / max(np.quantile(post.v_peak, 1.0 - firing), 1e-30)
        layer.forward(pre, post, t_max)
    return network


def spikes_and_operations(network: Network, t_in: np.ndarray) -> tuple[float, float]:
    """Spikes of hidden neurons, and additions of a weight to a potential, per image."""
    states, t_max, n = network.forward(t_in), network.t_max, len(t_in)
    spikes = sum(int((state.t_post < t_max).sum()) for state in states[1:-1]) / n
    layers = zip(network.layers, states, strict=False)
    return spikes, sum(additions(layer, pre, t_max) for layer, pre in layers if layer.weighted) / n


def measured(network: Network, t_in: np.ndarray, n_threads: int, rounds: int) -> dict:
    """Seconds per image of forward, and of forward and backward."""
    loss, batch, classes = Loss(noise=5.0), len(t_in), network.n_classes
    labels, grad = np.arange(batch) % classes, network.gradients(min(4, batch))
    fused = network.fused()
    room = fused.room(batch)

    def both():
        states = fused.forward(t_in, out=room)
        _, error = loss.error(fused.outputs(states), labels)
        fused.backward(states, error, grad, "window", "none")

    with threads(n_threads):
        forward = median_seconds(lambda: fused.forward(t_in, out=room), rounds, 0.1) / batch
        return {"forward": forward, "both": median_seconds(both, rounds, 0.1) / batch}


def scaling(rounds: int) -> list[dict]:
    """Seconds per image of forward and backward, spikes, operations, bytes of weights and of the lists of spikes."""
    rows = []

    def measure(what, value, structure=STRUCTURE, shape=(28, 28, 1), t_max=100, batch=BATCH, firing=0.1, n_threads=1):
        rng = np.random.default_rng(1)
        moments = rng.random((batch, *shape))
        # a fifth of the pixels; the same spikes in the same order for every t_max, except that steps fall together
        seen = rng.random(moments.shape) < 0.2
        t_in = np.where(seen, (moments * t_max).astype(int), t_max).astype(np.int16)
        network = network_of(structure, shape, t_max, firing, t_in)
        spikes, operations = spikes_and_operations(network, t_in)
        lists = sum(layer.fan.spike.nbytes + layer.fan.end.nbytes for layer in network.layers if layer.weighted)
        row = {"varied": what, "value": value, "structure": structure, "hidden_spikes": spikes}
        row |= {"operations": operations, "weights_bytes": network.parameters.nbytes, "lists_bytes": lists}
        rows.append(row | measured(network, t_in, n_threads, rounds))

    for t_max in (50, 100, 200, 500, 1000):
        measure("T_max", t_max, t_max=t_max)
    for maps in (16, 32, 64, 128, 256):
        measure("maps", maps, structure=f"{maps}C3-P2-{maps}C3-P2-10")
    for n_threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        measure("threads", n_threads, n_threads=n_threads)
    for batch in (1, 4, 16, 32, 64, 128, 256):
        measure("batch", batch, batch=batch)
    for firing in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4):
        measure("share that fires", firing, firing=firing)
    for side in (28, 56, 112, 224):
        measure("image side", side, structure="32C3-P2-32C3-P2-10", shape=(side, side, 1), batch=8)
    for depth in range(3, 11):
        measure("depth", depth, structure="32C3-P2-" + "32C3-" * (depth - 2) + "10")
    for name, (structure, shape, batch) in SIZES.items():
        measure("size", name, structure=structure, shape=shape, batch=batch)
    return rows


def threads_on_trained(names, data_dir, rounds: int) -> list[dict]:
    """Forward and backward of trained networks, on one thread and on all in turn; and a whole epoch on all."""
    rows = []
    for name in names:
        work = Work(name, "trained", data_dir)
        seconds = {1: [], numba.config.NUMBA_NUM_THREADS: []}
        for _ in range(rounds):
            for n_threads, values in seconds.items():
                with threads(n_threads):
                    values.append(median_seconds(work.both, 1, 0.3) / len(work.labels))
        one, every = (float(np.median(values)) for values in seconds.values())
        row = {"network": name, "threads": numba.config.NUMBA_NUM_THREADS, "one": one, "all": every}
        rows.append({**row, "ratio": one / every, "epoch": work.epoch(data_dir, rounds)})
    return rows
