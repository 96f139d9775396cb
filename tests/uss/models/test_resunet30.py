import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uss.core.state_dicts import is_constant
from uss.models import BACKBONES, MaskModel, ResUNet30, ResUNet60, SeparationModel, UNet

SMALL: dict[str, Any] = {"channels": (4, 6, 8), "n_fft": 256, "hop_length": 64}
CLASSES = [ResUNet30, ResUNet60, UNet]
StateDict = dict[str, Tensor]


def make_model(cls: type[ResUNet30] = ResUNet30, **changes: Any) -> ResUNet30:
    torch.manual_seed(0)
    return cls("fake-5", 5, **(SMALL | changes)).eval()


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)


@pytest.fixture(scope="module", params=CLASSES, ids=lambda cls: cls.__name__)
def model(request: pytest.FixtureRequest) -> ResUNet30:
    return make_model(request.param)


@pytest.fixture(scope="module")
def condition() -> Tensor:
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def mixture() -> Tensor:
    return 0.1 * torch.randn(3, 2, 4_000, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def at_soft(published: Callable[[str], StateDict]) -> StateDict:
    return published("resunet30_at_soft")


class TestPublishedWeights:
    @pytest.mark.parametrize(
        ("name", "space", "num_samples"),
        [
            ("resunet30_at_soft", "audioset-527", 64_000),
            ("resunet30_embedding", "cnn14-2048", 64_000),
            ("resunet30_audiosep", "clap-512", 160_000),
        ],
    )
    def test_the_output_is_that_of_the_published_network(
        self,
        published: Callable[[str], StateDict],
        shared: Path,
        name: str,
        space: str,
        num_samples: int,
    ) -> None:
        model = ResUNet30.from_state_dict(published(name), name)
        size = int(space.partition("-")[2])
        condition = np.abs(noise((1, size), 8))
        if space == "audioset-527":
            condition = np.clip(condition / 3.0, 0.0, 1.0)
        mixture = torch.from_numpy((0.1 * noise((1, 1, num_samples), 7)).astype(np.float32))
        with torch.inference_mode():
            output = model(mixture, torch.from_numpy(condition.astype(np.float32)))
        expected = torch.from_numpy(np.load(shared / "parity" / f"{name}.npz")["waveform"])
        assert expected.abs().max() > 0.05
        # Measured: 7e-7.
        torch.testing.assert_close(output, expected, rtol=0.0, atol=1e-5)
        assert (model.condition_space, model.training) == (space, False)

    def test_entries_have_the_published_names_and_shapes(self, shared: Path) -> None:
        path = shared / "parity" / "resunet30_embedding.shapes.json"
        expected = {
            name: tuple(shape)
            for name, shape in json.loads(path.read_text()).items()
            if not is_constant(name, ResUNet30.constants)
        }
        with torch.device("meta"):
            model = ResUNet30("cnn14-2048", 2048)
        entries = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        constants = ResUNet30.constants
        assert expected == {n: s for n, s in entries.items() if not is_constant(n, constants)}
        assert all(value.is_meta for value in model.state_dict().values())

    def test_transform_kernels_are_discarded(self, at_soft: StateDict) -> None:
        kernels = {"base.stft.conv_real.weight": torch.zeros(1025, 1, 2048)}
        model = ResUNet30.from_state_dict(at_soft | kernels, "file")
        assert not any("stft" in name for name in model.state_dict())

    def test_the_space_of_the_conditions_can_be_named(self, at_soft: StateDict) -> None:
        model = ResUNet30.from_state_dict(at_soft, "file", "other-527")
        assert model.condition_space == model.hyperparameters["condition_space"] == "other-527"

    def test_a_missing_entry_is_named(self, at_soft: StateDict) -> None:
        state = {n: v for n, v in at_soft.items() if n != "base.decoder_block3.bn2.bias"}
        with pytest.raises(ValueError, match=r"a\.ckpt .*lacks base\.decoder_block3\.bn2\.bias;"):
            ResUNet30.from_state_dict(state, "a.ckpt")

    def test_an_unknown_entry_is_named(self, at_soft: StateDict) -> None:
        with pytest.raises(ValueError, match=r"a\.ckpt .*unknown entries base\.extra"):
            ResUNet30.from_state_dict(at_soft | {"base.extra": torch.zeros(1)}, "a.ckpt")

    def test_an_entry_of_the_wrong_shape_is_named(self, at_soft: StateDict) -> None:
        state = at_soft | {"base.after_conv.bias": torch.zeros(4)}
        with pytest.raises(ValueError, match=r"base\.after_conv\.bias \(\(4,\) instead of \(3,\)"):
            ResUNet30.from_state_dict(state, "a.ckpt")

    def test_film_layers_of_different_condition_sizes(self, at_soft: StateDict) -> None:
        name = "film.decoder_block6->beta1.weight"
        with pytest.raises(ValueError, match=rf"{name} \(\(64, 9\) instead of \(64, 527\)\)"):
            ResUNet30.from_state_dict(at_soft | {name: torch.zeros(64, 9)}, "a.ckpt")

    def test_weights_of_another_depth(self, at_soft: StateDict) -> None:
        with pytest.raises(ValueError, match="does not fit the ResUNet60"):
            ResUNet60.from_state_dict(at_soft, "a.ckpt")

    def test_a_state_without_film_layers(self, at_soft: StateDict) -> None:
        state = {name: value for name, value in at_soft.items() if not name.startswith("film.")}
        with pytest.raises(ValueError, match=r"a\.ckpt holds no weight film\."):
            ResUNet30.from_state_dict(state, "a.ckpt")

    def test_conditions_of_unknown_size(self) -> None:
        state = {"film.encoder_block1->conv_block1->beta1.weight": torch.zeros(32, 100)}
        with pytest.raises(ValueError, match=r"size 100, .*name their space"):
            ResUNet30.from_state_dict(state, "a.ckpt")
        with pytest.raises(ValueError, match="it lacks base"):
            ResUNet30.from_state_dict(state, "a.ckpt", "mine-100")


def test_it_is_a_mask_model(model: ResUNet30) -> None:
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
    model: ResUNet30, condition: Tensor, channels: int, num_samples: int
) -> None:
    mixture = torch.randn(3, channels, num_samples, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        output = model(mixture, condition)
    assert output.shape == mixture.shape
    assert output.dtype == torch.float32
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("frames", [1, 3, 4, 5])
def test_masks_of_any_number_of_frames(
    model: ResUNet30, mixture: Tensor, condition: Tensor, frames: int
) -> None:
    """Frames are padded to a multiple of 2 ** (stages - 1), here 4."""
    with torch.inference_mode():
        spectrogram = model.spectrogram(mixture[:, 0])[..., :frames]
        mask = model.mask(model.encode(spectrogram), model.modulate(condition))
    assert mask.shape == (3, 129, frames)


def test_silence_stays_silent(model: ResUNet30, condition: Tensor) -> None:
    with torch.inference_mode():
        assert not model(torch.zeros(3, 1, 4_000), condition).any()


def test_one_mask_serves_all_channels(model: ResUNet30, mixture: Tensor, condition: Tensor) -> None:
    stereo = torch.stack([mixture[:, 0], mixture[:, 0]], dim=1)
    with torch.inference_mode():
        output, mono = model(stereo, condition), model(mixture[:, :1], condition)
        torch.testing.assert_close(output, mono.expand(-1, 2, -1), rtol=0.0, atol=1e-6)
        # The mask is estimated on the mean, so a channel that is silent stays silent.
        assert not model(mixture * torch.tensor([1.0, 0.0])[:, None], condition)[:, 1].any()


def test_rows_of_a_batch_do_not_touch_each_other(
    model: ResUNet30, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        together = model(mixture, condition)
        alone = torch.cat([model(mixture[i : i + 1], condition[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0.0, atol=1e-6)


def test_the_condition_changes_the_output(
    model: ResUNet30, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        difference = model(mixture, condition) - model(mixture, condition.roll(1, dims=0))
    assert difference.abs().max() > 1e-4


def test_every_bias_that_is_read_changes_the_mask(mixture: Tensor, condition: Tensor) -> None:
    model = make_model()
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(mixture[:, 0]))
        biases = model.modulate(condition)
        mask = model.mask(encoded, biases)
        # Two per residual block of 3 encoder stages, bottleneck and 3 decoder stages, and one per
        # decoder stage.
        assert len(biases) == 2 * 7 + 3
        for place, bias in enumerate(biases):
            changed = (*biases[:place], bias + 1.0, *biases[place + 1 :])
            assert (model.mask(encoded, changed) - mask).abs().max() > 1e-4, place


def test_the_three_steps_are_the_forward_pass(
    model: ResUNet30, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        spectrogram = model.spectrogram(mixture)
        mask = model.mask(model.encode(spectrogram.mean(dim=1)), model.modulate(condition))
        output = model.waveform(spectrogram * mask[:, None], mixture.shape[-1])
        torch.testing.assert_close(output, model(mixture, condition))


def test_mask_magnitudes_are_at_most_1_and_the_top_bin_is_0(
    model: ResUNet30, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        spectrogram = model.spectrogram(mixture.mean(dim=1))
        mask = model.mask(model.encode(spectrogram), model.modulate(50.0 * condition))
    assert mask.shape == spectrogram.shape == (3, 129, 63)
    assert mask.is_complex()
    assert mask.abs().max() <= 1.0 + 1e-6
    assert not mask[:, -1].any()
    assert mask[:, :-1].abs().min() > 0.0


def test_the_encoding_is_the_magnitude_with_its_floor(model: ResUNet30) -> None:
    """A new batch norm passes values on, but for its epsilon of 1e-5."""
    spectrogram = torch.zeros(1, 129, 2, dtype=torch.complex64)
    spectrogram[0, 3, 1] = 3.0 + 4.0j
    with torch.inference_mode():
        encoded = model.encode(spectrogram)
    assert encoded.shape == (1, 1, 2, 128)
    expected = torch.full((1, 1, 2, 128), 1e-5)
    expected[0, 0, 1, 3] = 5.0
    torch.testing.assert_close(encoded, expected, rtol=1e-4, atol=0.0)


def test_gradients_reach_all_parameters_but_those_nothing_reads(
    model: ResUNet30, mixture: Tensor, condition: Tensor
) -> None:
    model = make_model(type(model)).train()
    model(mixture, condition).abs().mean().backward()
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert frozen == {
        f"{path}.{kind}"
        for stage in ("decoder_block1", "decoder_block2", "decoder_block3")
        for path in (f"base.{stage}.bn2", f"film.{stage}->beta2")
        for kind in ("weight", "bias")
    }
    for name, parameter in model.named_parameters():
        if name in frozen:
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().sum() > 0.0, name


def test_silence_gives_finite_gradients(condition: Tensor) -> None:
    model = make_model().train()
    (model(torch.zeros(3, 1, 4_000), condition) - 0.1).abs().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_what_nothing_reads_does_not_change_the_output(mixture: Tensor, condition: Tensor) -> None:
    model = make_model()
    with torch.inference_mode():
        before = model(mixture, condition)
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter += 1.0
        assert torch.equal(model(mixture, condition), before)


def test_a_new_network_leaves_the_phase_alone(
    model: ResUNet30, mixture: Tensor, condition: Tensor
) -> None:
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(mixture[:, 0]))
        mask = model.mask(encoded, model.modulate(condition))[:, :-1]
    assert mask.angle().abs().median() < 1.0


def test_training_steps_separate_two_tones() -> None:
    model = make_model().train()
    time = torch.arange(4_000) / 32_000
    phases = 6.28 * torch.rand(6, 1, generator=torch.Generator().manual_seed(6))
    low = 0.1 * torch.sin(6.2832 * 1_000 * time + phases)[:, None]
    high = 0.1 * torch.sin(6.2832 * 6_000 * time + phases)[:, None]
    conditions = torch.eye(5)[[0, 0, 0, 1, 1, 1]]
    targets = torch.cat([low[:3], high[3:]])
    optimiser = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 1e-2)
    losses = []
    for _ in range(40):
        loss = (model(low + high, conditions) - targets).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize(
    ("cls", "num_convolutions"), [(ResUNet30, 34), (ResUNet60, 60), (UNet, 34)]
)
def test_the_depth_is_as_documented(cls: type[ResUNet30], num_convolutions: int) -> None:
    with torch.device("meta"):
        model = cls("audioset-527", 527)
    convolutions = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and "shortcut" not in name
    ]
    assert len(convolutions) == num_convolutions


def test_a_unet_has_no_shortcuts(mixture: Tensor, condition: Tensor) -> None:
    """With the last convolution of each block at zero, nothing of the mixture passes."""
    models = {cls: make_model(cls) for cls in (ResUNet30, UNet)}
    spread = {}
    for cls, model in models.items():
        with torch.inference_mode():
            for name, parameter in model.named_parameters():
                if name.endswith("conv2.weight"):
                    parameter.zero_()
            encoded = model.encode(model.spectrogram(mixture[:, 0]))
            spread[cls] = model.mask(encoded, model.modulate(condition))[:, :-1].abs().std()
    assert "shortcut" not in " ".join(models[UNet].state_dict())
    assert spread[UNet] < 1e-6 < 1e-4 < spread[ResUNet30]


@pytest.mark.parametrize(("channels", "n_fft"), [((3,), 64), ((2, 4), 64), ((4, 6, 8, 8, 6), 256)])
def test_channels_set_width_and_depth(channels: tuple[int, ...], n_fft: int) -> None:
    model = make_model(channels=channels, n_fft=n_fft, hop_length=n_fft // 4)
    names = {name.split(".")[1] for name in model.state_dict() if name.startswith("base.")}
    assert f"conv_block{len(channels) + 1}a" in names
    assert sum(name.startswith("encoder_block") for name in names) == len(channels)
    with torch.inference_mode():
        assert model(torch.randn(2, 1, 1_000), torch.randn(2, 5)).shape == (2, 1, 1_000)


def test_hyperparameters_make_the_same_network(model: ResUNet30) -> None:
    stored = json.loads(json.dumps(model.hyperparameters))
    again = BACKBONES[type(model).__name__](**stored)
    again.load_state_dict(model.state_dict())
    assert again.hyperparameters == model.hyperparameters == stored
    assert type(again) is type(model)


def test_variants_can_be_combined() -> None:
    model = make_model(ResUNet60, shortcuts=False)
    assert model.hyperparameters["blocks_per_stage"] == 2
    assert "shortcut" not in " ".join(model.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": ()}, "channels is empty"),
        ({"channels": (4, 0)}, r"channels \[4, 0\].*at least 1"),
        ({"blocks_per_stage": 0}, "blocks_per_stage 0.*at least 1"),
        ({"hop_length": 0}, "hop_length 0"),
        ({"features_from": "default"}, "set features, or leave it out"),
        ({"n_fft": 0}, "n_fft 0"),
        ({"n_fft": 255}, "n_fft 255"),
        ({"channels": (4,) * 8}, "n_fft 256: 128 bins cannot be halved 8 times"),
    ],
)
def test_arguments_that_make_no_network(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_model(**changes)


def test_as_many_stages_as_the_bins_allow() -> None:
    make_model(channels=(2,) * 7, n_fft=256)


def test_an_unknown_option() -> None:
    with pytest.raises(TypeError, match="chanels"):
        make_model(UNet, chanels=(4, 4))
