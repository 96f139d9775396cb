"""``uss-separate``: recordings in, a folder of stems for each out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pipelines.cli import UsageError, run_command
from pipelines.interruptions import importing
from pipelines.separate.options import SeparateOptions
from pipelines.separate.parser import separate_parser
from uss.checkpoints.published import PUBLISHED
from uss.core.errors import INPUT_ERRORS, one_line

LIST = "list"
"""In place of a preset: show which there are."""


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
    if arguments.preset and LIST in arguments.preset:
        return _list_presets()
    options = SeparateOptions.of(arguments)
    # Help and refusals of the parser need not wait for torch.
    with importing():
        from pipelines.separate.running import separate

    return separate(options)


def _list_presets() -> int:
    """Print all presets, their stems, and where one's own belong."""
    from uss.separation.preset_files import available_presets, preset_folder, read_preset

    for name, path in sorted(available_presets().items()):
        try:
            preset = read_preset(path)
        except INPUT_ERRORS as error:
            print(f"uss-separate: {one_line(error)}", file=sys.stderr)
            continue
        print(f"{name}: {preset.description or 'no description'}")
        print(f"  stems {', '.join(preset.stems)}, and the residual; {path}")
    print(f"your own: a YAML file like these, named by --preset FILE, or in {preset_folder()}")
    return 0


def _download(names: Sequence[str]) -> int:
    from uss.checkpoints.downloads import fetch

    needed = [each for name in names for each in (name, *PUBLISHED[name].needs)]
    for name in dict.fromkeys(needed):
        print(fetch(PUBLISHED[name]))
    return 0
