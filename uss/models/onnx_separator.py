"""A mask network whose learned part is two ONNX graphs; the transforms are made here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from uss.core.errors import InputError
from uss.core.onnx_graphs import OnnxGraph
from uss.models.competition import CompetitionRules
from uss.models.ear import EarImage
from uss.models.portable import PortableNetwork, parts_of

Encoded = Tensor | tuple[Tensor, ...]


class OnnxSeparator(PortableNetwork):
    """Separates as the network does that was exported, up to rounding.

    Whatever that is, a segment is encoded once and then asked for all its queries.

    Args:
        encoder: what ``transformed`` gives to the parts of an encoding.
        masks: these parts of one segment, and (Q, H) conditions, to ``planes``.
        description: what an export says of its separator.
        digest: of the graphs' files; stands for their weights where these identify a network.
    """

    digest: Tensor
    looks_once = True
    only_float32 = True

    def __init__(
        self,
        encoder: OnnxGraph,
        masks: OnnxGraph,
        description: Mapping[str, Any],
        digest: bytes,
    ) -> None:
        super().__init__(description["n_fft"], description["hop_length"])
        self.sample_rate = description["sample_rate"]
        self.segment_seconds = description["segment_seconds"]
        self.condition_space = description["condition_space"]
        self.condition_size = description["condition_size"]
        self.joint = description["joint"]
        self.competition = CompetitionRules(**description["competition"])
        self.num_frames = description["num_frames"]
        self.queries_at_once = description["queries_at_once"]
        self.image = EarImage() if description["has_ear"] else None
        self._encoder, self._masks = encoder, masks
        self.register_buffer("digest", torch.tensor(list(digest), dtype=torch.uint8))

    @property
    def has_ear(self) -> bool:
        """See ``PortableNetwork``."""
        return self.image is not None

    def for_inference(self, dtype: torch.dtype) -> OnnxSeparator:
        """Return itself: a graph was made for inference, and cannot be copied."""
        return self

    def transformed(self, spectrogram: Tensor) -> tuple[Tensor, ...]:
        """Give what the encoder takes; see ``PortableNetwork``."""
        transformed = super().transformed(spectrogram)
        if self.image is None:
            return transformed
        return *transformed, self.image(self.heard_waveform(spectrogram))

    def encode_transformed(self, power: Tensor, ear_image: Tensor | None = None) -> Encoded:
        """Run the encoder; see ``PortableNetwork``.

        Returns:
            Its parts, as many as the network's that was exported.

        Raises:
            ValueError: if the segment is not of the length that the graph was exported for.
        """
        if power.shape[-1] != self.num_frames:
            raise InputError(
                f"the model in ONNX takes segments of {self.segment_seconds:g} s "
                f"({self.num_frames} frames), not {power.shape[-1]} frames; separate whole "
                "segments, or use the model that it was exported from"
            )
        return self._encoder(power, *(() if ear_image is None else (ear_image,)))

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Return the conditions: the graph of the masks takes them as they are."""
        return (condition,)

    def mask(self, encoded: Encoded, modulation: tuple[Tensor, ...]) -> Tensor:
        """(B, n_fft // 2 + 1, F) complex masks of B segments, each asked for one source."""
        rows = zip(zip(*parts_of(encoded), strict=True), modulation[0], strict=True)
        planes = [
            self.planes(tuple(part[None] for part in parts), condition[None])
            for parts, condition in rows
        ]
        masks = _joined(torch.cat(planes))
        return masks if masks.is_complex() else torch.complex(masks, torch.zeros_like(masks))

    def masks(self, encoded: Encoded, conditions: Tensor) -> Tensor:
        """Ask each segment for all sources at once; see ``MaskNetwork``."""
        segments = zip(*parts_of(encoded), strict=True)
        return torch.stack(
            [
                _joined(self.planes(tuple(part[None] for part in parts), asked))
                for parts, asked in zip(segments, conditions, strict=True)
            ]
        )

    def planes(self, encoded: Encoded, conditions: Tensor) -> Tensor:
        """Run the graph of the masks; see ``PortableNetwork``."""
        some = conditions.split(self.queries_at_once or len(conditions))
        return torch.cat([self._masks(*parts_of(encoded), each)[0] for each in some])


def _joined(planes: Tensor) -> Tensor:
    """Make (Q, bins, F) gains, or complex masks, of (Q, P, bins, F)."""
    return planes[:, 0] if planes.shape[1] == 1 else torch.complex(planes[:, 0], planes[:, 1])
