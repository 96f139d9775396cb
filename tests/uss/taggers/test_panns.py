import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uss.taggers import (
    NUM_CLASSES,
    TAGGERS,
    Cnn6,
    Cnn10,
    Cnn14,
    Cnn14DecisionLevelMax,
    Tagger,
    TaggerNetwork,
)

State = dict[str, torch.Tensor]
Published = Callable[[str], dict[str, Any]]

# Four or five poolings leave one time step of 16 or 32 frames, 320 samples apart.
ONE_STEP_SAMPLES = {512: 15 * 320, 2048: 31 * 320}


@pytest.fixture(scope="module")
def cnn6(published: Published) -> Cnn6:
    return Cnn6.from_state_dict(published("cnn6"), "cnn6.pth")


@pytest.fixture(scope="module")
def cnn10(published: Published) -> Cnn10:
    return Cnn10.from_state_dict(published("cnn10"), "cnn10.pth")


@pytest.fixture(scope="module")
def detector(cnn14: Cnn14) -> Cnn14DecisionLevelMax:
    """Cnn14_DecisionLevelMax with the entries of ``cnn14``, which has the same names."""
    model = Cnn14DecisionLevelMax()
    model.load_state_dict(cnn14.state_dict())
    return model.eval()


@pytest.fixture(params=["cnn6", "cnn10", "cnn14", "detector"])
def tagger(request: pytest.FixtureRequest) -> TaggerNetwork:
    network: TaggerNetwork = request.getfixturevalue(request.param)
    return network


def noise(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)
    return torch.from_numpy((0.1 * values).astype(np.float32))


def segments_of_five_seconds() -> torch.Tensor:
    """(3, 64000), the input of ``hierarchy.npz``."""
    gains = np.repeat(np.array([1.0, 0.02, 0.5, 0.0, 1.0], np.float32), 32_000)
    waveform = noise(12, (160_000,)) * torch.from_numpy(gains)
    return torch.nn.functional.pad(waveform, (0, 32_000)).reshape(3, 64_000)


