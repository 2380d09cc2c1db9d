"""Processes that measure. Each keeps its state and answers on a pipe, a line of JSON for a line of JSON."""

import json
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout, suppress

from s4nn_ref.errors import InputError


@contextmanager
def worker(command: list[str], what: str, environment: dict[str, str]):
    """A process of this Python that runs `command` and calls `answer`.

    what : that it measures, for the message   environment : of the process, whole
    Yields a function: question -> answer, which raises InputError when the process has ended.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, *command], env=environment, stdin=pipe, stdout=pipe, text=True)

    def ask(question):
        with suppress(BrokenPipeError):
            print(json.dumps(question), file=process.stdin, flush=True)
        line = process.stdout.readline()
        if not line:
            raise InputError(f"the process that measures {what} has ended ({process.wait()}); above it says why")
        return json.loads(line)

    with process:
        try:
            yield ask
        finally:
            process.kill()
            with suppress(BrokenPipeError):  # a question that nobody has read
                process.stdin.close()


def answer(measure) -> None:
    """In the process: answer every question on stdin with measure(question), until there are no more.

    What anything else prints goes to stderr.
    """
    answers = sys.stdout
    with redirect_stdout(sys.stderr):
        for line in sys.stdin:
            print(json.dumps(measure(json.loads(line))), file=answers, flush=True)
