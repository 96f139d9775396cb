import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ontology import Ontology
from uss.audio import read_mono
from uss.taggers import NUM_CLASSES, EfficientAT, Tagger

EXCERPT_SECONDS = 5
EXCERPT_SAMPLES = EXCERPT_SECONDS * EfficientAT.sample_rate


@pytest.fixture(scope="module")
def state(mn04_path: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(mn04_path, map_location="cpu", weights_only=True))


def test_published_weights_give_the_published_numbers(mn04: EfficientAT, shared: Path) -> None:
    reference = np.load(shared / "weights" / "mn04_reference.npz")
    waveform = torch.from_numpy(reference["waveform"])[None]
    with torch.inference_mode():
        logmel = mn04.logmel(waveform)[0]
        output = mn04(waveform)
        logits = mn04.classifier(output.embedding)[0]
    np.testing.assert_allclose(logmel.numpy(), reference["logmel"], atol=1e-4, rtol=0.0)
    np.testing.assert_allclose(output.embedding[0], reference["embedding"], atol=1e-4, rtol=0.0)
    np.testing.assert_allclose(logits.numpy(), reference["logits"], atol=1e-4, rtol=0.0)
    expected = 1.0 / (1.0 + np.exp(-reference["logits"]))
    np.testing.assert_allclose(output.clipwise[0], expected, atol=1e-5, rtol=0.0)


def test_width_0_4_has_the_published_number_of_parameters() -> None:
    model = EfficientAT(width=0.4)
    assert sum(parameter.numel() for parameter in model.parameters()) == 983_599
    assert model.embedding_size == 384


def test_width_1_has_the_channels_of_mobilenet_v3_large() -> None:
    model = EfficientAT(width=1.0)
    assert model.embedding_size == 960
    assert model.classifier[0].weight.shape == (1280, 960)
    depthwise = [
        module.out_channels
        for module in model.modules()
        if isinstance(module, torch.nn.Conv2d) and module.groups > 1
    ]
    assert depthwise == [16, 64, 72, 72, 120, 120, 240, 200, 184, 184, 480, 672, 672, 960, 960]


@pytest.mark.parametrize("width", [0.4, 1.0])
def test_width_is_read_from_the_entries(width: float) -> None:
    source = EfficientAT(width=width)
    loaded = EfficientAT.from_state_dict(source.state_dict(), name="mine")
    assert loaded.width == pytest.approx(width)
    assert loaded.name == "mine"
    assert not loaded.training
    for name, value in source.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan")])
def test_width_must_be_positive(width: float) -> None:
    with pytest.raises(ValueError, match="width must be positive"):
        EfficientAT(width=width)


@pytest.mark.parametrize(
    "name", ["features.4.block.2.conc_se_layers.0.fc1.bias", "features.0.1.weight"]
)
def test_a_missing_entry_is_named(state: dict[str, torch.Tensor], name: str) -> None:
    del (broken := dict(state))[name]
    with pytest.raises(ValueError, match=name):
        EfficientAT.from_state_dict(broken, name="mn04_as")


def test_a_missing_classifier_is_named(state: dict[str, torch.Tensor]) -> None:
    del (broken := dict(state))["classifier.2.weight"]
    with pytest.raises(ValueError, match=r"classifier\.2\.weight"):
        EfficientAT.from_state_dict(broken, name="mn04_as")


def test_an_entry_of_the_wrong_shape_is_named(state: dict[str, torch.Tensor]) -> None:
    broken = state | {"classifier.5.bias": torch.zeros(10)}
    with pytest.raises(ValueError, match=r"classifier\.5\.bias \(\(10,\) instead of \(527,\)\)"):
        EfficientAT.from_state_dict(broken, name="mn04_as")


def test_an_unknown_entry_is_named(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match=r"top\.weight"):
        EfficientAT.from_state_dict(state | {"top.weight": torch.zeros(1)}, name="mn04_as")


