"""The conditional U-Net of bi-modal weak supervision (Mahmud et al., ICLR 2024).

Entry names are the published ones, such as ``net_sound.unet_block.downconv.weight``, so the
released file loads strictly. The frozen CLAP in it is a text encoder, see
``uss.conditions.clap_words``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.core.runtime import autocast_to
from uss.core.state_dicts import COUNTERS, load_entries
from uss.models.masking import MaskNetwork
from uss.models.words_unet import PLAIN_LEVELS, WordsUNet

if TYPE_CHECKING:
    from typing_extensions import Self

_START_SPREAD = 1e-4
_FROZEN_CLAP = "net_clap.model."
WINDOW_SAMPLES = 131_070
"""Of the released training, at 16 kHz: 512 frames."""

Encoded = tuple[Tensor, ...]
"""What the levels without words give, and what the first that has them makes of it so far."""


class BiModalUNet(MaskNetwork):
    """A U-Net whose deepest levels attend to the words of a query; a real mask in (0, 1).

    A condition is a vector of the whole query and, behind it, its words: ``num_words`` vectors of
    ``word_size`` numbers, then ``num_words`` numbers that are above 0 where a word is no padding.
    The vector weights the U-Net's maps (CLIPSep's way), the words are attended to. Without words
    the vector stands for the only one.

    Attributes:
        constants: see ``uss.core.state_dicts.load_entries``.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        num_words: L; 0 for conditions that are a vector alone.
        word_size: of each.
        masks_padding: attend to no padding. The released network does, and was trained so.
        num_maps: how many maps a query weights.
        width: channels of the first level; later ones have up to eight times as many.
        depth: levels, at least 5; every one halves time and frequency, all from the fifth on have
            attention.
        num_heads: of each attention.
        n_fft: also the window's length, in samples.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.

    Raises:
        ValueError: if a size is not positive, the words leave no room for a vector, or the bins
            cannot be halved that often.
    """

    cpu_batch_size = 2
    # The counters of batches, an unused norm, and torchlibrosa's kernels.
    constants = (COUNTERS, "stft.conv_*", "istft.ola_window", "istft.conv_*")

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        num_words: int = 0,
        word_size: int = 768,
        masks_padding: bool = False,
        num_maps: int = 32,
        width: int = 64,
        depth: int = 7,
        num_heads: int = 8,
        n_fft: int = 1022,
        hop_length: int = 256,
        sample_rate: int = 16_000,
        segment_seconds: float = WINDOW_SAMPLES / 16_000,
    ) -> None:
        super().__init__(n_fft, hop_length)
        vector_size = condition_size - num_words * (word_size + 1)
        if min(num_maps, width, word_size) < 1 or num_words < 0 or depth <= PLAIN_LEVELS:
            raise InputError(
                f"num_maps {num_maps}, width {width}, word_size {word_size} must be at least 1, "
                f"num_words {num_words} at least 0, depth {depth} at least {PLAIN_LEVELS + 1}"
            )
        if vector_size < 1:
            raise InputError(
                f"a condition of {condition_size} numbers has no room for {num_words} words of "
                f"{word_size} and a vector; set condition_size to their sum"
            )
        if (n_fft // 2 + 1) % 2**depth:
            raise InputError(
                f"n_fft {n_fft}: {n_fft // 2 + 1} bins cannot be halved {depth} times; use a power "
                "of 2 less 2, or fewer levels"
            )
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.num_words, self.word_size, self.vector_size = num_words, word_size, vector_size
        self.masks_padding = masks_padding
        self.time_stride = 2**depth
        self.inference_dtype = torch.float32
        words = word_size if num_words else vector_size
        self.net_sound = WordsUNet(num_maps, width, depth, words, num_heads)
        weigh = nn.Linear(vector_size, num_maps)
        nn.init.normal_(weigh.weight, std=_START_SPREAD)
        self.net_clap = nn.ModuleDict({"fc": weigh})
        self.net_synthesizer = _Synthesis(num_maps)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], source: str) -> Self:
        """Load the released weights strictly; the network comes in evaluation mode.

        Args:
            state: entry name -> tensor, without the prefix ``module.``; CLAP's are left aside.
            source: what an error calls the file.

        Raises:
            ValueError: if entries are missing, unknown or misshapen; it names them.
        """
        model = cls("clap-words-59725", 59_725, num_words=77)
        own = {name: value for name, value in state.items() if not name.startswith(_FROZEN_CLAP)}
        load_entries(model, own, source, cls.constants)
        return model.eval()

    def for_inference(self, dtype: torch.dtype) -> Self:
        """Return a copy whose U-Net runs in ``dtype``; see ``SeparatorNetwork``."""
        model = super().for_inference(dtype)
        model.inference_dtype = dtype
        return model

    def encode(self, spectrogram: Tensor) -> Encoded:
        """Run the levels that do not know the query.

        Args:
            spectrogram: (B, n_fft // 2 + 1, F) complex.

        Returns:
            Their images, and (B, F) zeros that tell how many frames there are.
        """
        # The mixture's magnitude is an input alone: no gradient, as released.
        image = torch.log1p(spectrogram.abs()).detach()
        frames = image.shape[-1]
        image = F.pad(image, (0, -frames % self.time_stride))[:, None]
        with autocast_to(self.inference_dtype, image.device.type):
            images = self.net_sound.down(image)
        return (*images, image.new_zeros(len(image), frames))

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Map (B, H) conditions to (B, num_maps) gains in (0, 1), words, and which are none.

        Returns:
            Gains, (B, L, word_size) words, (B, L) bool; without words L is 1.
        """
        vector, rest = condition[:, : self.vector_size], condition[:, self.vector_size :]
        gains = torch.sigmoid(self.net_clap["fc"](vector))
        if not self.num_words:
            return gains, vector[:, None], torch.ones_like(vector[:, :1], dtype=torch.bool)
        words = rest[:, : -self.num_words].unflatten(1, (self.num_words, self.word_size))
        return gains, words, rest[:, -self.num_words :] > 0.0

    def maps(self, encoded: Encoded, words: Tensor, is_word: Tensor) -> Tensor:
        """Run the levels that know the query: (B, num_maps, n_fft // 2 + 1, F)."""
        *images, frames = encoded
        with autocast_to(self.inference_dtype, words.device.type):
            seen = is_word if self.masks_padding else None
            maps: Tensor = self.net_sound.up(images, words, seen)
        return maps[..., : frames.shape[1]].float()

    def mask(self, encoded: Encoded, modulation: tuple[Tensor, ...]) -> Tensor:
        """Run the rest of the network, and weight its maps.

        Args:
            encoded: of B segments, from ``encode``.
            modulation: from ``modulate``, for B conditions.

        Returns:
            (B, n_fft // 2 + 1, F) complex mask, real and in (0, 1).
        """
        gain = self._gain(encoded, modulation)
        return torch.complex(gain, torch.zeros_like(gain))

    def masks(self, encoded: Encoded, conditions: Tensor) -> Tensor:
        """Ask each segment for several sources; see ``MaskNetwork``.

        One query after another, as in the released training: batch norms see one at a time.

        Returns:
            (B, Q, n_fft // 2 + 1, F) real gains.
        """
        each = [self._gain(encoded, self.modulate(asked)) for asked in conditions.unbind(1)]
        return torch.stack(each, dim=1)

    def _gain(self, encoded: Encoded, modulation: tuple[Tensor, ...]) -> Tensor:
        gains, words, is_word = modulation
        logits: Tensor = self.net_synthesizer(self.maps(encoded, words, is_word), gains)
        return torch.sigmoid(logits)


class _Synthesis(nn.Module):
    """The inner product of gains and maps."""

    def __init__(self, num_maps: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_maps))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, maps: Tensor, gains: Tensor) -> Tensor:
        weighted = torch.bmm((gains * self.scale)[:, None].to(maps.dtype), maps.flatten(2))
        logits: Tensor = weighted[:, 0].reshape(len(maps), *maps.shape[2:]) + self.bias
        return logits
