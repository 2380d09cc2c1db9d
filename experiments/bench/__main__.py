"""How fast the kernels are: against the machine's limit, against other ways to compute the same, and how they scale.

    python experiments/bench [--quick] [--out DIR] [--data DIR]

Everything is measured in one process, in turn, and given as medians; of two numbers that are compared, each is measured
within seconds of the other, because shared machines drift. Writes bench.json and bench.md. PyTorch joins in where it is
installed. Run it with nothing beside it.
"""

import argparse
import os
import resource
import sys
from pathlib import Path

# before NumPy is imported: peers, too, are measured on one thread
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from compare import PEER_BATCH, peer_online, peers
from measure import BATCH, ROOT, Work, speed
from report import markdown
from scaling import scaling, threads_on_trained

from s4nn_ref.errors import InputError
from s4nn_ref.record import environment
from s4nn_ref.storage import write_json

NETWORKS = ("mnist-plus", "fashion-plus")


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench", metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets, as for s4nn train")
    parser.add_argument("--quick", action="store_true", help="one round of everything: does it work?")
    args = parser.parse_args(argv)
    sys.path += [str(ROOT / "experiments"), str(ROOT / "tests")]  # peers, and the transcriptions in oracle.py
    rounds = 1 if args.quick else 5
    works = [(name, weights) for name in NETWORKS for weights in ("trained", "initial")]
    online = ("s4nn", "bs4nn", "s4nn-fashion", "bs4nn-fashion")
    result = {
        "environment": environment(),
        "rounds": rounds,
        "batch": BATCH,
        "peer_batch": PEER_BATCH,
        "speed": [],
        "peers": [],
        "online": [],
    }
    steps = [
        *(("speed", f"{name}, {weights} weights", lambda n=name, w=weights: speed(Work(n, w, args.data), rounds))
          for name, weights in works),
        *(("peers", f"{name}, {weights} weights",
           lambda n=name, w=weights: peers(Work(n, w, args.data, PEER_BATCH).with_exact_sums(), rounds))
          for name, weights in works),
        *(("online", name, lambda n=name: peer_online(n, rounds, args.data)) for name in online),
    ]  # fmt: skip
    try:
        for i, (section, what, measure) in enumerate(steps):
            print(f"{i + 1} of {len(steps) + 2}: {section}, {what}", file=sys.stderr, flush=True)
            result[section].append(measure())
        print("threads and scaling", file=sys.stderr, flush=True)
        result["threads"] = threads_on_trained(NETWORKS, args.data, rounds)
        result["scaling"] = scaling(rounds)
    except InputError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "bench.json", result)
    (args.out / "bench.md").write_text(markdown(result))
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
