"""What the user did wrong, as opposed to what this program did wrong."""


class InputError(ValueError):
    """Bad usage or bad input. Its message is one line that says what is wrong and what to do; exit code 2."""
