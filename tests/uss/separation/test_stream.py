import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from uss.audio import Recording, resample
from uss.audio.segments import Segmentation
from uss.core.runtime import Runtime
from uss.models import MaskModel, SeparationModel
from uss.separation.batching import Batcher
from uss.separation.consistency import Combination, Family
from uss.separation.stream import Piece, StemStream
from uss.separation.work import Work

SAMPLE_RATE = 8_000
SEGMENT_SAMPLES = 2_048
OVERLAPS = [0.0, 0.25, 0.5]


class WaveformModel:
    """Multiplies the mixture by the first number of the condition, in the time domain."""

    sample_rate = SAMPLE_RATE
    segment_seconds = SEGMENT_SAMPLES / SAMPLE_RATE
    condition_space = "gain-1"

    def __init__(self) -> None:
        self.channels_seen: set[int] = set()
        self.batch_sizes: list[int] = []

    def __call__(
        self, mixture: Tensor, condition: Tensor, rng: np.random.Generator | None = None
    ) -> Tensor:
        self.channels_seen.add(mixture.shape[1])
        self.batch_sizes.append(len(mixture))
        return mixture * condition[:, :1, None]


class SpectrumModel(WaveformModel):
    """The same with an STFT and a mask; counts how often it encodes."""

    n_fft, hop_length = 256, 64

    def __init__(self) -> None:
        super().__init__()
        self.window = torch.hann_window(self.n_fft)
        self.num_encoded = 0
        self.num_masks = 0
        self.modulated: list[float] = []

    def spectrogram(self, waveform: Tensor) -> Tensor:
        flat = waveform.reshape(-1, waveform.shape[-1])
        out = torch.stft(flat, self.n_fft, self.hop_length, window=self.window, return_complex=True)
        return out.reshape(*waveform.shape[:-1], *out.shape[1:])

    def waveform(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        flat = spectrogram.reshape(-1, *spectrogram.shape[-2:])
        out = torch.istft(flat, self.n_fft, self.hop_length, window=self.window, length=num_samples)
        return out.reshape(*spectrogram.shape[:-2], num_samples)

    def encode(self, spectrogram: Tensor) -> Tensor:
        self.num_encoded += len(spectrogram)
        return spectrogram.abs()

    def modulate(self, condition: Tensor) -> Any:
        self.modulated += condition[:, 0].tolist()
        return (condition[:, :1, None],)

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        self.num_masks += len(encoded)
        self.batch_sizes.append(len(encoded))
        return (torch.ones_like(encoded) * modulation[0]).to(torch.complex64)


MODELS = [WaveformModel, SpectrumModel]


@pytest.fixture
def runtime() -> Runtime:
    return Runtime(torch.device("cpu"), torch.float32, batch_size=3)


@dataclass(frozen=True)
class Asked:
    """A query: its (N, H) conditions in (N,) segments, and (I,) where it is asked."""

    conditions: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    active: NDArray[np.bool_]


def make_work(
    num_samples: int,
    segmentation: Segmentation,
    queries: Sequence[Asked],
    families: Sequence[Family] = (),
    full_band: bool = False,
) -> Work:
    """One stem per query."""
    active = np.zeros((len(queries), segmentation.num_segments), bool)
    for row, query in enumerate(queries):
        active[row] = query.active
    return Work(
        num_samples=num_samples,
        segmentation=segmentation,
        active=active,
        conditions=lambda row, segments: queries[row].conditions(segments),
        combination=Combination(tuple(range(len(queries))), families),
        full_band=full_band,
    )


def asked_for(
    segmentation: Segmentation, gain: float = 1.0, active: list[bool] | None = None
) -> Asked:
    count = segmentation.num_segments
    conditions = np.full((count, 1), gain, np.float32)
    is_active = np.array([True] * count if active is None else active)
    return Asked(conditions.__getitem__, is_active)


def separate(
    model: WaveformModel,
    waveform: NDArray[np.float32],
    queries: Sequence[Asked],
    segmentation: Segmentation,
    runtime: Runtime,
    progress: Callable[[int], None] = lambda done: None,
    *,
    sample_rate: int = SAMPLE_RATE,
    model_rate: int = SAMPLE_RATE,
    families: Sequence[Family] = (),
    full_band: bool = False,
) -> list[NDArray[np.float32]]:
    """Separate a whole waveform, one stem per query."""
    model.sample_rate = model_rate
    stream = StemStream(
        Recording(waveform, sample_rate),
        make_work(waveform.shape[1], segmentation, queries, families, full_band),
        Batcher(model, runtime),
        progress,
    )
    stems = [np.zeros_like(waveform) for _ in queries]
    end = 0
    for piece in stream:
        assert piece.start == end
        end += piece.mixture.shape[1]
        np.testing.assert_array_equal(piece.mixture, waveform[:, piece.start : end])
        for stem, samples in zip(stems, piece.stems, strict=True):
            if samples is not None:
                stem[:, piece.start : end] = samples
    assert end == waveform.shape[1]
    return stems


def noise(rng: np.random.Generator, channels: int, num_samples: int) -> NDArray[np.float32]:
    return rng.uniform(-0.5, 0.5, (channels, num_samples)).astype(np.float32)


def test_the_fakes_are_what_they_stand_for() -> None:
    assert isinstance(WaveformModel(), SeparationModel)
    assert not isinstance(WaveformModel(), MaskModel)
    assert isinstance(SpectrumModel(), MaskModel)


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("num_samples", [1, 500, 2_048, 2_049, 10_000])
def test_a_model_that_passes_everything_gives_the_input_back(
    rng: np.random.Generator,
    runtime: Runtime,
    model_type: type[WaveformModel],
    overlap: float,
    channels: int,
    num_samples: int,
) -> None:
    waveform = noise(rng, channels, num_samples)
    segmentation = Segmentation.of(num_samples, SEGMENT_SAMPLES, overlap)
    (stem,) = separate(model_type(), waveform, [asked_for(segmentation)], segmentation, runtime)
    assert stem.shape == waveform.shape
    assert stem.dtype == np.float32
    np.testing.assert_allclose(stem, waveform, atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("model_type", MODELS)
def test_every_stem_and_segment_gets_its_own_condition(
    rng: np.random.Generator, runtime: Runtime, model_type: type[WaveformModel]
) -> None:
    waveform = noise(rng, 2, 4 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    gains = np.array([[0.0], [0.25], [0.5], [1.0]], np.float32)
    rising = Asked(gains.__getitem__, np.ones(4, bool))
    stems = separate(
        model_type(), waveform, [asked_for(segmentation, -0.5), rising], segmentation, runtime
    )
    np.testing.assert_allclose(stems[0], -0.5 * waveform, atol=1e-6)
    np.testing.assert_allclose(stems[1], np.repeat(gains, SEGMENT_SAMPLES) * waveform, atol=1e-6)


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_inactive_segments_are_exact_zeros(
    rng: np.random.Generator, runtime: Runtime, model_type: type[WaveformModel], overlap: float
) -> None:
    waveform = noise(rng, 1, 6 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, overlap)
    active = [index == 2 for index in range(segmentation.num_segments)]
    (stem,) = separate(
        model_type(), waveform, [asked_for(segmentation, active=active)], segmentation, runtime
    )
    start = int(segmentation.starts[2])
    end = start + SEGMENT_SAMPLES
    assert not stem[:, :start].any()
    assert not stem[:, end:].any()
    expected = waveform[:, start:end] * segmentation.weights(
        2, previous_active=False, next_active=False
    )
    np.testing.assert_allclose(stem[:, start:end], expected, atol=1e-6)


@pytest.mark.parametrize("model_type", MODELS)
def test_requests_that_are_never_active_run_no_network(
    rng: np.random.Generator, runtime: Runtime, model_type: type[WaveformModel]
) -> None:
    waveform = noise(rng, 2, 3 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    model = model_type()
    (stem,) = separate(
        model, waveform, [asked_for(segmentation, active=[False] * 3)], segmentation, runtime
    )
    assert stem.shape == waveform.shape
    assert not stem.any()
    assert getattr(model, "num_encoded", 0) == 0
    assert not model.channels_seen
    assert separate(model, waveform, [], segmentation, runtime) == []


def test_masks_share_one_encoding_per_segment_and_serve_all_channels(
    rng: np.random.Generator, runtime: Runtime
) -> None:
    waveform = noise(rng, 2, 5 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    model = SpectrumModel()
    separate(model, waveform, [asked_for(segmentation) for _ in range(4)], segmentation, runtime)
    assert model.num_encoded == 5
    assert model.num_masks == 5 * 4


def test_models_without_masks_run_per_channel(rng: np.random.Generator, runtime: Runtime) -> None:
    waveform = noise(rng, 2, 3 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.25)
    model = WaveformModel()
    separate(model, waveform, [asked_for(segmentation)], segmentation, runtime)
    assert model.channels_seen == {1}


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_a_steady_sine_has_no_step_where_segments_join(
    runtime: Runtime, model_type: type[WaveformModel], overlap: float
) -> None:
    """Away from the sine, the spectrum stays 80 dB below it."""
    num_samples, period = 8 * SEGMENT_SAMPLES, 20
    sine = 0.5 * np.sin(2.0 * np.pi * np.arange(num_samples) / period)
    segmentation = Segmentation.of(num_samples, SEGMENT_SAMPLES, overlap)
    (stem,) = separate(
        model_type(),
        sine[None].astype(np.float32),
        [asked_for(segmentation)],
        segmentation,
        runtime,
    )
    spectrum = np.abs(np.fft.rfft(stem[0] * np.blackman(num_samples)))
    peak = num_samples / period
    away = np.abs(np.arange(len(spectrum)) - peak) > 50
    assert 20.0 * np.log10(spectrum[away].max() / spectrum.max()) < -80.0


def test_a_gain_that_jumps_is_cross_faded_without_a_step(runtime: Runtime) -> None:
    """With overlap, no two neighbouring samples of a constant differ by more than the ramp."""
    num_samples = 4 * SEGMENT_SAMPLES
    segmentation = Segmentation.of(num_samples, SEGMENT_SAMPLES, 0.25)
    gains = np.array([[1.0], [0.0], [1.0], [0.0], [1.0]], np.float32)[: segmentation.num_segments]
    query = Asked(gains.__getitem__, np.ones(len(gains), bool))
    ones = np.ones((1, num_samples), np.float32)
    (stem,) = separate(WaveformModel(), ones, [query], segmentation, runtime)
    ramp_samples = SEGMENT_SAMPLES // 4
    assert np.abs(np.diff(stem)).max() <= 1.01 / ramp_samples


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_progress_counts_pairs_of_segment_and_stem(
    rng: np.random.Generator, batch_size: int
) -> None:
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size)
    waveform = noise(rng, 1, 4 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    queries = [
        asked_for(segmentation),
        asked_for(segmentation, active=[True, False, False, True]),
    ]
    done: list[int] = []
    stems = separate(WaveformModel(), waveform, queries, segmentation, runtime, done.append)
    assert sum(done) == 6
    np.testing.assert_allclose(stems[0], waveform, atol=1e-6)


def test_bf16_output_is_float32_again(rng: np.random.Generator) -> None:
    runtime = Runtime.choose("cpu", "bf16")
    waveform = noise(rng, 1, 3_000)
    segmentation = Segmentation.of(3_000, SEGMENT_SAMPLES, 0.25)
    for model in (WaveformModel(), SpectrumModel()):
        (stem,) = separate(model, waveform, [asked_for(segmentation)], segmentation, runtime)
        assert stem.dtype == np.float32


def stream_of(
    waveform: NDArray[np.float32],
    batcher: Batcher,
    gains: Sequence[float],
    progress: Callable[[int], None] = lambda done: None,
) -> StemStream:
    """Ask for one stem per gain, in segments that do not overlap, at the model's rate."""
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    return StemStream(
        Recording(waveform, SAMPLE_RATE),
        make_work(
            waveform.shape[1], segmentation, [asked_for(segmentation, gain) for gain in gains]
        ),
        batcher,
        progress,
    )


def joined(pieces: Iterable[Piece]) -> list[NDArray[np.float32]]:
    """Join pieces whose stems are active throughout."""
    stems = zip(*(piece.stems for piece in pieces), strict=True)
    return [np.concatenate(stem, axis=1) for stem in stems]


def test_batches_are_filled_across_classes_and_segments(rng: np.random.Generator) -> None:
    """Two stems of five segments in batches of four: 4 + 4 + 2."""
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=4)
    waveform = noise(rng, 2, 5 * SEGMENT_SAMPLES)
    model = SpectrumModel()
    stems = joined(stream_of(waveform, Batcher(model, runtime), [1.0, 0.5]))
    assert model.batch_sizes == [4, 4, 2]
    np.testing.assert_allclose(stems[0], waveform, atol=1e-6)
    np.testing.assert_allclose(stems[1], 0.5 * waveform, atol=1e-6)


@pytest.mark.parametrize("model_type", MODELS)
def test_two_recordings_with_other_channels_share_batches(
    rng: np.random.Generator, model_type: type[WaveformModel]
) -> None:
    """Four pairs of a stereo recording and eight of a mono one in batches of six."""
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=6)
    model = model_type()
    batcher = Batcher(model, runtime)
    stereo, mono = noise(rng, 2, 4 * SEGMENT_SAMPLES), noise(rng, 1, 4 * SEGMENT_SAMPLES)
    first, second = stream_of(stereo, batcher, [0.5]), stream_of(mono, batcher, [1.0, -0.25])
    assert list(first.read()) == []
    assert first.is_waiting
    assert model.batch_sizes == []
    read = list(second.read())
    assert not first.is_waiting
    (stem,) = joined(first.rest())
    np.testing.assert_allclose(stem, 0.5 * stereo, atol=1e-6)
    stems = joined([*read, *second.rest()])
    for stem, gain in zip(stems, [1.0, -0.25], strict=True):
        np.testing.assert_allclose(stem, gain * mono, atol=1e-6)
    # Models without masks run per channel.
    assert model.batch_sizes == ([6, 6] if model_type is SpectrumModel else [4 * 2 + 2, 6])


def test_a_batch_that_is_not_full_waits_until_it_is_flushed(rng: np.random.Generator) -> None:
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=6)
    model = SpectrumModel()
    batcher = Batcher(model, runtime)
    waveform = noise(rng, 1, 4 * SEGMENT_SAMPLES)
    done: list[int] = []
    stream = stream_of(waveform, batcher, [1.0], done.append)
    assert list(stream.read()) == []
    assert (model.num_masks, done, stream.is_waiting) == (0, [], True)
    batcher.flush()
    assert (model.batch_sizes, done) == ([4], [1, 1, 1, 1])
    assert not stream.is_waiting
    (stem,) = joined(stream.rest())
    assert list(stream.rest()) == []
    np.testing.assert_allclose(stem, waveform, atol=1e-6)
    batcher.flush()
    assert model.batch_sizes == [4]


def test_each_distinct_condition_is_modulated_once_while_batches_are_alike(
    rng: np.random.Generator,
) -> None:
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=4)
    waveform = noise(rng, 1, 8 * SEGMENT_SAMPLES)
    model = SpectrumModel()
    gains = [0.5, 0.25, 0.5]
    stems = joined(stream_of(waveform, Batcher(model, runtime), gains))
    assert model.num_masks == 24
    assert sorted(model.modulated) == [0.25, 0.5]
    for stem, gain in zip(stems, gains, strict=True):
        np.testing.assert_allclose(stem, gain * waveform, atol=1e-6)


def test_conditions_are_asked_for_where_the_request_is_active(
    rng: np.random.Generator, runtime: Runtime
) -> None:
    asked: list[int] = []

    def conditions(segments: NDArray[np.int64]) -> NDArray[np.float32]:
        asked.extend(segments.tolist())
        return np.ones((len(segments), 1), np.float32)

    waveform = noise(rng, 1, 7 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    active = np.array([0, 1, 1, 0, 0, 0, 1], bool)
    separate(SpectrumModel(), waveform, [Asked(conditions, active)], segmentation, runtime)
    assert asked == [1, 2, 6]


class Tone:
    """Two minutes of a sine, made while they are read; knows which blocks are still held."""

    sample_rate = SAMPLE_RATE
    num_channels = 1
    num_samples = 120 * SAMPLE_RATE

    def __init__(self) -> None:
        self.seconds_read = 0
        self._blocks: list[weakref.ref[NDArray[np.float32]]] = []

    def samples(self, start: int, end: int) -> NDArray[np.float32]:
        wave = 0.5 * np.sin(2.0 * np.pi * (np.arange(start, end) % 20) / 20.0)
        return wave[None].astype(np.float32)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        for start in range(0, self.num_samples, SAMPLE_RATE):
            self.seconds_read += 1
            block = self.samples(start, start + SAMPLE_RATE)
            self._blocks.append(weakref.ref(block))
            yield block

    @property
    def seconds_held(self) -> int:
        return sum(block() is not None for block in self._blocks)


@pytest.mark.parametrize("spacing", [1, 7, 200, 10_000], ids=lambda s: f"every {s}th segment")
def test_pieces_are_given_as_they_become_complete_and_nothing_else_is_kept(spacing: int) -> None:
    """What is held does not grow with the recording, however seldom a class sounds."""
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=16)
    source = Tone()
    segmentation = Segmentation.of(source.num_samples, SEGMENT_SAMPLES, 0.25)
    active = [index % spacing == 0 for index in range(segmentation.num_segments)]
    stream = StemStream(
        source,
        make_work(
            source.num_samples,
            segmentation,
            [asked_for(segmentation, active=active), asked_for(segmentation, 0.5, active)],
        ),
        Batcher(WaveformModel(), runtime),
    )
    end, most_held, most_ahead = 0, 0, 0
    for piece in stream:
        assert piece.start == end
        assert 0 < piece.mixture.shape[1] <= 8 * SAMPLE_RATE
        end += piece.mixture.shape[1]
        np.testing.assert_array_equal(piece.mixture, source.samples(piece.start, end))
        if spacing == 1:
            first, second = piece.stems
            assert first is not None and second is not None
            np.testing.assert_allclose(first, piece.mixture, atol=1e-6)
            np.testing.assert_array_equal(second, np.float32(0.5) * first)
        most_held = max(most_held, source.seconds_held)
        most_ahead = max(most_ahead, source.seconds_read - end // SAMPLE_RATE)
    assert end == source.num_samples
    assert source.seconds_read == 120
    assert most_held < 45
    assert most_ahead < 45


@pytest.mark.parametrize("announced", [3_000, 9_999, 10_001, 40_000])
@pytest.mark.parametrize("sample_rate", [SAMPLE_RATE, 11_025])
def test_a_recording_that_changed_since_it_was_tagged_is_refused(
    rng: np.random.Generator, runtime: Runtime, announced: int, sample_rate: int
) -> None:
    threads = set(threading.enumerate())
    num_samples = round(announced * SAMPLE_RATE / sample_rate)
    segmentation = Segmentation.of(num_samples, SEGMENT_SAMPLES, 0.25)
    stream = StemStream(
        Recording(noise(rng, 1, 10_000), sample_rate),
        make_work(announced, segmentation, [asked_for(segmentation)]),
        Batcher(WaveformModel(), runtime),
    )
    with pytest.raises(
        ValueError, match=f"had {announced} samples when it was tagged and now has 10000"
    ):
        list(stream)
    assert set(threading.enumerate()) <= threads


def test_an_error_of_the_source_surfaces_and_stops_reading(runtime: Runtime) -> None:
    class Broken(Tone):
        def blocks(self) -> Iterator[NDArray[np.float32]]:
            for number, block in enumerate(super().blocks()):
                if number == 30:
                    raise OSError("the disk was unplugged")
                yield block

    threads = set(threading.enumerate())
    source = Broken()
    segmentation = Segmentation.of(source.num_samples, SEGMENT_SAMPLES, 0.0)
    stream = StemStream(
        source,
        make_work(source.num_samples, segmentation, [asked_for(segmentation)]),
        Batcher(WaveformModel(), runtime),
    )
    seconds = 0
    with pytest.raises(OSError, match="the disk was unplugged"):
        for piece in stream:
            seconds += piece.mixture.shape[1] // SAMPLE_RATE
    assert seconds < 30
    assert set(threading.enumerate()) <= threads


def test_closing_early_stops_reading(runtime: Runtime) -> None:
    threads = set(threading.enumerate())
    source = Tone()
    segmentation = Segmentation.of(source.num_samples, SEGMENT_SAMPLES, 0.0)
    stream = StemStream(
        source,
        make_work(source.num_samples, segmentation, [asked_for(segmentation)]),
        Batcher(WaveformModel(), runtime),
    )
    next(stream.read())
    stream.close()
    assert source.seconds_read < 60
    assert set(threading.enumerate()) <= threads


RATES = [8_000, 11_025, 44_100, 48_000]


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_the_model_can_hear_comes_back_at_the_recordings_rate(
    runtime: Runtime, model_type: type[WaveformModel], sample_rate: int, channels: int
) -> None:
    """A tone of 1 kHz that swells and fades within 12.3 s: the residual is 80 dB below it."""
    num_samples = round(12.3 * sample_rate)
    tone = np.sin(2.0 * np.pi * 1_000.0 * np.arange(num_samples) / sample_rate)
    tone = np.tile((0.5 * tone * np.hanning(num_samples)).astype(np.float32), (channels, 1))
    at_model = round(num_samples * SAMPLE_RATE / sample_rate)
    segmentation = Segmentation.of(at_model, SEGMENT_SAMPLES, 0.25)
    query = asked_for(segmentation)
    (stem,) = separate(model_type(), tone, [query], segmentation, runtime, sample_rate=sample_rate)
    assert stem.shape == tone.shape
    assert np.abs(tone - stem).max() < 0.5e-4


@pytest.mark.parametrize("sample_rate", RATES[1:])
@pytest.mark.parametrize("seconds", [0.001, 0.5, 1.0, 9.7])
@pytest.mark.parametrize(("segment_samples", "overlap"), [(SEGMENT_SAMPLES, 0.25), (8_000, 0.0)])
def test_pieces_are_resampled_as_if_the_whole_had_been(
    rng: np.random.Generator,
    runtime: Runtime,
    sample_rate: int,
    seconds: float,
    segment_samples: int,
    overlap: float,
) -> None:
    """Also where what is separated so far ends on a whole second, as segments of a second do."""
    waveform = noise(rng, 2, round(seconds * sample_rate))
    at_model = resample(waveform, sample_rate, SAMPLE_RATE)
    segmentation = Segmentation.of(at_model.shape[1], segment_samples, overlap)
    (stem,) = separate(
        WaveformModel(),
        waveform,
        [asked_for(segmentation)],
        segmentation,
        runtime,
        sample_rate=sample_rate,
    )
    expected = resample(at_model, SAMPLE_RATE, sample_rate)
    common = min(expected.shape[1], stem.shape[1])
    np.testing.assert_allclose(stem[:, :common], expected[:, :common], atol=1e-4)


@pytest.mark.parametrize("sample_rate", [SAMPLE_RATE, 48_000])
def test_artefacts_of_activity_edges_stay_there(runtime: Runtime, sample_rate: int) -> None:
    """Of a steady tone, segments 6 to 25 and 30 to 39 are separated: 80 dB, but for the edges."""
    num_samples = 10 * sample_rate
    tone = 0.5 * np.sin(2.0 * np.pi * 400.0 * np.arange(num_samples) / sample_rate)
    segmentation = Segmentation.of(10 * SAMPLE_RATE, SEGMENT_SAMPLES, 0.25)
    active = [6 <= index < 26 or 30 <= index < 40 for index in range(segmentation.num_segments)]
    (stem,) = separate(
        SpectrumModel(),
        tone[None].astype(np.float32),
        [asked_for(segmentation, active=active)],
        segmentation,
        runtime,
        sample_rate=sample_rate,
    )
    hop, length, near = segmentation.hop_samples, SEGMENT_SAMPLES, 200
    intervals = [(6 * hop, 25 * hop + length), (30 * hop, 39 * hop + length)]
    seconds = np.arange(num_samples) / sample_rate
    is_on = np.zeros(num_samples, bool)
    is_near = np.zeros(num_samples, bool)
    for start, end in intervals:
        is_on |= (start / SAMPLE_RATE <= seconds) & (seconds < end / SAMPLE_RATE)
        for edge in (start, end):
            is_near |= np.abs(seconds - edge / SAMPLE_RATE) < near / SAMPLE_RATE
    # The recording ends in the middle of a tone, which no filter can follow.
    is_near |= seconds > 9.9
    error = np.abs(stem[0] - np.where(is_on, tone, 0.0))
    assert error[~is_near].max() < 0.5e-4
    # At the edges there is no step either: the tone itself moves by 0.025 * 8 kHz per second.
    assert np.abs(np.diff(stem[0])).max() < 0.2 * SAMPLE_RATE / sample_rate


def test_families_add_up_though_their_members_are_active_at_other_times(
    rng: np.random.Generator, runtime: Runtime
) -> None:
    """In each segment one of both is active, so nothing is left, also where they take turns."""
    waveform = noise(rng, 2, 8 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.25)
    first = [index % 4 < 2 for index in range(segmentation.num_segments)]
    second = [not is_on or index == 4 for index, is_on in enumerate(first)]
    stems = separate(
        SpectrumModel(),
        waveform,
        [asked_for(segmentation, 0.5, first), asked_for(segmentation, 0.25, second)],
        segmentation,
        runtime,
        families=[Family(None, (0, 1))],
    )
    np.testing.assert_allclose(stems[0] + stems[1], waveform, atol=2e-6)


def high_tone(sample_rate: int, hz: float, seconds: float) -> NDArray[np.float32]:
    num_samples = round(seconds * sample_rate)
    tone = np.sin(2.0 * np.pi * hz * np.arange(num_samples) / sample_rate)
    return (0.25 * tone * np.hanning(num_samples))[None].astype(np.float32)


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_above_the_models_band_a_stem_follows_its_top(runtime: Runtime, gain: float) -> None:
    """A model of 32 kHz lets half of 14 kHz through; it gets half of 20 kHz."""
    low, high = high_tone(48_000, 14_000.0, 5.0), high_tone(48_000, 20_000.0, 5.0)
    segmentation = Segmentation.of(5 * 32_000, SEGMENT_SAMPLES, 0.25)
    query = asked_for(segmentation, gain)
    rates = {"sample_rate": 48_000, "model_rate": 32_000}
    for full_band, expected in ((False, low), (True, low + high)):
        (stem,) = separate(
            WaveformModel(),
            low + high,
            [query],
            segmentation,
            runtime,
            full_band=full_band,
            **rates,
        )
        middle = slice(24_000, 5 * 48_000 - 24_000)
        np.testing.assert_allclose(stem[:, middle], gain * expected[:, middle], atol=1e-3)


def test_the_full_band_does_not_depend_on_where_pieces_are_cut(rng: np.random.Generator) -> None:
    """Larger batches give longer pieces; gains jump from segment to segment."""
    waveform = noise(rng, 1, 10 * 48_000)
    segmentation = Segmentation.of(10 * 32_000, 16_000, 0.25)
    gains = rng.random((segmentation.num_segments, 1)).astype(np.float32)
    query = Asked(gains.__getitem__, np.ones(len(gains), bool))
    stems = [
        separate(
            WaveformModel(),
            waveform,
            [query],
            segmentation,
            Runtime(torch.device("cpu"), torch.float32, batch_size),
            sample_rate=48_000,
            model_rate=32_000,
            full_band=True,
        )[0]
        for batch_size in (1, 2, 5, 100)
    ]
    for stem in stems[1:]:
        np.testing.assert_allclose(stem, stems[0], atol=2e-5)


def test_full_band_changes_nothing_where_the_model_hears_all(
    rng: np.random.Generator, runtime: Runtime
) -> None:
    waveform = noise(rng, 1, 16_000)
    for sample_rate, model_rate in ((32_000, 32_000), (8_000, 32_000)):
        at_model = 16_000 * model_rate // sample_rate
        segmentation = Segmentation.of(at_model, SEGMENT_SAMPLES, 0.25)
        stems = [
            separate(
                WaveformModel(),
                waveform,
                [asked_for(segmentation, 0.5)],
                segmentation,
                runtime,
                sample_rate=sample_rate,
                model_rate=model_rate,
                full_band=full_band,
            )[0]
            for full_band in (False, True)
        ]
        np.testing.assert_array_equal(stems[0], stems[1])


def test_a_silent_stem_gets_nothing_above_the_models_band(runtime: Runtime) -> None:
    waveform = high_tone(48_000, 20_000.0, 2.0)
    segmentation = Segmentation.of(2 * 32_000, SEGMENT_SAMPLES, 0.25)
    active = [False] * segmentation.num_segments
    (stem,) = separate(
        WaveformModel(),
        waveform,
        [asked_for(segmentation, active=active)],
        segmentation,
        runtime,
        sample_rate=48_000,
        model_rate=32_000,
        full_band=True,
    )
    assert not stem.any()
