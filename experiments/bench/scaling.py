"""How the cost grows: with time steps, maps, threads, the batch, and the density of the input."""

import numba
import numpy as np
from measure import median_seconds, threads
from work import BATCH, Work

from s4nn_ref.losses.first_spike import Loss
from s4nn_ref.network import Network, Settings


def scaling(rounds: int) -> list[dict]:
    """Seconds per image of forward and backward; one thing varies. 64C3-P2-128C3-P2-10 with random weights."""
    rows, loss = [], Loss(noise=5.0)

    def measure(what, value, structure="64C3-P2-128C3-P2-10", t_max=100, batch=BATCH, density=0.2, n_threads=1):
        rng = np.random.default_rng(1)
        network = Network(Settings(structure, (), (28, 28, 1), "same", t_max, pool_ties="potential"))
        network.initialise([(-60, 80), (-12, 12), (-0.45, 0.45)], rng)
        moments = rng.random((batch, 28, 28, 1))
        seen = rng.random(moments.shape) < density
        # the same spikes in the same order for every t_max, except that steps fall together
        t_in = np.where(seen, (moments * t_max).astype(int), t_max).astype(np.int16)
        labels, grad = rng.integers(0, 10, batch), network.gradients(min(4, batch))
        fused = network.fused()
        room = fused.room(batch)

        def both():
            states = fused.forward(t_in, out=room)
            _, error = loss.error(fused.outputs(states), labels)
            fused.backward(states, error, grad, "window", "none")

        with threads(n_threads):
            forward = median_seconds(lambda: fused.forward(t_in, out=room), rounds, 0.1) / batch
            total = median_seconds(both, rounds, 0.1) / batch
        states = network.forward(t_in)
        hidden = sum(int((s.t_post < t_max).sum()) for s in states[1:-1]) / batch
        rows.append({"varied": what, "value": value, "hidden_spikes": hidden, "forward": forward, "both": total})

    for t_max in (50, 100, 200, 500, 1000):
        measure("T_max", t_max, t_max=t_max)
    for maps in (16, 32, 64, 128, 256):
        measure("maps", maps, structure=f"{maps}C3-P2-{maps}C3-P2-10")
    for n_threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        measure("threads", n_threads, n_threads=n_threads)
    for batch in (1, 4, 16, 32, 64, 128, 256):
        measure("batch", batch, batch=batch)
    for density in (0.05, 0.1, 0.2, 0.4, 0.8):
        measure("input density", density, density=density)
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
