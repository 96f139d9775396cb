import pytest
import torch

from uss.models import BACKBONES, BlindUNet, MaskModel, stems_of_space
from uss.models.blind_unet import Consistency


def small(num_stems: int = 4, consistency: Consistency = "energy") -> BlindUNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BlindUNet(
            num_stems, consistency=consistency, channels=(4, 8), n_fft=256, hop_length=64
        )
    # Fresh norms let masks differ hardly; these make them differ.
    torch.nn.init.normal_(model.after_conv.weight, std=2.0, generator=torch.manual_seed(1))
    return model.eval()


@pytest.fixture
def mixture() -> torch.Tensor:
    return 0.1 * torch.randn(3, 2_000, generator=torch.manual_seed(2))


@pytest.mark.parametrize("consistency", ["energy", "uniform"])
@pytest.mark.parametrize("num_stems", [2, 4, 8])
def test_stems_differ_and_add_up_to_the_mixture(
    num_stems: int, consistency: Consistency, mixture: torch.Tensor
) -> None:
    model = small(num_stems, consistency)
    with torch.inference_mode():
        stems = model.stems(mixture)
    assert stems.shape == (3, num_stems, 2_000)
    torch.testing.assert_close(stems.sum(dim=1), mixture, atol=1e-6, rtol=0.0)
    assert (stems[:, 0] - stems[:, 1]).abs().max() > 1e-2


def test_what_is_lacking_goes_to_who_has_most_or_to_all_alike() -> None:
    """Gains of 0.3 and 0.1 lack 0.6; their squares are as 9 to 1."""
    gains = torch.tensor([0.3, 0.1])[None, :, None, None]
    by_energy, alike = small(2)._consistent(gains), small(2, "uniform")._consistent(gains)
    torch.testing.assert_close(by_energy.flatten(), torch.tensor([0.84, 0.16]), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(alike.flatten(), torch.tensor([0.6, 0.4]), atol=1e-5, rtol=0.0)


def test_a_stem_is_asked_for_by_its_number(mixture: torch.Tensor) -> None:
    model = small()
    assert isinstance(model, MaskModel)
    assert (model.condition_space, model.condition_size) == ("blind-4", 4)
    with torch.inference_mode():
        stems = model.stems(mixture)
        for number in range(4):
            asked = torch.eye(4)[[number] * 3]
            torch.testing.assert_close(model(mixture[:, None], asked)[:, 0], stems[:, number])
        both = model(mixture[:, None], torch.tensor([[1.0, 0.0, 1.0, 0.0]] * 3))[:, 0]
    torch.testing.assert_close(both, stems[:, 0] + stems[:, 2])


def test_all_masks_at_once_are_those_one_by_one_also_under_autocast(mixture: torch.Tensor) -> None:
    model = small()
    conditions = torch.eye(4)[None].repeat(3, 1, 1)
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(mixture))
        with torch.autocast("cpu", torch.bfloat16):
            masks = model.masks(encoded, conditions)
    assert torch.equal(masks, encoded)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_folded_for_inference_it_gives_the_same_stems(
    dtype: torch.dtype, mixture: torch.Tensor
) -> None:
    model = small()
    model.train()
    with torch.inference_mode():
        model.stems(mixture)  # statistics other than a fresh norm's
    model.eval()
    with torch.inference_mode():
        expected, stems = model.stems(mixture), model.for_inference(dtype).stems(mixture)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(stems, expected, atol=tolerance, rtol=0.0)
    torch.testing.assert_close(stems.sum(dim=1), mixture, atol=1e-6, rtol=0.0)


def test_it_is_built_again_from_its_hyperparameters() -> None:
    model = small(8, "uniform")
    again = BACKBONES["BlindUNet"](**model.hyperparameters)
    again.load_state_dict(model.state_dict())
    assert again.condition_space == "blind-8"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_stems": 1}, "num_stems 1"),
        ({"num_stems": 17}, "2 to 16"),
        ({"consistency": "none"}, "energy or uniform"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        BlindUNet(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("space", "num_stems"),
    [("blind-4", 4), ("blind-16", 16), ("blind-", None), ("audioset-527", None), ("blind-x", None)],
)
def test_a_space_tells_how_many_stems_there_are(space: str, num_stems: int | None) -> None:
    assert stems_of_space(space) == num_stems
