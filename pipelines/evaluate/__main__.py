"""``python -m pipelines.evaluate``."""

import sys

from pipelines.evaluate.command import main

if __name__ == "__main__":
    sys.exit(main())
