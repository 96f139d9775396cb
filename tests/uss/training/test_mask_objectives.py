"""Objectives on masks against the numbers of the released code, and in closed form."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.text_models import filled, noise
from uss.data.dataset import Batch
from uss.data.joint import JointBatch
from uss.models import CLIPSep, ConvTasNet, LASSNet
from uss.training.mask_objectives import BinaryMaskError, MagnitudeL1

SMALL: dict[str, Any] = {
    "num_maps": 4,
    "width": 4,
    "depth": 3,
    "num_rows": 32,
    "n_fft": 64,
    "hop_length": 16,
}


def joint(sources: Tensor, conditions: Tensor, asked: Tensor | None = None) -> JointBatch:
    is_asked = torch.ones(conditions.shape[:2], dtype=torch.bool) if asked is None else asked
    return JointBatch(sources.sum(dim=1)[:, None], sources, conditions, is_asked)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clipsep", "clipsep_nit"])
def test_losses_are_those_of_the_released_code(shared: Path, name: str) -> None:
    expected = np.load(shared / "parity" / f"{name}.npz")
    model = CLIPSep.from_state_dict(filled(shared, name, "module."), name)
    batch = joint(noise(33, (2, 2, 65_535), 0.1), noise(34, (2, 2, 512)))
    with torch.inference_mode():
        losses = BinaryMaskError()(model, batch)
    # Measured: equal to float32's last digit.
    assert float(losses["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-4)
    if name == "clipsep":
        assert losses.keys() == {"loss"}
        return
    for own, theirs in {
        "without_noise": "loss_without_noise",
        "activation": "mean_activation",
        "noise_activation": "mean_noise_activation",
    }.items():
        assert float(losses[own]) == pytest.approx(float(expected[theirs]), rel=1e-4)


def small(**changes: Any) -> CLIPSep:
    torch.manual_seed(0)
    return CLIPSep("fake-6", 6, **(SMALL | changes)).eval()


def test_a_mask_of_one_half_costs_the_logarithm_of_two_wherever_it_counts() -> None:
    model = small()
    torch.nn.init.zeros_(model.synth_net.scale)
    batch = joint(noise(1, (2, 2, 800), 0.1), noise(2, (2, 2, 6)))
    magnitude = model.warped_magnitude(model.spectrogram(batch.mixture[:, 0]))
    weight = torch.log1p(magnitude).clamp(1e-3, 10.0).mean()
    loss = BinaryMaskError()(model, batch)["loss"]
    assert loss.item() == pytest.approx(weight.item() * math.log(2.0), rel=1e-5)


@pytest.mark.parametrize("heads", [0, 2])
def test_what_is_not_asked_for_does_not_count(heads: int) -> None:
    model = small(noise_heads=heads)
    sources, conditions = noise(1, (1, 2, 800), 0.1), noise(2, (1, 2, 6))
    asked = torch.tensor([[True, False]])
    plain = BinaryMaskError(noise_weight=0.0)
    loss = plain(model, joint(sources, conditions, asked))
    conditions[:, 1] += 5.0
    changed = plain(model, joint(sources, conditions, asked))
    torch.testing.assert_close(loss["loss"], changed["loss"])
    both = plain(model, joint(sources, conditions))
    assert not torch.allclose(loss["loss"], both["loss"])


def test_noise_may_fill_up_masks_but_not_for_nothing() -> None:
    model = small(noise_heads=2)
    batch = joint(noise(1, (2, 2, 800), 0.1), noise(2, (2, 2, 6)))
    free, dear = (BinaryMaskError(weight)(model, batch) for weight in (0.0, 10.0))
    held = float(free["noise_activation"])
    assert held > 0.25
    difference = (dear["loss"] - free["loss"]).item()
    assert difference == pytest.approx(10.0 * (held - 0.25), rel=1e-4)


def test_the_gradient_reaches_every_part() -> None:
    model = small(noise_heads=2).train()
    batch = joint(noise(1, (2, 2, 800), 0.1), noise(2, (2, 2, 6)))
    BinaryMaskError()(model, batch)["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_magnitudes_of_a_mask_of_one_half() -> None:
    torch.manual_seed(0)
    model = LASSNet("fake-5", 5, channels=(2,), text_size=3, n_fft=64, hop_length=32).eval()
    for parameter in model.UNet.after_conv2.parameters():
        torch.nn.init.zeros_(parameter)
    mixture = noise(1, (2, 1, 500), 0.1)
    batch = Batch(mixture, 0.25 * mixture, noise(2, (2, 5)))
    expected = 0.25 * model.spectrogram(mixture[:, 0]).abs().mean()
    torch.testing.assert_close(MagnitudeL1()(model, batch)["loss"], expected)


def test_models_and_batches_that_do_not_fit_are_refused() -> None:
    batch = joint(noise(1, (1, 3, 800), 0.1), noise(2, (1, 3, 6)))
    with pytest.raises(ValueError, match=r"2 noise heads need as many queries .* not 3"):
        BinaryMaskError()(small(noise_heads=2), batch)
    single = Batch(batch.mixture, batch.mixture, noise(2, (1, 6)))
    with pytest.raises(ValueError, match=r"set data\.joint and model\.model"):
        BinaryMaskError()(small(), single)  # type: ignore[arg-type]
    waves = ConvTasNet("fake-6", 6, num_filters=4, bottleneck_channels=2, hidden_channels=2)
    with pytest.raises(ValueError, match="where a separator gives masks"):
        MagnitudeL1()(waves, single)
    with pytest.raises(ValueError, match="must be at least 0"):
        BinaryMaskError(noise_weight=-1.0)
