"""What CLAP says of stems: how alike they are to a caption, and to the true source.

CLAPScore (Xiao et al. 2024) needs no reference; CLAPScore_A (Yuan et al. 2024, FlowSep) compares
with the target, whatever its phases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from uss.audio import resample
from uss.checkpoints.loading import weight_hash
from uss.checkpoints.text_loading import load_text_encoder
from uss.conditions.clap import CLAP_RATE, Clap
from uss.core.arrays import Float32, Waveform
from uss.core.errors import InputError
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import Mixture
from uss.separation.separator import Separator


class ClapScore:
    """Cosine of CLAP's embeddings of a caption and a stem, or of two sounds.

    Args:
        clap: reads captions and hears stems.
        device: where it runs.
    """

    def __init__(self, clap: Clap, device: torch.device) -> None:
        self._clap = clap
        self._device = device
        self._captions: dict[str, Float32] = {}

    @classmethod
    def of(
        cls, name_or_file: str | None, separator: Separator, *, trust_checkpoint: bool = False
    ) -> ClapScore:
        """Find the CLAP that scores.

        Args:
            name_or_file: see ``load_text_encoder``; None for the separator's own.
            separator: may be asked through CLAP; what scores runs on its device.
            trust_checkpoint: see ``load_text_encoder``.

        Raises:
            OSError, ValueError: if it cannot be loaded.
            InputError: if the separator has none, or what was named is no CLAP.
        """
        clap = separator.text_encoder
        if name_or_file is not None:
            clap = load_text_encoder(name_or_file, trust_checkpoint=trust_checkpoint)
        if not isinstance(clap, Clap):
            found = "the model holds none" if name_or_file is None else f"{name_or_file} is none"
            raise InputError(
                f"what CLAP scores or embeds needs a CLAP, and {found}; name one with --clap, such "
                "as clap-music-speech-audioset"
            )
        return cls(clap, separator.runtime.device)

    @property
    def clap(self) -> Clap:
        """What scores."""
        return self._clap

    @property
    def weight_hash(self) -> str:
        """Identifies CLAP's audio network."""
        return weight_hash(self._clap.ears)

    def check(self, caption: str) -> None:
        """See whether there is a caption, and CLAP can be had to read it.

        Raises:
            InputError: if there is none.
            OSError, ValueError: if CLAP or its tokenizer is missing or broken.
        """
        if not caption:
            raise InputError("it has no caption, which clap-score compares with")
        # Each caption costs a tenth of a second: all are read when they are scored.
        _ = self._clap.network, self._clap.tokenize

    def match(self, caption: str, stem: Waveform, sample_rate: int) -> float:
        """Score a stem.

        Args:
            caption: of a row.
            stem: (C, T), heard as the mean of its channels; ten seconds of its centre if it is
                longer.
            sample_rate: in Hz.

        Returns:
            In [-1, 1].

        Raises:
            OSError, ValueError: as ``check``.
        """
        return float(np.dot(self._read(caption), self._hear(stem, sample_rate)))

    def likeness(self, one: Waveform, other: Waveform, sample_rate: int) -> float:
        """Compare two (C, T) sounds, each heard as ``match`` says; in [-1, 1]."""
        return float(np.dot(self._hear(one, sample_rate), self._hear(other, sample_rate)))

    def _hear(self, waveform: Waveform, sample_rate: int) -> Float32:
        mono = waveform.mean(axis=0, keepdims=True)
        at_clap_rate = torch.from_numpy(resample(mono, sample_rate, CLAP_RATE)).to(self._device)
        with torch.inference_mode():
            heard = self._clap.ears.to(self._device).embed(at_clap_rate)[0]
        out: Float32 = heard.float().cpu().numpy()
        return out

    def _read(self, caption: str) -> Float32:
        if caption not in self._captions:
            (self._captions[caption],) = self._clap.encode([caption])
        return self._captions[caption]


class ClapScoreA:
    """CLAPScore_A: an ``OutputScore`` of outputs and targets.

    Args:
        score: hears both.
    """

    def __init__(self, score: ClapScore) -> None:
        self._score = score

    def check(self, row: ListRow) -> None:
        """Every row has a target; see ``OutputScore``."""

    def values(self, output: Waveform, mixture: Mixture, row: ListRow) -> Sequence[float]:
        """See ``OutputScore``; undefined where the target is silent."""
        if not mixture.target.any():
            return [math.nan]
        return [self._score.likeness(mixture.target, output, mixture.sample_rate)]
