import json
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from uss.models import BACKBONES, MaskModel, OpenUnmix, SeparationModel

SMALL: dict[str, Any] = {"hidden_size": 12, "n_fft": 256, "hop_length": 64}


def make_model(**changes: Any) -> OpenUnmix:
    torch.manual_seed(0)
    return OpenUnmix("fake-5", 5, **(SMALL | changes)).eval()


@pytest.fixture(scope="module")
def model() -> OpenUnmix:
    return make_model()


@pytest.fixture(scope="module")
def condition() -> Tensor:
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def mixture() -> Tensor:
    return 0.1 * torch.randn(3, 2, 4_000, generator=torch.Generator().manual_seed(2))


def test_it_is_a_mask_model(model: OpenUnmix) -> None:
    assert isinstance(model, SeparationModel)
    assert isinstance(model, MaskModel)
    assert (model.condition_space, model.sample_rate, model.segment_seconds) == (
        "fake-5",
        32_000,
        2.0,
    )


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("num_samples", [129, 1_000, 4_095, 4_096])
def test_output_has_the_shape_of_the_mixture(
    model: OpenUnmix, condition: Tensor, channels: int, num_samples: int
) -> None:
    mixture = torch.randn(3, channels, num_samples, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        output = model(mixture, condition)
    assert output.shape == mixture.shape
    assert output.dtype == torch.float32
    assert torch.isfinite(output).all()


def test_silence_stays_silent(model: OpenUnmix, condition: Tensor) -> None:
    with torch.inference_mode():
        assert not model(torch.zeros(3, 2, 4_000), condition).any()


def test_the_mask_is_real_and_not_negative(
    model: OpenUnmix, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        spectrogram = model.spectrogram(mixture[:, 0])
        encoded = model.encode(spectrogram)
        mask = model.mask(encoded, model.modulate(condition))
    assert encoded.shape == (3, 63, 12)
    assert mask.shape == spectrogram.shape == (3, 129, 63)
    assert mask.dtype == torch.complex64
    assert not mask.imag.any()
    assert mask.real.min() >= 0.0


def test_a_single_frame(model: OpenUnmix, mixture: Tensor, condition: Tensor) -> None:
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(mixture[:, 0])[..., :1])
        assert model.mask(encoded, model.modulate(condition)).shape == (3, 129, 1)


def test_output_shift_and_scale_make_the_mask(
    model: OpenUnmix, mixture: Tensor, condition: Tensor
) -> None:
    """At scale 0 the mask is what the shift says, and where that is negative, 0."""
    model = make_model()
    with torch.inference_mode():
        model.output_scale.zero_()
        model.output_shift.copy_(torch.linspace(-1.0, 1.0, 129))
        encoded = model.encode(model.spectrogram(mixture[:, 0]))
        mask = model.mask(encoded, model.modulate(condition))
    expected = torch.linspace(-1.0, 1.0, 129).clamp(min=0.0)[None, :, None].expand(3, -1, 63)
    torch.testing.assert_close(mask.real, expected)


def test_the_three_steps_are_the_forward_pass(
    model: OpenUnmix, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        spectrogram = model.spectrogram(mixture)
        mask = model.mask(model.encode(spectrogram.mean(dim=1)), model.modulate(condition))
        output = model.waveform(spectrogram * mask[:, None], mixture.shape[-1])
        torch.testing.assert_close(output, model(mixture, condition))


def test_rows_of_a_batch_do_not_touch_each_other(
    model: OpenUnmix, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        together = model(mixture, condition)
        alone = torch.cat([model(mixture[i : i + 1], condition[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0.0, atol=1e-6)


def test_each_bias_changes_the_mask(model: OpenUnmix, mixture: Tensor, condition: Tensor) -> None:
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(mixture[:, 0]))
        before_tanh, before_relu = model.modulate(condition)
        mask = model.mask(encoded, (before_tanh, before_relu))
        other = model.modulate(condition.roll(1, dims=0))
        assert (model.mask(encoded, (other[0], before_relu)) - mask).abs().max() > 1e-3
        assert (model.mask(encoded, (before_tanh, other[1])) - mask).abs().max() > 1e-3


def test_gradients_reach_every_parameter(mixture: Tensor, condition: Tensor) -> None:
    model = make_model().train()
    model(mixture, condition).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # The batch norm after it takes the shift out again, as long as it normalises batches.
        assert parameter.grad.abs().sum() > 0.0 or name == "input_shift", name


def test_silence_gives_finite_gradients(condition: Tensor) -> None:
    model = make_model().train()
    (model(torch.zeros(3, 1, 4_000), condition) - 0.1).abs().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_training_steps_separate_two_tones() -> None:
    model = make_model(hidden_size=16, num_layers=1).train()
    time = torch.arange(2_000) / 32_000
    phases = 6.28 * torch.rand(6, 1, generator=torch.Generator().manual_seed(6))
    low = 0.1 * torch.sin(6.2832 * 1_000 * time + phases)[:, None]
    high = 0.1 * torch.sin(6.2832 * 6_000 * time + phases)[:, None]
    conditions = torch.eye(5)[[0, 0, 0, 1, 1, 1]]
    targets = torch.cat([low[:3], high[3:]])
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        loss = (model(low + high, conditions) - targets).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


def test_a_single_layer_comes_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_model(num_layers=1).hyperparameters["dropout"] == 0.4


def test_dropout_works_in_training_only(mixture: Tensor, condition: Tensor) -> None:
    model = make_model()
    with torch.inference_mode():
        assert torch.equal(model(mixture, condition), model(mixture, condition))
        model.lstm.train()
        assert not torch.equal(model(mixture, condition), model(mixture, condition))


def test_hyperparameters_make_the_same_network(model: OpenUnmix) -> None:
    stored = json.loads(json.dumps(model.hyperparameters))
    again = BACKBONES["OpenUnmix"](**stored)
    again.load_state_dict(model.state_dict())
    assert again.hyperparameters == model.hyperparameters == stored
    assert "window" not in model.state_dict()


def test_the_default_is_built_without_memory() -> None:
    with torch.device("meta"):
        model = OpenUnmix("cnn14-2048", 2048)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert (model.n_fft, model.hop_length, len(model.input_scale)) == (2048, 320, 1025)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 0}, "hidden_size 0.*at least 1"),
        ({"hidden_size": 7}, "hidden_size 7 .*must be even"),
        ({"num_layers": 0}, "num_layers 0.*at least 1"),
        ({"dropout": 1.0}, r"dropout 1\.0 is out of range"),
        ({"n_fft": 255}, "n_fft 255 must be even"),
        ({"hop_length": 0}, "hop_length 0"),
    ],
)
def test_arguments_that_make_no_network(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_model(**changes)
