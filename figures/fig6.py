"""Fig. 6: as Fig. 4, for Fashion-MNIST."""

import sys

from common import main
from fig4 import draw

if __name__ == "__main__":
    sys.exit(main(draw, "fig6", "fashion-plus", __doc__))
