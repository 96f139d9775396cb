"""CLIPSep and CLIPSep-NIT (Dong et al., ICLR 2023): one look at the mixture, N inner products.

Entry names are the published ones, such as ``sound_net.unet_block.model.0.weight``, so the released
files load strictly. CLIP is not inside (``uss.conditions.clip_text``).
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
from uss.models.log_bins import to_linear_bins, to_log_bins
from uss.models.masking import MaskNetwork

if TYPE_CHECKING:
    from typing_extensions import Self

_FLOOR = 1e-10
_LEAKY_SLOPE = 0.2
WINDOW_SAMPLES = 65_535
"""Of the released training, at 16 kHz."""


class CLIPSep(MaskNetwork):
    """An unconditioned U-Net gives maps; a query weights them, and its mask is their sigmoid.

    Conditions are CLIP vectors as they come, not normalised. Masks are real; as released, they are
    0 or 1 unless ``binary`` is false. The noise heads of CLIPSep-NIT matter in training alone.

    Attributes:
        constants: see ``uss.core.state_dicts.load_entries``.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        num_maps: how many maps a query weights.
        width: channels of the first stage; later ones have up to eight times as many.
        depth: stages of the U-Net; every one halves time and frequency.
        num_rows: of the log-spaced frequencies that the U-Net sees.
        noise_heads: of noise-invariant training; 2 in CLIPSep-NIT, else 0.
        binary: masks are 1 where they are above 0.5, else 0.
        n_fft: also the window's length, in samples.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.

    Raises:
        ValueError: if a size is not positive, or the rows cannot be halved that often.
    """

    cpu_batch_size = 16
    looks_once = True
    constants = (COUNTERS,)

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        num_maps: int = 32,
        width: int = 64,
        depth: int = 7,
        num_rows: int = 256,
        noise_heads: int = 0,
        binary: bool = False,
        n_fft: int = 1024,
        hop_length: int = 256,
        sample_rate: int = 16_000,
        segment_seconds: float = WINDOW_SAMPLES / 16_000,
    ) -> None:
        super().__init__(n_fft, hop_length)
        if min(num_maps, width, condition_size) < 1 or depth < 3 or noise_heads < 0:
            raise InputError(
                f"num_maps {num_maps}, width {width}, condition_size {condition_size} must be at "
                f"least 1, depth {depth} at least 3, noise_heads {noise_heads} at least 0"
            )
        if num_rows % 2**depth:
            raise InputError(f"{num_rows} rows cannot be halved {depth} times; use a power of 2")
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.binary = binary
        self.num_rows = num_rows
        self.time_stride = 2**depth
        self.inference_dtype = torch.float32
        self.sound_net = _SoundNet(num_maps, width, depth)
        self.frame_net = nn.Linear(condition_size, num_maps)
        self.pit_nets = nn.ModuleList(nn.Linear(num_maps, num_maps) for _ in range(noise_heads))
        self.synth_net = _Synthesis(num_maps)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], source: str) -> Self:
        """Load released weights strictly; the network comes in evaluation mode, with binary masks.

        Args:
            state: entry name -> tensor, without the prefix ``module.``.
            source: what an error calls the file.

        Raises:
            ValueError: if entries are missing, unknown or misshapen; it names them.
        """
        has_noise = any(name.startswith("pit_nets.") for name in state)
        model = cls("clip-512", 512, noise_heads=2 if has_noise else 0, binary=True)
        load_entries(model, state, source, cls.constants)
        return model.eval()

    def for_inference(self, dtype: torch.dtype) -> Self:
        """Return a copy whose U-Net runs in ``dtype``; see ``SeparatorNetwork``."""
        model = super().for_inference(dtype)
        model.inference_dtype = dtype
        return model

    def spectrogram(self, waveform: Tensor) -> Tensor:
        """Map (..., T) samples to (..., n_fft // 2 + 1, F) complex, centred, zeros beyond."""
        flat = waveform.reshape(-1, waveform.shape[-1])
        out = torch.stft(
            flat,
            self.n_fft,
            self.hop_length,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        return out.reshape(*waveform.shape[:-1], *out.shape[1:])

    def warped_magnitude(self, spectrogram: Tensor) -> Tensor:
        """Map (B, n_fft // 2 + 1, F) complex to (B, num_rows, F) on log-spaced frequencies."""
        return to_log_bins(spectrogram.abs() + _FLOOR, self.num_rows)

    def encode(self, spectrogram: Tensor) -> Tensor:
        """Run the whole U-Net.

        Args:
            spectrogram: (B, n_fft // 2 + 1, F) complex.

        Returns:
            (B, num_maps, num_rows, F).
        """
        frames = spectrogram.shape[-1]
        missing = -frames % self.time_stride
        padded = F.pad(torch.view_as_real(spectrogram), (0, 0, 0, missing))
        image = torch.log(self.warped_magnitude(torch.view_as_complex(padded)))[:, None]
        with autocast_to(self.inference_dtype, image.device.type):
            maps: Tensor = self.sound_net(image)
        return maps[..., :frames].float()

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Map (B, H) conditions to (B, num_maps) gains in (0, 1)."""
        return (torch.sigmoid(self.frame_net(condition)),)

    def noise_gains(self, condition: Tensor, is_asked: Tensor) -> list[Tensor]:
        """Gains of what no query asks for: one (B, num_maps) per noise head.

        Args:
            condition: (B, Q, H) of all queries of a mixture.
            is_asked: (B, Q) bool; the others do not count.
        """
        weight = is_asked / is_asked.sum(dim=1, keepdim=True).clamp(min=1)
        asked = (self.frame_net(condition) * weight[:, :, None]).sum(dim=1)
        return [torch.sigmoid(head(asked)) for head in self.pit_nets]

    def logits(self, maps: Tensor, gains: Tensor) -> Tensor:
        """(B, Q, num_rows, F) of (B, num_maps, num_rows, F) maps and (B, Q, num_maps) gains."""
        out: Tensor = self.synth_net(maps, gains)
        return out

    def mask(self, encoded: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """Weight the maps.

        Args:
            encoded: of B segments, from ``encode``.
            modulation: from ``modulate``, for B conditions.

        Returns:
            (B, n_fft // 2 + 1, F) complex mask, real and in [0, 1].
        """
        gain = self._gains(self.logits(encoded, modulation[0][:, None]))[:, 0]
        return torch.complex(gain, torch.zeros_like(gain))

    def masks(self, encoded: Tensor, conditions: Tensor) -> Tensor:
        """Ask each segment for several sources; see ``MaskNetwork``.

        Returns:
            (B, Q, n_fft // 2 + 1, F) real gains.
        """
        (gains,) = self.modulate(conditions)
        return self._gains(self.logits(encoded, gains))

    def _gains(self, logits: Tensor) -> Tensor:
        soft = to_linear_bins(torch.sigmoid(logits.float()), self.n_fft // 2 + 1)
        return (soft > 0.5).to(soft.dtype) if self.binary else soft


class _Synthesis(nn.Module):
    """The inner product of gains and maps."""

    def __init__(self, num_maps: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_maps))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, maps: Tensor, gains: Tensor) -> Tensor:
        weighted = torch.bmm((gains * self.scale).to(maps.dtype), maps.flatten(2))
        return weighted.reshape(*gains.shape[:2], *maps.shape[2:]) + self.bias


class _SoundNet(nn.Module):
    def __init__(self, num_maps: int, width: int, depth: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(1)
        widths = [width * min(8, 2**stage) for stage in range(depth)]
        block: nn.Module | None = None
        for before, after in zip(widths[-2::-1], widths[:0:-1], strict=True):
            block = _Level(before, after, block)
        assert block is not None
        self.unet_block = _Outermost(num_maps, width, block)

    def forward(self, image: Tensor) -> Tensor:
        maps: Tensor = self.unet_block(self.bn0(image))
        return maps


class _Outermost(nn.Module):
    """The first level: no norm on the way down, a bias and no norm on the way up."""

    def __init__(self, num_maps: int, width: int, inner: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1, bias=False),
            inner,
            nn.ReLU(),
            _doubled(),
            nn.Conv2d(2 * width, num_maps, 3, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        maps: Tensor = self.model(image)
        return maps


class _Level(nn.Module):
    """A level of the U-Net; puts its input beside its output. The innermost holds no other."""

    def __init__(self, before: int, after: int, inner: nn.Module | None) -> None:
        super().__init__()
        down = [nn.LeakyReLU(_LEAKY_SLOPE), nn.Conv2d(before, after, 4, 2, 1, bias=False)]
        middle = [] if inner is None else [nn.BatchNorm2d(after), inner]
        wide = after if inner is None else 2 * after
        up = [
            nn.ReLU(),
            _doubled(),
            nn.Conv2d(wide, before, 3, padding=1, bias=False),
            nn.BatchNorm2d(before),
        ]
        self.model = nn.Sequential(*down, *middle, *up)

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([image, self.model(image)], dim=1)


def _doubled() -> nn.Upsample:
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
