"""Progress on a terminal (tqdm), the line that every epoch leaves, and what to say while kernels are compiled."""

import sys
import threading
from contextlib import contextmanager, suppress

from numba.core import event
from tqdm import tqdm

from s4nn_ref.data.dataset import Dataset
from s4nn_ref.kernels.compile import folder
from s4nn_ref.training.loop import Progress

_PATIENCE = 2.0  # seconds that nobody asks about


class CompilationNotice(event.Listener):
    """Says once that kernels are being compiled, where nothing comes back for a while because of that.

    numba tells it when a compilation begins: not where machine code is found in the cache. `close` when something has
    come back. stream : where to write
    """

    def __init__(self, stream):
        self.stream = stream
        self.timer, self.compiling, self.open = None, 0, True
        event.register("numba:compile", self)

    def on_start(self, event):
        self.compiling += 1
        if self.timer is None:
            self.timer = threading.Timer(_PATIENCE, self._tell)
            self.timer.daemon = True
            self.timer.start()

    def on_end(self, event):
        self.compiling -= 1

    def _tell(self) -> None:
        if not self.compiling:  # it took no time; the next compilation may
            self.timer = None
            return
        often = "once after an installation or update" if folder() else "no folder can be written to keep them"
        with suppress(BrokenPipeError), tqdm.external_write_mode():
            print(f"compiling the kernels, {often} (half a minute)", file=self.stream, flush=True)

    def close(self) -> None:
        """No more to be said; may be called again."""
        if self.open:
            self.open = False
            event.unregister("numba:compile", self)
        if self.timer:
            self.timer.cancel()


def tell(*datasets: Dataset | None) -> None:
    """Say on stderr what was done to splits of a data set; what is true of several is said of the first."""
    said = set()
    for one in filter(None, datasets):
        for note in one.notes:
            if note not in said:
                print(f"s4nn: {one.name} {one.split}: {note}", file=sys.stderr, flush=True)
        said.update(one.notes)


@contextmanager
def images_bar(images: int, title: str):
    """A bar over images, silent where stderr is no terminal; yields the function that advances it."""
    notice = CompilationNotice(sys.stderr)  # stdout is for what was found

    def advance(n: int) -> None:
        notice.close()
        bar.update(n)

    bar = tqdm(total=images, desc=title, unit="img", unit_scale=True, leave=False, disable=None, delay=_PATIENCE)
    with bar:
        try:
            yield advance
        finally:
            notice.close()


def epoch_line(row: dict, epochs: int) -> str:
    """One line for a finished epoch."""
    parts = [f"epoch {row['epoch']:>3}/{epochs}  cost {row['cost']:.4f}  train {100 * row['train_accuracy']:.2f} %"]
    if v := row.get("validation"):
        parts.append(
            f"validation {100 * v['accuracy_strict']:.2f} % (first spike {100 * v['accuracy_first_spike']:.2f} %)  "
            f"decision t = {v['decision_time_mean']:.1f}  MRN {v['mrn']['total']:.0f}  silent {100 * v['silent']:.2f} %"
        )
    parts.append(f"{row['images_per_second']:.0f} img/s")
    return "  ".join(parts)


class TerminalProgress(Progress):
    """One bar over all images of the run, with the time left, and a line per epoch."""

    def __init__(self, epochs: int, images: int, done: int):
        self.epochs, self.notice = epochs, CompilationNotice(sys.stdout)
        self.bar = tqdm(
            total=epochs * images, initial=done, unit="img", unit_scale=True, smoothing=0.05, leave=False, disable=None
        )

    def start_epoch(self, epoch: int) -> None:
        self.bar.set_description(f"epoch {epoch}/{self.epochs}")

    def batch(self, images: int, cost: float, accuracy: float) -> None:
        self.notice.close()
        if not self.bar.disable:
            self.bar.set_postfix_str(f"cost {cost:.4f}, accuracy {100 * accuracy:.1f} %", refresh=False)
            self.bar.update(images)

    def end_epoch(self, row: dict) -> None:
        with tqdm.external_write_mode():
            print(epoch_line(row, self.epochs), flush=True)

    def warn(self, line: str) -> None:
        with tqdm.external_write_mode():
            print(f"warning: {line}", flush=True)

    def close(self) -> None:
        self.notice.close()
        self.bar.close()
