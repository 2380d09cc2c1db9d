"""Recognising single pictures: reading, presenting, and drawing the output potentials as in Fig. 3."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from s4nn_ref.decision import decide, fired
from s4nn_ref.errors import InputError
from s4nn_ref.files import check_free, write_atomically
from s4nn_ref.network import Network

_LEVEL = {"L;2": 85, "L;4": 17}  # of a PNG's grey with 2 and 4 bits, in 8 bits
MAX_PIXELS = 20_000_000  # of a picture; Pillow warns of larger ones at 90 million
# colours of Okabe and Ito, which colour-blind readers can tell apart
WINNER, LINES = "#D55E00", ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
IN_LEGEND = 12  # classes, at most
CONTENDERS = 6  # in the legend where there are more classes than that


@dataclass(frozen=True)
class Picture:
    """A picture as the network sees it.

    image : uint8 (H, W, C)   fitted : how it was brought to this size, for people; "" where it had it
    """

    image: np.ndarray
    fitted: str


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


def _fit(image: np.ndarray, size: tuple[int, int]) -> Picture:
    """Bring a picture, float (h, w, C), to size (H, W) as the training images were made: its aspect is kept, it is
    centred, and what is left of the frame gets its background, the median of its edge. The image stays float.

    Of the first 600 test images cut to their outline, 91 % of MNIST and of Fashion-MNIST are recognised so, and 76 and
    67 % where they are stretched to fill the frame.
    """
    old = image.shape[:2]
    if old == size:
        return Picture(image, "")
    scale = min(size[0] / old[0], size[1] / old[1])
    new = tuple(max(1, round(side * scale)) for side in old)
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    framed = np.empty((*size, image.shape[2]))
    framed[:] = np.median(edge, axis=0)
    top, left = ((whole - part) // 2 for whole, part in zip(size, new, strict=True))
    for c in range(image.shape[2]):  # a pixel is a weighted mean of those that it stands for: no aliasing
        channel = Image.fromarray(image[..., c].astype(np.float32)).resize(new[::-1], Image.Resampling.BILINEAR)
        framed[top : top + new[0], left : left + new[1], c] = channel
    words = [f"{w} x {h}" for h, w in (old, new, size)]
    padded = f", padded to {words[2]} with its background" if new != size else ""
    return Picture(framed, f"{words[0]} pixels are scaled to {words[1]}{padded}")


def read_image(path: Path, shape: tuple[int, int, int], invert: bool = False) -> Picture:
    """A PNG or JPEG of any size, grey or colour, with or without transparency (put on white).

    shape  : (H, W, C); C = 1: grey, C = 3: colour
    invert : for dark writing on light ground; the networks expect light on dark
    Raises InputError on a file that is missing, damaged, too large or of another format, and on other numbers of
    channels.
    """
    if shape[2] not in (1, 3):
        raise InputError(f"pictures have 1 channel or 3, the network reads {shape[2]}")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=["PNG", "JPEG"]) as file:
            if file.width * file.height > MAX_PIXELS:
                raise InputError(
                    f"{path} has {file.width} x {file.height} pixels, {shape[1]} x {shape[0]} are read; scale it down "
                    f"to {MAX_PIXELS // 10**6} million or fewer"
                )
            if file.mode.startswith("I"):  # 16-bit grey, of which a level may be transparent
                grey = np.asarray(file)
                image = np.where(grey == file.info.get("transparency", -1), 1.0, grey / 65535.0)[..., None]
            else:
                _scale_transparency(file)
                rgba = np.asarray(file.convert("RGBA"), float) / 255.0
                image = rgba[..., :3] @ np.array([[0.299], [0.587], [0.114]]) if shape[2] == 1 else rgba[..., :3]
                image = image * rgba[..., 3:] + (1.0 - rgba[..., 3:])  # grey: ITU-R BT.601
    except InputError:
        raise
    except Image.DecompressionBombError:  # beyond what Pillow opens
        raise InputError(
            f"{path} has too many pixels; scale it down to {MAX_PIXELS // 10**6} million or fewer"
        ) from None
    except UnidentifiedImageError:
        raise InputError(f"{path} is not a PNG or JPEG file; convert it first") from None
    except Exception as error:  # a damaged picture may raise anything
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'damaged picture'}") from None
    picture = _fit(image, shape[:2])
    image = np.broadcast_to(1.0 - picture.image if invert else picture.image, shape)
    return Picture(np.rint(np.clip(image, 0.0, 1.0) * 255).astype(np.uint8), picture.fitted)


def _scale_transparency(file: Image.Image) -> None:
    """Give a PNG's transparent level or colour in 8 bits, as Pillow gives its pixels."""
    clear, raw = file.info.get("transparency"), file.tile[0][3]
    if raw in _LEVEL and clear is not None:
        file.info["transparency"] = clear * _LEVEL[raw]
    elif raw == "RGB;16B" and clear is not None:
        file.info["transparency"] = tuple(level >> 8 for level in clear)


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
