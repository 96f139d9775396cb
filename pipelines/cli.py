"""What all commands share: one-line errors, exit statuses, logging."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from uss.core.errors import INPUT_ERRORS, InputError, one_line

BAD_INPUT = 2
_FAULT = 1
_INTERRUPTED = 130
_DEBUG_VARIABLE = "USS_DEBUG"


class UsageError(InputError):
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
        self.add_argument(
            "--debug",
            action="store_true",
            help=f"show where an error comes from (or set {_DEBUG_VARIABLE}=1)",
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise UsageError(f"{message}; see {self.prog} --help")


def run_command(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    command: Callable[[argparse.Namespace], int],
) -> int:
    """Parse, run, and report what goes wrong in one line on stderr.

    Returns:
        The command's status; 2 where the input is to blame, 1 where the program is, 130 where it
        was interrupted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may hold what the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    with reported(parser.prog, "--debug" in words) as report:
        report.status = command(parser.parse_args(words))
    return report.status


@dataclass
class Report:
    """What a command ended with."""

    status: int = 0


@contextmanager
def reported(
    program: str, debug: bool = False, also_input: tuple[type[BaseException], ...] = ()
) -> Iterator[Report]:
    """Turn what the block raises into a line on stderr and a status.

    Args:
        program: the command's name.
        debug: also print the traceback, as with ``USS_DEBUG=1``.
        also_input: what else than ``INPUT_ERRORS`` the user's input is to blame for.
    """
    report = Report()
    debug = debug or os.environ.get(_DEBUG_VARIABLE, "") not in ("", "0")
    try:
        yield report
    except KeyboardInterrupt as interruption:
        detail = f"; {interruption}" if str(interruption) else ""
        print(f"{program}: interrupted{detail}", file=sys.stderr)
        report.status = _INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, (*INPUT_ERRORS, *also_input)):
            print(f"{program}: {one_line(error)}", file=sys.stderr)
            report.status = BAD_INPUT
        else:
            print(f"{program}: {_fault(error, debug)}", file=sys.stderr)
            report.status = _FAULT


def _fault(error: Exception, debug: bool) -> str:
    """Say that the program is to blame, and how to see where."""
    message = f"a fault of this program, {type(error).__name__}: {one_line(error)}"
    if debug:
        return message
    return f"{message}; --debug or {_DEBUG_VARIABLE}=1 shows where, for a report"


def counted(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def check_target(path: Path) -> None:
    """See whether a file can be written, before the work.

    Raises:
        ValueError: if its folder is missing, or it is a folder.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder; make it, or name another")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file")


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
