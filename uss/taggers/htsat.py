"""HTS-AT: a Swin transformer on log-mel images (Chen et al., ICASSP 2022).

Entry names are the published ones, so its AudioSet checkpoints load strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.state_dicts import COUNTERS, load_entries
from uss.hearing.mel import PannsLogMel, SpecAugment
from uss.taggers.base import NUM_CLASSES, TaggerNetwork, TaggerOutput
from uss.taggers.swin import PatchEmbedding, Stage

IMAGE_FRAMES = 1024
"""Frames of the image that the network sees: 10.24 s at 100 frames per second."""

_PATCH = 4
_CHANNELS = 96
_DEPTHS = (2, 2, 6, 2)
_HEADS = (4, 8, 16, 32)
_IMAGE_ROWS = 256
# The long image is cut into pieces that are stacked along frequency, which makes it square.
_PIECES = _IMAGE_ROWS // PannsLogMel.num_bands
# Patches and three mergings: image frames per time step of the output.
_TIME_STRIDE = _PATCH * 2 ** (len(_DEPTHS) - 1)


class HTSAT(TaggerNetwork):
    """The tagger: log-mel image, Swin transformer, token-semantic convolution.

    The network sees 1024 frames. A shorter waveform's image is tiled as often as it fits and then
    stretched; framewise probabilities are mapped back to the waveform's own frames, those of all
    tiles averaged. A longer one is cut into windows of 1024 frames, the last of which ends where
    the waveform ends: clip probabilities are the maxima over the windows, embeddings their mean.

    In training mode SpecAugment drops stripes of the image; the published training's stochastic
    depth is not used.

    Attributes:
        constants: see ``uss.core.state_dicts.load_entries``. Published files also hold the ``head``
            of the classifier that the token-semantic convolution replaced.
    """

    name = "htsat"
    sample_rate = PannsLogMel.sample_rate
    frames_per_second = PannsLogMel.sample_rate / PannsLogMel.hop_length
    embedding_size = _CHANNELS * 2 ** (len(_DEPTHS) - 1)
    head = "tscam_conv"
    constants = (
        *PannsLogMel.constants,
        "layers.*.attn.relative_position_index",
        "layers.*.attn_mask",
        "head.weight",
        "head.bias",
        COUNTERS,
    )

    def __init__(self) -> None:
        super().__init__()
        self.logmel = PannsLogMel()
        self.bn0 = nn.BatchNorm1d(PannsLogMel.num_bands)
        self.augment = SpecAugment()
        self.patch_embed = PatchEmbedding(_PATCH, _CHANNELS)
        last = len(_DEPTHS) - 1
        self.layers = nn.Sequential(
            *(
                Stage(
                    _CHANNELS * 2**i,
                    _DEPTHS[i],
                    _HEADS[i],
                    _IMAGE_ROWS // _PATCH // 2**i,
                    merge=i < last,
                )
                for i in range(len(_DEPTHS))
            )
        )
        self.norm = nn.LayerNorm(self.embedding_size)
        rows = PannsLogMel.num_bands // _TIME_STRIDE
        self.tscam_conv = nn.Conv2d(
            self.embedding_size, NUM_CLASSES, kernel_size=(rows, 3), padding=(0, 1)
        )

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], source: str) -> HTSAT:
        """Load a published state dict strictly; the network comes in evaluation mode.

        Args:
            state: entry name -> tensor, without Lightning's ``sed_model.``.
            source: what an error calls the file.

        Raises:
            ValueError: if entries are missing, unknown or misshapen; it names them.
        """
        model = cls()
        load_entries(model, state, source, cls.constants)
        return model.eval()

    def image(self, waveform: Tensor) -> Tensor:
        """Compute the normalised log-mel image of (B, T) waveforms: (B, 64, T // 320 + 1).

        Less than one STFT window is zero-padded to one.
        """
        missing = PannsLogMel.n_fft - waveform.shape[-1]
        if missing > 0:
            waveform = F.pad(waveform, (0, missing))
        image: Tensor = self.augment(self.bn0(self.logmel(waveform)))
        return image

    def tag_image(self, image: Tensor) -> TaggerOutput:
        """Run the network once.

        Args:
            image: (B, 64, F) from ``image``, F at most 1024.

        Returns:
            As the network gives it: ``framewise`` is (B, 1024, K) in frames of the stretched image.
        """
        tokens = self.norm(self.layers(self.patch_embed(_square(_stretch(image)))))
        # (B, pieces x rows, columns, H) -> (B, H, rows, pieces x columns): time in one line again.
        steps = tokens.unflatten(1, (_PIECES, -1)).permute(0, 4, 2, 1, 3).flatten(3)
        logits = self.tscam_conv(steps).squeeze(2).transpose(1, 2)
        return TaggerOutput(
            clipwise=torch.sigmoid(logits.mean(dim=1)),
            framewise=torch.sigmoid(logits).repeat_interleave(_TIME_STRIDE, dim=1),
            embedding=steps.mean(dim=(2, 3)),
        )

    def forward(self, waveform: Tensor) -> TaggerOutput:
        """Tag waveforms; see ``uss.taggers.base.Tagger``.

        Args:
            waveform: (B, T) float32 in [-1, 1] at 32 kHz, any T.

        Returns:
            ``framewise`` has T // 320 + 1 frames, 100 per second, constant over about 0.32 s
            (finer where the image was tiled).
        """
        num_frames = waveform.shape[-1] // PannsLogMel.hop_length + 1
        image = self.image(waveform)
        outputs, framewise, end = [], [], 0
        for start in _window_starts(image.shape[-1]):
            window = image[..., start : start + IMAGE_FRAMES]
            output = self.tag_image(window)
            frames = _to_input_frames(output.framewise, window.shape[-1])
            outputs.append(output)
            framewise.append(frames[:, end - start :])
            end = start + window.shape[-1]
        return TaggerOutput(
            clipwise=torch.stack([output.clipwise for output in outputs]).amax(dim=0),
            framewise=torch.cat(framewise, dim=1)[:, :num_frames],
            embedding=torch.stack([output.embedding for output in outputs]).mean(dim=0),
        )


def _window_starts(num_frames: int) -> list[int]:
    """First frames of the windows that cover an image; only the last two overlap."""
    last = max(0, num_frames - IMAGE_FRAMES)
    return [*range(0, last, IMAGE_FRAMES), last]


def _stretch(image: Tensor) -> Tensor:
    """Tile (B, 64, F) as often as 1024 frames hold it, then stretch it to (B, 64, 1024)."""
    tiled = image.repeat(1, 1, IMAGE_FRAMES // image.shape[-1])
    size = (image.shape[1], IMAGE_FRAMES)
    return F.interpolate(tiled[:, None], size, mode="bicubic", align_corners=True)[:, 0]


def _to_input_frames(framewise: Tensor, num_frames: int) -> Tensor:
    """Undo ``_stretch`` for the framewise output: (B, 1024, K) to (B, num_frames, K).

    Aligned corners put frame t of the N tiled frames at t * 1023 / (N - 1).
    """
    num_tiles = IMAGE_FRAMES // num_frames
    position = torch.linspace(
        0, IMAGE_FRAMES - 1, num_tiles * num_frames, dtype=torch.float64, device=framewise.device
    )
    tiled = framewise[:, position.round().long()]
    frames: Tensor = tiled.unflatten(1, (num_tiles, num_frames)).mean(dim=1)
    return frames


def _square(image: Tensor) -> Tensor:
    """Stack the four quarters in time of (B, 64, 1024) along frequency: (B, 1, 256, 256)."""
    pieces: Tensor = image.unflatten(2, (_PIECES, -1)).transpose(1, 2)
    return pieces.flatten(1, 2)[:, None]
