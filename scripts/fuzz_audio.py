"""Separate damaged files: nothing may crash, hang, print a traceback or leave a file behind.

Writes a second of sound in ten formats, damages copies of them (bits flipped, cut, blocks removed,
doubled or swapped, sizes garbled), and runs uss-separate on each in a process of its own:

    python scripts/fuzz_audio.py --num 1000 --seed 0

Every file is a function of the seed and its number; --keep FOLDER keeps those that fail.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import resource
import select
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

_ROOT = Path(__file__).parents[1]
_SAMPLE_RATE = 16_000
_MAX_SECONDS = 20.0
_MAX_MEGABYTES = 1_000
_MAX_BLOCK_BYTES = 4_096
_SIZES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

Bytes = bytearray
Mutation = Callable[[Bytes, np.random.Generator], Bytes]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the files; returns 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--num", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="a model bundle; the default model if left out")
    parser.add_argument("--keep", type=Path, help="a folder for the files that fail")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.worker:
        return _work(arguments.model)
    failures = fuzz(
        range(arguments.first, arguments.first + arguments.num),
        arguments.seed,
        arguments.model,
        arguments.keep,
    )
    for failure in failures:
        print(failure)
    print(f"{arguments.num} files, {len(failures)} failures")
    return 1 if failures else 0


def fuzz(
    numbers: Sequence[int], seed: int, model: str | None = None, keep: Path | None = None
) -> list[str]:
    """Separate damaged files.

    Args:
        numbers: of the files; a file depends on its number and the seed only.
        seed: of all random choices.
        model: a file; None for the default model.
        keep: where the files that fail go.

    Returns:
        One line for each failure.
    """
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        whole = write_files(Path(folder) / "whole")
        with contextlib.closing(_Worker(model)) as worker:
            for number in numbers:
                path, output = Path(folder) / f"{number}{whole[number % len(whole)].suffix}", None
                path.write_bytes(damaged(whole[number % len(whole)].read_bytes(), seed, number))
                output = Path(folder) / "out"
                problem = worker.separate(path, output)
                if problem is not None:
                    failures.append(f"{path.name}: {problem}")
                    if keep is not None:
                        keep.mkdir(parents=True, exist_ok=True)
                        shutil.copy(path, keep)
                path.unlink()
                shutil.rmtree(output, ignore_errors=True)
    return failures


def write_files(folder: Path) -> list[Path]:
    """Write a second of sound in ten formats, two of them films."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    times = np.arange(_SAMPLE_RATE) / _SAMPLE_RATE
    waveform = 0.3 * np.sin(2_000.0 * times) + 0.1 * rng.standard_normal((2, _SAMPLE_RATE))
    waveform = waveform.astype(np.float32)
    files = []
    for name, subtype in [
        ("a.wav", "PCM_16"),
        ("b.wav", "FLOAT"),
        ("a.aiff", "PCM_24"),
        ("a.flac", "PCM_16"),
        ("a.ogg", "VORBIS"),
        ("a.opus", "OPUS"),
        ("a.mp3", "MPEG_LAYER_III"),
    ]:
        path = folder / name
        form = "OGG" if subtype == "OPUS" else None
        soundfile.write(path, waveform.T, _SAMPLE_RATE, subtype, format=form)
        files.append(path)
    for name, codec, has_pictures in [
        ("a.m4a", "aac", False),
        ("a.mkv", "aac", True),
        ("a.ts", "mp2", True),
    ]:
        files.append(_write_film(folder / name, waveform, codec, has_pictures))
    chained = folder / "chained.ogg"
    chained.write_bytes(2 * (folder / "a.ogg").read_bytes())
    return [*files, chained]


def _write_film(path: Path, waveform: NDArray[np.float32], codec: str, has_pictures: bool) -> Path:
    with av.open(str(path), "w") as container:
        voice: Any = container.add_stream(codec, rate=_SAMPLE_RATE, layout="stereo")
        if has_pictures:
            video: Any = container.add_stream("mpeg4", rate=10)
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
            for _ in range(10):
                picture = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), "yuv420p")
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        resampler = av.AudioResampler(voice.format.name, "stereo", _SAMPLE_RATE)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform), "fltp", "stereo")
        frame.sample_rate, frame.pts = _SAMPLE_RATE, 0
        for piece in resampler.resample(frame):
            container.mux(voice.encode(piece))
        container.mux(voice.encode(None))
    return path


def damaged(content: bytes, seed: int, number: int) -> bytes:
    """Damage a file in one to three ways."""
    rng = np.random.default_rng([seed, number])
    damaged_content = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
        damaged_content = mutation(damaged_content, rng)
    return bytes(damaged_content)


