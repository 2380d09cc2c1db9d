"""Fig. 5: as Fig. 2, for Fashion-MNIST."""

import sys

from common import main
from fig2 import draw

if __name__ == "__main__":
    sys.exit(main(draw, "fig5", "fashion-plus", __doc__))
