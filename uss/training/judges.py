"""Judges: frozen networks that hear audio and read words, and say how well the two agree."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ontology import load_ontology
from uss.checkpoints.loading import load_tagger
from uss.checkpoints.published import DEFAULT_MODEL
from uss.checkpoints.text_loading import load_text_encoder
from uss.conditions.clap import CLAP_RATE, Clap
from uss.conditions.clap_words import ClapWords
from uss.conditions.text_checks import check_language
from uss.conditions.text_classes import TextClasses, load_text_classes
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.taggers import TaggerNetwork

_START_SCALE = 1.0 / 0.07
"""Of cosines, where contrastive training begins (CLIP, CLAP)."""
_MAX_REMEMBERED = 20_000


class Judge(ABC):
    """Hears estimates, with a gradient, and reads phrases; nothing of it is trained.

    Attributes:
        sample_rate: of what it hears, in Hz. Estimates at other rates are resampled.
        scale: scores are cosines times this.
    """

    sample_rate: int
    scale: float

    def __init__(self) -> None:
        self._remembered: dict[str, Float32] = {}

    @abstractmethod
    def start(self, device: torch.device) -> None:
        """Load what hears and reads; called once, before all else.

        Raises:
            FileNotFoundError, OSError, ValueError: if it cannot be had.
        """

    @abstractmethod
    def hear(self, waveform: Tensor) -> Tensor:
        """Map (M, T) waveforms at ``sample_rate`` to (M, D) of unit length."""

    @abstractmethod
    def _read(self, phrases: Sequence[str]) -> Float32:
        """Map M phrases to (M, D); zeros for those that it does not understand."""

    def read(self, phrases: Sequence[str]) -> Tensor:
        """Map M phrases to (M, D) of unit length, or zeros for those that it does not understand.

        What was read is remembered.
        """
        new = [each for each in dict.fromkeys(phrases) if each not in self._remembered]
        if len(self._remembered) + len(new) > _MAX_REMEMBERED:
            self._remembered.clear()
            new = list(dict.fromkeys(phrases))
        if new:
            self._remembered |= zip(new, self._read(new), strict=True)
        rows = np.stack([self._remembered[phrase] for phrase in phrases])
        return F.normalize(torch.from_numpy(rows), dim=-1)


class TaggerJudge(Judge):
    """A tagger's probabilities of an estimate against the embedded text encoder's of a phrase.

    It needs no download. Phrases may be the names of classes, so that labels are enough where there
    are no captions (as the classifier of Pishdadian et al. 2020 is a critic).

    Args:
        tagger: name or file.
        scale: see ``Judge``.
    """

    def __init__(self, tagger: str = DEFAULT_MODEL, scale: float = _START_SCALE) -> None:
        super().__init__()
        self.tagger_name = tagger
        self.scale = _checked(scale)
        self._tagger: TaggerNetwork | None = None

    @property
    def tagger(self) -> TaggerNetwork:
        """What hears."""
        assert self._tagger is not None, "start was not called"
        return self._tagger

    def start(self, device: torch.device) -> None:
        """Load the tagger and the text encoder; see ``Judge``."""
        self._tagger = load_tagger(self.tagger_name).to(device).eval().requires_grad_(False)
        self.sample_rate = self._tagger.sample_rate
        self._encoder: TextClasses = load_text_classes()
        self._names = {
            node.name.casefold(): node.class_index
            for node in load_ontology().classes
            if node.class_index is not None
        }

    def hear(self, waveform: Tensor) -> Tensor:
        """Normalise the (M, K) probabilities of (M, T) waveforms; see ``Judge``."""
        return F.normalize(self.tagger(waveform).clipwise, dim=-1)

    def _read(self, phrases: Sequence[str]) -> Float32:
        probabilities = self._encoder.encode(phrases)
        for row, phrase in zip(probabilities, phrases, strict=True):
            if row.max() < self._encoder.abstaining or not self._is_english(phrase):
                row[:] = 0.0
            index = self._names.get(phrase.casefold())
            if index is not None:
                row[index] = 1.0
        return probabilities

    def _is_english(self, phrase: str) -> bool:
        """Whether a phrase may be of the text encoder's language; of another it reads nonsense."""
        try:
            check_language(phrase, self._encoder.lexicon)
        except InputError:
            return False
        return True


class ClapJudge(Judge):
    """CLAP's embedding of an estimate against that of a phrase, as published.

    Args:
        clap: name, file or folder of a CLAP.
        scale: see ``Judge``; None takes what CLAP was trained to.
    """

    sample_rate = CLAP_RATE

    def __init__(self, clap: str = "clap-music-audioset", scale: float | None = None) -> None:
        super().__init__()
        self.clap_name = clap
        self._given_scale = None if scale is None else _checked(scale)

    def start(self, device: torch.device) -> None:
        """Load both towers; see ``Judge``."""
        encoder = load_text_encoder(self.clap_name)
        clap = encoder.clap if isinstance(encoder, ClapWords) else encoder
        if not isinstance(clap, Clap):
            raise InputError(
                f"{self.clap_name} hears nothing: it is no CLAP; name one, such as "
                "clap-music-audioset, or judge with uss.training.judges.TaggerJudge"
            )
        self.scale = clap.logit_scale if self._given_scale is None else self._given_scale
        clap.network.requires_grad_(False).to(device)
        clap.ears.requires_grad_(False).to(device)
        _ = clap.tokenize
        self._clap = clap

    def hear(self, waveform: Tensor) -> Tensor:
        """Embed (M, T) waveforms at 48 kHz; see ``Judge``."""
        return self._clap.ears.embed(waveform)

    def _read(self, phrases: Sequence[str]) -> Float32:
        return self._clap.encode(phrases)


def _checked(scale: float) -> float:
    if not (math.isfinite(scale) and scale > 0.0):
        raise InputError(f"the scale of a judge must be positive, not {scale}")
    return scale
