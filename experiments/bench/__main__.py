"""How fast the kernels are, against the machine's limit and other implementations, and how the cost grows.

    python experiments/bench [--quick] [--out DIR] [--data DIR]

Everything is measured in turn in one process; results are medians. Numbers that are compared are measured within
seconds of each other, because shared machines drift. Writes bench.json and bench.md. PyTorch is compared where it is
installed. Run nothing else at the time.
"""

import argparse
import functools
import os
import resource
import sys
from pathlib import Path

# before NumPy and numba are imported: the peers are measured on one thread too, and threads wait as the command's do
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from compare import PEER_BATCH, peer_online, peers
from measure import engines, speed
from report import markdown
from scaling import scaling, threads_on_trained
from systems import SYSTEMS, system
from waiting import waiting
from work import BATCH, ROOT, Work

from s4nn_ref.app.record import environment
from s4nn_ref.errors import InputError
from s4nn_ref.files import write_atomically, write_json

NETWORKS = ("mnist-plus", "fashion-plus")


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench", metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets, as for s4nn train")
    parser.add_argument("--quick", action="store_true", help="one round of everything, to see that it works")
    args = parser.parse_args(argv)
    sys.path.append(str(ROOT / "experiments"))  # peers
    rounds = 1 if args.quick else 5
    works = [(name, weights) for name in NETWORKS for weights in ("trained", "initial")]
    online = ("s4nn", "bs4nn", "s4nn-fashion", "bs4nn-fashion")
    result = {"environment": environment(), "rounds": rounds, "batch": BATCH, "peer_batch": PEER_BATCH}
    result |= {section: [] for section in ("speed", "engines", "peers", "online", "systems")}
    steps = [("speed", f"{n}, {w} weights", lambda n=n, w=w: speed(Work(n, w, args.data), rounds)) for n, w in works]
    steps.append(("engines", "mnist-plus, trained weights", lambda: engines("mnist-plus", rounds, args.data)))
    for n, w in works:
        few = functools.partial(Work, n, w, args.data, PEER_BATCH)
        steps.append(("peers", f"{n}, {w} weights", lambda few=few: peers(few().with_exact_sums(), rounds)))
    steps += [("online", n, functools.partial(peer_online, n, rounds, args.data)) for n in online]
    steps += [("systems", n, functools.partial(system, n, rounds, args.data)) for n in SYSTEMS]
    try:
        for i, (section, what, measure) in enumerate(steps):
            print(f"{i + 1} of {len(steps) + 1}: {section}, {what}", file=sys.stderr, flush=True)
            result[section].append(measure())
        print(f"{len(steps) + 1} of {len(steps) + 1}: threads and scaling", file=sys.stderr, flush=True)
        result["threads"] = threads_on_trained(NETWORKS, args.data, rounds)
        result["waiting"] = waiting(rounds, args.data)
        result["scaling"] = scaling(rounds)
    except InputError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    write_json(args.out / "bench.json", result)
    write_atomically(args.out / "bench.md", markdown(result).encode())
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
