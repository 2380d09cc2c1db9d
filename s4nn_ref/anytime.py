"""The decision without the rest of the simulation: what comes after the first output spike is not computed.

A neuron's spikes depend on nothing that comes later (Eqs. 2-3), so the first steps of a simulation can be had alone,
from all layers, by `Network.forward(t_in, t_end=...)`: input spikes after step `t_end` are left out, and work falls in
proportion. `Anytime` simulates a batch up to a horizon. Images whose first output spike has come by then are decided,
exactly as in the whole simulation; the others are presented anew, to the end. The horizon is the one that would have
cost least on the images seen so far:

    cost(h) = c(h) + P(decision comes at h or later),

c(h) the share of the input spikes that come before step h. A step-by-step simulation that stops at the very step of the
decision computes less, but one step at a time leaves the potentials in memory, and cost more than it saved
(docs/performance.md).
"""

from dataclasses import dataclass

import numpy as np

from s4nn_ref.decision import fired
from s4nn_ref.errors import InputError
from s4nn_ref.metrics import mean_required_spikes
from s4nn_ref.network import BATCH, Network


@dataclass(frozen=True)
class Decisions:
    """Decisions for n images.

    label : int (n,)   time : int (n,), of the first output spike; t_max where there is none
    spikes : int32 (n, layers + 1), spikes of each layer, input first, up to and including the decision; None where they
             were not counted
    """

    label: np.ndarray
    time: np.ndarray
    spikes: np.ndarray | None


class Anytime:
    """A network that stops at its first output spike.

    horizon : steps simulated before the first look at the outputs, t_max until images have been seen
    Raises InputError for neurons in continuous time.
    """

    def __init__(self, network: Network):
        if not network.neuron.integer:
            raise InputError("a decision without the rest of the simulation needs neurons in integer time")
        self.network, self.horizon = network, network.t_max
        self._fused = {count: network.fused(count) for count in (False, True)}
        self._room = {}
        self._seen, self._chosen = 0, 0  # images, and how many of them the horizon was chosen from
        self._arriving = np.zeros(network.t_max + 1, np.int64)  # input spikes seen in each step; the last: silent
        self._decided = np.zeros(network.t_max + 1, np.int64)  # decisions seen in each step; the last: none

    def decide(self, t_in: np.ndarray, count: bool = True) -> Decisions:
        """Decisions for a batch of encoded images.

        t_in : int16 (B, H, W, C), as for Network.forward   count : spikes too; the decision alone is cheaper
        Raises InputError on images of another size than the network's input.
        """
        label, time, spikes = self._look(t_in, self.horizon, count)
        if self.horizon < self.network.t_max:
            late = np.flatnonzero(time == self.horizon)
            if late.size:
                label[late], time[late], counted = self._look(t_in[late], self.network.t_max, count)
                if count:
                    spikes[late] = counted
        self._learn(t_in, time)
        return Decisions(label, time, spikes)

    def _look(self, t_in: np.ndarray, t_end: int, count: bool):
        """Labels, times, t_end where nothing was decided, and spikes or None, from the first t_end steps."""
        network = self._fused[count]
        states = network.forward(t_in, out=self._room_for(count, len(t_in)), t_end=t_end)
        outputs = network.outputs(states, t_end)
        spikes = network.spikes_until_decision(states, t_end) if count else None
        return outputs.decisions(), outputs.t_out.min(axis=1).astype(np.int64), spikes

    def _room_for(self, count: bool, n: int):
        """Buffers for n images or more."""
        room = self._room.get(count)
        if room is None or len(room[0].t_post) < n:
            room = self._room[count] = self._fused[count].room(n, peaks=False)
        return room

    def _learn(self, t_in: np.ndarray, time: np.ndarray) -> None:
        """Choose the horizon anew, whenever the number of images seen has doubled."""
        self._seen += len(time)
        np.add.at(self._decided, time, 1)
        if self._seen < 2 * self._chosen:
            return
        self._chosen = self._seen
        self._arriving += np.bincount(t_in.ravel(), minlength=self._arriving.size)
        computed = self._arriving[:-1].cumsum() / max(self._arriving[:-1].sum(), 1)  # c(t + 1)
        undecided = 1.0 - self._decided[:-1].cumsum() / self._seen
        undecided[-1] = 0.0  # nothing follows the last step
        self.horizon = int((computed + undecided).argmin()) + 1


def metrics_until_decision(network: Network, dataset, encoding: str = "eq1", progress=None) -> dict:
    """The metrics that the decision alone gives, as metrics.metrics_of defines them.

    dataset : data.dataset.Dataset; progress : called with the number of images of each finished batch
    """
    anytime, images, labels = Anytime(network), dataset.images, dataset.labels
    parts = []
    for begin in range(0, len(labels), BATCH):
        parts.append(anytime.decide(network.encode(images[begin : begin + BATCH], encoding)))
        if progress:
            progress(len(parts[-1].label))
    label, time, spikes = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "time", "spikes")
    )
    right, silent = label == labels, ~fired(time, network.t_max)
    return {
        "n": len(labels),
        "accuracy_strict": float(right.mean()),
        "accuracy_first_spike": float((right & ~silent).mean()),
        "silent": float(silent.mean()),
        "decision_time_mean": float(time.mean()),
        "mrn": mean_required_spikes(spikes, network.tokens),
    }
