"""``uss-separate``: recordings in, a folder of stems for each out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pipelines.cli import UsageError, run_command
from pipelines.interruptions import importing
from pipelines.separate.options import SeparateOptions, separate_parser
from uss.checkpoints.published import PUBLISHED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(separate_parser(), argv, _run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.download:
        if arguments.input:
            raise UsageError(
                "--download only fetches; leave out the input files, and repeat it for each model"
            )
        return _download(arguments.download)
    options = SeparateOptions.of(arguments)
    # Help and refusals of the parser need not wait for torch.
    with importing():
        from pipelines.separate.running import separate

    return separate(options)


def _download(names: Sequence[str]) -> int:
    from uss.checkpoints.downloads import fetch

    for name in names:
        print(fetch(PUBLISHED[name]))
    return 0
