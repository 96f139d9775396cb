"""What a run of uss-separate takes: seconds, and peak memory.

The system counts what the starting process has held, while it starts another one, as that one's
own. So this module, which is small, is run as a program between the measurement and the measured:

    python scripts/measured_command.py scene.flac -o out --level 2
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from uss.core.errors import InputError

_ROOT = Path(__file__).resolve().parents[1]


class Taken(NamedTuple):
    """What a run took.

    Attributes:
        seconds: from its start to its end.
        megabytes: its highest resident set.
        printed: on standard output.
    """

    seconds: float
    megabytes: float
    printed: str


def separate(words: Sequence[str | Path]) -> Taken:
    """Run ``uss-separate`` in a process of its own.

    Raises:
        ValueError: if it ends with another status than 0; it has then said why.
    """
    command = [sys.executable, __file__, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"uss-separate ended with status {done.returncode}; see above")
    *lines, figures = done.stdout.splitlines()
    return Taken(**json.loads(figures), printed="\n".join(lines))


def main(argv: Sequence[str]) -> int:
    """Run the command; prints what it prints, and in a last line what it took."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pipelines.separate", *argv])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    # Linux counts in kilobytes, macOS in bytes.
    unit = 1_000_000 if sys.platform == "darwin" else 1_000
    print(json.dumps({"seconds": seconds, "megabytes": usage.ru_maxrss / unit}))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
