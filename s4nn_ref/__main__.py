"""python -m s4nn_ref: the command `s4nn`."""

import sys

from s4nn_ref.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