def _position(content: Bytes, rng: np.random.Generator) -> int:
    """Choose a byte: one in two lies in the header."""
    size = max(1, len(content))
    return int(rng.integers(min(size, 256) if rng.random() < 0.5 else size))


def _block(content: Bytes, rng: np.random.Generator) -> tuple[int, int]:
    start = _position(content, rng)
    longest = min(_MAX_BLOCK_BYTES, len(content) // 4)
    return start, start + int(rng.integers(1, max(2, longest)))


def _flip_bits(content: Bytes, rng: np.random.Generator) -> Bytes:
    for _ in range(int(rng.integers(1, 20))):
        if content:
            content[_position(content, rng)] ^= 1 << int(rng.integers(8))
    return content


def _cut(content: Bytes, rng: np.random.Generator) -> Bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _remove(content: Bytes, rng: np.random.Generator) -> Bytes:
    start, end = _block(content, rng)
    return content[:start] + content[end:]


def _double(content: Bytes, rng: np.random.Generator) -> Bytes:
    start, end = _block(content, rng)
    return content[:end] + content[start:]


def _swap(content: Bytes, rng: np.random.Generator) -> Bytes:
    (start, end), (other, other_end) = sorted((_block(content, rng), _block(content, rng)))
    other = max(end, other)
    swapped = content[other:other_end] + content[end:other] + content[start:end]
    return content[:start] + swapped + content[max(other, other_end) :]


def _garble_size(content: Bytes, rng: np.random.Generator) -> Bytes:
    position = _position(content, rng)
    size = int(rng.choice(_SIZES)) if rng.random() < 0.7 else int(rng.integers(2**32))
    content[position : position + 4] = struct.pack(rng.choice(["<I", ">I"]), size)
    return content


MUTATIONS: tuple[Mutation, ...] = (_flip_bits, _cut, _remove, _double, _swap, _garble_size)


@dataclass(frozen=True)
class _Reply:
    """What the command did with a file."""

    status: int
    printed: str
    megabytes: float


class _Worker:
    """A process that runs the command, and is replaced when it dies or hangs."""

    def __init__(self, model: str | None) -> None:
        self._command = [sys.executable, __file__, "--worker"]
        self._command += [] if model is None else ["--model", model]
        self._process: subprocess.Popen[str] | None = None

    def separate(self, path: Path, output: Path) -> str | None:
        """Separate a file; says what is wrong, if anything is."""
        is_new = self._process is None
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([str(path), str(output)]) + "\n")
        process.stdin.flush()
        # A new process imports torch first.
        limit = _MAX_SECONDS + (60.0 if is_new else 0.0)
        if not select.select([process.stdout], [], [], limit)[0]:
            self.close()
            return f"takes more than {_MAX_SECONDS:g} s"
        line = process.stdout.readline()
        if not line:
            status = process.wait()
            self.close()
            return f"the process died with status {status}"
        reply = _Reply(**json.loads(line))
        if reply.megabytes > _MAX_MEGABYTES:
            # The peak of a process never falls.
            self.close()
        return _problem(reply, path, output)

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _problem(reply: _Reply, path: Path, output: Path) -> str | None:
    left = sorted(str(each.relative_to(output)) for each in output.rglob("*") if each.is_file())
    strange = [line for line in reply.printed.splitlines() if not _is_expected(line, path)]
    if reply.status not in (0, 2):
        return f"status {reply.status}: {reply.printed}"
    if strange:
        return f"prints {strange[0]!r}"
    if reply.status == 2 and left:
        return f"status 2, but leaves {', '.join(left)}"
    if reply.status == 0 and not any(name.endswith("detections.json") for name in left):
        return "status 0, but no result"
    if reply.megabytes > _MAX_MEGABYTES:
        return f"needs {reply.megabytes:.0f} MB"
    return None


def _most_megabytes() -> float:
    """Tell the most memory that this process has had."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
    # The figure that getrusage gives begins with that of the process which has started this one.
    return float(re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[0]) / 1_000


def _is_expected(line: str, path: Path) -> bool:
    """Whether a line is the command's own: it names the file, a class or the model."""
    return path.name in line or "detected, but the model has no query" in line


@contextmanager
def _captured() -> Iterator[Any]:
    """Take what is printed, also by libraries in C, which know the file descriptor only."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def _work(model: str | None) -> int:
    from pipelines.separate.command import main as separate

    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        path, output = json.loads(line)
        words = [path, "-o", output, "--level", "2", "--device", "cpu"]
        words += [] if model is None else ["--model", model]
        with _captured() as file:
            with contextlib.redirect_stdout(io.StringIO()):
                status = separate(words)
            sys.stderr.flush()
            file.seek(0)
            printed = file.read().decode(errors="replace")
        replies.write(
            json.dumps({"status": status, "printed": printed, "megabytes": _most_megabytes()})
        )
        replies.write("\n")
        replies.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
