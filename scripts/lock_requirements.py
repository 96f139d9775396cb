"""Write requirements.lock: the exact versions and hashes that the container image installs.

    python scripts/lock_requirements.py

The versions are the newest that `setup.cfg` allows on Linux and Python 3.11. PyTorch is not among
them, nor are the CUDA libraries it asks for: the image takes its build for CPUs, as the Dockerfile
says. Needs the program uv.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from uss.core.files import written_whole

_CHECKOUT = Path(__file__).resolve().parent.parent
_HEAD = """\
# What the container image installs beside PyTorch; made by: python scripts/lock_requirements.py
"""
_COMPILE = (
    *("uv", "pip", "compile", "setup.cfg", "--extra", "text", "--quiet"),
    *("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"),
    *("--generate-hashes", "--no-header", "--no-annotate"),
)
_OF_TORCH = re.compile(r"(torch|triton|nvidia-.*|cuda-.*)==")


def without_torch(compiled: str) -> str:
    """Leave PyTorch and its CUDA libraries out of requirements with hashes.

    Args:
        compiled: requirements, each followed by indented lines with its hashes.
    """
    entries = re.split(r"^(?=\S)", compiled, flags=re.MULTILINE)
    return "".join(entry for entry in entries if not _OF_TORCH.match(entry))


def main() -> int:
    compiled = subprocess.run(_COMPILE, cwd=_CHECKOUT, text=True, stdout=subprocess.PIPE)
    if compiled.returncode:
        return compiled.returncode
    with written_whole(_CHECKOUT / "requirements.lock") as part:
        part.write_text(_HEAD + without_torch(compiled.stdout), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
