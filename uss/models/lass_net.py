"""LASS-Net (Liu et al., Interspeech 2022): separation by a sentence, on magnitudes.

Entry names are the published ones, such as ``UNet.encoder_block1.conv_block1.bn1.weight``, so the
released file loads strictly. Its BERT is a text encoder (``uss.conditions.bert_mini``); what
lies on top of that, a linear layer, is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.core.state_dicts import COUNTERS, load_entries
from uss.models.masking import MaskNetwork

if TYPE_CHECKING:
    from typing_extensions import Self

_LEAKY_SLOPE = 0.01
_DROPPED_BINS = 2
_BERT = "text_embedder.bert_layer."
RELEASED_SPACE = "lass-net-256"

Modulation = tuple[Tensor, ...]


class LASSNet(MaskNetwork):
    """A U-Net of residual blocks with additive FiLM; a real mask in [0, 1].

    Every convolution's output gets one bias per channel, a ReLU of two linear layers of the text
    vector and so never below 0. The two top bins, which the halving leaves no room for, are put
    back as zeros before the sigmoid: their mask is 0.5, as released.

    Attributes:
        constants: see ``uss.core.state_dicts.load_entries``.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        channels: of each encoder stage; every stage halves time and frequency.
        text_size: of the text vector that the blocks take.
        n_fft: also the window's length, in samples.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.

    Raises:
        ValueError: if a size is not positive, or the bins do not come out when halved that often.
    """

    cpu_batch_size = 2
    constants = (COUNTERS,)

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        channels: Sequence[int] = (32, 64, 128, 256, 384, 384),
        text_size: int = 256,
        n_fft: int = 1024,
        hop_length: int = 512,
        sample_rate: int = 32_000,
        segment_seconds: float = 10.0,
    ) -> None:
        super().__init__(n_fft, hop_length)
        channels = tuple(channels)
        if not channels or min(*channels, condition_size, text_size) < 1:
            raise InputError(
                f"channels {list(channels)}, condition_size {condition_size}, text_size "
                f"{text_size}: all must be at least 1, and there must be a stage"
            )
        bins = n_fft // 2 + 1 - _DROPPED_BINS
        if (bins + 1) % 2 ** len(channels):
            raise InputError(
                f"n_fft {n_fft}: {bins} bins cannot be halved {len(channels)} times and doubled "
                "again; use fewer stages or a power of 2"
            )
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.text_embedder = nn.ModuleDict(
            {"linear_layer": nn.Sequential(nn.Linear(condition_size, text_size), nn.ReLU())}
        )
        self.UNet = _UNet(channels, text_size)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], source: str) -> Self:
        """Load the released weights strictly; the network comes in evaluation mode.

        Args:
            state: entry name -> tensor, without the prefix ``module.``; BERT's are left aside.
            source: what an error calls the file.

        Raises:
            ValueError: if entries are missing, unknown or misshapen; it names them.
        """
        model = cls(RELEASED_SPACE, 256)
        own = {name: value for name, value in state.items() if not name.startswith(_BERT)}
        load_entries(model, own, source, cls.constants)
        return model.eval()

    def encode(self, spectrogram: Tensor) -> Tensor:
        """Map (B, n_fft // 2 + 1, F) complex to (B, 1, F, n_fft // 2 - 1) magnitudes."""
        return spectrogram.abs()[:, :-_DROPPED_BINS].transpose(1, 2)[:, None]

    def text_vector(self, condition: Tensor) -> Tensor:
        """Map (B, H) conditions to (B, text_size), not below 0."""
        vector: Tensor = self.text_embedder["linear_layer"](condition)
        return vector

    def modulate(self, condition: Tensor) -> Modulation:
        """Map (B, H) conditions to (B, channels, 1, 1) biases, in the order of their use."""
        return self.UNet.biases(self.text_vector(condition))

    def mask(self, encoded: Tensor, modulation: Modulation) -> Tensor:
        """Run the network.

        Args:
            encoded: (B, 1, F, bins) from ``encode``.
            modulation: from ``modulate``, for B conditions.

        Returns:
            (B, n_fft // 2 + 1, F) complex mask, real and in [0, 1].
        """
        frames = encoded.shape[2]
        image = F.pad(encoded, (0, 0, 0, -frames % self.UNet.time_stride))
        logits = self.UNet(image, iter(modulation))[:, 0, :frames].float()
        gain = torch.sigmoid(F.pad(logits, (0, _DROPPED_BINS))).transpose(1, 2)
        return torch.complex(gain, torch.zeros_like(gain))


class _FiLM(nn.Module):
    """Text vector to one bias per channel."""

    def __init__(self, text_size: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Sequential(
            nn.Linear(text_size, 2 * channels),
            nn.ReLU(),
            nn.Linear(2 * channels, channels),
            nn.ReLU(),
        )

    def forward(self, text: Tensor) -> Tensor:
        bias: Tensor = self.linear(text)
        return bias[:, :, None, None]


class _Block(nn.Module):
    """Two convolutions with norms before and biases behind, and a shortcut."""

    def __init__(self, before: int, after: int, text_size: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.film1 = _FiLM(text_size, after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.film2 = _FiLM(text_size, after)
        self.is_wider = before != after
        if self.is_wider:
            self.shortcut = nn.Conv2d(before, after, 1)
            self.film_res = _FiLM(text_size, after)

    def films(self) -> list[_FiLM]:
        """In the order of their use."""
        return [self.film1, self.film2, *([self.film_res] if self.is_wider else [])]

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        inner = self.conv1(F.leaky_relu(self.bn1(image), _LEAKY_SLOPE)) + next(biases)
        inner = self.conv2(F.leaky_relu(self.bn2(inner), _LEAKY_SLOPE)) + next(biases)
        if self.is_wider:
            image = self.shortcut(image) + next(biases)
        out: Tensor = image + inner
        return out


class _EncoderStage(nn.Module):
    def __init__(self, before: int, after: int, text_size: int) -> None:
        super().__init__()
        self.conv_block1 = _Block(before, after, text_size)
        self.conv_block2 = _Block(after, after, text_size)

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        out: Tensor = self.conv_block2(self.conv_block1(image, biases), biases)
        return out


class _DecoderStage(nn.Module):
    def __init__(self, before: int, after: int, text_size: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.ConvTranspose2d(before, after, 3, stride=2, bias=False)
        self.conv_block2 = _Block(2 * after, after, text_size)
        self.conv_block3 = _Block(after, after, text_size)

    def forward(self, image: Tensor, skip: Tensor, biases: Iterator[Tensor]) -> Tensor:
        # 2 n + 1 rows: those of frequency were lost by the pooling, that of time was not.
        image = self.conv1(F.relu(self.bn1(image)))[:, :, :-1]
        image = self.conv_block2(torch.cat([image, skip], dim=1), biases)
        out: Tensor = self.conv_block3(image, biases)
        return out


class _UNet(nn.Module):
    """What the file calls ``UNet``."""

    def __init__(self, channels: tuple[int, ...], text_size: int) -> None:
        super().__init__()
        depth = len(channels)
        self.time_stride = 2**depth
        self.encoder_names = [f"encoder_block{i + 1}" for i in range(depth)]
        self.bottleneck_name = f"conv_block{depth + 1}"
        self.decoder_names = [f"decoder_block{i + 1}" for i in range(depth)]
        before = 1
        for name, after in zip(self.encoder_names, channels, strict=True):
            self.add_module(name, _EncoderStage(before, after, text_size))
            before = after
        self.add_module(self.bottleneck_name, _Block(before, before, text_size))
        for name, after in zip(self.decoder_names, channels[::-1], strict=True):
            self.add_module(name, _DecoderStage(before, after, text_size))
            before = after
        self.after_conv_block1 = _Block(before, before, text_size)
        self.after_conv2 = nn.Conv2d(before, 1, 1)

    def biases(self, text: Tensor) -> Modulation:
        """(B, channels, 1, 1) each, in the order of their use."""
        blocks = [module for module in self.modules() if isinstance(module, _Block)]
        return tuple(film(text) for block in blocks for film in block.films())

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        skips = []
        for name in self.encoder_names:
            skips.append(self.get_submodule(name)(image, biases))
            image = F.avg_pool2d(skips[-1], 2)
        image = self.get_submodule(self.bottleneck_name)(image, biases)
        for name in self.decoder_names:
            image = self.get_submodule(name)(image, skips.pop(), biases)
        logits: Tensor = self.after_conv2(self.after_conv_block1(image, biases))
        return logits
