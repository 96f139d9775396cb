"""What all commands share: one-line errors, exit statuses, logging."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pipelines.interruptions import interruptible
from pipelines.streams import complain, open_standard_streams
from uss.core.errors import INPUT_ERRORS, InputError, one_line

BAD_INPUT = 2
FAULT = 1
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

    The command finds its words, as they were typed, in ``command_line``.

    Returns:
        The command's status; 2 where the input is to blame, 1 where the program is, and 128 and the
        number of the signal (130 for Ctrl-C) where it was interrupted.
    """
    open_standard_streams()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may hold what the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    debug = is_debugging("--debug" in words)
    logging.getLogger("uss").setLevel(logging.DEBUG if debug else logging.NOTSET)
    with reported(parser.prog, debug) as report:
        arguments = parser.parse_args(words)
        arguments.command_line = [parser.prog, *words]
        report.status = command(arguments)
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
    debug = is_debugging(debug)
    open_standard_streams()
    with interruptible() as interruption:
        try:
            yield report
        except KeyboardInterrupt as error:
            detail = f"; {error}" if str(error) else ""
            complain(f"{program}: interrupted{detail}")
            report.status = interruption.status
        except Exception as error:
            # Modules written in C may turn a KeyboardInterrupt into an error of their own.
            if interruption.signal_number is not None:
                complain(f"{program}: interrupted")
                report.status = interruption.status
                return
            report.status = report_error(program, error, debug, also_input=also_input)


def is_debugging(asked: bool = False) -> bool:
    """Whether tracebacks are wanted, by an option or by the environment."""
    return asked or os.environ.get(_DEBUG_VARIABLE, "") not in ("", "0")


def report_error(
    program: str,
    error: Exception,
    debug: bool,
    *,
    about: str = "",
    also_input: tuple[type[BaseException], ...] = (),
    shown: Mapping[str, str] | None = None,
) -> int:
    """Say in one line on stderr what went wrong.

    Args:
        program: the command's name.
        error: what was raised.
        debug: also print the traceback.
        about: what a fault of the program happened to, such as a file.
        also_input: what else than ``INPUT_ERRORS`` the user's input is to blame for.
        shown: what to call files that are not the user's own, by their paths.

    Returns:
        The status: 2 where the input is to blame, 1 where the program is.
    """
    if debug:
        complain("".join(traceback.format_exception(error)).rstrip())
    is_input = isinstance(error, (*INPUT_ERRORS, *also_input))
    message = one_line(error) if is_input else fault_line(error, debug)
    for path, name in (shown or {}).items():
        message = message.replace(path, name)
    complain(f"{program}: {message if is_input or not about else f'{about}: {message}'}")
    return BAD_INPUT if is_input else FAULT


def fault_line(error: Exception, debug: bool = False) -> str:
    """Say that the program is to blame, and how to see where."""
    kind = type(error).__name__
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
        return f"there is not enough memory ({one_line(error)}); close other programs"
    message = f"a fault of this program, {kind}: {one_line(error)}"
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
