"""Where the installed commands begin, before the imports that take seconds."""

from __future__ import annotations

import sys
from importlib import import_module

_INTERRUPTED = 130


def evaluate() -> int:
    """Run ``uss-evaluate``; returns the exit status."""
    return _start("uss-evaluate", "pipelines.evaluate.command")


def export_onnx() -> int:
    """Run ``uss-export-onnx``; returns the exit status."""
    return _start("uss-export-onnx", "pipelines.export_onnx")


def mine_anchors() -> int:
    """Run ``uss-mine-anchors``; returns the exit status."""
    return _start("uss-mine-anchors", "pipelines.mine_anchors")


def models() -> int:
    """Run ``uss-models``; returns the exit status."""
    return _start("uss-models", "pipelines.models")


def prepare() -> int:
    """Run ``uss-prepare``; returns the exit status."""
    return _start("uss-prepare", "pipelines.prepare")


def separate() -> int:
    """Run ``uss-separate``; returns the exit status."""
    return _start("uss-separate", "pipelines.separate.command")


def train() -> int:
    """Run ``uss-train``; returns the exit status."""
    return _start("uss-train", "pipelines.train")


def web() -> int:
    """Run ``uss-web``; returns the exit status."""
    return _start("uss-web", "pipelines.web.command")


def _start(program: str, module: str) -> int:
    """Import and run a command; being interrupted while it is imported is no fault either."""
    try:
        # Not above, where nothing would catch an interruption.
        from pipelines.cli import reported
        from pipelines.interruptions import importing
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    with reported(program, "--debug" in sys.argv[1:]) as report:
        with importing(program):
            command = import_module(module)
        report.status = command.main()
    return report.status
