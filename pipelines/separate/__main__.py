"""``python -m pipelines.separate``."""

import sys

from pipelines.separate.command import main

if __name__ == "__main__":
    sys.exit(main())
