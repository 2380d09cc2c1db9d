"""Kernels run in one Python thread at a time, and in no process that was forked after the first kernel ran.

Layers keep lists that a pass fills, and every kernel uses all of numba's threads, so a second Python thread would gain
nothing by running beside the first. The threads of the usual OpenMP library do not survive a fork; a kernel in the
child would abort it without a word.
"""

import os
import threading
from contextlib import contextmanager

_lock = threading.RLock()
_owner: int | None = None  # the process that ran a kernel first


def let_waiting_threads_sleep() -> None:
    """To be called before the first kernel: numba's threads that wait sleep, and leave the cores of a busy machine to
    those that work. The OpenMP library reads this when it starts; what the user has set stays."""
    os.environ.setdefault("GOMP_SPINCOUNT", "0")


@contextmanager
def running():
    """Run kernels inside. Raises RuntimeError in a process that was forked from one that had run kernels."""
    global _owner
    # before the lock: another thread may have held it when the process was forked, and nobody opens it here
    if _owner not in (None, os.getpid()):
        raise RuntimeError(
            "this process was forked from one that had computed already, and numba's threads do not survive that; "
            "start processes with multiprocessing.get_context('spawn')"
        )
    with _lock:
        _owner = os.getpid()
        yield
