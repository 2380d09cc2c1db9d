"""Recognising single pictures: presenting, and drawing the output potentials as in Fig. 3."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s4nn_ref.decision import decide, fired
from s4nn_ref.errors import InputError
from s4nn_ref.files import check_free, write_atomically
from s4nn_ref.network import Network

# colours of Okabe and Ito, which colour-blind readers can tell apart
WINNER, LINES = "#D55E00", ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
IN_LEGEND = 12  # classes, at most
CONTENDERS = 6  # in the legend where there are more classes than that


@dataclass(frozen=True)
class Prediction:
    """What the network says of one image. Times in steps; t_max stands for outputs that do not fire.

    label, decision_time, fired : the class, the time of the first output spike, whether there is one
    runner_up  : the class if the first one were left out, by the same rules; None of a network with one output
    lead       : how much later the runner-up fires; None where it does not
    spikes     : of each layer up to and including the decision, input first
    seen       : share of the input spikes that came until then; None where there is none
    t_out      : (classes,), firing times
    potentials : (t_max, classes), of the output neurons without reset; None in continuous time
    """

    label: int
    decision_time: float
    fired: bool
    runner_up: int | None
    lead: float | None
    spikes: tuple[int, ...]
    seen: float | None
    t_out: np.ndarray
    potentials: np.ndarray | None


def predict(network: Network, image: np.ndarray, encoding: str = "eq1") -> Prediction:
    """Present one image, uint8 (H, W, C), to the end of the simulation."""
    t_in = network.encode(image[None], encoding)
    states = network.forward(t_in)
    outputs, spikes = network.outputs(states), tuple(network.spikes_until_decision(states)[0].tolist())
    label, has_fired = int(outputs.decisions()[0]), fired(outputs.t_out[0], network.silent)
    t_out = np.where(has_fired, outputs.t_out[0], network.t_max)
    runner_up, lead = None, None
    if t_out.size > 1:
        others = np.delete(np.arange(t_out.size), label)
        rest = (values[:, others] for values in (outputs.t_out, outputs.v_peak, outputs.v_end))
        runner_up = int(others[decide(*rest, network.silent)[0]])
        lead = (t_out[runner_up] - t_out[label]).item() if has_fired[runner_up] else None
    arriving = int(fired(t_in, network.silent).sum())
    return Prediction(
        label,
        t_out[label].item(),
        bool(has_fired[label]),
        runner_up,
        lead,
        spikes,
        spikes[0] / arriving if arriving else None,
        t_out,
        outputs.potentials(0) if network.neuron.integer else None,
    )


def draw_potentials(axes, network: Network, p: Prediction, names: tuple[str, ...]) -> None:
    """Draw the potentials of all output neurons over time; threshold and decision are marked.

    names : of the classes, for the legend. Of more than IN_LEGEND classes only the CONTENDERS with the largest
    potentials at the decision have a colour and a place in it.
    """
    steps, (t_max, classes) = np.arange(network.t_max), p.potentials.shape
    shown = np.arange(classes)
    if classes > IN_LEGEND:
        at_decision = p.potentials[int(min(p.decision_time, t_max - 1))]
        shown = np.array([p.label, *(c for c in np.argsort(-at_decision, kind="stable") if c != p.label)][:CONTENDERS])
    for c, v in enumerate(p.potentials.T):
        style = {"color": "0.8", "lw": 0.6, "zorder": 1}
        if c == p.label:
            style = {"color": WINNER, "lw": 2.4, "label": names[c]}
        elif c in shown:
            place = int(np.flatnonzero(shown == c)[0])
            dash = "--" if place // len(LINES) % 2 else "-"
            style = {"color": LINES[place % len(LINES)], "ls": dash, "lw": 1.0, "label": names[c]}
        axes.plot(steps, v, drawstyle="steps-post", **style)
    threshold = network.output_threshold()
    axes.plot(steps, threshold, color="black", ls=":", lw=1)
    axes.annotate("threshold", (0.5, threshold[0]), ha="left", va="bottom", fontsize=8).set_bbox(
        {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    )
    if p.fired:
        axes.axvline(p.decision_time, color="black", lw=0.8)
    low, high = (pick(p.potentials.ravel().tolist() + threshold.tolist()) for pick in (min, max))
    edge = 0.06 * (high - low)
    axes.set(xlim=(0, t_max), ylim=(low - edge, high + edge), ylabel="output potential V")
    more = f"\n({classes - len(shown)} more in grey)" if len(shown) < classes else ""
    axes.legend(
        title=f"output{more}", fontsize=8, title_fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.03)
    )


def check_plot(path: Path, force: bool, inputs: list[Path]) -> None:
    """Raise InputError where `plot` must not write to a path: another format, no folder, a file that is there."""
    if path.suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"--plot {path}: a drawing is a .png, .pdf or .svg file")
    if not path.parent.is_dir():
        raise InputError(f"--plot {path}: there is no folder {path.parent}; make it first")
    check_free(path, force, inputs)


def plot(path: Path, network: Network, rows: list[tuple[str, np.ndarray, Prediction]], names: tuple[str, ...]) -> None:
    """Draw each image beside the potentials of all output neurons over time, threshold and decision marked.

    path : as `check_plot` accepts it   rows : (title, image, prediction)   names : of the classes
    Raises InputError where the picture cannot be written, and for neurons in continuous time.
    """
    from matplotlib.figure import Figure

    if not network.neuron.integer:
        raise InputError("--plot draws time steps, and these neurons are in continuous time; leave it out")
    figure = Figure(figsize=(8.0, 2.8 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(1, 3))
    for (left, right), (title, image, p) in zip(grid, rows, strict=True):
        left.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        left.set(xticks=[], yticks=[], title=title)
        draw_potentials(right, network, p, names)
        said = f"class {names[p.label]}" + (f" at t = {p.decision_time:g}" if p.fired else ", no output spike")
        right.set(xlabel="time (steps)", title=f"{said}, {sum(p.spikes)} spikes until then")
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:], dpi=150)
    write_atomically(path, drawn.getvalue())
