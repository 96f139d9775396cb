"""Audio files in and out."""

from uss.audio.reading import Recording, Waveform, read_audio, read_mono, resample

__all__ = ["Recording", "Waveform", "read_audio", "read_mono", "resample"]
