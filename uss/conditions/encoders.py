"""Encoders by name: what makes the conditions that mining stores beside each anchor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uss.audio import resample
from uss.conditions.embedding import ConditionEncoder, EmbeddingEncoder
from uss.core.errors import InputError
from uss.taggers import TaggerNetwork

_SPEECH_RATE = 16_000
_SAMPLE_RATE = 32_000
_MIN_SAMPLES = _SPEECH_RATE // 2
_WAV2VEC2, _X_VECTOR = "wav2vec2-", "wavlm-xvector-"


def load_encoder(name_or_file: str, load: Callable[[str], TaggerNetwork]) -> ConditionEncoder:
    """Load an encoder of conditions.

    Args:
        name_or_file: a tagger, whose embeddings are the conditions; ``wav2vec2`` or ``speaker``,
            which need the package transformers; or one of these two with ``=`` and another model
            of the same architecture, a name or a folder.
        load: loads a tagger by name or file, such as ``load_tagger``.

    Raises:
        FileNotFoundError, OSError, ValueError: as ``load``; and if transformers is not
            installed, or cannot get the model.
    """
    kind, _, source = name_or_file.partition("=")
    if kind in _SPEECH_ENCODERS:
        return _SPEECH_ENCODERS[kind](source) if source else _SPEECH_ENCODERS[kind]()
    return EmbeddingEncoder(load(name_or_file))


def is_speech_space(space: str) -> bool:
    """Whether conditions come from one of the speech encoders, and from no tagger."""
    return space.startswith((_WAV2VEC2, _X_VECTOR))


class Wav2Vec2Encoder(nn.Module):
    """Mean over time of the convolutional features that wav2vec 2.0 learns from speech.

    Stands for the wav2vec of table 2, which no maintained package holds: as there, a network that
    learned from 960 hours of speech gives 512 values.

    Args:
        source: a transformers model with this architecture, a name or a folder.
    """

    def __init__(self, source: str = "facebook/wav2vec2-base-960h") -> None:
        super().__init__()
        self.network = _speech_model("Wav2Vec2Model", source)
        self.size = int(self.network.config.conv_dim[-1])
        self.space = f"{_WAV2VEC2}{self.size}"

    def forward(self, waveform: Tensor) -> Tensor:
        """Encode (B, T) waveforms at 32 kHz as (B, H)."""
        # The transformer after these layers would only cost time.
        speech = _speech_input(waveform, standardise=True)
        convolved = self.network.feature_extractor(speech).transpose(1, 2)
        features: Tensor = self.network.feature_projection(convolved)[1]
        return features.mean(dim=1)


class SpeakerEncoder(nn.Module):
    """A speaker's x-vector by WavLM, trained for speaker verification.

    Stands for the recurrent speaker encoder of table 2.

    Args:
        source: a transformers model with this architecture, a name or a folder.
    """

    def __init__(self, source: str = "microsoft/wavlm-base-plus-sv") -> None:
        super().__init__()
        self.network = _speech_model("WavLMForXVector", source)
        self.size = int(self.network.config.xvector_output_dim)
        self.space = f"{_X_VECTOR}{self.size}"

    def forward(self, waveform: Tensor) -> Tensor:
        """Encode (B, T) waveforms at 32 kHz as (B, H)."""
        speech = _speech_input(waveform, standardise=False)
        embeddings: Tensor = self.network(speech).embeddings
        return embeddings


_SPEECH_ENCODERS: Mapping[str, Callable[..., ConditionEncoder]] = {
    "wav2vec2": Wav2Vec2Encoder,
    "speaker": SpeakerEncoder,
}


def _speech_model(architecture: str, source: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "speech encoders need the package transformers; pip install 'uss-pipeline[speech]'"
        ) from error
    try:
        # Masks serve training alone; files may lack the vector that stands for masked frames, and
        # one drawn at random would make each loading another network.
        network, report = getattr(transformers, architecture).from_pretrained(
            source, mask_time_prob=0.0, mask_feature_prob=0.0, output_loading_info=True
        )
    except OSError as error:
        raise OSError(
            f"transformers cannot get the model {source!r} ({' '.join(str(error).split())}); check "
            "name and network, or name a folder that holds the model"
        ) from error
    if report["missing_keys"]:
        raise InputError(
            f"{source!r} lacks {len(report['missing_keys'])} entries of a {architecture}, such as "
            f"{min(report['missing_keys'])}; name a model of that architecture"
        )
    return network.eval()


def _speech_input(waveform: Tensor, *, standardise: bool) -> Tensor:
    """Resample to 16 kHz and pad to half a second.

    Args:
        waveform: (B, T) at 32 kHz.
        standardise: bring every row to zero mean and unit variance, as wav2vec 2.0 was trained
            with; WavLM Base and Base+ were not.
    """
    at_speech_rate = resample(waveform.cpu().numpy(), _SAMPLE_RATE, _SPEECH_RATE)
    missing = max(0, _MIN_SAMPLES - at_speech_rate.shape[-1])
    padded = torch.from_numpy(np.pad(at_speech_rate, ((0, 0), (0, missing)))).to(waveform.device)
    if not standardise:
        return padded
    centred = padded - padded.mean(dim=1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(dim=1, keepdim=True) + 1e-7)
