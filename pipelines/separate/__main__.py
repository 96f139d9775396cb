"""``python -m pipelines.separate``."""

import sys

from pipelines.start import separate

if __name__ == "__main__":
    sys.exit(separate())
