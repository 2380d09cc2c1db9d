"""Threads that wait: two against one, on an idle machine and beside busy processes, asleep and spinning.

The OpenMP library reads GOMP_SPINCOUNT when it starts, so each policy has a process of its own, and the processes
measure in turn. All of them, and the busy ones, share two cores.
"""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import numpy as np
from workers import answer, worker

NETWORK = "mnist-plus"
CORES, BUSY = 2, 3
POLICIES = {"sleeping": "0", "spinning": None}  # GOMP_SPINCOUNT; the command line and the tests set 0
SECONDS = 1.0  # of a measurement, at least


def _share_cores() -> None:
    """Keep this process on the first CORES cores that it may use, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def _worker(policy: str, data_dir):
    """A process that measures under a policy: number of threads -> seconds per image."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(CORES)}
    environment.pop("GOMP_SPINCOUNT", None)
    if POLICIES[policy] is not None:
        environment["GOMP_SPINCOUNT"] = POLICIES[policy]
    return worker([__file__, "measure", *([str(data_dir)] if data_dir else [])], f"{policy} threads", environment)


@contextmanager
def _busy(n: int):
    """n processes that do nothing but work; they end with this one, however it ends."""
    command = [sys.executable, __file__, "work", str(os.getpid())]
    with ExitStack() as stack:
        for _ in range(n):
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            process.stdout.readline()  # it has begun
        yield


def waiting(rounds: int, data_dir) -> list[dict]:
    """How fast two threads are, forward and backward of a trained network: one row idle, one beside busy processes.

    Ratios of speeds, medians over rounds: of two threads over one under each policy, and of sleeping over spinning.
    """
    rows = []
    with ExitStack() as stack:
        measure = {policy: stack.enter_context(_worker(policy, data_dir)) for policy in POLICIES}
        for busy in (0, BUSY):
            ratios = {"sleeping": [], "spinning": [], "sleeping_over_spinning": []}
            with _busy(busy):
                for _ in range(rounds):
                    one = measure["sleeping"](1)
                    two = {policy: seconds(CORES) for policy, seconds in measure.items()}
                    for policy, time_of_two in two.items():
                        ratios[policy].append(one / time_of_two)
                    ratios["sleeping_over_spinning"].append(two["spinning"] / two["sleeping"])
            rows.append({"busy": busy, **{key: float(np.median(values)) for key, values in ratios.items()}})
    return rows


def _measure(data_dir) -> None:
    """Answer every number of threads with seconds per image."""
    from measure import median_seconds, threads
    from work import Work

    work = Work(NETWORK, "trained", data_dir)

    def seconds(n_threads: int) -> float:
        with threads(n_threads):
            return median_seconds(work.both, 1, SECONDS) / len(work.labels)

    answer(seconds)


def _work(parent: int) -> None:
    """Work until the parent is gone."""
    print("begun", flush=True)
    while os.getppid() == parent:
        sum(range(10**6))


if __name__ == "__main__":
    _share_cores()  # before numba counts them
    if sys.argv[1] == "work":
        _work(int(sys.argv[2]))
    else:
        _measure(sys.argv[2] if len(sys.argv) > 2 else None)
