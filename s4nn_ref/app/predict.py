"""Recognising single PNG files: reading, presenting, and drawing the output potentials as in Fig. 3."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy import ndimage

from s4nn_ref.anytime import Anytime
from s4nn_ref.decision import fired
from s4nn_ref.errors import InputError
from s4nn_ref.files import check_free, write_atomically
from s4nn_ref.network import Network

_LEVEL = {"L;2": 85, "L;4": 17}  # of a PNG's grey with 2 and 4 bits, in 8 bits
MAX_PIXELS = 20_000_000  # of a picture; Pillow warns of larger ones at 90 million


@dataclass(frozen=True)
class Prediction:
    """What the network says of one image. decision_time is t_max where no output fired; spikes per layer, input first,
    are those up to and including the decision. t_out (classes,), and the potentials (t_max, classes) of the output
    neurons without reset, are None where the simulation stopped at the decision."""

    label: int
    decision_time: float
    fired: bool
    spikes: tuple[int, ...]
    t_out: np.ndarray | None = None
    potentials: np.ndarray | None = None


def read_image(path: Path, shape: tuple[int, int, int], invert: bool = False) -> np.ndarray:
    """A PNG or JPEG of any size, grey or colour, with or without transparency (put on white), as uint8 (H, W, C).

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
    if image.shape[:2] != shape[:2]:
        factors = np.array(shape[:2]) / image.shape[:2]
        blur = (*np.maximum(1.0 / factors - 1.0, 0.0) / 2.0, 0.0)  # no aliasing where the image shrinks
        smooth = ndimage.gaussian_filter(image, blur)
        image = ndimage.zoom(smooth, (*factors, 1.0), order=1, grid_mode=True, mode="nearest")
    image = np.broadcast_to(1.0 - image if invert else image, shape)
    return np.rint(np.clip(image, 0.0, 1.0) * 255).astype(np.uint8)


def _scale_transparency(file: Image.Image) -> None:
    """Give a PNG's transparent level or colour in 8 bits, as Pillow gives its pixels."""
    clear, raw = file.info.get("transparency"), file.tile[0][3]
    if raw in _LEVEL and clear is not None:
        file.info["transparency"] = clear * _LEVEL[raw]
    elif raw == "RGB;16B" and clear is not None:
        file.info["transparency"] = tuple(level >> 8 for level in clear)


def predict(network: Network, image: np.ndarray, encoding: str = "eq1", anytime: Anytime | None = None) -> Prediction:
    """Present one image, uint8 (H, W, C), to the end of the simulation, or with `anytime`, of the same network, until
    the first output spike."""
    t_in = network.encode(image[None], encoding)
    if anytime:
        d = anytime.decide(t_in)
        return Prediction(
            int(d.label[0]), int(d.time[0]), bool(fired(d.time[0], network.t_max)), tuple(d.spikes[0].tolist())
        )
    states = network.forward(t_in)
    outputs, spikes = network.outputs(states), tuple(network.spikes_until_decision(states)[0].tolist())
    t_out, decision = outputs.t_out[0], outputs.t_out.min().item()
    has_fired, label = bool(fired(decision, network.silent)), int(outputs.decisions()[0])
    return Prediction(label, decision, has_fired, spikes, t_out, outputs.potentials(0))


def check_plot(path: Path, force: bool, inputs: list[Path]) -> None:
    """Raise InputError where `plot` must not write to a path: another format, no folder, a file that is there."""
    if path.suffix not in (".png", ".pdf", ".svg"):
        raise InputError(f"--plot {path}: a drawing is a .png, .pdf or .svg file")
    if not path.parent.is_dir():
        raise InputError(f"--plot {path}: there is no folder {path.parent}; make it first")
    check_free(path, force, inputs)


def plot(path: Path, network: Network, rows: list[tuple[str, np.ndarray, Prediction]]) -> None:
    """Draw each image beside the potentials of all output neurons over time, threshold and decision marked.

    rows : (title, image, prediction); path : as `check_plot` accepts it. Raises InputError where it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 2.8 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(1, 3))
    for (left, right), (title, image, p) in zip(grid, rows, strict=True):
        left.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        left.set(xticks=[], yticks=[], title=title)
        steps = np.arange(network.t_max)
        for c, v in enumerate(p.potentials.T):
            emphasis = {"lw": 2.2} if c == p.label else {"lw": 0.9, "alpha": 0.7}
            dashes = "-" if c < 5 else "--"
            right.plot(steps, v, color=f"C{c % 10}", ls=dashes, label=str(c), drawstyle="steps-post", **emphasis)
        threshold = network.output_threshold()
        right.plot(steps, threshold, color="black", lw=1, ls=":")
        right.annotate("threshold", (0.5, threshold[0]), va="bottom", ha="left", fontsize=8)
        said = f"class {p.label} at t = {p.decision_time}" if p.fired else f"class {p.label}, no output spike"
        if p.fired:
            right.axvline(p.decision_time, color="black", lw=1, alpha=0.5)
        right.set(
            xlim=(0, network.t_max),
            xlabel="time (steps)",
            ylabel="output potential V",
            title=f"{said}, {sum(p.spikes)} spikes until then",
        )
        right.legend(title="output", fontsize=8, title_fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.02))
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:], dpi=150)
    write_atomically(path, drawn.getvalue())
