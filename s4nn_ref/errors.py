"""What the user did wrong, as opposed to what this program did wrong."""


class InputError(ValueError):
    """Bad usage or bad input. Its message is one line that says what is wrong and what to do; exit code 2."""

    def __init__(self, message: str):
        # names and values out of files may hold line breaks and control characters
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message))


def shown(value) -> str:
    """A value as an error shows it: not longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no whole number of thousands of digits
        return "a huge number"
    return text if len(text) <= 100 else f"{text[:97]}..."
