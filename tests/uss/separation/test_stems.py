from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from uss.checkpoints.bundle import Bundle
from uss.conditions.class_queries import ClassQueries
from uss.conditions.queries import AudioQuery
from uss.core.runtime import Runtime
from uss.models import ResUNet
from uss.separation.separator import Separator
from uss.separation.stems import Stems, recording_of
from uss.taggers import NUM_CLASSES, EfficientAT, TaggerOutput

RATE = 32_000
NUM_SAMPLES = 60_000
NUM_SEGMENTS = 5
DOG, SPEECH = 74, 0


class GainModel(ResUNet):
    """Lets through as much as the first number of the condition says; counts its masks."""

    def __init__(self) -> None:
        super().__init__(
            "gain-2", 2, channels=(2,), fold=4, n_fft=256, hop_length=128, segment_seconds=0.5
        )
        self.num_masks = 0

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        return (condition[:, :1, None],)

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        self.num_masks += len(encoded)
        ones = torch.ones(len(encoded), self.n_fft // 2 + 1, encoded.shape[-1])
        return (ones * modulation[0]).to(torch.complex64)


class SurelyTagger(EfficientAT):
    """Hears a dog, with 0.9, and speech, with 0.8."""

    def __init__(self) -> None:
        super().__init__(width=0.05, name="surely")

    def forward(self, waveform: Tensor) -> TaggerOutput:
        clipwise = torch.zeros(len(waveform), NUM_CLASSES)
        clipwise[:, DOG], clipwise[:, SPEECH] = 0.9, 0.8
        return TaggerOutput(clipwise, clipwise[:, None], clipwise[:, :48])


def audio_query(name: str, gain: float = 0.125) -> AudioQuery:
    probabilities = np.eye(1, NUM_CLASSES, DOG, dtype=np.float32)[0]
    return AudioQuery(name, "gain-2", np.array([gain, 0.0], np.float32), probabilities)


@pytest.fixture
def separator() -> Separator:
    """Dogs get half of everything, speech a quarter."""
    gains = np.array([[0.25, 0.0], [0.5, 0.0]], np.float32)
    bundle = Bundle(SurelyTagger(), GainModel(), ClassQueries("gain-2", (SPEECH, DOG), gains))
    return Separator(bundle, runtime=Runtime(torch.device("cpu"), torch.float32, batch_size=4))


@pytest.fixture
def waveform(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.uniform(-0.5, 0.5, (2, NUM_SAMPLES)).astype(np.float32)


def num_masks(separator: Separator) -> int:
    assert isinstance(separator.model, GainModel)
    return separator.model.num_masks


def total(stems: Mapping[str, Any]) -> NDArray[np.float64]:
    return np.asarray(sum(np.asarray(stem, np.float64) for stem in stems.values()))


def test_stems_are_a_mapping_most_probable_first(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    stems = separator.separate(waveform, RATE, level=1)
    assert isinstance(stems, Mapping)
    assert list(stems) == ["Animal", "Human sounds"]
    assert len(stems) == 2
    assert "Animal" in stems and "Music" not in stems
    assert repr(stems) == "Stems(Animal: 0.90, Human sounds: 0.80)"
    assert stems.sample_rate == RATE
    assert stems.detections["Animal"].active.all()
    assert stems.analysis.probabilities.shape == (NUM_SEGMENTS, NUM_CLASSES)


@pytest.mark.parametrize("shape", [(NUM_SAMPLES,), (1, NUM_SAMPLES), (2, NUM_SAMPLES)])
@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_stems_are_what_the_waveform_is(
    separator: Separator,
    waveform: NDArray[np.float32],
    shape: tuple[int, ...],
    rate: int,
    wrap: Callable[[Any], Any],
) -> None:
    given = wrap(waveform[: shape[0]] if len(shape) == 2 else waveform[0])
    stems = separator.separate(given, rate, classes=["Dog"])
    for each in (stems["Dog"], stems.residual):
        assert type(each) is type(given)
        assert each.shape == shape
        assert each.dtype == given.dtype
    np.testing.assert_allclose(stems["Dog"] + stems.residual, given, atol=1e-6)
    if rate == RATE:
        np.testing.assert_allclose(stems["Dog"], 0.5 * given, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_are_taken_and_float32_is_given(
    separator: Separator, waveform: NDArray[np.float32], dtype: type
) -> None:
    given = waveform.astype(dtype)
    stems = separator.separate(given, RATE, classes=["Dog"])
    assert stems["Dog"].dtype == np.float32
    np.testing.assert_allclose(stems["Dog"], 0.5 * given.astype(np.float32), atol=1e-6)


def test_a_tensor_that_learns_gives_stems_that_do_not(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    given = torch.from_numpy(waveform).requires_grad_()
    assert not separator.separate(given, RATE)["Domestic animals, pets"].requires_grad


def test_a_stem_is_separated_when_it_is_first_asked_for(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    stems = separator.separate(waveform, RATE, level=1)
    assert list(stems) and len(stems) and repr(stems)
    assert "Animal" in stems and "Dog" not in stems
    assert num_masks(separator) == 0
    first = stems["Animal"]
    assert num_masks(separator) == NUM_SEGMENTS
    np.testing.assert_array_equal(stems["Animal"], first)
    assert num_masks(separator) == NUM_SEGMENTS
    assert stems.residual.shape == waveform.shape
    assert num_masks(separator) == 2 * NUM_SEGMENTS
    assert sorted(stems.items())[1][0] == "Human sounds"
    stems.separate_all()
    assert num_masks(separator) == 2 * NUM_SEGMENTS


def test_stems_and_residual_add_up(separator: Separator, waveform: NDArray[np.float32]) -> None:
    stems = separator.separate(waveform, RATE, level=1)
    np.testing.assert_allclose(stems["Animal"], 0.5 * waveform, atol=1e-6)
    np.testing.assert_allclose(stems["Human sounds"], 0.25 * waveform, atol=1e-6)
    np.testing.assert_allclose(stems.residual, 0.25 * waveform, atol=1e-6)
    np.testing.assert_allclose(total(stems) + stems.residual, waveform, atol=1e-6)


@pytest.mark.parametrize("num_samples", [1, 777, 15_999, 16_001])
def test_short_waveforms_add_up_too(
    separator: Separator, waveform: NDArray[np.float32], num_samples: int
) -> None:
    stems = separator.separate(waveform[:, :num_samples], RATE, level=1, overlap=0.0)
    np.testing.assert_allclose(stems["Animal"], 0.5 * waveform[:, :num_samples], atol=1e-6)
    np.testing.assert_allclose(total(stems) + stems.residual, waveform[:, :num_samples], atol=1e-6)


def test_where_nothing_is_found_the_residual_is_everything(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    stems = separator.separate(waveform, RATE, threshold=0.95)
    assert len(stems) == 0
    with pytest.raises(KeyError, match="'Animal' was not found; there are no stems"):
        stems["Animal"]
    np.testing.assert_array_equal(stems.residual, waveform)
    silence = separator.separate(np.zeros(100, np.float32), RATE, classes=["Dog"])
    assert not silence["Dog"].any()
    assert not silence.residual.any()
    assert num_masks(separator) == 0


def test_with_consistency_all_are_separated_at_once_and_nothing_is_left(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    """Of the missing quarter of the mixture, four fifths go to what has four times the energy."""
    stems = separator.separate(waveform, RATE, level=1, consistency=True)
    animal = stems["Animal"]
    assert num_masks(separator) == 2 * NUM_SEGMENTS
    np.testing.assert_allclose(animal, (0.5 + 0.25 * 0.8) * waveform, atol=1e-5)
    np.testing.assert_allclose(stems["Human sounds"], 0.3 * waveform, atol=1e-5)
    np.testing.assert_allclose(total(stems), waveform, atol=2e-6)
    assert np.abs(stems.residual).max() < 2e-6
    assert num_masks(separator) == 2 * NUM_SEGMENTS


def test_what_must_be_in_no_stem_is_in_the_residual(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    """Of half the mixture, 0.5^2 / (0.5^2 + 0.25^2) is spared by a negative of a quarter."""
    stems = separator.separate(waveform, RATE, level=1, without=["Speech"])
    assert list(stems) == ["Animal"]
    np.testing.assert_allclose(stems["Animal"], 0.5 * 0.8 * waveform, atol=1e-5)
    np.testing.assert_allclose(stems["Animal"] + stems.residual, waveform, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"consistency": True}, {"without": ["Speech"]}])
def test_progress_counts_to_its_total(
    separator: Separator, waveform: NDArray[np.float32], options: dict[str, Any]
) -> None:
    seen: list[tuple[int, int]] = []
    stems = separator.separate(
        waveform, RATE, level=1, progress=lambda *step: seen.append(step), **options
    )
    assert seen == []
    stems.separate_all()
    expected = 2 * NUM_SEGMENTS
    assert seen == [(done, expected) for done in range(1, expected + 1)]


def test_progress_of_one_stem_is_its_own(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    seen: list[tuple[int, int]] = []
    stems = separator.separate(waveform, RATE, level=1, progress=lambda *step: seen.append(step))
    assert stems["Animal"] is not None
    assert seen[-1] == (NUM_SEGMENTS, NUM_SEGMENTS)
    stems.separate_all()
    assert len(seen) == 2 * NUM_SEGMENTS


def test_a_name_that_was_not_separated_says_which_were(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    stems = separator.separate(waveform, RATE, level=1)
    with pytest.raises(KeyError, match="'Dog' was not found; there are Animal, Human sounds"):
        stems["Dog"]
    assert stems.get("Dog") is None
    assert num_masks(separator) == 0


def test_classes_and_queries_are_separated_instead_of_a_level(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    stems = separator.separate(waveform, RATE, classes=["Dog"], queries=[audio_query("mine")])
    assert list(stems) == ["Dog", "mine"]
    np.testing.assert_allclose(stems["mine"], 0.125 * waveform, atol=1e-6)
    np.testing.assert_allclose(stems["Dog"], 0.5 * waveform, atol=1e-6)


def test_a_class_named_twice_is_one_stem(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    stems = separator.separate(waveform, RATE, classes=["Dog", "dog", "/m/0bt9lr", DOG])
    assert list(stems) == ["Dog"]
    assert stems["Dog"].any()
    assert num_masks(separator) == NUM_SEGMENTS


def test_a_query_that_is_called_like_a_class_is_another_stem(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    stems = separator.separate(waveform, RATE, classes=["Dog"], queries=[audio_query("Dog")])
    assert list(stems) == ["Dog", "Dog (2)"]
    first, second = stems
    np.testing.assert_allclose(stems[first], 0.5 * waveform, atol=1e-6)
    np.testing.assert_allclose(stems[second], 0.125 * waveform, atol=1e-6)
    np.testing.assert_allclose(total(stems) + stems.residual, waveform, atol=1e-6)


@pytest.mark.parametrize("consistency", [False, True])
def test_every_query_is_a_stem_whatever_they_are_called(
    separator: Separator, waveform: NDArray[np.float32], consistency: bool
) -> None:
    asked = [audio_query("mine", gain) for gain in (0.5, 0.25, 0.125)]
    stems = separator.separate(waveform, RATE, queries=[*asked, asked[0]], consistency=consistency)
    assert list(stems) == ["mine", "mine (2)", "mine (3)"]
    if not consistency:
        for stem, gain in zip(stems.values(), (0.5, 0.25, 0.125), strict=True):
            np.testing.assert_allclose(stem, gain * waveform, atol=1e-6)
    np.testing.assert_allclose(total(stems) + stems.residual, waveform, atol=1e-6)


def test_a_class_need_not_be_in_a_list(separator: Separator, waveform: NDArray[np.float32]) -> None:
    stems = separator.separate(waveform, RATE, classes="Animal", without="Speech")
    assert list(stems) == ["Animal"]


def test_changing_a_stem_changes_nothing_else(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    for given in (waveform, torch.from_numpy(waveform.copy())):
        stems = separator.separate(given, RATE, classes=["Dog"])
        stem = stems["Dog"]
        stem *= 0.0
        np.testing.assert_allclose(stems["Dog"], 0.5 * waveform, atol=1e-6)
        np.testing.assert_allclose(stems.residual, 0.5 * waveform, atol=1e-6)


def test_bfloat16_and_lists_are_taken_too() -> None:
    """NumPy does not have the first."""
    values = [0.5, -0.25, 0.125]
    for given in (torch.tensor(values, dtype=torch.bfloat16), values):
        recording = recording_of(given, RATE)  # type: ignore[arg-type]
        assert recording.waveform.dtype == np.float32
        assert recording.waveform.tolist() == [values]


@pytest.mark.parametrize("rate", [0, -5, 44_100.5, True, 1, 99, 0.0, np.nan, np.inf, "44100", None])
def test_a_rate_that_is_none_is_named(rate: Any) -> None:
    with pytest.raises(ValueError, match=r"the sample rate is .*; give whole Hz, such as 48000"):
        recording_of(np.zeros(5, np.float32), rate)
    for whole in (44_100, 44_100.0, np.int64(44_100), np.float64(44_100.0)):
        taken = recording_of(np.zeros(5, np.float32), whole).sample_rate
        assert taken == 44_100 and type(taken) is int


@pytest.mark.parametrize(
    ("peak", "divisor"),
    [(23_170.0, 32_768), (32_768.0, 32_768), (127.0, 128), (8e6, 8_388_608), (2e9, 2_147_483_648)],
)
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_floats_that_are_integers_get_a_warning_with_the_factor(
    caplog: pytest.LogCaptureFixture, wrap: Callable[[Any], Any], peak: float, divisor: int
) -> None:
    recording = recording_of(wrap(np.array([3.0, -peak, 17.0], np.float32)), RATE)
    (said,) = caplog.messages
    assert f"divide them by {divisor} to bring them to [-1, 1]" in said
    assert recording.waveform.min() == -np.float32(peak)


def test_loud_samples_are_no_integers(caplog: pytest.LogCaptureFixture) -> None:
    """A sum of many stems at full scale."""
    recording_of(np.array([40.0, -12.5], np.float32), RATE)
    assert not caplog.messages


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, np.bool_, np.complex64])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_samples_must_be_floats(wrap: Callable[[Any], Any], dtype: Any) -> None:
    with pytest.raises(TypeError, match="scale it to floating-point samples in"):
        recording_of(wrap(np.zeros((1, 5), dtype)), RATE)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((), r"shape \(\); give \(C, T\) or \(T,\)"),
        ((0,), r"shape \(0,\)"),
        ((2, 0), r"shape \(2, 0\)"),
        ((0, 5), r"shape \(0, 5\)"),
        ((1, 2, 5), r"shape \(1, 2, 5\)"),
        ((32_000, 2), r"32000 channels of 2 samples; put the channels first"),
    ],
)
def test_a_shape_that_is_no_waveform_is_named(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recording_of(np.zeros(shape, np.float32), RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(value: float) -> None:
    waveform = np.zeros((2, 5), np.float32)
    waveform[1, 3] = value
    with pytest.raises(ValueError, match="NaN or infinite; repair it first"):
        recording_of(waveform, RATE)


def test_a_recording_is_a_copy_so_that_later_changes_do_not_count(
    separator: Separator, waveform: NDArray[np.float32]
) -> None:
    given = waveform.copy()
    stems: Stems[Any] = separator.separate(given, RATE, classes=["Dog"])
    given[:] = 0.0
    np.testing.assert_allclose(stems["Dog"], 0.5 * waveform, atol=1e-6)
