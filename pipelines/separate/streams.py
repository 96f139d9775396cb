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
from pipelines.separate.options import DEFAULT_OUTPUT, SeparateOptions
from pipelines.separate.pipes import called, is_pipe, is_standard_input
from uss.audio.listing import Found
from uss.audio.spooling import spooled
from uss.core.errors import INPUT_ERRORS, InputError
from uss.results.asking import example_file
from uss.results.naming import result_names
from uss.results.outcomes import Outcome
from uss.results.recordings import Input


def named_inputs(
    found: Sequence[Found], template: str | None = None, track: int = 1
) -> list[Input]:
    """Name the results: standard input has no name of its own.

    Args:
        found: the recordings.
        template: of the names, see ``uss.results.naming.check_template``; None for the files' own.
        track: which audio track the names are for.

    Raises:
        ValueError: if the template is none.
    """
    named = [(called(each.path), each.below) for each in found]
    names = result_names(named, template, track)
    return [Input(each.path, names[path]) for each, (path, _) in zip(found, named, strict=True)]


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
            if not is_pipe(each.path):
                kept.inputs.append(each)
                continue
            source = _source(each.path)
            try:
                path = files.enter_context(_kept(each.path, each.folder_name, output))
            except INPUT_ERRORS as error:
                kept.failed.append(Outcome(each, error=error))
                continue
            kept.shown[str(path)] = source
            kept.inputs.append(replace(each, path=path, name=each.folder_name, is_spooled=True))
        yield kept


@contextmanager
def examples_on_disk(options: SeparateOptions, output: Path) -> Iterator[SeparateOptions]:
    """Keep examples that come through pipes on disk as long as the block lasts.

    Yields:
        The options, which name files instead.

    Raises:
        OSError, ValueError: if one is empty or cannot be kept; what the block says of it is said
            of the pipe.
    """
    shown: dict[str, str] = {}
    with ExitStack() as files:

        def on_disk(word: str | Path) -> str | Path:
            path = Path(word)
            pipe = example_file(path)
            if not is_pipe(pipe):
                return word
            kept = files.enter_context(_kept(pipe, called(pipe).name, output))
            shown[str(kept)] = _source(pipe)
            # The times that may follow the name.
            return kept.with_name(kept.name + path.name[len(pipe.name) :])

        queries = [Path(on_disk(path)) for path in options.queries]
        without = [str(on_disk(word)) for word in options.without]
        try:
            yield replace(options, queries=queries, without=without)
        except InputError as error:
            text = str(error)
            for path, source in shown.items():
                text = text.replace(path, source)
            raise InputError(text) from error


def _source(pipe: Path) -> str:
    return "standard input" if is_standard_input(pipe) else str(pipe)


@contextmanager
def _kept(pipe: Path, name: str, output: Path) -> Iterator[Path]:
    """Keep what comes through one pipe on disk."""
    with ExitStack() as files:
        is_standard = is_standard_input(pipe)
        stream = sys.stdin.buffer if is_standard else files.enter_context(pipe.open("rb"))
        yield files.enter_context(spooled(stream, name, output, _source(pipe)))


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
