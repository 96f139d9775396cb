"""What one user of the page may take of the machine."""

from __future__ import annotations

from dataclasses import dataclass

from uss.core.errors import InputError

_MEASURED_RATE, _MEASURED_CHANNELS = 48_000, 2


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of each recording and each request.

    Attributes:
        minutes: of stereo at 48 kHz; what has more channels or a higher rate may last less.
        megabytes: of an uploaded file.
        stems: of one request.
        keep_minutes: how long a recording, and what was made of it, is kept after its last use.
        waiting: jobs in the queue; further ones are refused.
    """

    minutes: float = 10.0
    megabytes: int = 200
    stems: int = 12
    keep_minutes: float = 60.0
    waiting: int = 20

    def check_length(self, name: str, num_values: int, sample_rate: int, num_channels: int) -> None:
        """Refuse a recording that is too long, as soon as that is known.

        Args:
            name: of the recording.
            num_values: samples of all channels so far.
            sample_rate: in Hz.
            num_channels: C.

        Raises:
            ValueError: if it is longer than ``minutes``.
        """
        most_values = 60.0 * self.minutes * _MEASURED_RATE * _MEASURED_CHANNELS
        allowed = min(60.0 * self.minutes, most_values / sample_rate / num_channels)
        if num_values > allowed * sample_rate * num_channels:
            raise InputError(
                f"{name} is longer than {allowed / 60.0:.3g} minutes, which is the most this page "
                f"takes of {num_channels} channels at {sample_rate} Hz; upload a part of it, or "
                "separate it with uss-separate, which knows no limit"
            )

    def check_stems(self, number: int) -> None:
        """Refuse to make too many stems.

        Raises:
            ValueError: if they are more than ``stems``.
        """
        if number > self.stems:
            raise InputError(
                f"{number} stems are asked for, and this page makes {self.stems} at a time; choose "
                "fewer, or a coarser level"
            )
