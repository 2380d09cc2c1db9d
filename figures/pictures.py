"""The pictures that README shows, into docs/pictures/: a digit being decided, the potentials of it, and the ladder.

python figures/pictures.py [RECORD] [--out DIR] [--data DIR]

Needs the data set. Together they may have 2 MB; a test holds that.
"""

import sys
from io import BytesIO
from pathlib import Path

import animation
import fig3
import ladder
from common import ROOT, arguments, attempt, median_run, opened
from matplotlib.figure import Figure

from s4nn_ref.files import write_atomically

DPI = 130


def write(figure: Figure, path: Path) -> None:
    """Write a figure in the size of a page, and say where."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, bbox_inches="tight")
    write_atomically(path, drawn.getvalue())
    print(path)


def main(argv=None) -> int:
    parser = arguments(__doc__)
    parser.set_defaults(out=ROOT / "docs" / "pictures")
    args = parser.parse_args(argv)
    run = opened(args.record or median_run("mnist-plus"), args.data)
    return attempt([
        lambda: animation.write(run, args.out),
        lambda: write(fig3.draw(run), args.out / "potentials.png"),
        lambda: write(ladder.draw(ladder.present(ROOT / "results")), args.out / "ladder.png"),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
