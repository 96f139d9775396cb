"""``python -m pipelines.web``."""

import sys

from pipelines.start import web

if __name__ == "__main__":
    sys.exit(web())
