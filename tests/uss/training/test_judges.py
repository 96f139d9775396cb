"""Judges: what they hear and read agrees where it should, with gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from uss.conditions.clap import Clap
from uss.conditions.clap_words import ClapWords
from uss.hearing.sinc_resampling import sinc_resample
from uss.training.judges import ClapJudge, TaggerJudge

RATE = 32_000
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tagger_judge() -> TaggerJudge:
    judge = TaggerJudge()
    judge.start(CPU)
    return judge


def tone(frequency: float, rate: int = RATE) -> torch.Tensor:
    return 0.1 * torch.sin(2 * torch.pi * frequency * torch.arange(2 * rate) / rate)[None]


def test_the_embedded_judge_reads_phrases_names_and_nothing_else(
    tagger_judge: TaggerJudge,
) -> None:
    said = ["A dog barks", "Dog", "Chink, clink", "xyzzy plugh", "", "Ein Hund bellt"]
    vectors = tagger_judge.read(said)
    assert vectors.shape == (6, 527)
    lengths = vectors.norm(dim=1)
    torch.testing.assert_close(lengths[:3], torch.ones(3))
    # Not understood: no word, no such word, or words of another language.
    assert lengths[3:].tolist() == [0.0, 0.0, 0.0]
    scores = vectors @ vectors.T
    assert scores[0, 1] > 0.5 > scores[0, 2]
    assert torch.equal(tagger_judge.read(said[:1]), vectors[:1])


def test_two_thousand_words_are_read_by_their_first(tagger_judge: TaggerJudge) -> None:
    long = " ".join(["a", "dog", "barks"] * 667)
    assert float(tagger_judge.read([long])[0] @ tagger_judge.read(["a dog barks"])[0]) > 0.8


def test_what_is_heard_has_a_gradient_and_nothing_is_trained(tagger_judge: TaggerJudge) -> None:
    waveform = (
        0.1 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(0))
    ).requires_grad_()
    heard = tagger_judge.hear(waveform)
    torch.testing.assert_close(heard.detach().norm(dim=1), torch.ones(2))
    (heard * tagger_judge.read(["Rain", "Rain"])).sum().backward()
    assert waveform.grad is not None and waveform.grad.abs().max() > 0.0
    assert not any(p.requires_grad for p in tagger_judge.tagger.parameters())


def test_what_it_hears_agrees_with_what_its_tagger_says(tagger_judge: TaggerJudge) -> None:
    noise = 0.1 * torch.randn(1, 2 * RATE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        probabilities = tagger_judge.tagger(noise).clipwise[0]
        heard = tagger_judge.hear(noise)[0]
    torch.testing.assert_close(heard, probabilities / probabilities.norm())


def test_at_another_rate_the_same_is_heard(tagger_judge: TaggerJudge) -> None:
    """A separator at 16 kHz is heard by a judge at 32 kHz as if it were at that rate."""
    assert tagger_judge.sample_rate == RATE
    slower = sinc_resample(tone(440.0, 16_000), 16_000, tagger_judge.sample_rate)
    assert slower.shape == (1, 2 * RATE)
    with torch.inference_mode():
        alike = tagger_judge.hear(slower) @ tagger_judge.hear(tone(440.0)).T
    assert float(alike) > 0.999


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    for make in (TaggerJudge, ClapJudge):
        with pytest.raises(ValueError, match="scale of a judge must be positive"):
            make(scale=scale)


def test_a_judge_that_is_not_there_is_told_by_name() -> None:
    with pytest.raises(FileNotFoundError, match="nobody"):
        TaggerJudge("nobody").start(CPU)
    pytest.importorskip("transformers")
    with pytest.raises(FileNotFoundError, match="nobody"):
        ClapJudge("nobody").start(CPU)


class TwoTowers(Clap):
    """A CLAP whose towers are given."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__(state, "clap.pt", lambda: None)  # type: ignore[arg-type, return-value]
        self.__dict__ |= {"network": torch.nn.Linear(1, 1), "ears": Halves(), "tokenize": None}

    def encode(self, texts: Sequence[str]) -> Any:
        return np.array([[len(text), 1.0] for text in texts], np.float32)


class Halves(torch.nn.Module):
    """Hears how loud either half is."""

    def embed(self, waveform: torch.Tensor) -> torch.Tensor:
        heard = waveform.unflatten(1, (2, -1)).square().mean(dim=2)
        return torch.nn.functional.normalize(heard, dim=-1)


@pytest.mark.parametrize("by_words", [False, True])
def test_clap_judges_by_both_its_towers(by_words: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    clap = TwoTowers({"logit_scale_a": torch.tensor(np.log(50.0))})
    found = ClapWords(clap) if by_words else clap
    monkeypatch.setattr("uss.training.judges.load_text_encoder", lambda name: found)
    judge = ClapJudge("any")
    judge.start(CPU)
    # The file holds the logarithm.
    assert judge.scale == pytest.approx(50.0) and judge.sample_rate == 48_000
    torch.testing.assert_close(judge.read(["abc"]), torch.tensor([[3.0, 1.0]]) / 10**0.5)
    waveform = tone(440.0, 48_000).requires_grad_()
    (judge.hear(waveform) @ judge.read(["abc"]).T).sum().backward()
    assert waveform.grad is not None and waveform.grad.abs().max() > 0.0
    assert not any(p.requires_grad for p in clap.network.parameters())
    own = ClapJudge("any", scale=3.0)
    own.start(CPU)
    assert own.scale == 3.0


def test_what_is_no_clap_or_has_no_scale_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, said in ((object(), "hears nothing: it is no CLAP"), (TwoTowers({}), "clap.pt")):
        monkeypatch.setattr("uss.training.judges.load_text_encoder", lambda _, found=found: found)
        with pytest.raises(ValueError, match=said):
            ClapJudge("any").start(CPU)
