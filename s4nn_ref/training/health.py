"""Whether a run learns, told while there is time: one line for each thing that is wrong, with the key to change.

A `Watch` changes nothing, and no result depends on it. It looks at what the training loop has anyway: at the firing
times of some of the batches in a window of training images, and at the metrics of every epoch. The same rules judge
both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np

from s4nn_ref.decision import fired

WINDOW = 5000  # training images of a look, at least
UPDATES = 100  # updates of a look, at least
SAMPLES = 20  # batches of a look whose firing times are counted
PATIENCE = {True: 3, False: 6}  # looks without progress, of whole epochs and within one: Comsa's network needs two
FELL = 0.99  # a cost above this share of what it was has not fallen
FORGOTTEN = 0.02  # loss of accuracy that matters, beside three standard errors
GREW = 2.0  # times the least activity before

Times = list[tuple[str, np.ndarray]]  # of each layer, input first: its name, and firing times (n, ...)


@dataclass(frozen=True)
class Look:
    """What a run did in a window of training images, or in the validation after an epoch.

    when     : e.g. "for the last 5000 images"   whole : whether an epoch has ended
    images   : whose decisions were judged           cost  : mean over training images
    dead     : the lowest layer without a spike, or None
    silent   : no output neuron fired for any image   at_once : all of them fired at t = 0 for every image
    activity : of the neurons; only ratios mean something. None: not known
    """

    when: str
    whole: bool
    images: int
    accuracy: float
    cost: float
    dead: str | None = None
    silent: bool = False
    at_once: bool = False
    activity: float | None = None

    @property
    def well(self) -> bool:
        """Whether all layers fired, and not all outputs at once."""
        return not (self.dead or self.silent or self.at_once)


@dataclass
class _Window:
    """Sums over training images. shares : of each layer's neurons that fired, summed over samples"""

    images: int = 0
    right: int = 0
    cost: float = 0.0
    samples: int = 0
    shares: np.ndarray | float = 0.0
    later: int = 0  # outputs that did not fire at t = 0

    def sample(self, times: Times, silent: float) -> None:
        self.samples += 1
        self.shares = self.shares + np.array([fired(t, silent).mean() for _, t in times])
        self.later += int((times[-1][1] > 0).sum())

    def look(self, names: list[str]) -> Look:
        """names : of the layers, input first"""
        shares = self.shares / self.samples
        dead = next((name for name, share in zip(names[:-1], shares, strict=False) if share == 0), None)
        activity = float(shares[1:-1].mean()) if len(names) > 2 else None
        right, cost = self.right / self.images, self.cost / self.images
        when = f"for the last {self.images} images"
        return Look(when, False, self.images, right, cost, dead, shares[-1] == 0, self.later == 0, activity)


def look_at_epoch(row: dict, n_training: int, n_validation: int, n_classes: int) -> Look:
    """What an epoch's row of a run's history says; without validation images not much."""
    if not n_validation:
        when = f"for the training images of epoch {row['epoch']}"
        return Look(when, True, n_training, row["train_accuracy"], row["cost"])
    v, when = row["validation"], f"for the validation images after epoch {row['epoch']}"
    spikes = [(name.partition(":")[2], count) for name, count in v["mrn"]["layers"].items()]
    dead = next((name for name, count in spikes[:-1] if count == 0), None)
    at_once = v["decision_time_mean"] == 0 and spikes[-1][1] == n_classes
    right, activity = v["accuracy_strict"], v["mrn"]["total"]
    return Look(when, True, n_validation, right, row["cost"], dead, v["silent"] == 1, at_once, activity)


