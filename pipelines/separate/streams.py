"""Standard input and pipes as recordings, standard output as a stem."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pipelines.cli import UsageError
from pipelines.separate.options import DEFAULT_OUTPUT
from uss.audio.listing import Found
from uss.audio.spooling import spooled
from uss.core.errors import INPUT_ERRORS
from uss.results.naming import result_names
from uss.results.recordings import Input
from uss.results.separate_files import Outcome

_STANDARD_INPUT = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
_STDIN_NAME = "stdin"


def is_standard_input(path: Path) -> bool:
    """Whether a path stands for standard input."""
    return str(path) in _STANDARD_INPUT


def named_inputs(
    found: Sequence[Found], template: str | None = None, track: int = 1
) -> list[Input]:
    """Name the results: standard input has no name of its own.

    Args:
        found: the recordings.
        template: of the names, see ``uss.results.naming.check_template``; None for the files' own.
        track: which audio track the names are for.

    Raises:
        ValueError: if standard input is named twice, or is a terminal; or if the template is none.
    """
    num_streams = sum(is_standard_input(each.path) for each in found)
    if num_streams > 1:
        raise UsageError(f"standard input is named {num_streams} times, and can be read once")
    if num_streams and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError(
            "standard input is a terminal or closed; pipe a recording into it, as in "
            "ffmpeg -i FILE -f wav - | uss-separate -"
        )
    called = [
        (Path(_STDIN_NAME) if is_standard_input(each.path) else each.path, each.below)
        for each in found
    ]
    names = result_names(called, template, track)
    return [Input(each.path, names[path]) for each, (path, _) in zip(found, called, strict=True)]


@dataclass(frozen=True)
class KeptInputs:
    """Recordings on disk.

    Attributes:
        inputs: those that can be read as often as it takes.
        shown: what messages call the files of those that came through pipes.
        failed: those that could not be kept.
    """

    inputs: list[Input]
    shown: dict[str, str]
    failed: list[Outcome]


@contextmanager
def on_disk(inputs: Sequence[Input], output: Path) -> Iterator[KeptInputs]:
    """Keep what comes through pipes on disk as long as the block lasts.

    Yields:
        The inputs, of which those from pipes are files now. One that fails stops no other.
    """
    with ExitStack() as files:
        kept = KeptInputs([], {}, [])
        for each in inputs:
            if is_standard_input(each.path):
                stream, source = sys.stdin.buffer, "standard input"
            elif each.path.is_fifo():
                stream, source = files.enter_context(each.path.open("rb")), str(each.path)
            else:
                kept.inputs.append(each)
                continue
            try:
                path = files.enter_context(spooled(stream, each.folder_name, output, source))
            except INPUT_ERRORS as error:
                kept.failed.append(Outcome(each, error=error))
                continue
            kept.shown[str(path)] = source
            kept.inputs.append(replace(each, path=path, name=each.folder_name, is_spooled=True))
        yield kept


@contextmanager
def output_folder(output: Path | None, is_piped: bool) -> Iterator[Path]:
    """Choose where results are written; a temporary folder if only a stem in a pipe is wanted."""
    if output is not None or not is_piped:
        yield output or DEFAULT_OUTPUT
        return
    with tempfile.TemporaryDirectory(prefix="uss-separate.") as folder:
        yield Path(folder)


@contextmanager
def kept_for_sound(is_piped: bool) -> Iterator[BinaryIO | None]:
    """Keep standard output free of words, which go to standard error instead.

    Yields:
        What takes the sound; None if none is to be written.

    Raises:
        ValueError: if it is a terminal.
    """
    if not is_piped:
        yield None
        return
    if sys.stdout is None or sys.stdout.isatty():
        raise UsageError("--stdout would write sound to a terminal; pipe it, or redirect it")
    sound = sys.stdout.buffer
    with redirect_stdout(sys.stderr):
        yield sound


def write_stem(sound: BinaryIO, file: Path) -> None:
    """Write the file of a stem to standard output; if nobody reads on, that is no error."""
    try:
        with file.open("rb") as stem:
            shutil.copyfileobj(stem, sound)
        sound.flush()
    except BrokenPipeError:
        # What is still in the buffer must not fail when the program ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sound.fileno())
