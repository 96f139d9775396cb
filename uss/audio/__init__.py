"""Audio files in and out."""

from uss.audio.formats import DEFAULT_SUBTYPES, check_capacity, check_format, num_bytes
from uss.audio.layouts import ChannelLayout, check_layout
from uss.audio.reading import AudioFile, read_audio, read_mono
from uss.audio.resampling import resample, resample_blocks, resample_middle
from uss.audio.sources import SILENCE_PEAK, AudioSource, Recording
from uss.audio.writing import AudioWriter, safe_file_name, write_audio

__all__ = [
    "DEFAULT_SUBTYPES",
    "SILENCE_PEAK",
    "AudioFile",
    "AudioSource",
    "AudioWriter",
    "ChannelLayout",
    "Recording",
    "check_capacity",
    "check_format",
    "check_layout",
    "num_bytes",
    "read_audio",
    "read_mono",
    "resample",
    "resample_blocks",
    "resample_middle",
    "safe_file_name",
    "write_audio",
]
