import io

import numpy as np
import pytest
import soundfile

from uss.audio import DEFAULT_SUBTYPES, check_capacity, check_format
from uss.audio.formats import file_format


def test_default_subtypes_are_valid() -> None:
    for container, subtype in DEFAULT_SUBTYPES.items():
        check_format(container, subtype)
        check_format(container.upper(), subtype)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("wav", "PCM_12"), ("flac", "PCM_32"), ("wav", "ULAW"), ("wav", "IMA_ADPCM")],
)
def test_subtypes_that_hold_other_samples_are_refused(container: str, subtype: str) -> None:
    expected = f"{container} has no subtype '{subtype}' .*must add up; choose one of .*PCM_24"
    with pytest.raises(ValueError, match=expected):
        check_format(container, subtype)


def test_unknown_formats_are_named() -> None:
    with pytest.raises(ValueError, match="'xyz'; choose wav or flac"):
        check_format("xyz", "FLOAT")


def libsndfile_takes(sample_rate: int, num_channels: int) -> bool:
    file = io.BytesIO()
    try:
        with soundfile.SoundFile(
            file, "w", sample_rate, num_channels, "PCM_24", format="FLAC"
        ) as flac:
            flac.write(np.zeros((10, num_channels), np.int32))
    except soundfile.LibsndfileError:
        return False
    return True


@pytest.mark.parametrize(
    "sample_rate",
    [8_000, 44_100, 65_535, 65_537, 88_200, 88_201, 192_000, 384_000, 655_350, 655_360],
)
def test_the_rates_of_flac_are_those_libsndfile_writes(sample_rate: int) -> None:
    if libsndfile_takes(sample_rate, 1):
        check_capacity("flac", "PCM_24", sample_rate, 1)
    else:
        with pytest.raises(ValueError, match=f"a rate of {sample_rate} Hz.*; write WAV"):
            check_capacity("flac", "PCM_24", sample_rate, 1)


@pytest.mark.parametrize("num_channels", [1, 8, 9, 24])
def test_the_channels_of_flac_are_those_libsndfile_writes(num_channels: int) -> None:
    if libsndfile_takes(32_000, num_channels):
        check_capacity("flac", "PCM_24", 32_000, num_channels)
    else:
        with pytest.raises(ValueError, match=f"8 channels at most, not {num_channels}; write WAV"):
            check_capacity("flac", "PCM_24", 32_000, num_channels)


def test_what_flac_cannot_hold_wav_can() -> None:
    check_capacity("wav", "FLOAT", 88_201, 24)
    with pytest.raises(ValueError, match="1024 channels at most"):
        check_capacity("wav", "FLOAT", 88_200, 1_025)


@pytest.mark.parametrize(
    ("container", "subtype", "num_channels", "num_samples", "expected"),
    [
        ("wav", "FLOAT", 2, 3_600 * 48_000, "WAV"),
        ("wav", "FLOAT", 2, 2**29 - 2**21, "WAV"),
        ("wav", "FLOAT", 2, 2**29 - 2**21 + 1, "RF64"),
        ("wav", "FLOAT", 2, 2**29, "RF64"),
        ("wav", "DOUBLE", 2, 2**28, "RF64"),
        ("wav", "PCM_16", 2, 2**29, "WAV"),
        ("wav", "PCM_16", 2, 2**30, "RF64"),
        ("wav", "PCM_24", 6, 2**28, "RF64"),
        ("wav", "PCM_U8", 1, 2**32, "RF64"),
        ("flac", "PCM_24", 2, 2**31, "FLAC"),
    ],
)
def test_wav_that_would_exceed_its_32_bits_becomes_rf64(
    container: str, subtype: str, num_channels: int, num_samples: int, expected: str
) -> None:
    assert file_format(container, subtype, num_channels, num_samples) == expected
