"""Standard output and standard error, and what becomes of a command that nobody listens to.

A command that writes files does its work whatever happens to the two streams: what cannot be printed is dropped, and
the exit code is that of the work. A command whose only product is what it prints ends quietly, with exit code 0, where
its reader has gone (`| head -1`), and with exit code 2 and a line that says so where its output cannot be written.
Messages on standard error are dropped wherever they cannot be printed.
"""

import contextlib
import os

from s4nn_ref.errors import InputError


class NobodyReads(Exception):
    """The reader of the output has gone, so that there is nothing left to do."""


class Stream:
    """A text stream that never fails in the middle of the work.

    stream : to write to, None where it was closed before the program began
    needed : whether what is written is the product of the command; else what cannot be written is dropped
    """

    def __init__(self, stream, needed: bool = False):
        self.stream, self.needed = stream, needed

    def __getattr__(self, name: str):
        return getattr(self.stream, name)

    def isatty(self) -> bool:
        return self.stream is not None and self.stream.isatty()

    def write(self, text: str) -> int:
        """Write, with escapes for what the stream's encoding does not have (names of files may be anything)."""
        if self.stream is None:
            self._fail(OSError(0, "it is closed"))
        else:
            encoding = self.stream.encoding or "utf-8"
            self._attempt(self.stream.write, text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        if self.stream is not None:
            self._attempt(self.stream.flush)

    def _attempt(self, work, *arguments) -> None:
        try:
            work(*arguments)
        except OSError as error:
            # what the stream still holds goes nowhere, lest the interpreter's last flush fail on it
            with contextlib.suppress(OSError, ValueError, AttributeError):  # not every stream has a file
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.stream.fileno())
                os.close(nowhere)
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if not self.needed:
            return
        self.needed = False
        if isinstance(error, BrokenPipeError):
            raise NobodyReads
        raise InputError(f"cannot write to standard output: {error.strerror}; send it elsewhere")


def fill_closed() -> None:
    """Open the null device in place of standard streams that are closed, or the next file opened would be taken for
    one of them, and messages of libraries would be written into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
