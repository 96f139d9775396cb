"""What is refused for its length or its number."""

import pytest

from pipelines.web.limits import Limits
from uss.core.errors import InputError


def test_length_counts_in_stereo_at_48_khz() -> None:
    limits = Limits(minutes=1.0)
    limits.check_length("a.wav", 60 * 32_000, 32_000, 1)
    with pytest.raises(InputError, match=r"a\.wav is longer than 1 minutes"):
        limits.check_length("a.wav", 60 * 32_000 + 1, 32_000, 1)
    # Four channels at 96 kHz are four times as much.
    limits.check_length("a.wav", 15 * 96_000 * 4, 96_000, 4)
    with pytest.raises(InputError, match=r"longer than 0\.25 minutes"):
        limits.check_length("a.wav", 15 * 96_000 * 4 + 4, 96_000, 4)


def test_too_many_stems_are_refused() -> None:
    Limits(stems=2).check_stems(2)
    with pytest.raises(InputError, match="3 stems are asked for, and this page makes 2"):
        Limits(stems=2).check_stems(3)
