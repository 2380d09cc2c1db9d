"""What the user did wrong, as opposed to what this program did wrong; and output that cannot be written."""

import contextlib
import os


class InputError(ValueError):
    """Bad usage or bad input. Its message is one line that says what is wrong and what to do; exit code 2."""


def mute(stream) -> None:
    """Send what a stream still holds nowhere, so that the interpreter's last flush cannot fail on it."""
    with contextlib.suppress(OSError, ValueError):  # not every stream has a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
