"""What stems can be written as: formats that hold the samples they are given."""

from __future__ import annotations

from uss.core.errors import InputError

DEFAULT_SUBTYPES = {"wav": "FLOAT", "flac": "PCM_24"}
# Codecs that only come near the samples are left out, as stems must add up.
_SUBTYPES = {
    "wav": ("FLOAT", "DOUBLE", "PCM_U8", "PCM_16", "PCM_24", "PCM_32"),
    "flac": ("PCM_S8", "PCM_16", "PCM_24"),
}
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLOAT_BYTES = {"FLOAT": 4, "DOUBLE": 8}
_MAX_CHANNELS = {"wav": 1024, "flac": 8}
# Sizes in WAV have 32 bits; the rest is for headers, notes and cue points.
_MAX_WAV_BYTES = 2**32 - 2**24


def check_format(container: str, subtype: str) -> None:
    """Refuse a format that is not written, or a subtype that it does not have.

    Args:
        container: ``wav`` or ``flac``.
        subtype: as libsndfile names it, such as ``FLOAT`` or ``PCM_24``.

    Raises:
        ValueError: naming what there is.
    """
    container = container.lower()
    if container not in _SUBTYPES:
        raise InputError(f"stems are not written as {container!r}; choose {' or '.join(_SUBTYPES)}")
    if subtype not in _SUBTYPES[container]:
        raise InputError(
            f"{container} has no subtype {subtype!r} that holds samples as they are, and stems "
            f"must add up; choose one of {', '.join(_SUBTYPES[container])}"
        )


def check_capacity(container: str, subtype: str, sample_rate: int, num_channels: int) -> None:
    """Refuse what a format cannot hold, before any work is done.

    Args:
        container: ``wav`` or ``flac``.
        subtype: as ``check_format``.
        sample_rate: in Hz.
        num_channels: C.

    Raises:
        ValueError: naming what it can hold.
    """
    check_format(container, subtype)
    container = container.lower()
    most = _MAX_CHANNELS[container]
    remedy = "write WAV" if container == "flac" else "mix some of them first"
    if num_channels > most:
        raise InputError(f"{container} holds {most} channels at most, not {num_channels}; {remedy}")
    if container == "flac" and not _is_rate_of_flac(sample_rate):
        raise InputError(
            f"flac cannot hold a rate of {sample_rate} Hz, only up to 65535 Hz, and multiples of "
            "10 Hz up to 655350 Hz; write WAV"
        )


def num_bits(subtype: str) -> int | None:
    """Give the bits of an integer subtype, None for floats."""
    return _BITS.get(subtype)


def num_bytes(subtype: str) -> int:
    """Give the bytes of a sample before any compression."""
    return _BITS.get(subtype, 0) // 8 or _FLOAT_BYTES[subtype]


def file_format(container: str, subtype: str, num_channels: int, num_samples: int) -> str:
    """Name the format as libsndfile does: ``FLAC``, ``WAV``, or ``RF64`` beyond 4 GB of WAV."""
    size = num_samples * num_channels * num_bytes(subtype)
    if container.lower() == "wav" and size > _MAX_WAV_BYTES:
        return "RF64"
    return container.upper()


def _is_rate_of_flac(sample_rate: int) -> bool:
    """Whether the streamable subset has a rate (RFC 9639, section 7)."""
    return sample_rate < 2**16 or (sample_rate <= 655_350 and sample_rate % 10 == 0)
