"""A table that is redrawn in place on a terminal; elsewhere, the lines that have changed."""

import os
import shutil


class Live:
    """Lines that stand at the end of what a command has printed.

    stream : to write to. Only a terminal is redrawn; anything else gets the lines of `say` alone.
    """

    def __init__(self, stream):
        self.stream = stream
        self.redraws = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._drawn = 0

    def draw(self, lines: list[str]) -> None:
        """Show these lines in place of the last ones; of too many for the screen, the first."""
        if not self.redraws:
            return
        size = shutil.get_terminal_size()
        if len(lines) > (most := max(size.lines - 2, 1)):
            lines = [*lines[: most - 1], f"... and {len(lines) - most + 1} more"]
        self._erase()
        self.stream.write("".join(f"{line[: size.columns - 1]}\n" for line in lines))
        self.stream.flush()
        self._drawn = len(lines)

    def say(self, line: str) -> None:
        """Print a line that stays, above the table."""
        self._erase()
        self.stream.write(f"{line}\n")
        self.stream.flush()

    def _erase(self) -> None:
        if self._drawn:
            self.stream.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0
