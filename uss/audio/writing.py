"""Write waveforms so that a file appears under its name only when it is complete."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import soundfile

from uss.audio.reading import Waveform
from uss.files import written_whole

DEFAULT_SUBTYPES = {"wav": "FLOAT", "flac": "PCM_24"}
_RESERVED_NAMES = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)
}
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]+')
_MAX_NAME_BYTES = 120


def write_audio(path: str | Path, waveform: Waveform, sample_rate: int, subtype: str) -> Waveform:
    """Write a file; its suffix is the format.

    Args:
        path: ends in ``.wav`` or ``.flac``.
        waveform: (C, T) float32.
        sample_rate: in Hz.
        subtype: as libsndfile names it, such as ``FLOAT`` or ``PCM_24``.

    Returns:
        (C, T) the waveform as the file holds it: rounded and clipped for PCM.

    Raises:
        ValueError: if the format cannot hold the subtype, rate or channels.
    """
    path = Path(path)
    container = path.suffix[1:].upper()
    check_format(container, subtype)
    with written_whole(path) as part:
        try:
            with part.open("wb") as file:
                soundfile.write(file, waveform.T, sample_rate, subtype=subtype, format=container)
        except soundfile.LibsndfileError as error:
            raise ValueError(
                f"{path.name}: {container} cannot hold {waveform.shape[0]} channels at "
                f"{sample_rate} Hz as {subtype} ({error}); write WAV"
            ) from error
    if subtype in ("FLOAT", "DOUBLE"):
        return waveform
    stored, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(stored.T)


def check_format(container: str, subtype: str) -> None:
    """Refuse a subtype that the format does not have.

    Raises:
        ValueError: naming the subtypes it has.
    """
    if not soundfile.check_format(container.upper(), subtype):
        known = ", ".join(soundfile.available_subtypes(container.upper()))
        raise ValueError(f"{container.lower()} has no subtype {subtype!r}; choose {known}")


def safe_file_name(name: str) -> str:
    """Make a name that every file system takes, and that people still recognise."""
    safe = _UNSAFE.sub("_", name).strip(" .")
    safe = safe.encode()[:_MAX_NAME_BYTES].decode(errors="ignore").rstrip(" .") or "_"
    return f"{safe}_" if safe.split(".")[0].casefold() in _RESERVED_NAMES else safe
