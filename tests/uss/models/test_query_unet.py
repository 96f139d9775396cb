"""The UNet that looks once: queries do not touch each other, the trunk does not know them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from uss.core.errors import InputError
from uss.models import MaskModel, QueryUNet, SeparationModel
from uss.models.competition import compete
from uss.taggers import EfficientAT

SMALL: dict[str, Any] = {
    "channels": (4, 6, 8),
    "fold": 4,
    "num_maps": 5,
    "query_size": 12,
    "num_heads": 3,
    "ear_width": None,
    "n_fft": 256,
    "hop_length": 128,
}
WITH_EAR: dict[str, Any] = SMALL | {"channels": (2, 2, 3, 3, 4, 4), "ear_width": 0.1, "fold": 2}


def make_model(**changes: Any) -> QueryUNet:
    torch.manual_seed(0)
    return QueryUNet("fake-5", 5, **(SMALL | changes)).eval()


@pytest.fixture(params=[SMALL, WITH_EAR], ids=["deaf", "with an ear"])
def model(request: pytest.FixtureRequest) -> QueryUNet:
    return make_model(**request.param)


@pytest.fixture
def mixture() -> Tensor:
    return 0.1 * torch.randn(3, 2, 8_000, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def condition() -> Tensor:
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(1))


def test_it_is_a_mask_model_that_competes(model: QueryUNet) -> None:
    assert isinstance(model, SeparationModel) and isinstance(model, MaskModel)
    assert model.joint and not make_model(joint=False).joint


@pytest.mark.parametrize("num_samples", [200, 4_095, 8_000])
def test_output_has_the_shape_of_the_mixture(
    model: QueryUNet, condition: Tensor, num_samples: int
) -> None:
    mixture = torch.randn(3, 2, num_samples, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        output = model(mixture, condition)
    assert output.shape == mixture.shape and torch.isfinite(output).all()


def test_output_scales_with_the_input(model: QueryUNet, mixture: Tensor, condition: Tensor) -> None:
    with torch.inference_mode():
        expected = 0.1 * model(mixture, condition)
        torch.testing.assert_close(model(0.1 * mixture, condition), expected, atol=1e-5, rtol=1e-3)


def test_silence_stays_silent(model: QueryUNet, condition: Tensor) -> None:
    with torch.inference_mode():
        assert model(torch.zeros(3, 1, 4_000), condition).abs().max() == 0.0


def test_gains_are_real_and_never_amplify(
    model: QueryUNet, mixture: Tensor, condition: Tensor
) -> None:
    spectrogram = model.spectrogram(mixture[:, 0])
    with torch.inference_mode():
        mask = model.mask(model.encode(spectrogram), model.modulate(50.0 * condition))
    assert mask.shape == spectrogram.shape
    assert mask.imag.abs().max() == 0.0
    assert mask.real.min() >= 0.0 and mask.real.max() <= 1.0
    assert mask[:, -1].abs().max() == 0.0


def test_queries_asked_together_are_answered_as_alone(model: QueryUNet, mixture: Tensor) -> None:
    conditions = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(mixture[:, 0]))
        together = model.masks(encoded, conditions)
        for number in range(4):
            alone = model.mask(encoded, model.modulate(conditions[:, number]))
            torch.testing.assert_close(together[:, number], alone.real, atol=1e-5, rtol=1e-4)


def test_it_does_what_it_is_asked_for(model: QueryUNet, mixture: Tensor) -> None:
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(mixture[:, 0]))
        first, second = (
            model.mask(encoded, model.modulate(torch.full((3, 5), value))) for value in (-1.0, 1.0)
        )
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_folded_it_computes_the_same(
    model: QueryUNet, mixture: Tensor, condition: Tensor, dtype: torch.dtype, tolerance: float
) -> None:
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "norm" in name:
                value.add_(0.1 * torch.rand_like(value))
        for name, value in model.named_buffers():
            if "running" in name and not name.startswith("ear"):
                value.add_(0.1 * torch.rand_like(value))
        expected = model(mixture, condition)
        assert (model.for_inference(dtype)(mixture, condition) - expected).abs().max() < tolerance


def test_the_ear_is_never_trained() -> None:
    model = make_model(**WITH_EAR).train()
    assert model.ear is not None
    assert not any(module.training for module in model.ear.modules())
    assert not any(parameter.requires_grad for parameter in model.ear.parameters())
    before = {name: value.clone() for name, value in model.ear.state_dict().items()}
    model(torch.randn(2, 1, 8_000), torch.randn(2, 5)).square().sum().backward()
    for name, value in model.ear.state_dict().items():
        assert torch.equal(before[name], value), name


def test_every_other_parameter_is_trained() -> None:
    model = make_model(**WITH_EAR).train()
    model(torch.randn(2, 1, 8_000), torch.randn(2, 5)).square().sum().backward()
    without = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert without == []


def test_an_ear_comes_from_a_tagger_of_its_width() -> None:
    model = make_model(**WITH_EAR, ear="some tagger")
    tagger = EfficientAT(0.1)
    model.start_ear(tagger)
    assert model.ear is not None
    for name, value in tagger.features.state_dict().items():
        assert torch.equal(model.ear.features.state_dict()[name], value)
    with pytest.raises(InputError, match="some tagger is no EfficientAT tagger of the ear's width"):
        model.start_ear(EfficientAT(0.4))
    with pytest.raises(InputError, match="is no EfficientAT"):
        model.start_ear(torch.nn.Linear(2, 2))


def test_where_the_ear_came_from_is_not_kept() -> None:
    """The file that holds the model holds the ear."""
    assert "ear" not in make_model(**WITH_EAR, ear="file").hyperparameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 5}, "5 heads do not divide a query of 12"),
        ({"ear_width": 0.1}, "an ear joins the fourth and sixth of the stages, this has 3"),
        ({"channels": ()}, "channels is empty"),
        ({"fold": 3}, "cannot be folded by 3"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_model(**changes)


def test_shares_are_what_the_masks_win(model: QueryUNet, mixture: Tensor) -> None:
    """One softmax, against the competition of the masks; who is not asked has no part in it."""
    conditions = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(4))
    is_asked = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(mixture[:, 0]))
        shares = model.shares(encoded, conditions, is_asked)
        masks = model.masks(encoded, conditions)
        by_masks = compete(masks * is_asked[:, :, None, None])
    torch.testing.assert_close(shares, by_masks[:, :, :-1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shares[2, 0], masks[2, 0, :-1], atol=1e-5, rtol=1e-4)
    assert not by_masks[:, :, -1].any()
