"""The page on Hugging Face Spaces, which shows what listens at port 7860."""

import sys

from pipelines.web.command import main

OPTIONS = [
    *("--host", "0.0.0.0", "--port", "7860"),
    *("--max-minutes", "5", "--max-megabytes", "100", "--max-stems", "8"),
    *("--keep-minutes", "30", "--max-waiting", "20"),
]

if __name__ == "__main__":
    sys.exit(main([*OPTIONS, *sys.argv[1:]]))
