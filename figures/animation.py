"""A GIF of the network recognising an image, step by step: input spikes, feature maps, output potentials.

Needs the data set.
"""

import sys
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from common import BLACK, BLUE, ORANGE, PAGE, Run, arguments, label_classes, median_run, opened, show_image
from fig3 import typical_image
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from s4nn_ref.app.predict import predict
from s4nn_ref.encoding import encode
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically

MAPS = 16  # shown of each convolution: those with most spikes for this image
AFTER = 3  # steps shown after the decision


def _sheet(t_post: np.ndarray, step: int, t_max: int) -> np.ndarray:
    """Feature maps (H, W, M), four in a row: 1 for a neuron that fires now, and less the longer ago it fired."""
    busiest = np.argsort((t_post < t_max).sum(axis=(0, 1)))[::-1][:MAPS]
    shown = np.where(t_post[..., busiest] <= step, np.maximum(0.35, 1.0 - 0.1 * (step - t_post[..., busiest])), 0.0)
    shown = np.pad(shown, ((0, 1), (0, 1), (0, MAPS - len(busiest))), constant_values=0)
    height, width, _ = shown.shape
    return shown.transpose(2, 0, 1).reshape(4, 4, height, width).swapaxes(1, 2).reshape(4 * height, 4 * width)


def frames(run: Run) -> list[Image.Image]:
    """A picture in RGB for every step, until shortly after the decision."""
    index = typical_image(run)
    image, network = run.test.images[index], run.network
    t_max = network.t_max
    p = predict(network, image, run.encoding)
    states = network.forward(encode(image[None], t_max, run.encoding))
    convolutions = [(spec.token, states[i]) for i, spec in enumerate(network.specs, 1) if spec.kind == "conv"]
    pictures, threshold = [], network.output_threshold()
    last = min(p.decision_time + AFTER, t_max - 1)
    shown = p.potentials[: last + 1]
    limits = 1.05 * min(shown.min(), 0), 1.05 * max(shown.max(), threshold.max())
    figure = Figure(figsize=(PAGE, 2.3), dpi=110, layout="constrained")
    grid = figure.subplots(1, 2 + len(convolutions), width_ratios=(1,) * (1 + len(convolutions)) + (1.4,))
    sheets = [axes.imshow(_sheet(state.t_post[0], 0, t_max), cmap="magma", vmin=0, vmax=1)
              for axes, (_, state) in zip(grid[1:-1], convolutions, strict=True)]  # fmt: skip
    for axes in grid[:-1]:
        axes.set(xticks=[], yticks=[])
    bars = grid[-1].barh(range(len(run.classes)), 0)
    line = grid[-1].axvline(0, color=BLACK, ls=":", lw=1)
    label_classes(grid[-1].yaxis, run.classes, 1.5)
    grid[-1].invert_yaxis()
    grid[-1].set(xlim=limits)
    for step in range(last + 1):
        for picture in grid[0].images:
            picture.remove()
        show_image(grid[0], np.where(states[0].t_post[0] <= step, image, 0))
        grid[0].set_title(f"input,\nt = {step}")
        for axes, sheet, (token, state) in zip(grid[1:-1], sheets, convolutions, strict=True):
            sheet.set_data(_sheet(state.t_post[0], step, t_max))
            axes.set_title(f"{token}:\n{int((state.t_post[0] <= step).sum())} spikes")
        decided = step >= p.decision_time
        for c, (bar, v) in enumerate(zip(bars, p.potentials[step], strict=True)):
            bar.set(width=v, facecolor=ORANGE if decided and c == p.label else BLUE)
        line.set_xdata([threshold[step]] * 2)
        grid[-1].set_title(f"decided: {run.classes[p.label]}" if decided else "output potentials")
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=figure.dpi)
        pictures.append(Image.open(buffer).convert("RGB"))
        figure.set_layout_engine("none")  # that of the first picture is kept: nothing jumps, and it takes long
    return pictures


def palette() -> Image.Image:
    """The colours of all frames: greys, the feature maps' and those of the bars, and a cube for coloured inputs.

    One palette for the whole film: Pillow would give every frame its own, and mark pixels that stay by an index that
    the palette has not, which some viewers show as red.
    """
    ramp = np.linspace(0, 1, 32)[:, None]
    bars = [ramp[::3] + (1 - ramp[::3]) * to_rgb(color) for color in (BLUE, ORANGE)]
    cube = np.stack(np.meshgrid(*[np.linspace(0, 1, 5)] * 3), axis=-1).reshape(-1, 3)
    magma = matplotlib.colormaps["magma"](np.linspace(0, 1, 64))[:, :3]
    colors = np.concatenate([ramp.repeat(3, axis=1), magma, *bars, cube])
    colors = np.pad(colors, ((0, 256 - len(colors)), (0, 0)))
    image = Image.new("P", (1, 1))
    image.putpalette(np.rint(255 * colors).astype(np.uint8).tobytes())
    return image


def write(run: Run, out: Path) -> None:
    """Write animation.gif, or animation-fashion.gif, and say where."""
    colors = palette()
    pictures = [picture.quantize(palette=colors, dither=Image.Dither.NONE) for picture in frames(run)]
    duration = [120] * (len(pictures) - 1) + [2500]
    path = out / f"animation{'-fashion' if run.dataset == 'fashion-mnist' else ''}.gif"
    film = BytesIO()
    keys = {"duration": duration, "loop": 0, "optimize": False}
    pictures[0].save(film, "GIF", save_all=True, append_images=pictures[1:], **keys)
    write_atomically(path, film.getvalue())
    print(path)


def main(argv=None) -> int:
    args = arguments(__doc__).parse_args(argv)
    try:
        write(opened(args.record or median_run("mnist-plus"), args.data), args.out)
    except InputError as error:
        print(f"animation: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