class Watch:
    """Watches one run.

    config : the experiment   labels : of the training images   n_validation : number of validation images
    network : which learns; only its clock and its number of classes are used
    """

    def __init__(self, config, labels: np.ndarray, n_validation: int, network):
        self.n_training, self.n_validation, self.n_classes = len(labels), n_validation, network.n_classes
        self.silent, self.chance = network.silent, np.bincount(labels).max() / len(labels)
        self.needed = max(WINDOW, UPDATES * config.training.batch)
        self.eta = "optimiser.eta" if config.optimiser else "learning.eta"
        decays = hasattr(config.optimiser or config.learning, "weight_decay")
        self.decay = f", or raise {self.eta.partition('.')[0]}.weight_decay" if decays else ""
        self.draws = not config.network.init  # an algorithm that draws its initial weights itself has no such key
        self.window, self.looks, self.told = _Window(), [], set()
        self.began_well = None  # whether all fired as it should in the first batch

    def after_batch(self, algorithm, cost: np.ndarray, right: np.ndarray) -> list[str]:
        """New warnings, after a call of `algorithm.learn` that returned cost and right."""
        w, n = self.window, len(cost)
        due = w.images * SAMPLES // self.needed != (w.images + n) * SAMPLES // self.needed
        w.images, w.right, w.cost = w.images + n, w.right + int(right.sum()), w.cost + float(cost.sum())
        if not due and self.began_well is not None:
            return []
        times = algorithm.firing_times()
        names = [name for name, _ in times]
        w.sample(times, self.silent)
        if self.began_well is None:
            self.began_well = w.look(names).well
        if w.images < self.needed:
            return []
        self.looks.append(w.look(names))
        self.window = _Window()
        return self._new(self.looks)

    def after_epoch(self, history: list[dict]) -> list[str]:
        """New warnings, after the epoch of the last row of a run's history."""
        if history[-1]["epoch"] * self.n_training < self.needed:
            return []
        return self._new([look_at_epoch(row, self.n_training, self.n_validation, self.n_classes) for row in history])

    # --------------------------------------------------------------------------------------------------- rules

    def _new(self, looks: list[Look]) -> list[str]:
        """What is wrong and has not been told, in words."""
        found = {kind: words for kind, words in self._wrong(looks) if kind not in self.told}
        self.told |= set(found)
        return list(found.values())

    def _by_chance(self, look: Look) -> bool:
        """Whether decisions are no better than to name the commonest class, within three standard errors."""
        return look.accuracy <= self.chance + 3 * sqrt(self.chance * (1 - self.chance) / look.images)

    def _wrong(self, looks: list[Look]) -> Iterator[tuple[str, str]]:
        """(kind, words) of everything that is wrong now."""
        now = looks[-1]
        # outputs that are silent at first may learn by their potentials: within an epoch only chance is a symptom
        if not now.well and (now.whole or self._by_chance(now)):
            yield self._firing(now, self.began_well or any(look.well for look in looks))
        recent = looks[-PATIENCE[now.whole] :]
        if not self.told and len(recent) == PATIENCE[now.whole] and self._stuck(recent):
            yield "cost", self._no_progress(recent[0].cost, now)
        if grown := self._grown(looks):
            yield "activity", grown

    def _stuck(self, recent: list[Look]) -> bool:
        """Whether neither cost nor decisions became better in the last looks."""
        none_learned = all(look.well and self._by_chance(look) for look in recent)
        return none_learned and recent[-1].cost > FELL * recent[0].cost

    def _firing(self, now: Look, was_well: bool) -> tuple[str, str]:
        """What is wrong with the spikes, where not all is well. was_well : whether it was, before"""
        if now.dead == "input":
            return "input", f"no pixel sends a spike {now.when}: are all images black?"
        raising, lowering = "raise network.init, or lower network.v_th", "lower network.init, or raise network.v_th"
        if self.draws:
            raising, lowering = "lower network.v_th", "raise network.v_th"
        if was_well:  # not the start is to blame, but what was learned
            raising = lowering = f"lower {self.eta}"
        if now.dead:
            return "dead", f"no neuron of layer {now.dead} fires {now.when}: {raising}"
        if now.silent:
            return "silent", f"no output neuron fires {now.when}: {raising}"
        return "at once", f"all output neurons fire at t = 0 {now.when}: {lowering}"

    def _no_progress(self, cost: float, now: Look) -> str:
        return (
            f"the cost does not fall (it was {cost:.4g}, is {now.cost:.4g}), and decisions are no better than chance "
            f"{now.when}: {self.eta} is too large, or far too small"
        )

    def _grown(self, looks: list[Look]) -> str | None:
        """Words, where the last two looks are the most active ones and what was learned is forgotten in both."""
        active = [look.activity for look in looks if look.activity]
        if len(active) < len(looks) or len(looks) < 3 or max(active) not in active[-2:]:
            return None
        now, least, best = looks[-1], min(active), max(look.accuracy for look in looks)
        lost = FORGOTTEN + 3 * sqrt(best * (1 - best) / now.images)
        if any(look.activity < GREW * least or look.accuracy > best - lost for look in looks[-2:]):
            return None
        return (
            f"activity grows: {now.activity / least:.1f} times as many spikes {now.when} as at the least, and "
            f"{100 * now.accuracy:.1f} % right after {100 * best:.1f} %: lower {self.eta}{self.decay}"
        )
