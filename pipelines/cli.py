"""What all commands share: one-line errors, exit statuses, logging."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

BAD_INPUT = 2
_INTERRUPTED = 130


class UsageError(ValueError):
    """The command line makes no sense."""


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


class CommandParser(argparse.ArgumentParser):
    """A parser that shows defaults and reports mistakes by raising, in one line."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise UsageError(f"{message}; see {self.prog} --help")


def run_command(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    command: Callable[[argparse.Namespace], int],
) -> int:
    """Parse, run, and turn input errors into one line on stderr and status 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may hold what the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return command(parser.parse_args(argv))
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interruption:
        detail = f"; {interruption}" if str(interruption) else ""
        print(f"{parser.prog}: interrupted{detail}", file=sys.stderr)
        return _INTERRUPTED


def one_line(error: BaseException) -> str:
    """Fold an error's message into one line."""
    return " ".join(str(error).split()) or type(error).__name__


def counted(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def check_target(path: Path) -> None:
    """See whether a file can be written, before the work.

    Raises:
        ValueError: if its folder is missing, or it is a folder.
    """
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent}: no such folder; make it, or name another")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file")


def at_least(minimum: int) -> Callable[[str], int]:
    """Make an argument type: an integer not below the minimum."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{value} is too small; give {minimum} or more")
        return value

    return parse


def between(low: float, high: float) -> Callable[[str], float]:
    """Make an argument type: a number in [low, high]."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is out of range; give {low:g} to {high:g}")
        return value

    return parse
