"""Writing the stems of a recording: complete folders that add up, or nothing."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from uss.audio import Recording, Waveform, safe_file_name, write_audio
from uss.results import StemResult, describe_stem
from uss.separator import Analysis, Stem

logger = logging.getLogger(__name__)


def write_stems(
    folder: Path,
    name: str,
    stems: Sequence[Stem],
    recording: Recording,
    analysis: Analysis,
    suffix: str,
    subtype: str,
) -> tuple[list[StemResult], list[Waveform]]:
    """Write the stems of one folder and the residual that makes them add up to the recording.

    The residual is formed from the stems as their files hold them, rounded where the format is PCM.

    Args:
        folder: of the result.
        name: of the folder in it, such as ``level2``.
        stems: what was separated.
        recording: the input.
        analysis: gives the segments.
        suffix: ``wav`` or ``flac``.
        subtype: as libsndfile names it.

    Returns:
        What is known about each stem, and its (C, T) waveform as written.
    """
    (folder / name).mkdir()
    residual = recording.waveform.astype(np.float64)
    results, waveforms = [], []
    taken = {"residual"}
    for stem in stems:
        base = safe_file_name(stem.detection.node.name)
        if base.casefold() in taken:
            base = f"{base} ({safe_file_name(stem.detection.node.mid)})"
        taken.add(base.casefold())
        file = f"{name}/{base}.{suffix}"
        written = write_audio(folder / file, stem.waveform, recording.sample_rate, subtype)
        _report_clipping(file, stem.waveform, subtype)
        residual -= written
        results.append(describe_stem(stem, written, analysis, recording.sample_rate, file))
        waveforms.append(written)
    file = f"{name}/residual.{suffix}"
    rest = residual.astype(np.float32)
    write_audio(folder / file, rest, recording.sample_rate, subtype)
    _report_clipping(file, rest, subtype)
    return results, waveforms


def _report_clipping(file: str, waveform: Waveform, subtype: str) -> None:
    """Integer formats end at full scale; what a residual loses there, the sum lacks."""
    beyond = int(np.count_nonzero(np.abs(waveform) > 1.0))
    if beyond and subtype not in ("FLOAT", "DOUBLE"):
        logger.warning(
            "%s: %d samples are beyond full scale and were clipped; float WAV keeps them",
            file,
            beyond,
        )


@contextmanager
def result_folder(output: Path, name: str) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``output/name`` when all went well.

    Raises:
        ValueError: if ``output/name`` is something else than an earlier result.
    """
    final = output / name
    if final.exists() and not (final / "detections.json").is_file():
        raise ValueError(
            f"{final} exists and is no earlier result; move it away or choose another output folder"
        )
    is_new = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".part", dir=output))
    try:
        yield part
        part.chmod(0o755)
        _replace_folder(part, final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        if is_new and not any(output.iterdir()):
            output.rmdir()
        raise


def _replace_folder(new: Path, final: Path) -> None:
    """Rename a folder over another, which comes back if that fails."""
    old = new.with_suffix(".old")
    if final.exists():
        os.replace(final, old)
    try:
        os.replace(new, final)
    except OSError:
        if old.exists():
            os.replace(old, final)
        raise
    shutil.rmtree(old, ignore_errors=True)
