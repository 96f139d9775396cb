"""Errors of autoencoder and vocoder, against closed forms and networks that know the answer."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from tests.flowsep_files import small
from tests.text_models import noise
from uss.core.errors import InputError
from uss.data.dataset import Batch
from uss.models import FlowSep
from uss.models.flowsep.magnitude_mel import levelled
from uss.training.mel_objectives import AutoencoderError, VocoderError

SEGMENT = 10_240
SEEDS = torch.tensor([3, 4])


@pytest.fixture
def network() -> FlowSep:
    return small(segment_seconds=0.64)


@pytest.fixture
def batch() -> Batch:
    target = noise(1, (2, 1, SEGMENT), 0.05)
    other = noise(2, (2, 1, SEGMENT), 0.05)
    return Batch(target + other, target, noise(3, (2, 6)), SEEDS)


def heard(batch: Batch) -> Tensor:
    mixture, gain = levelled(batch.mixture[:, 0])
    return torch.cat([mixture, batch.target[:, 0] * gain[:, None]])


@torch.no_grad()
def test_latents_tell_as_much_as_their_divergence_says(network: FlowSep, batch: Batch) -> None:
    mel = network.mel(heard(batch))[:, None]
    mean, logvar = network.first_stage_model.encode(mel)
    expected = kl_divergence(Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0)).mean()
    losses = AutoencoderError(kl_weight=0.5)(network, batch)
    assert float(losses["kl"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(losses["loss"]) == pytest.approx(float(losses["mel"] + 0.5 * losses["kl"]))


@torch.no_grad()
def test_a_decoder_that_knows_the_mel_has_no_error(
    network: FlowSep, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    mel = network.mel(heard(batch))[:, None]
    monkeypatch.setattr(network.first_stage_model, "decode", lambda latent: mel)
    assert float(AutoencoderError()(network, batch)["mel"]) == 0.0
    monkeypatch.setattr(network.first_stage_model, "decode", lambda latent: mel - 0.75)
    assert float(AutoencoderError()(network, batch)["mel"]) == pytest.approx(0.75, rel=1e-5)


@torch.no_grad()
def test_seeds_draw_the_latents(network: FlowSep, batch: Batch) -> None:
    losses = [
        float(AutoencoderError()(network, batch._replace(seeds=seeds))["loss"])
        for seeds in (SEEDS, SEEDS, SEEDS + 1)
    ]
    assert losses[0] == losses[1] != losses[2]


@torch.no_grad()
def test_a_vocoder_that_knows_the_waveform_has_no_error(
    network: FlowSep, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waveform = heard(batch)
    mels = network.mel(waveform)

    def knows(mel: Tensor) -> Tensor:
        """Find the excerpt by its mel, and give its samples and 32 more."""
        frames = mel.shape[2]
        rows = []
        for row, whole, samples in zip(mel.transpose(1, 2), mels, waveform, strict=True):
            (start,) = (
                s for s in range(len(whole) - frames + 1) if torch.equal(whole[s : s + frames], row)
            )
            rows.append(samples[160 * start : 160 * (start + frames)])
        return torch.nn.functional.pad(torch.stack(rows), (0, 32))

    monkeypatch.setattr(FlowSep, "vocoder", property(lambda self: knows))
    objective = VocoderError(excerpt_seconds=0.32)
    assert float(objective(network, batch)["loss"]) == pytest.approx(0.0, abs=1e-5)
    # Twice as loud: every magnitude is wrong by ln 2, and by as much as it is.
    monkeypatch.setattr(FlowSep, "vocoder", property(lambda self: lambda mel: 2.0 * knows(mel)))
    losses = objective(network, batch)
    assert float(losses["mel"]) == pytest.approx(np.log(2.0), rel=1e-3)
    assert float(losses["spectra"]) == pytest.approx(1.0 + np.log(2.0), rel=0.02)


@torch.no_grad()
def test_silence_has_an_error_that_is_finite(network: FlowSep) -> None:
    silence = torch.zeros(2, 1, SEGMENT)
    batch = Batch(silence, silence, torch.zeros(2, 6), SEEDS)
    for objective in (AutoencoderError(), VocoderError(0.32)):
        assert all(torch.isfinite(each) for each in objective(network, batch).values())


@torch.no_grad()
def test_excerpts_shorter_than_a_window_are_refused(network: FlowSep, batch: Batch) -> None:
    said = "too short for windows of 2048 samples; choose excerpt_seconds, and segments, of more"
    for seconds in (0.001, 0.06):
        with pytest.raises(InputError, match=said):
            VocoderError(seconds)(network, batch)
    assert float(VocoderError(0.07)(network, batch)["loss"]) > 0.0


def test_each_learns_its_part(network: FlowSep) -> None:
    vae = network.first_stage_model
    learned = AutoencoderError().trained(network)
    assert learned == [vae.encoder, vae.quant_conv, vae.post_quant_conv, vae.decoder]
    assert VocoderError().trained(network) == [network.vocoder]


def test_what_makes_no_sense_is_refused(network: FlowSep) -> None:
    with pytest.raises(ValueError, match="kl_weight -1"):
        AutoencoderError(-1.0)
    for options in ({"excerpt_seconds": 0.0}, {"resolutions": []}, {"mel_weight": -1.0}):
        with pytest.raises(ValueError, match="all must be positive"):
            VocoderError(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="with one target"):
        AutoencoderError()(network, "no batch")
