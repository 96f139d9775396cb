"""The parts of FlowSep against the numbers of the released code."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from tests import flowsep_files
from tests.text_models import noise
from uss.models.flowsep.bigvgan import BigVGAN
from uss.models.flowsep.latent_unet import LatentUNet
from uss.models.flowsep.magnitude_mel import MagnitudeMel, levelled
from uss.models.flowsep.mel_vae import MelVAE
from uss.models.flowsep.rectified_flow import flow_loss, follow


class Fixture(NamedTuple):
    """A file of expected numbers, and how its inputs are made.

    Attributes:
        expected: by name.
        sizes: of the networks.
        seed: added to the narrow file's ones.
        frames: of latents; ``mel_frames`` of mels.
        step: every how many frames a file keeps.
    """

    expected: Any
    sizes: dict[str, dict[str, Any]]
    seed: int
    frames: int
    mel_frames: int
    step: int


@pytest.fixture(scope="module", params=["narrow", pytest.param("full", marks=pytest.mark.slow)])
def fixture(request: pytest.FixtureRequest, shared: Path) -> Fixture:
    expected = np.load(shared / "parity" / f"flowsep_{request.param}.npz")
    if request.param == "narrow":
        return Fixture(expected, flowsep_files.NARROW, 0, 32, 64, 1)
    return Fixture(expected, flowsep_files.WHOLE, -10, 64, 128, 2)


def close(found: Tensor, expected: Any, atol: float) -> None:
    np.testing.assert_allclose(found.numpy(), expected, atol=atol, rtol=0.0)


@torch.inference_mode()
def test_mels_are_encoded_and_decoded_as_released(shared: Path, fixture: Fixture) -> None:
    vae, expected, step = (
        flowsep_files.vae(shared, fixture.sizes["vae"]),
        fixture.expected,
        fixture.step,
    )
    mel = noise(91 + fixture.seed, (1, 1, fixture.mel_frames, 64), 2.0) - 5.0
    posterior = vae.encode(mel)
    close(posterior.mean[0, :, ::step], expected["vae_mean"], 2e-5)
    close(posterior.logvar[0, :, ::step], expected["vae_logvar"], 2e-5)
    sample = posterior.sample(noise(92 + fixture.seed, tuple(posterior.mean.shape)))
    close(sample[0, :, 3], expected["vae_sample_frame_3"], 2e-5)
    close(vae.decode(sample)[0, 0, ::step], expected["decoded_mel"], 4e-5)


@torch.inference_mode()
def test_the_vocoder_speaks_as_released(shared: Path, fixture: Fixture) -> None:
    vocoder = flowsep_files.vocoder(shared, fixture.sizes["vocoder"])
    samples = vocoder(noise(93 + fixture.seed, (1, 64, 24), 2.0) - 5.0)
    assert samples.shape == (1, 160 * 24 + 32)
    name = "vocoder_waveform" if fixture.step == 1 else "vocoder_waveform_every_2"
    close(samples[0, :: fixture.step], fixture.expected[name], 4e-5)


@torch.inference_mode()
def test_velocities_and_steps_are_as_released(shared: Path, fixture: Fixture) -> None:
    unet, expected, step = (
        flowsep_files.unet(shared, fixture.sizes["unet"]),
        fixture.expected,
        fixture.step,
    )
    seed, frames = fixture.seed, fixture.frames
    both = noise(71 + seed, (1, 16, frames, 16))
    text, mask = noise(72 + seed, (1, 50, 1024)), torch.zeros(1, 50)
    mask[:, :13] = 1.0
    found = unet(both, torch.zeros(1), text, mask)
    close(found[0, :8, ::step], expected["velocity_t0_00"], 2e-5)
    found = unet(both, torch.full((1,), 0.35), text, mask)
    close(found[0, :8, ::step], expected["velocity_t0_35"], 2e-5)
    close(found[0, 8:, 5], expected["unused_half_t0_35_frame_5"], 2e-5)

    start, mixture, data = (noise(n + seed, (1, 8, frames, 16)) for n in (73, 74, 75))

    def velocity(state: Tensor, time: Tensor) -> Tensor:
        out: Tensor = unet(torch.cat([state, mixture], dim=1), time, text, mask)[:, :8]
        return out

    close(follow(velocity, start, 3)[0, :, ::step], expected["euler_3_steps"], 2e-5)
    loss = flow_loss(velocity, data, start, torch.full((1,), 0.35))
    assert float(loss) == pytest.approx(float(expected["flow_loss_t0_35"]), rel=1e-5)


def test_mels_are_as_released(shared: Path) -> None:
    expected = np.load(shared / "parity" / "flowsep_narrow.npz")
    front_end = MagnitudeMel()
    mel = front_end(levelled(noise(101, (1, 163_840), 0.1))[0])[0]
    assert mel.shape == (1024, 64)
    close(mel[::16], expected["mel_every_16"], 1e-5)
    close(mel[-1], expected["mel_last_frame"], 1e-5)
    short = torch.nn.functional.pad(levelled(noise(102, (1, 90_000), 0.1))[0], (0, 73_840))
    mel = front_end(short)[0]
    for frame in (3, 562, 1000):
        close(mel[frame], expected[f"padded_mel_frame_{frame}"], 1e-5)
    assert mel[1000] == pytest.approx(np.full(64, np.log(1e-5)), abs=1e-5)


@pytest.mark.parametrize(
    ("network", "name", "prefix"),
    [
        (LatentUNet, "unet", flowsep_files.UNET),
        (MelVAE, "vae", flowsep_files.VAE),
        (BigVGAN, "bigvgan_inside_checkpoint", flowsep_files.VOCODER),
    ],
)
def test_the_whole_networks_have_the_published_entries(
    shared: Path, network: Any, name: str, prefix: str
) -> None:
    listed = flowsep_files.listed_shapes(shared, name, prefix)
    with torch.device("meta"):
        own = {key: tuple(value.shape) for key, value in network().state_dict().items()}
    assert own == listed
