"""What FlowSep and DiffusionSep share where they are trained: scales, and asking for nothing."""

import numpy as np
import pytest
import torch

from tests.flowsep_files import small
from tests.text_models import noise
from uss.models import BACKBONES, DiffusionSep, FlowSep, GenerativeModel
from uss.models.flowsep.magnitude_mel import levelled

SEGMENT = 5_120


def diffusion() -> DiffusionSep:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DiffusionSep(
            "fake-6", 6, unet_base=32, vae_base=32, vocoder_channels=32, segment_seconds=0.32
        ).eval()


def test_the_baseline_is_a_generative_model_of_its_own() -> None:
    network = diffusion()
    assert isinstance(network, GenerativeModel) and BACKBONES["DiffusionSep"] is DiffusionSep
    assert (network.default_steps, network.max_steps) == (50, 1000)
    assert (FlowSep.default_steps, FlowSep.max_steps) == (10, None)
    assert network.state_dict().keys() == small().state_dict().keys()


@torch.inference_mode()
def test_the_baseline_takes_noise_away_in_steps() -> None:
    network = diffusion()
    heard = network.listen(noise(0, (1, SEGMENT), 0.1), noise(1, (1, 8, 8, 16))).latent
    start, condition = noise(2, (1, 8, 8, 16)), noise(3, (1, 6))
    drawn = network.draw(heard, condition, start, 2)
    assert drawn.shape == start.shape and torch.isfinite(drawn).all()
    assert (drawn - network.draw(heard, condition, start, 3)).abs().max() > 1e-3
    flow = FlowSep(**network.hyperparameters).eval()
    flow.load_state_dict(network.state_dict())
    assert (drawn - flow.draw(heard, condition, start, 2)).abs().max() > 1e-3
    made = network(noise(4, (1, 2, 3_000), 0.1), condition)
    assert made.shape == (1, 2, 3_000) and torch.isfinite(made).all()


def test_a_vector_is_brought_to_unit_range() -> None:
    network = small()
    given = 3.0 + 2.0 * noise(5, (500, 6))
    network.standardise_conditions(given)
    rows, mask = network.tokens(given)
    assert rows.shape == (500, 1, 6) and bool(mask.all())
    np.testing.assert_allclose(rows.mean(dim=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(rows.std(dim=0), 1.0 / 1.1, atol=0.02)
    # Files hold that, and copies for separation.
    copy = network.for_inference(torch.float32)
    torch.testing.assert_close(copy.tokens(given)[0], rows)
    with pytest.raises(ValueError, match="conditions of size 6, the data's have 5"):
        network.standardise_conditions(noise(6, (4, 5)))


def test_asking_for_nothing_is_asking_with_the_mean_or_without_tokens() -> None:
    vector = small()
    vector.standardise_conditions(5.0 + noise(7, (50, 6)))
    nothing = vector.tokens.unasked(torch.ones(3, 6))
    np.testing.assert_allclose(vector.tokens(nothing)[0], 0.0, atol=1e-5)
    text = small(condition_size=2 * 4, num_tokens=2)
    text.standardise_conditions(noise(8, (50, 8)))
    assert "tokens.mean" in vector.state_dict() and "tokens.mean" not in text.state_dict()
    rows, mask = text.tokens(text.tokens.unasked(torch.ones(3, 8)))
    assert rows.shape == (3, 2, 3) and not bool(mask.any())


@torch.no_grad()
def test_latents_get_unit_variance_once() -> None:
    network = small()
    clips = noise(9, (6, SEGMENT), 0.1)
    network.scale_latents(clips)
    fixed = float(network.scale_factor)
    assert fixed != 1.0
    level, _ = levelled(clips)
    latent = network.latent(level, noise(10, (6, 8, 8, 16)))
    assert float(latent.std()) == pytest.approx(1.0, abs=0.03)
    network.scale_latents(10.0 * noise(11, (2, SEGMENT)))
    assert float(network.scale_factor) == fixed
