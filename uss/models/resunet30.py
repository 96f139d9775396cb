"""The published separators: ResUNet30, its deeper variant and its variant without shortcuts.

Section 3.5 of Kong et al. 2023, eqs. 1, 5 and 6. Entry names are the published ones, such as
``base.encoder_block1.conv_block1.bn1.weight`` and ``film.decoder_block1->beta1.weight``,
so the released USS and AudioSep weights load strictly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mode
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.core.state_dicts import COUNTERS, load_entries
from uss.models.feature_branch import FeatureBranch
from uss.models.folding import change_biases, convert
from uss.models.masking import MaskNetwork, complex_mask, magnitude
from uss.models.resunet30_layers import FiLMPerNorm, Network

if TYPE_CHECKING:
    from typing_extensions import Self

_PUBLISHED_SPACES = {527: "audioset-527", 2048: "cnn14-2048", 512: "clap-512"}
# AudioSep was trained on five seconds (Liu et al. 2023), USS on two.
_PUBLISHED_SECONDS = {512: 5.0}

Modulation = tuple[Tensor, ...]
Encoded = Tensor | tuple[Tensor, Tensor]


class ResUNet30(MaskNetwork):
    """Encoder, bottleneck and decoder of residual blocks on the magnitude spectrogram.

    With the default arguments it is the released network of 34 convolutions: two in each of 13
    residual blocks (6 encoder stages, 1 bottleneck, 6 decoder stages), 6 transposed ones, and the
    1x1 convolutions before and after; the 1x1 convolutions of shortcuts are not counted. Each
    batch norm has a FiLM layer that maps the condition to one bias per channel (eq. 6). The
    published decoder stages hold a second batch norm and FiLM layer that nothing reads: they are
    here so that files load strictly, and their parameters are frozen.

    A new network starts with masks that leave the phase alone: the bias of the real map is 1.

    Attributes:
        constants: see ``uss.core.state_dicts.load_entries``.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        channels: of each encoder stage; every stage halves time and frequency, the last one
            frequency only.
        blocks_per_stage: residual blocks in each encoder and decoder stage and in the bottleneck.
        shortcuts: whether blocks add their input to their output.
        n_fft: also the window's length, in samples.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.
        features: what else hears the mixture, see ``FeatureBranch``; None for nothing.
        features_from: name, file or folder of the weights that this takes when training begins.

    Raises:
        ValueError: if ``channels`` is empty, a size is not positive, the bins cannot be halved
            once per stage, or there are no such features.
    """

    not_kept = frozenset({"features_from"})
    cpu_batch_size = 2
    constants = ("base.stft.*", "base.istft.*", COUNTERS)

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        channels: Sequence[int] = (32, 64, 128, 256, 384, 384),
        blocks_per_stage: int = 1,
        shortcuts: bool = True,
        n_fft: int = 2048,
        hop_length: int = 320,
        sample_rate: int = 32_000,
        segment_seconds: float = 2.0,
        features: Mapping[str, Any] | None = None,
        features_from: str | None = None,
    ) -> None:
        super().__init__(n_fft, hop_length)
        channels = tuple(channels)
        if not channels:
            raise InputError("channels is empty; give one width per encoder stage")
        if min(*channels, condition_size, blocks_per_stage) < 1:
            raise InputError(
                f"channels {list(channels)}, condition_size {condition_size}, blocks_per_stage "
                f"{blocks_per_stage}: all must be at least 1"
            )
        if n_fft % 2 or (n_fft // 2) % 2 ** len(channels):
            raise InputError(
                f"n_fft {n_fft}: {n_fft // 2} bins cannot be halved {len(channels)} times; use "
                "fewer stages or a power of 2"
            )
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.base = Network(channels, n_fft // 2 + 1, blocks_per_stage, shortcuts)
        self.film = FiLMPerNorm(condition_size, self.base)
        if features is None and features_from is not None:
            raise InputError(
                f"features_from {features_from} says whence features have their weights, and there "
                "are none; set features, or leave it out"
            )
        self.features_from = features_from
        self.branch: FeatureBranch | None = None
        if features is not None:
            sizes = {"n_fft": n_fft, "hop_length": hop_length, "sample_rate": sample_rate}
            self.branch = FeatureBranch(features, channels[0], **sizes)

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Any], source: str, condition_space: str | None = None
    ) -> Self:
        """Load published weights strictly; the network comes in evaluation mode.

        Args:
            state: entry name -> tensor, without the prefix ``ss_model.``.
            source: what an error calls the file.
            condition_space: the named space of the conditions; without it, the condition size
                tells: 527 is ``audioset-527``, 2048 ``cnn14-2048`` and 512 ``clap-512``.

        Raises:
            ValueError: if the state holds no FiLM weight, the space of its conditions is not
                known, or entries are missing, unknown or misshapen.
        """
        sizes = [
            value.shape[1]
            for name, value in state.items()
            if name.startswith("film.") and isinstance(value, Tensor) and value.dim() == 2
        ]
        if not sizes:
            raise InputError(
                f"{source} holds no weight film.*, so it is no conditioned separator; choose a "
                "checkpoint of a USS or AudioSep separator"
            )
        size = mode(sizes)
        space = condition_space or _PUBLISHED_SPACES.get(size)
        if space is None:
            known = ", ".join(map(str, _PUBLISHED_SPACES))
            raise InputError(
                f"{source} takes conditions of size {size}, no published separator does "
                f"({known}); name their space with condition_space"
            )
        model = cls(space, size, segment_seconds=_PUBLISHED_SECONDS.get(size, 2.0))
        load_entries(model, state, source, cls.constants)
        return model.eval()

    def for_inference(self, dtype: torch.dtype) -> Self:
        """Return a copy with folded norms and convolutions in ``dtype``; see ``folding``."""
        model = super().for_inference(dtype)
        for name, change in zip(model.film.read_names, model.base.fold(), strict=True):
            layer = model.film[name]
            assert isinstance(layer, nn.Linear)
            change_biases(layer.bias, [change], layer.weight)
        norm = model.base.bn0
        convert(model.base, dtype)
        norm.float()
        return model

    def encode(self, spectrogram: Tensor) -> Encoded:
        """Prepare the network's image, and hear the mixture if there are features.

        Args:
            spectrogram: (B, n_fft // 2 + 1, F) complex.

        Returns:
            (B, 1, F, n_fft // 2) magnitudes of at least 1e-5, batch-normalised per bin, without
            the top bin; with features a tuple, of that and what the branch gives.
        """
        normed: Tensor = self.base.bn0(magnitude(spectrogram))
        image = normed[:, :-1].transpose(1, 2)[:, None]
        return image if self.branch is None else (image, self.branch(spectrogram))

    def modulate(self, condition: Tensor) -> Modulation:
        """Map (B, H) conditions to (B, channels, 1, 1) biases, one for each activation in turn."""
        biases: Modulation = self.film(condition)
        return biases

    def mask(self, encoded: Encoded, modulation: Modulation) -> Tensor:
        """Run the network.

        Args:
            encoded: from ``encode``.
            modulation: from ``modulate``, for B conditions.

        Returns:
            (B, n_fft // 2 + 1, F) complex mask with magnitudes in [0, 1] (eq. 5). The top bin,
            which the network does not see, has zero maps: no direction, so the mask is 0.
        """
        given, heard = encoded if isinstance(encoded, tuple) else (encoded, None)
        frames = given.shape[2]
        dtype = self.base.pre_conv.weight.dtype
        image = F.pad(given, (0, 0, 0, -frames % self.base.time_stride)).to(dtype)
        image = image.contiguous(memory_format=torch.channels_last)
        joining = None
        if heard is not None and self.branch is not None:
            joining = self.branch.image(heard, image.shape[2]).to(dtype)
        biases = iter([bias.to(dtype) for bias in modulation])
        maps = self.base(image, biases, joining)[:, :, :frames].float()
        gain, real, imaginary = F.pad(maps, (0, 1)).transpose(2, 3).unbind(dim=1)
        return complex_mask(gain, real, imaginary)


class ResUNet60(ResUNet30):
    """``ResUNet30`` with two residual blocks per encoder stage, bottleneck and decoder stage.

    60 convolutions: two in each of 26 residual blocks, 6 transposed ones, and the 1x1 convolutions
    before and after; those of shortcuts are not counted.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        blocks_per_stage: see ``ResUNet30``.
        options: the other options of ``ResUNet30``.
    """

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        blocks_per_stage: int = 2,
        **options: Any,
    ) -> None:
        super().__init__(
            condition_space, condition_size, blocks_per_stage=blocks_per_stage, **options
        )


class UNet(ResUNet30):
    """``ResUNet30`` without residual shortcuts: its 34 convolutions follow each other.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        shortcuts: see ``ResUNet30``.
        options: the other options of ``ResUNet30``.
    """

    def __init__(
        self, condition_space: str, condition_size: int, *, shortcuts: bool = False, **options: Any
    ) -> None:
        super().__init__(condition_space, condition_size, shortcuts=shortcuts, **options)
