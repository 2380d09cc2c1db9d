"""Progress on a terminal (tqdm), and the line that every epoch leaves."""

from contextlib import contextmanager

from tqdm import tqdm

from s4nn_ref.training.loop import Progress


@contextmanager
def images_bar(images: int, title: str):
    """A bar over images, silent where stderr is no terminal; yields the function that advances it."""
    with tqdm(total=images, desc=title, unit="img", unit_scale=True, leave=False, disable=None) as bar:
        yield bar.update


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
        self.epochs = epochs
        self.bar = tqdm(
            total=epochs * images, initial=done, unit="img", unit_scale=True, smoothing=0.05, leave=False, disable=None
        )

    def start_epoch(self, epoch: int) -> None:
        self.bar.set_description(f"epoch {epoch}/{self.epochs}")

    def batch(self, images: int, cost: float, accuracy: float) -> None:
        if not self.bar.disable:
            self.bar.set_postfix_str(f"cost {cost:.4f}, accuracy {100 * accuracy:.1f} %", refresh=False)
            self.bar.update(images)

    def end_epoch(self, row: dict) -> None:
        with tqdm.external_write_mode():
            print(epoch_line(row, self.epochs), flush=True)

    def close(self) -> None:
        self.bar.close()