@pytest.mark.parametrize("width", [0.1, 0.4])
def test_for_inference_it_is_a_copy_that_says_the_same(width: float) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EfficientAT(width)
        # Batch norms that do something.
        for name, entry in model.state_dict().items():
            if "running" in name or (".1.weight" in name and entry.dim() == 1):
                entry.uniform_(0.5, 1.5)
        waveform = torch.rand(2, 40_000) - 0.5
    model.eval()
    before = {name: entry.clone() for name, entry in model.state_dict().items()}
    fast = model.for_inference()
    with torch.inference_mode():
        expected, output = model(waveform), fast(waveform)
    for ours, theirs in zip(output, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    after = model.state_dict()
    assert all(torch.equal(after[name], entry) for name, entry in before.items())
    assert len(fast.state_dict()) < len(after)


def test_it_is_a_tagger(mn04: EfficientAT) -> None:
    assert isinstance(mn04, Tagger)
    assert mn04.sample_rate == 32_000
    assert mn04.frames_per_second == 3.125


@pytest.mark.parametrize(("seconds", "num_frames"), [(1, 4), (2, 7), (4, 13), (10, 32)])
def test_framewise_shape_follows_the_rate(mn04: EfficientAT, seconds: int, num_frames: int) -> None:
    with torch.inference_mode():
        output = mn04(torch.zeros(2, seconds * 32_000))
    assert output.clipwise.shape == (2, NUM_CLASSES)
    assert output.framewise.shape == (2, num_frames, NUM_CLASSES)
    assert output.embedding.shape == (2, 384)
    # The last frame is centred within the waveform, and the next would not be.
    assert (num_frames - 1) / mn04.frames_per_second < seconds <= num_frames / 3.125


def test_framewise_is_centred_where_the_sound_is(mn04: EfficientAT, ontology: Ontology) -> None:
    """A beep in the middle of eight seconds of silence peaks in the middle frame."""
    waveform = torch.zeros(1, 8 * 32_000)
    start = 4 * 32_000 - 8_000
    waveform[0, start : start + 16_000] = 0.3 * torch.sin(
        2.0 * torch.pi * 1000.0 * torch.arange(16_000) / 32_000
    )
    index = ontology.find("Beep, bleep").class_index
    with torch.inference_mode():
        curve = mn04(waveform).framewise[0, :, index]
    assert float(curve.argmax()) / mn04.frames_per_second == pytest.approx(4.0, abs=0.5)


@pytest.mark.parametrize("num_samples", [0, 1, 8_000, 31_999])
def test_audio_shorter_than_a_second_is_padded_with_zeros(
    mn04: EfficientAT, rng: np.random.Generator, num_samples: int
) -> None:
    short = torch.from_numpy(0.1 * rng.standard_normal((1, num_samples)).astype(np.float32))
    padded = torch.zeros(1, 32_000)
    padded[:, :num_samples] = short
    with torch.inference_mode():
        for got, expected in zip(mn04(short), mn04(padded), strict=True):
            assert torch.equal(got, expected)


def test_silence_gives_finite_probabilities(mn04: EfficientAT) -> None:
    with torch.inference_mode():
        output = mn04(torch.zeros(1, 64_000))
    assert torch.isfinite(output.embedding).all()
    assert ((output.clipwise >= 0.0) & (output.clipwise <= 1.0)).all()


class LabelledClip(NamedTuple):
    mids: frozenset[str]
    class_index: int
    waveform: NDArray[np.float32]


def read_clips(folder: Path, ontology: Ontology) -> Iterator[LabelledClip]:
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "validation" and float(row["seconds"]) >= EXCERPT_SECONDS:
                mids = row["mids"].split(";")
                class_index = ontology.find(mids[0]).class_index
                assert class_index is not None
                waveform = read_mono(folder / row["path"], EfficientAT.sample_rate)
                yield LabelledClip(frozenset(mids), class_index, waveform)


def cut_excerpt(waveform: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Take a random excerpt, brought to an RMS of 0.1; one that is digital silence is redrawn."""
    while True:
        start = int(rng.integers(len(waveform) - EXCERPT_SAMPLES + 1))
        excerpt = waveform[start : start + EXCERPT_SAMPLES]
        rms = float(np.sqrt(np.square(excerpt, dtype=np.float64).mean()))
        if rms > 0.0:
            return excerpt * np.float32(0.1 / rms)


def test_framewise_probabilities_tell_which_half_holds_a_class(
    mn04: EfficientAT, ontology: Ontology, shared: Path
) -> None:
    """Two excerpts of clips without a common label, one after the other, at equal RMS.

    The mean framewise probability of a clip's most specific class must be higher in its own half.
    It is so for 91 % of the classes; the standard error of 400 trials is 1.4 %.
    """
    num_pairs, batch_size = 200, 8
    rng = np.random.default_rng(0)
    clips = list(read_clips(shared / "audio", ontology))
    pairs: list[tuple[LabelledClip, LabelledClip]] = []
    while len(pairs) < num_pairs:
        first, second = (clips[index] for index in rng.choice(len(clips), 2, replace=False))
        if not first.mids & second.mids:
            pairs.append((first, second))
    hits = 0
    for begin in range(0, num_pairs, batch_size):
        batch = pairs[begin : begin + batch_size]
        waveforms = [np.concatenate([cut_excerpt(clip.waveform, rng) for clip in p]) for p in batch]
        with torch.inference_mode():
            framewise = mn04(torch.from_numpy(np.stack(waveforms))).framewise
        is_first_half = torch.arange(framewise.shape[1]) / mn04.frames_per_second < EXCERPT_SECONDS
        earlier = framewise[:, is_first_half].mean(dim=1)
        later = framewise[:, ~is_first_half].mean(dim=1)
        for row, (first, second) in enumerate(batch):
            hits += int(earlier[row, first.class_index] > later[row, first.class_index])
            hits += int(later[row, second.class_index] > earlier[row, second.class_index])
    share = hits / (2 * num_pairs)
    print(f"framewise localisation: {100 * share:.2f} % of {2 * num_pairs}")
    assert share >= 0.86, f"only {100 * share:.2f} % of the classes lie in their own half"
