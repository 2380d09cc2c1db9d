"""How fast the kernels are, against the machine's limit and other implementations, and how the cost grows.

    python experiments/bench [--quick] [--only SECTION] [--out DIR] [--data DIR]
    python experiments/bench --only SECTION --out results/bench     # that section anew, the others as they are

Everything is measured in turn in one process, or in processes that take turns; results are medians. Numbers that are
compared are measured within seconds of each other, because shared machines drift. Writes bench.json and bench.md.
PyTorch and snnTorch are compared where they are installed: pip install torch snntorch. Run nothing else at the time.
Ctrl-C prints what was measured so far, and writes nothing.
"""

import argparse
import functools
import json
import os
import resource
import sys
from pathlib import Path

# before NumPy and numba are imported: the peers are measured on one thread too, and threads wait as the command's do
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import instead
from compare import PEER_BATCH, peer_online, peers
from measure import engines, speed
from report import SECTIONS, markdown, renewed
from scaling import scaling, threads_on_trained
from systems import SYSTEMS, system
from waiting import waiting
from work import BATCH, ROOT, Work

from s4nn_ref.app.record import environment
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically, write_json

NETWORKS = ("mnist-plus", "fashion-plus")
ONLINE = ("s4nn", "bs4nn", "s4nn-fashion", "bs4nn-fashion")


def steps_of(rounds: int, plan: instead.Plan, data_dir) -> list[tuple]:
    """What is measured, in this order: (section, name, function that returns rows of it)."""
    works = [(name, weights) for name in NETWORKS for weights in ("trained", "initial")]
    named = [(name, weights, f"{name}, {weights} weights") for name, weights in works]
    steps = [("speed", what, lambda n=n, w=w: [speed(Work(n, w, data_dir), rounds)]) for n, w, what in named]
    steps.append(("engines", "mnist-plus, trained weights", lambda: [engines("mnist-plus", rounds, data_dir)]))
    for n, w, what in named:
        few = functools.partial(Work, n, w, data_dir, PEER_BATCH)
        steps.append(("peers", what, lambda few=few: [peers(few().with_exact_sums(), rounds)]))
    steps += [("online", n, lambda n=n: [peer_online(n, rounds, data_dir)]) for n in ONLINE]
    steps += [("systems", n, lambda n=n: [system(n, rounds, data_dir)]) for n in SYSTEMS]
    steps.append(("threads", "trained weights", lambda: threads_on_trained(NETWORKS, data_dir, rounds)))
    steps.append(("waiting", "threads that wait", lambda: waiting(rounds, data_dir)))
    steps.append(("scaling", "random weights", lambda: scaling(rounds)))
    for n, w, what in named:
        steps.append(("instead", what, lambda n=n, w=w: [instead.instead(n, w, plan, data_dir)]))
    steps.append(("memory", "mnist-plus", lambda: instead.memory("mnist-plus", plan, data_dir)))
    return steps


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="default: results/bench; with --only: nowhere, or whose section to renew",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets, as for s4nn train")
    parser.add_argument("--quick", action="store_true", help="one round of everything, to see that it works")
    parser.add_argument("--only", choices=SECTIONS, help="this section alone")
    args = parser.parse_args(argv)
    args.out = args.out or (None if args.only else ROOT / "results" / "bench")
    return args


def main(argv=None) -> int:
    args = arguments(argv)
    sys.path.append(str(ROOT / "experiments"))  # peers
    rounds, plan = (1, instead.QUICK) if args.quick else (5, instead.Plan())
    steps = [step for step in steps_of(rounds, plan, args.data) if args.only in (None, step[0])]
    result = {"environment": environment(), "rounds": rounds, "batch": BATCH, "peer_batch": PEER_BATCH}
    ended = ""
    try:
        for i, (section, what, measure) in enumerate(steps):
            print(f"{i + 1} of {len(steps)}: {section}, {what}", file=sys.stderr, flush=True)
            result.setdefault(section, []).extend(measure())
    except (InputError, KeyboardInterrupt) as error:
        ended = str(error) or "interrupted"
    result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(markdown(result))
    if ended:
        print(f"bench: {ended}; what was measured before is above, nothing was written", file=sys.stderr)
        return 130 if ended == "interrupted" else 2
    if args.out:
        if args.only and (args.out / "bench.json").exists():
            result = renewed(json.loads((args.out / "bench.json").read_text(encoding="utf-8")), args.only, result)
        write_json(args.out / "bench.json", result)
        write_atomically(args.out / "bench.md", markdown(result).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
