"""``python -m pipelines.evaluate``."""

import sys

from pipelines.start import evaluate

if __name__ == "__main__":
    sys.exit(evaluate())
