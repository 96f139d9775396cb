"""Audio files in and out."""

from uss.audio.reading import Recording, Waveform, read_audio, read_mono, resample
from uss.audio.writing import DEFAULT_SUBTYPES, check_format, safe_file_name, write_audio

__all__ = [
    "DEFAULT_SUBTYPES",
    "Recording",
    "Waveform",
    "check_format",
    "read_audio",
    "read_mono",
    "resample",
    "safe_file_name",
    "write_audio",
]
