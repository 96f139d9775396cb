import math
from typing import Any

import pytest
import torch

from uss.models import BACKBONES, ResUNet30
from uss.models.feature_branch import FeatureBranch

SIZES: dict[str, Any] = {"channels": (4, 4), "n_fft": 1024, "hop_length": 320}
MAE = {"kind": "masked-autoencoder", "width": 12, "depth": 1, "num_heads": 3, "max_frames": 64}
KINDS = [MAE, {"kind": "tagger", "width": 0.1}, {"kind": "wav2vec2", "width": 8}]
RATE = 32_000


def resunet(features: dict[str, Any] | None, seed: int = 0) -> ResUNet30:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ResUNet30("space", 5, **SIZES, features=features).eval()


@pytest.fixture
def mixture() -> torch.Tensor:
    return 0.1 * torch.randn(2, 1, 12_000, generator=torch.manual_seed(0))


@pytest.mark.parametrize("features", KINDS, ids=lambda each: each["kind"])
def test_what_is_heard_changes_the_stem_and_nothing_else_of_the_network(
    features: dict[str, Any], mixture: torch.Tensor
) -> None:
    plain, hearing = resunet(None), resunet(features)
    weights = plain.state_dict()
    own = hearing.state_dict()
    assert weights.keys() == {name for name in own if not name.startswith("branch.")}
    hearing.load_state_dict({**own, **weights})
    condition = torch.randn(2, 5, generator=torch.manual_seed(1))
    assert hearing.branch is not None
    # A fresh tagger lets next to nothing through, until it is normed.
    hearing.branch.norm.train()
    with torch.inference_mode():
        expected, heard = plain(mixture, condition), hearing(mixture, condition)
        assert (heard - expected).abs().max() > 1e-6
        hearing.branch.conv.weight.zero_()
        torch.testing.assert_close(hearing(mixture, condition), expected, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("features", KINDS, ids=lambda each: each["kind"])
def test_folded_for_inference_it_gives_the_same(
    features: dict[str, Any], mixture: torch.Tensor
) -> None:
    model = resunet(features)
    condition = torch.randn(2, 5, generator=torch.manual_seed(1))
    with torch.inference_mode():
        folded = model.for_inference(torch.float32)
        torch.testing.assert_close(
            folded(mixture, condition), model(mixture, condition), atol=1e-5, rtol=1e-4
        )


def test_it_is_built_again_with_its_features_but_not_where_they_came_from() -> None:
    with torch.random.fork_rng():
        model = ResUNet30("space", 5, **SIZES, features=MAE, features_from="somewhere.pth")
    assert "features_from" not in model.hyperparameters
    again = BACKBONES["ResUNet30"](**model.hyperparameters)
    again.load_state_dict(model.state_dict())


def test_gradients_reach_the_branch_and_not_the_ears(mixture: torch.Tensor) -> None:
    model = resunet(MAE).train()
    model(mixture, torch.randn(2, 5)).square().mean().backward()
    branch = model.branch
    assert branch is not None and branch.conv.weight.grad is not None
    assert branch.conv.weight.grad.abs().max() > 0.0
    assert all(parameter.grad is None for parameter in branch.encoder.parameters())


def test_the_ears_get_the_mixture_at_their_own_rate() -> None:
    """A tone of 3 kHz is one at 16 kHz as well, of its level; one of 12 kHz is not there."""
    branch = FeatureBranch(MAE, 4, n_fft=1024, hop_length=320, sample_rate=RATE)
    window = torch.hann_window(1024)
    for hz, is_heard in ((3_000.0, True), (12_000.0, False)):
        tone = torch.sin(2 * math.pi * hz * torch.arange(RATE) / RATE)[None]
        spectrogram = torch.stft(tone, 1024, 320, window=window, return_complex=True)
        slow = branch._waveform(spectrogram)
        assert slow.shape == (1, RATE // 2)
        expected = torch.sin(2 * math.pi * hz * torch.arange(RATE // 2) / (RATE / 2))[None]
        middle = slice(1_000, -1_000)
        wanted = expected if is_heard else torch.zeros_like(expected)
        torch.testing.assert_close(slow[:, middle], wanted[:, middle], atol=5e-3, rtol=0.0)


def test_what_is_heard_lies_at_its_time_and_frequency() -> None:
    """Columns of 16 frames; the last is cut where the mixture ends. Rows are mel bands."""
    branch = FeatureBranch(MAE, 4, n_fft=1024, hop_length=320, sample_rate=RATE)
    heard = torch.zeros(1, 4, 8, 3)
    heard[0, :, 7, 1] = 1.0
    image = branch.image(heard, 40)
    assert image.shape == (1, 4, 40, 512)
    assert image[0, 0].amax(dim=1).argmax().item() in range(16, 32)
    # Eighth band of eight: the top of the encoder's 8 kHz, and all above it.
    assert image[0, 0, 24, 200:].min() > 0.5
    assert image[0, 0, 24, :100].max() == 0.0


def test_a_rate_that_is_no_fraction_is_refused() -> None:
    with pytest.raises(ValueError, match="features of 16000 Hz: 44100 Hz"):
        FeatureBranch(MAE, 4, n_fft=1024, hop_length=320, sample_rate=44_100)
