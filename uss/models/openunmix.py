"""Open-Unmix, conditioned: a recurrent network that masks magnitudes (Stöter et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.film import FiLM
from uss.models.masking import MaskNetwork

Modulation = tuple[Tensor, Tensor]


class OpenUnmix(MaskNetwork):
    """Bidirectional LSTM layers between linear layers; the mask keeps the mixture's phase.

    Input shift and scale per bin, linear layer with batch norm and tanh, LSTM layers whose output
    is concatenated with their input, two linear layers with batch norm, output scale and shift
    per bin, ReLU: the mask has no upper bound. As published, but for four things. The condition
    enters as one bias per channel before the tanh and the first ReLU (eq. 6; the mask's own ReLU,
    like the sigmoid of ``ResUNet30``, takes none). Shift and scale of the input start at 0 and 1
    rather than at a data set's statistics. All bins are read: the published limit of 16 kHz is
    the Nyquist frequency at 32 kHz. And the transform is that of ``ResUNet30`` instead of 4096
    and 1024 samples at 44.1 kHz, without the Wiener filter, which needs several sources.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        hidden_size: of all layers, even: half of it for each direction of an LSTM layer.
        num_layers: LSTM layers.
        dropout: between LSTM layers, while training.
        n_fft: also the window's length, in samples.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.

    Raises:
        ValueError: if a size is not positive, ``hidden_size`` or ``n_fft`` is odd, or ``dropout``
            is not in [0, 1).
    """

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        hidden_size: int = 512,
        num_layers: int = 3,
        dropout: float = 0.4,
        n_fft: int = 2048,
        hop_length: int = 320,
        sample_rate: int = 32_000,
        segment_seconds: float = 2.0,
    ) -> None:
        super().__init__(n_fft, hop_length)
        if min(condition_size, hidden_size, num_layers) < 1:
            raise InputError(
                f"condition_size {condition_size}, hidden_size {hidden_size}, num_layers "
                f"{num_layers}: all must be at least 1"
            )
        if hidden_size % 2 or n_fft % 2:
            raise InputError(f"hidden_size {hidden_size} and n_fft {n_fft} must be even")
        if not 0.0 <= dropout < 1.0:
            raise InputError(f"dropout {dropout} is out of range; choose 0 to less than 1")
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds

        num_bins = n_fft // 2 + 1
        self.input_shift = nn.Parameter(torch.zeros(num_bins))
        self.input_scale = nn.Parameter(torch.ones(num_bins))
        self.linear1 = nn.Linear(num_bins, hidden_size, bias=False)
        self.norm1 = nn.BatchNorm1d(hidden_size)
        self.lstm = nn.LSTM(
            hidden_size,
            hidden_size // 2,
            num_layers,
            batch_first=True,
            # A single layer has no place for it, and torch warns.
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=True,
        )
        self.linear2 = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        self.norm2 = nn.BatchNorm1d(hidden_size)
        self.linear3 = nn.Linear(hidden_size, num_bins, bias=False)
        self.norm3 = nn.BatchNorm1d(num_bins)
        self.output_scale = nn.Parameter(torch.ones(num_bins))
        self.output_shift = nn.Parameter(torch.ones(num_bins))
        self.film = FiLM(condition_size, [hidden_size, hidden_size])

    def encode(self, spectrogram: Tensor) -> Tensor:
        """Map (B, n_fft // 2 + 1, F) complex to (B, F, hidden_size), before the first bias."""
        magnitude = spectrogram.abs().transpose(1, 2)
        scaled = (magnitude + self.input_shift) * self.input_scale
        return _over_frames(self.norm1, self.linear1(scaled))

    def modulate(self, condition: Tensor) -> Modulation:
        """Map (B, H) conditions to the (B, 1, hidden_size) biases of tanh and ReLU."""
        before_tanh, before_relu = self.film(condition)
        return before_tanh.flatten(1)[:, None], before_relu.flatten(1)[:, None]

    def mask(self, encoded: Tensor, modulation: Modulation) -> Tensor:
        """Run the network.

        Args:
            encoded: (B, F, hidden_size) from ``encode``.
            modulation: from ``modulate``, for B conditions.

        Returns:
            (B, n_fft // 2 + 1, F) complex mask, real and not negative.
        """
        before_tanh, before_relu = modulation
        hidden = torch.tanh(encoded + before_tanh)
        hidden = torch.cat([hidden, self.lstm(hidden)[0]], dim=2)
        hidden = torch.relu(_over_frames(self.norm2, self.linear2(hidden)) + before_relu)
        hidden = _over_frames(self.norm3, self.linear3(hidden))
        gain = torch.relu(hidden.float() * self.output_scale + self.output_shift)
        return torch.complex(gain, torch.zeros_like(gain)).transpose(1, 2)


def _over_frames(norm: nn.BatchNorm1d, hidden: Tensor) -> Tensor:
    """Normalise the last dimension of (B, F, channels) over rows and frames."""
    out: Tensor = norm(hidden.flatten(0, 1))
    return out.reshape(hidden.shape)
