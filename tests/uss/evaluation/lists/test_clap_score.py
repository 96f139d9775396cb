import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.text_models import filled_clap, noise
from tests.uss.evaluation.conftest import SaveTone
from uss.audio import resample
from uss.conditions.clap import CLAP_RATE, Clap, ClapEars
from uss.conditions.tokenizing import Tokens
from uss.core.errors import InputError
from uss.evaluation.lists.clap_score import ClapScore, ClapScoreA
from uss.evaluation.lists.evaluating import HALF_MIXTURE, MIXTURE, ListEvaluation, ListSettings
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import Mixture
from uss.evaluation.lists.output_scores import OfCaption
from uss.separation.separator import Separator

CPU = torch.device("cpu")
LOW, HIGH = 500.0, 8_000.0


class _LowOrHigh(ClapEars):
    """Hears how much of the energy lies low, and how much high."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def embed(self, waveform: Tensor) -> Tensor:
        power = torch.fft.rfft(waveform).abs() ** 2
        is_low = torch.fft.rfftfreq(waveform.shape[1], 1 / CLAP_RATE) < 3_000.0
        heard = torch.stack([power[:, is_low].sum(1), power[:, ~is_low].sum(1)], dim=1)
        return nn.functional.normalize(heard, dim=-1)


class TonesClap(Clap):
    """Knows that dogs bark low and cats high."""

    def __init__(self) -> None:
        super().__init__({}, "tones", lambda: _no_tokens)
        self.num_read = 0
        self.__dict__ |= {"ears": _LowOrHigh(), "network": nn.Identity()}

    def encode(self, texts: Any) -> Any:
        self.num_read += len(texts)
        return np.array([[1.0, 0.0] if "dog" in text else [0.0, 1.0] for text in texts], np.float32)


def _no_tokens(texts: Any) -> Tokens:
    raise AssertionError(f"{texts} are encoded as a whole")


@pytest.fixture
def rows(save_tone: SaveTone) -> list[ListRow]:
    low, high = save_tone("low.wav", LOW), save_tone("high.wav", HIGH)
    asked = {"class_name": "Dog", "interferer_class": "Cat", "caption": "a dog"}
    return [ListRow(target=(low,), interferer=(high,), **asked)] * 2  # type: ignore[arg-type]


def test_a_stem_scores_above_the_mixture_and_the_other_source_below(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    clap = TonesClap()
    settings = ListSettings(("oracle",), ("clap-score", "sdr"), 0.25)
    scores = {"clap-score": OfCaption(ClapScore(clap, CPU))}
    evaluation = ListEvaluation(separator, "list.csv", rows, tmp_path, settings, scores)
    evaluation.check()
    assert clap.num_read == 0
    for each_row in evaluation.scores(range(len(rows))):
        found = {name: each["CLAPScore"] for name, each in each_row.scores.items()}
        assert found["oracle"] > 0.99
        assert found[MIXTURE] == pytest.approx(math.sqrt(0.5), abs=0.02)
        assert found[HALF_MIXTURE] == pytest.approx(found[MIXTURE], abs=1e-5)
        assert found["oracle, swapped"] < 0.1
        assert each_row.scores["oracle"]["SDR"] > 15.0
    assert clap.num_read == 1


def test_channels_are_heard_as_their_mean() -> None:
    score = ClapScore(TonesClap(), CPU)
    seconds = np.arange(2 * 44_100) / 44_100
    low, high = (np.sin(2 * np.pi * f * seconds).astype(np.float32) for f in (LOW, HIGH))
    stereo = np.stack([low + high, low - high])
    assert score.match("a dog", stereo, 44_100) == pytest.approx(1.0, abs=1e-3)
    assert score.match("a cat", stereo, 44_100) == pytest.approx(0.0, abs=1e-3)


def test_a_row_without_a_caption_is_refused() -> None:
    with pytest.raises(InputError, match=r"no caption, which clap-score compares with"):
        ClapScore(TonesClap(), CPU).check("")


def test_outputs_are_compared_with_targets_whatever_their_phases() -> None:
    seconds = np.arange(CLAP_RATE) / CLAP_RATE
    low, turned = (np.sin(2 * np.pi * LOW * seconds + p)[None] for p in (0.0, 2.0))
    high = np.sin(2 * np.pi * HIGH * seconds)[None]
    target, other = low.astype(np.float32), high.astype(np.float32)
    mixture = Mixture(target + other, target, (other,), CLAP_RATE)
    score = ClapScoreA(ClapScore(TonesClap(), CPU))
    row = ListRow(target=("low.wav",), interferer=("high.wav",))
    score.check(row)
    expected = {1.0: turned.astype(np.float32), 0.0: other, math.sqrt(0.5): mixture.mixture}
    for value, output in expected.items():
        assert score.values(output, mixture, row) == [pytest.approx(value, abs=1e-3)]
    silent = Mixture(other, np.zeros_like(other), (other,), CLAP_RATE)
    assert math.isnan(score.values(other, silent, row)[0])


class TestChoice:
    def test_the_separators_own_is_used(self, separator: Separator) -> None:
        separator.text_encoder = TonesClap()
        score = ClapScore.of(None, separator)
        assert score.match("a dog", np.ones((1, CLAP_RATE), np.float32), CLAP_RATE) > 0.99

    def test_a_separator_without_one_needs_another(self, separator: Separator) -> None:
        with pytest.raises(InputError, match=r"needs a CLAP, and the model holds none; name one"):
            ClapScore.of(None, separator)

    def test_another_encoder_is_none(
        self, separator: Separator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "uss.evaluation.lists.clap_score.load_text_encoder", lambda name, **_: object()
        )
        with pytest.raises(InputError, match=r"bert.bin is none; name one with --clap"):
            ClapScore.of("bert.bin", separator)


@pytest.mark.slow
def test_the_score_is_that_of_the_published_embeddings(shared: Path) -> None:
    pytest.importorskip("transformers")
    expected = np.load(shared / "parity" / "clap.npz")
    ids = torch.from_numpy(expected["ids_5"])[None]
    clap = Clap(filled_clap(shared), "x", lambda: lambda _: Tokens(ids, torch.ones_like(ids)))
    waveform = noise(113, (144_000,), 0.1)
    gains = torch.tensor([1.0, 0.02, 0.5, 0.0, 0.1])
    waveform *= gains[torch.arange(144_000) // 24_000 % 5]
    stem = waveform.numpy()[None]
    published = float(expected["text_embedding_5"] @ expected["audio_embedding_3s"])
    score = ClapScore(clap, CPU)
    assert score.match("any", stem, CLAP_RATE) == pytest.approx(published, abs=1e-5)
    # At another rate, nothing of what CLAP hears is lost.
    faster = resample(stem, CLAP_RATE, 96_000)
    assert score.match("any", faster, 96_000) == pytest.approx(published, abs=0.01)
