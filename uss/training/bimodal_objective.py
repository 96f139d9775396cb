"""Learning from mixtures and captions alone (Mahmud et al. 2024)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from uss.core.errors import InputError
from uss.data.captioned_mixing import CaptionedBatch
from uss.hearing.sinc_resampling import sinc_resample
from uss.models import SeparationModel
from uss.models.masking import MaskNetwork
from uss.training.contrast import Contrast, Pairs
from uss.training.judges import Judge
from uss.training.objectives import Objective, WaveformL1

_MIN_WEIGHT, _MAX_WEIGHT = 1e-3, 10.0


class BiModalError:
    """Three errors of captioned mixtures; anchors have an error of their own.

    Reconstruction (mix and separate): each caption's mask of the mixture of mixtures gives its
    part. Consistency: the masks of a part's phrases, each by its weight, add up to the part again.
    Contrast: what each phrase's mask gives sounds, to a frozen judge, more like that phrase than
    like the others of the batch. The first two are mean absolute errors of magnitudes, with bins
    weighted by log(1 + magnitude) within 0.001 and 10, of the mixture and of the part. All three
    are summed over the parts.

    What is not understood counts as nothing: a caption in the reconstruction, a phrase in the
    contrast, and a part with such a phrase in the consistency.

    Args:
        judge: hears and reads; None leaves the contrast out.
        reconstruction_weight, consistency_weight, contrast_weight: of the three, as published.
        contrast: how phrases are told apart; None as published.
        supervised: the objective of batches that are no captioned ones; None for ``WaveformL1``.
        supervised_weight: of that objective.

    Raises:
        ValueError: if a weight is negative.
    """

    def __init__(
        self,
        judge: Judge | None = None,
        reconstruction_weight: float = 5.0,
        consistency_weight: float = 5.0,
        contrast_weight: float = 0.5,
        contrast: Contrast | None = None,
        supervised: Objective | None = None,
        supervised_weight: float = 1.0,
    ) -> None:
        weights = (reconstruction_weight, consistency_weight, contrast_weight, supervised_weight)
        if min(weights) < 0.0:
            raise InputError(f"weights {list(weights)}: all must be at least 0")
        self.judge = judge if contrast_weight else None
        self.reconstruction_weight, self.consistency_weight = weights[:2]
        self.contrast_weight, self.supervised_weight = weights[2:]
        self.contrast = contrast or Contrast()
        self.supervised: Objective = supervised or WaveformL1()

    def start(self, device: torch.device) -> None:
        """Load the judge before training begins.

        Raises:
            FileNotFoundError, OSError, ValueError: as ``Judge.start``.
        """
        if self.judge is not None:
            self.judge.start(device)

    def __call__(self, model: SeparationModel, batch: Any) -> dict[str, Tensor]:
        """Ask for all that is said, and compare.

        Returns:
            ``loss``; of captioned mixtures also ``reconstruction``, ``consistency`` and
            ``contrast``, as far as they have a weight.

        Raises:
            ValueError: if the model gives no masks.
        """
        if not isinstance(batch, CaptionedBatch):
            losses = self.supervised(model, batch)
            return losses | {"loss": self.supervised_weight * losses["loss"]}
        if not isinstance(model, MaskNetwork):
            raise InputError(
                "captions are learned from with a separator that gives masks; choose another "
                "model.model"
            )
        num_parts = batch.captions.shape[1]
        asked = batch.captions
        if self.consistency_weight or self.judge is not None:
            asked = torch.cat([asked, batch.phrases.flatten(1, 2)], dim=1)
        mixture = model.spectrogram(batch.mixture[:, 0])
        masks = model.masks(model.encode(mixture), asked)
        heard, parts = mixture.abs(), model.spectrogram(batch.parts).abs()
        made = masks.abs() * heard[:, None]
        losses = {
            "reconstruction": _summed(
                _weights(heard)[:, None] * (made[:, :num_parts] - parts).abs(),
                batch.caption_is_understood,
            )
        }
        loss = self.reconstruction_weight * losses["reconstruction"]
        if self.consistency_weight:
            each = made[:, num_parts:].unflatten(1, batch.weights.shape[1:])
            remixed = (batch.weights[..., None, None] * each).sum(dim=2)
            losses["consistency"] = _summed(
                _weights(parts) * (remixed - parts).abs(), batch.phrase_is_understood.all(dim=2)
            )
            loss = loss + self.consistency_weight * losses["consistency"]
        if self.judge is not None:
            estimates = model.waveform(
                masks[:, num_parts:] * mixture[:, None], batch.mixture.shape[-1]
            ).unflatten(1, batch.weights.shape[1:])
            losses["contrast"] = self._contrast(self.judge, estimates, batch, model.sample_rate)
            loss = loss + self.contrast_weight * losses["contrast"]
        return {"loss": loss} | {name: value.detach() for name, value in losses.items()}

    def _contrast(
        self, judge: Judge, estimates: Tensor, batch: CaptionedBatch, sample_rate: int
    ) -> Tensor:
        """Tell the phrases of each part apart; the sum over the parts.

        Args:
            judge: hears and reads.
            estimates: (B, N, K, T).
            batch: whose phrases.
            sample_rate: of the estimates, in Hz.
        """
        total = estimates.new_zeros(())
        for number in range(estimates.shape[1]):
            # Row k B + b, as released.
            waveforms = estimates[:, number].transpose(0, 1).flatten(0, 1)
            num_phrases = estimates.shape[2]
            said = [texts[number][k] for k in range(num_phrases) for texts in batch.said]
            with torch.autocast(waveforms.device.type, enabled=False):
                heard = judge.hear(sinc_resample(waveforms.float(), sample_rate, judge.sample_rate))
            vectors = judge.read(said).to(heard)
            pairs = Pairs(heard, vectors, _numbers(said).to(heard.device), vectors.any(dim=1))
            total = total + self.contrast(pairs, judge.scale)
        return total


def _weights(magnitude: Tensor) -> Tensor:
    return torch.log1p(magnitude).clamp(_MIN_WEIGHT, _MAX_WEIGHT)


def _summed(errors: Tensor, counts: Tensor) -> Tensor:
    """Sum over N, and the mean over all else, of (B, N, bins, F) errors where (B, N) say so."""
    return (errors.mean(dim=(2, 3)) * counts).mean(dim=0).sum()


def _numbers(phrases: Sequence[str]) -> Tensor:
    """(M,) int64: the same phrase, in whatever case, has the same number in every process."""
    digests = (hashlib.sha256(each.casefold().encode()).digest()[:8] for each in phrases)
    return torch.tensor([int.from_bytes(each, "big", signed=True) for each in digests])
