import numpy as np
import pytest
import torch

from tests.uss.evaluation.conftest import RATE, BandTagger, tone
from tests.uss.evaluation.lists.test_clap_score import TonesClap
from uss.evaluation.lists.embedders import ClapEmbedder, TaggerEmbedder, embedder_of
from uss.separation.separator import Separator
from uss.taggers import TaggerOutput

CPU = torch.device("cpu")


class LengthTagger(BandTagger):
    """Tells how many samples a window has, and how many windows it met at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[int, int]] = []

    def forward(self, waveform: torch.Tensor) -> TaggerOutput:
        self.batches.append((len(waveform), waveform.shape[1]))
        return super().forward(waveform)


def test_a_taggers_embedding_is_taken_at_its_rate() -> None:
    embedder = TaggerEmbedder(BandTagger(), CPU)
    low = embedder.embed(tone(500.0, rate=48_000)[None], 48_000)
    assert low.shape == (1, embedder.size) == (1, 2) and low.dtype == np.float32
    np.testing.assert_allclose(low, [[1.0, 0.0]], atol=0.01)


def test_channels_are_heard_as_their_mean() -> None:
    low, high = tone(500.0), tone(8_000.0)
    embedder = TaggerEmbedder(BandTagger(), CPU)
    stereo = np.stack([low + high, low - high])
    np.testing.assert_allclose(embedder.embed(stereo, RATE), [[1.0, 0.0]], atol=0.01)


@pytest.mark.parametrize(
    ("seconds", "windows"),
    [(0.5, (1, 16_000)), (10.0, (1, 320_000)), (25.0, (3, 266_667)), (1 / RATE, (1, 1))],
)
def test_long_sounds_are_cut_into_windows_of_one_length(
    seconds: float, windows: tuple[int, int]
) -> None:
    tagger = LengthTagger()
    silence = np.zeros((1, round(seconds * RATE)), np.float32)
    embeddings = TaggerEmbedder(tagger, CPU).embed(silence, RATE)
    assert tagger.batches == [windows] and len(embeddings) == windows[0]


def test_windows_come_in_their_order() -> None:
    sound = np.concatenate([tone(500.0, 10.0), tone(8_000.0, 10.0)])[None]
    found = TaggerEmbedder(BandTagger(), CPU).embed(sound, RATE)
    np.testing.assert_allclose(found, [[1.0, 0.0], [0.0, 1.0]], atol=0.01)


def test_clap_embeds_at_its_rate() -> None:
    found = ClapEmbedder(TonesClap(), CPU).embed(tone(8_000.0)[None], RATE)
    np.testing.assert_allclose(found, [[0.0, 1.0]], atol=0.01)


def test_the_models_own_tagger_is_taken_unless_another_is_named(separator: Separator) -> None:
    own = embedder_of(None, separator, None)
    assert isinstance(own, TaggerEmbedder) and own.size == 2
    assert isinstance(embedder_of("clap", separator, TonesClap()), ClapEmbedder)
    with pytest.raises(FileNotFoundError, match=r"nothing.pt"):
        embedder_of("nothing.pt", separator, None)