def test_cnn14_gives_the_published_numbers(cnn14: Cnn14, shared: Path) -> None:
    with torch.inference_mode():
        output = cnn14(segments_of_five_seconds())
    expected = np.load(shared / "parity" / "hierarchy.npz")["probabilities"]
    np.testing.assert_allclose(output.clipwise, expected, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("name", ["cnn6", "cnn10"])
def test_small_networks_give_the_published_numbers(
    name: str, shared: Path, request: pytest.FixtureRequest
) -> None:
    reference = np.load(shared / "parity" / "cnn6_cnn10.npz")
    with torch.inference_mode():
        output = request.getfixturevalue(name)(noise(15, (1, 64_000)))
    for part in ("clipwise", "embedding"):
        got = getattr(output, part)[0]
        np.testing.assert_allclose(got, reference[f"{name}_{part}"], atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("num_samples", [16_000, 40_000])
def test_cnn14_is_the_library_s(cnn14: Cnn14, num_samples: int) -> None:
    waveform = noise(1, (2, num_samples))
    with torch.inference_mode():
        output = cnn14(waveform)
        expected = cnn14.network(waveform)
    assert torch.equal(output.clipwise, expected["clipwise_output"])
    assert torch.equal(output.embedding, expected["embedding"])


def test_a_loaded_cnn14_is_a_loaded_library_network(cnn14: Cnn14, cnn14_state: State) -> None:
    from uss.taggers.panns_library import panns_models

    network = panns_models().Cnn14(32_000, 1024, 320, 64, 50, 14_000, 527)
    missing, unexpected = network.load_state_dict(cnn14_state, strict=False)
    assert not unexpected
    assert all("stft" in name or "melW" in name or "batches" in name for name in missing)
    waveform = noise(1, (1, 32_000))
    with torch.inference_mode():
        expected = network.eval()(waveform)["clipwise_output"]
        assert torch.equal(cnn14(waveform).clipwise, expected)


@pytest.mark.parametrize("num_samples", [16_000, 40_000])
def test_the_detector_is_the_library_s(detector: Cnn14DecisionLevelMax, num_samples: int) -> None:
    waveform = noise(1, (2, num_samples))
    with torch.inference_mode():
        output = detector(waveform)
        expected = detector.network(waveform)
        # The embedding is what the last layer takes, so its logits' mean is that layer's output.
        logits = detector.network.get_submodule("fc_audioset")(output.embedding)
    assert torch.equal(output.clipwise, expected["clipwise_output"])
    assert torch.equal(output.framewise, expected["framewise_output"])
    assert output.framewise.shape[1] == num_samples // 320 + 1
    steps = torch.logit(output.framewise[:, : num_samples // 320 // 32 * 32 : 32].double())
    torch.testing.assert_close(logits.double(), steps.mean(dim=1), atol=1e-4, rtol=1e-4)


def test_the_library_is_run_once_and_left_as_it_was(cnn14: Cnn14) -> None:
    calls: list[int] = []
    layer = cnn14.network.get_submodule("conv_block1")
    watched = cnn14.network.get_submodule("conv_block6")
    hooks = list(watched._forward_hooks)
    handle = layer.register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        cnn14(torch.zeros(1, 16_000))
    handle.remove()
    assert len(calls) == 1
    assert list(watched._forward_hooks) == hooks


def test_threads_that_share_a_network_get_each_their_own_framewise_output(cnn14: Cnn14) -> None:
    waveforms = torch.rand(6, 1, 16_000, generator=torch.Generator().manual_seed(0)) - 0.5

    def framewise(waveform: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return cnn14(waveform).framewise

    alone = [framewise(waveform) for waveform in waveforms]
    assert not torch.equal(alone[0], alone[1])
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(framewise, waveforms))
    torch.testing.assert_close(together, alone)


def test_framewise_of_one_step_is_the_clip_s_own_probability(tagger: TaggerNetwork) -> None:
    """With one time step, maximum and mean over time are that step."""
    waveform = noise(2, (1, ONE_STEP_SAMPLES[tagger.embedding_size]))
    with torch.inference_mode():
        output = tagger(waveform)
    frames = output.framewise[0]
    torch.testing.assert_close(frames, output.clipwise.expand_as(frames), atol=1e-6, rtol=0.0)


def test_framewise_is_centred_where_the_sound_is(tagger: TaggerNetwork) -> None:
    """A tone burst of 0.2 s in noise: the change it makes has its centre where the burst has."""
    centre_seconds = 3.5
    quiet = noise(1, (1, 6 * 32_000))
    start = int(centre_seconds * 32_000) - 3_200
    loud = quiet.clone()
    loud[0, start : start + 6_400] += 0.3 * torch.sin(
        2.0 * torch.pi * 1000.0 * torch.arange(6_400) / 32_000
    )
    with torch.inference_mode():
        change = (tagger(loud).framewise - tagger(quiet).framewise)[0].abs().sum(dim=1) ** 2
    times = torch.arange(len(change)) / tagger.frames_per_second
    centre = float((times * change).sum() / change.sum())
    assert centre == pytest.approx(centre_seconds, abs=0.06)


@pytest.mark.parametrize("num_samples", [0, 1, 511, 4_799, 9_919])
def test_short_audio_is_padded_with_zeros(tagger: TaggerNetwork, num_samples: int) -> None:
    short = noise(3, (2, num_samples))
    missing = max(0, ONE_STEP_SAMPLES[tagger.embedding_size] - num_samples)
    with torch.inference_mode():
        output = tagger(short)
        expected = tagger(torch.nn.functional.pad(short, (0, missing)))
    assert torch.equal(output.clipwise, expected.clipwise)
    assert torch.equal(output.embedding, expected.embedding)
    num_frames = int(num_samples / 32_000 * tagger.frames_per_second) + 1
    assert output.clipwise.shape == (2, NUM_CLASSES)
    assert output.framewise.shape == (2, num_frames, NUM_CLASSES)
    assert output.embedding.shape == (2, tagger.embedding_size)


@pytest.mark.parametrize("num_samples", [10_239, 10_240, 16_000, 64_000, 66_000])
def test_framewise_covers_the_waveform(tagger: TaggerNetwork, num_samples: int) -> None:
    with torch.inference_mode():
        num_frames = tagger(noise(4, (1, num_samples))).framewise.shape[1]
    last_seconds = (num_frames - 1) / tagger.frames_per_second
    assert last_seconds <= num_samples / 32_000 < last_seconds + 1 / tagger.frames_per_second


def test_a_batch_is_tagged_as_its_rows(tagger: TaggerNetwork) -> None:
    batch = noise(5, (3, 20_000)) * torch.tensor([[1.0], [0.1], [0.0]])
    with torch.inference_mode():
        together = tagger(batch)
        alone = [tagger(row[None]) for row in batch]
    for part in ("clipwise", "framewise", "embedding"):
        expected = torch.cat([getattr(output, part) for output in alone])
        torch.testing.assert_close(getattr(together, part), expected, atol=2e-5, rtol=1e-4)


def test_probabilities_of_silence_are_finite(tagger: TaggerNetwork) -> None:
    with torch.inference_mode():
        output = tagger(torch.zeros(1, 64_000))
    assert torch.isfinite(output.embedding).all()
    for probability in (output.clipwise, output.framewise):
        assert ((probability >= 0.0) & (probability <= 1.0)).all()


def test_training_reaches_every_parameter(tagger: TaggerNetwork) -> None:
    """SpecAugment needs more frames than the network itself; dropout makes two runs differ."""
    learner = copy.deepcopy(tagger).train()
    waveform = noise(6, (2, 1))
    first, second = learner(waveform), learner(waveform)
    assert not torch.equal(first.embedding, second.embedding)
    sum(part.mean() for part in first).backward()
    parameters = dict(learner.named_parameters())
    assert [name for name, value in parameters.items() if value.grad is None] == []


def test_constants_of_the_library_are_neither_stored_nor_trained(cnn14: Cnn14) -> None:
    assert not [name for name in cnn14.state_dict() if "stft" in name or "melW" in name]
    assert all(parameter.requires_grad for parameter in cnn14.parameters())


@pytest.mark.parametrize(
    ("name", "frames_per_second", "embedding_size"),
    [
        ("cnn6", 6.25, 512),
        ("cnn10", 6.25, 512),
        ("cnn14", 3.125, 2048),
        ("cnn14-decision-level-max", 100.0, 2048),
    ],
)
def test_it_is_a_tagger(
    name: str, frames_per_second: float, embedding_size: int, request: pytest.FixtureRequest
) -> None:
    fixture = "detector" if name.endswith("max") else name
    tagger = request.getfixturevalue(fixture)
    assert isinstance(tagger, Tagger)
    assert (tagger.name, tagger.sample_rate) == (name, 32_000)
    assert (tagger.frames_per_second, tagger.embedding_size) == (frames_per_second, embedding_size)
    assert not tagger.training


def test_it_is_built_again_from_class_name_and_hyperparameters(tagger: TaggerNetwork) -> None:
    again = TAGGERS[type(tagger).__name__](**tagger.hyperparameters)
    again.load_state_dict(tagger.state_dict(), strict=True)


@pytest.mark.parametrize("kind", [Cnn14, Cnn14DecisionLevelMax])
def test_a_missing_entry_of_cnn14_is_named(
    cnn14_state: State, kind: type[Cnn14] | type[Cnn14DecisionLevelMax]
) -> None:
    name = "conv_block6.bn2.running_var"
    del (broken := dict(cnn14_state))[name]
    with pytest.raises(ValueError, match=rf"my\.pth does not fit the Cnn14.*it lacks {name}"):
        kind.from_state_dict(broken, "my.pth")


def test_bad_entries_of_the_small_networks_are_named(published: Published) -> None:
    del (broken := published("cnn6"))["conv_block2.conv1.weight"]
    with pytest.raises(ValueError, match=r"Cnn6.*it lacks conv_block2\.conv1\.weight"):
        Cnn6.from_state_dict(broken, "my.pth")
    broken = published("cnn10") | {"fc1.bias": torch.zeros(3), "fc9.bias": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"unknown entries fc9\.bias; .*fc1\.bias \(\(3,\) inst"):
        Cnn10.from_state_dict(broken, "my.pth")


def test_constants_of_a_file_are_accepted(published: Published) -> None:
    constants = {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(513, 1, 1024),
        "logmel_extractor.melW": torch.zeros(513, 64),
        "bn0.num_batches_tracked": torch.tensor(7),
    }
    Cnn10.from_state_dict(published("cnn10") | constants, "cnn10.pth")
