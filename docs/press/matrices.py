"""What the pages of Figs. 2 and 5, and of Figs. 4 and 6, say of their matrices."""

import fig2
import fig4
import numpy as np


def leads(run):
    """How many steps the right neuron is ahead of the next one, by class of the images."""
    times = fig2.mean_times(run)
    return np.where(np.eye(len(times), dtype=bool), np.inf, times).min(axis=1) - times.diagonal()


def times_in_words(run) -> str:
    right = ", ".join(f"{c} {t:.0f}" for c, t in zip(run.classes, fig2.mean_times(run).diagonal(), strict=True))
    return f"Matrix, {run.title}: mean firing time of each output neuron for each class. The right neurons: {right}."


def mistakes(run):
    """The confusion matrix without its diagonal."""
    counts = fig4.confusion(run)
    return counts - np.diag(counts.diagonal())


def commonest(run):
    """The commonest mistake: class, decision, number."""
    counts = mistakes(run)
    c, decision = np.unravel_index(counts.argmax(), counts.shape)
    return run.classes[c], run.classes[decision], counts.max()


def mistakes_in_words(run) -> str:
    c, decision, n = commonest(run)
    return (
        f"Confusion matrix, {run.title}: {mistakes(run).sum()} mistakes; the commonest: {c} taken for {decision}, "
        f"{n} times."
    )
