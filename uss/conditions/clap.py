"""CLAP (Wu et al. 2023): text and audio in one space of 512 numbers, as AudioSep is asked.

The towers are transformers' ``ClapModel``; the entries are LAION's, as in AudioSep's checkpoints
and LAION's own files, or transformers' own. HTSAT-base hears, RoBERTa-base reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.audio import resample
from uss.conditions.clap_names import from_laion
from uss.conditions.class_queries import TEXT_SPACE
from uss.conditions.text_towers import TextTower
from uss.conditions.tokenizing import Tokenize, Tokens, import_package
from uss.core.errors import InputError
from uss.core.initialisation import without_random_numbers
from uss.core.state_dicts import load_entries
from uss.hearing.mel import slaney_filterbank

SIZE = 512
SAMPLE_RATE = 32_000
CLAP_RATE = 48_000
CLAP_SECONDS = 10.0
_CLAP_SAMPLES = round(CLAP_SECONDS * CLAP_RATE)
_HF_CONSTANTS = (
    "*.position_ids",
    "*.token_type_ids",
    "*.relative_position_index",
    "*.num_batches_tracked",
)
_AUDIO_CONFIG: Mapping[str, Any] = {
    "depths": [2, 2, 12, 2],
    "patch_embeds_hidden_size": 128,
    "hidden_size": 1024,
    "enable_fusion": False,
}


class Clap(TextTower):
    """Text and audio encoder of AudioSep; each tower is built when it is first asked.

    Args:
        state: LAION's entries without a prefix, or transformers'.
        source: what an error calls the file.
        tokenizer: makes RoBERTa's.
    """

    space = TEXT_SPACE
    size = SIZE

    def __init__(
        self, state: Mapping[str, Tensor], source: str, tokenizer: Callable[[], Tokenize]
    ) -> None:
        super().__init__(state, source, tokenizer)
        self._is_laion = any(name.startswith("text_branch.") for name in state)

    def vectors(self, tokens: Tokens) -> Tensor:
        """Encode N tokenized texts as (N, 512) of unit length."""
        network: Any = self.network
        out = network.text_model(input_ids=tokens.ids, attention_mask=tokens.mask)
        # Releases of transformers differ in whether their embeddings are normalised.
        return F.normalize(network.text_projection(out.pooler_output), dim=-1)

    @property
    def logit_scale(self) -> float:
        """What cosines of audio and text were multiplied by in CLAP's training.

        Raises:
            ValueError: if the file does not hold it.
        """
        stored = self._state.get("logit_scale_a")
        if stored is None:
            raise InputError(f"{self.source} holds no logit_scale_a; give the scale itself")
        # The file holds its logarithm.
        return math.exp(float(stored))

    @cached_property
    def ears(self) -> ClapEars:
        """The audio network, in evaluation mode."""
        transformers = import_package("transformers")
        config = transformers.ClapAudioConfig(**_AUDIO_CONFIG, projection_dim=SIZE)
        with without_random_numbers():
            network = transformers.ClapAudioModelWithProjection(config)
        self._load(network, "audio")
        return ClapEars(network).eval()

    def _build(self, state: Mapping[str, Tensor]) -> nn.Module:
        transformers = import_package("transformers")
        # Its default is BERT's 1e-12, which RoBERTa was not trained with.
        config = transformers.ClapTextConfig(layer_norm_eps=1e-5, projection_dim=SIZE)
        network: nn.Module = transformers.ClapTextModelWithProjection(config)
        self._load(network, "text")
        return network

    def _load(self, network: nn.Module, branch: str) -> None:
        state = {n: v for n, v in self._state.items() if n.startswith(f"{branch}_")}
        if self._is_laion:
            state = from_laion(state, network.state_dict(), self.source, branch)
        load_entries(network, state, self.source, _HF_CONSTANTS)


class ClapEars(nn.Module):
    """CLAP's audio branch on waveforms of any length: a ``ConditionEncoder``.

    Args:
        network: transformers' ``ClapAudioModelWithProjection``.
    """

    space = TEXT_SPACE
    size = SIZE
    n_fft = 1024
    hop_length = 480

    window: Tensor
    filters: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.tower = network
        filters = slaney_filterbank(64, self.n_fft, CLAP_RATE, 50.0, 14_000.0)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    @property
    def network(self) -> nn.Module:
        """See ``ConditionEncoder``."""
        return self

    def forward(self, waveform: Tensor) -> Tensor:
        """Encode (B, T) waveforms at 32 kHz as (B, 512) of unit length.

        What is shorter than ten seconds is repeated as often as it fits, what is longer is cropped
        to its centre.
        """
        num_samples = waveform.shape[-1]
        longest = round(CLAP_SECONDS * SAMPLE_RATE)
        if num_samples > longest:
            start = (num_samples - longest) // 2
            waveform = waveform[:, start : start + longest]
        at_clap_rate = resample(waveform.cpu().numpy(), SAMPLE_RATE, CLAP_RATE)
        return self.embed(torch.from_numpy(at_clap_rate).to(waveform.device))

    def embed(self, waveform: Tensor) -> Tensor:
        """Encode (B, T) waveforms at 48 kHz as (B, 512) of unit length."""
        tower: Any = self.tower
        heard = tower.audio_projection(self.swin_vector(ten_seconds(waveform)))
        return F.normalize(heard, dim=-1)

    def swin_vector(self, waveform: Tensor) -> Tensor:
        """(B, 1024) of (B, 480000) waveforms, before the projection."""
        tower: Any = self.tower
        features = self.log_mel(waveform)[:, None]
        pooled: Tensor = tower.audio_model(input_features=features).pooler_output
        return pooled

    def log_mel(self, waveform: Tensor) -> Tensor:
        """(B, F, 64) in dB of (B, T) waveforms at 48 kHz, 100 frames a second."""
        spectrum = torch.stft(
            waveform, self.n_fft, self.hop_length, window=self.window, return_complex=True
        )
        power = torch.view_as_real(spectrum).square().sum(dim=-1)
        mel = (self.filters @ power).clamp(min=1e-10)
        return 10.0 * torch.log10(mel).transpose(1, 2)


def ten_seconds(waveform: Tensor) -> Tensor:
    """Bring (B, T) at 48 kHz to (B, 480000): repeated and zero-padded, or cropped at the centre.

    LAION's code crops at random, which would give one recording many embeddings.
    """
    num_samples = waveform.shape[-1]
    if num_samples > _CLAP_SAMPLES:
        start = (num_samples - _CLAP_SAMPLES) // 2
        return waveform[:, start : start + _CLAP_SAMPLES]
    repeated = waveform.repeat(1, _CLAP_SAMPLES // num_samples)
    return F.pad(repeated, (0, _CLAP_SAMPLES - repeated.shape[-1]))
