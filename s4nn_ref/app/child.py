"""`s4nn`, as a child of a worker: `python -m s4nn_ref.app.child PARENT train ...`.

Where the parent process is gone, a run has nobody who would report it: it is told to stop, saves its state, and the
next worker goes on from there.
"""

import os
import signal
import sys
import threading
import time

from s4nn_ref.app.cli import main

_EVERY = 0.5  # seconds between two looks


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_watch, args=(int(sys.argv[1]),), daemon=True).start()
    sys.exit(main(sys.argv[2:]))
