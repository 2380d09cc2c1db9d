"""All figures, of the shipped median runs or of one run.

    python figures/draw_all.py [RECORD] [--out DIR] [--data DIR]

Without the data set the figures that need images are left out, and a line names each.
"""

import sys
from importlib import import_module
from pathlib import Path

import animation
from common import OUT, Missing, Run, arguments, attempt, median_run, opened, save

OURS = ("anytime", "curves", "filters", "spike_times", "mistakes")  # not in the paper
PAPER = {
    "mnist": {"fig1": "fig1", "fig2": "fig2", "fig3": "fig3", "fig4": "fig4"},
    "fashion-mnist": {"fig5": "fig2", "fig6": "fig4"},
}


def names_of(run: Run, alone: bool) -> dict[str, str]:
    """Names of the files to write, and the script that draws each.

    alone : only this run is drawn; figures that the paper shows for MNIST only are then drawn for any data set
    """
    names = dict(PAPER.get(run.dataset, PAPER["mnist"]))
    if alone and run.dataset == "fashion-mnist":
        names = {"fig1": "fig1", "fig3": "fig3"} | names
    suffix = "-fashion" if run.dataset == "fashion-mnist" else ""
    return names | {name + suffix: name for name in OURS}


def draw_all(run: Run, out: Path, alone: bool) -> None:
    """Draw every figure of a run. `alone` : as in `names_of`"""
    for name, script in names_of(run, alone).items():
        try:
            save(import_module(script).draw(run), name, out)
        except Missing as error:
            print(f"{name} left out: {error}", file=sys.stderr)
    try:
        animation.write(run, out)
    except Missing as error:
        print(f"animation left out: {error}", file=sys.stderr)


def main(argv=None) -> int:
    args = arguments(__doc__).parse_args(argv)
    if args.record and args.out == OUT:  # the figures of the shipped runs are kept
        args.out = OUT / "-".join(args.record.resolve().parts[-2:])
    if args.record:
        return attempt([lambda: draw_all(opened(args.record, args.data), args.out, alone=True)])
    return attempt(
        lambda name=name: draw_all(opened(median_run(name), args.data), args.out, alone=False)
        for name in ("mnist-plus", "fashion-plus")
    )


if __name__ == "__main__":
    sys.exit(main())
