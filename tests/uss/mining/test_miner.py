import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ontology import Ontology
from uss.conditions.embedding import EmbeddingEncoder
from uss.data.manifest import Clip
from uss.mining.choosing import clip_generator
from uss.mining.miner import AnchorMiner, MiningSettings, SkippedClipError
from uss.taggers import NUM_CLASSES, Tagger, TaggerOutput

SAMPLE_RATE = 3_200
SEGMENT_SAMPLES = 2 * SAMPLE_RATE


class LoudnessTagger:
    """Every class is as probable in a frame as the waveform there is large; 4 frames per second.

    The embedding is the largest sample and the last one.
    """

    name = "loudness"
    sample_rate = SAMPLE_RATE
    frames_per_second = 4.0
    embedding_size = 2

    def __init__(self) -> None:
        self.num_calls = 0

    def __call__(self, waveform: Tensor) -> TaggerOutput:
        self.num_calls += 1
        frames = waveform.abs()[:, :: SAMPLE_RATE // 4]
        framewise = frames[:, :, None].expand(-1, -1, NUM_CLASSES)
        embedding = torch.stack([waveform.amax(dim=1), waveform[:, -1]], dim=1)
        return TaggerOutput(framewise.amax(dim=1), framewise, embedding)


def clip_of(clip_id: str, caption: str = "") -> Clip:
    return Clip(clip_id, f"{clip_id}.wav", (), caption)


def make_miner(ontology: Ontology, tagger: Tagger | None = None, **settings: object) -> AnchorMiner:
    tagger = tagger or LoudnessTagger()
    return AnchorMiner(
        tagger,
        [EmbeddingEncoder(tagger)],
        ontology,
        MiningSettings(**settings),  # type: ignore[arg-type]
    )


def clip_with_bumps(seconds: float, *bumps: tuple[float, float]) -> NDArray[np.float32]:
    """A nearly silent clip with two loud seconds around each (centre, level)."""
    waveform = np.full(round(seconds * SAMPLE_RATE), 1e-3, np.float32)
    for centre, level in bumps:
        start = round((centre - 1.0) * SAMPLE_RATE)
        waveform[start : start + 2 * SAMPLE_RATE + 1] = level
    return waveform


def test_the_anchor_lies_where_the_class_is_probable(ontology: Ontology) -> None:
    waveform = clip_with_bumps(10.0, (6.0, 0.8))
    dog = ontology.find("Dog").class_index
    (anchor,) = make_miner(ontology).mine(clip_of("clip", "a dog"), waveform, (dog,))
    assert anchor.start_seconds == pytest.approx(5.0, abs=0.02)
    assert anchor.score == pytest.approx(0.8, abs=0.01)
    start = round(anchor.start_seconds * SAMPLE_RATE)
    np.testing.assert_array_equal(anchor.waveform, waveform[start : start + SEGMENT_SAMPLES])
    assert (anchor.clip_id, anchor.class_index, anchor.labels) == ("clip", dog, (dog,))
    assert anchor.caption == "a dog"


def test_tags_and_conditions_are_those_of_the_anchor_not_of_the_clip(ontology: Ontology) -> None:
    class OneClass(LoudnessTagger):
        """Only class 7 follows the loudness; class 3 hears the opposite."""

        def __call__(self, waveform: Tensor) -> TaggerOutput:
            output = super().__call__(waveform)
            framewise = output.framewise.clone()
            framewise[:, :, 3] = 1.0 - framewise[:, :, 3]
            return output._replace(framewise=framewise)

    waveform = clip_with_bumps(10.0, (2.0, 0.9))
    loud, quiet = make_miner(ontology, OneClass()).mine(clip_of("clip"), waveform, (7, 3))
    assert (loud.class_index, quiet.class_index) == (7, 3)
    assert loud.labels == quiet.labels == (7, 3)
    assert loud.tag_probabilities.shape == (NUM_CLASSES,)
    assert loud.tag_probabilities[0] == pytest.approx(0.9)
    assert quiet.tag_probabilities[0] == pytest.approx(1e-3)
    assert loud.conditions["loudness-2"][0] == pytest.approx(0.9)
    assert quiet.conditions["loudness-2"][0] == pytest.approx(1e-3)


def test_several_anchors_per_clip_do_not_overlap(ontology: Ontology) -> None:
    waveform = clip_with_bumps(10.0, (2.0, 0.4), (7.0, 0.8))
    anchors = make_miner(ontology, anchors_per_clip=2).mine(clip_of("clip"), waveform, (0,))
    assert [anchor.start_seconds for anchor in anchors] == pytest.approx([6.0, 1.0], abs=0.02)


@pytest.mark.parametrize(
    ("names", "specific"),
    [
        (("Bark", "Dog", "Animal"), ("Bark",)),
        (("Animal", "Dog", "Cat"), ("Dog", "Cat")),
        (("Dog", "Speech"), ("Dog", "Speech")),
        (("Animal",), ("Animal",)),
        (("Dog", "Dog"), ("Dog",)),
    ],
)
def test_labels_to_mine_for(
    ontology: Ontology, names: tuple[str, ...], specific: tuple[str, ...]
) -> None:
    labels = tuple(ontology.find(name).class_index for name in names)
    waveform = clip_with_bumps(4.0, (2.0, 0.5))
    for choice, expected in {"all": tuple(dict.fromkeys(names)), "specific": specific}.items():
        anchors = make_miner(ontology, labels=choice).mine(clip_of("clip"), waveform, labels)
        found = [ontology.classes[anchor.class_index].name for anchor in anchors]
        assert found == list(expected)
        assert all(anchor.labels == labels for anchor in anchors)


def test_labels_that_share_a_span_are_encoded_once(ontology: Ontology) -> None:
    tagger = LoudnessTagger()
    waveform = clip_with_bumps(10.0, (6.0, 0.8))
    anchors = make_miner(ontology, tagger).mine(clip_of("clip"), waveform, (0, 1, 2, 3))
    assert len(anchors) == 4
    assert tagger.num_calls == 2  # the clip; tags and embeddings together


class CalmTagger(LoudnessTagger):
    """Hears the opposite, and embeds the smallest sample and the mean."""

    name = "calm"

    def __call__(self, waveform: Tensor) -> TaggerOutput:
        loud = super().__call__(waveform)
        embedding = torch.stack([waveform.amin(dim=1), waveform.mean(dim=1)], dim=1)
        return TaggerOutput(1.0 - loud.clipwise, 1.0 - loud.framewise, embedding)


@pytest.mark.parametrize("strategy", ["sed", "out-clip-random"])
def test_an_anchor_tagger_tags_what_the_tagger_detects(ontology: Ontology, strategy: str) -> None:
    detector, anchor_tagger, other = LoudnessTagger(), CalmTagger(), CalmTagger()
    other.name = "other"
    encoders = [EmbeddingEncoder(tagger) for tagger in (detector, anchor_tagger, other)]
    settings = MiningSettings(strategy=strategy)  # type: ignore[arg-type]
    miner = AnchorMiner(detector, encoders, ontology, settings, anchor_tagger)
    waveform = clip_with_bumps(10.0, (6.0, 0.75))
    (anchor,) = miner.mine(clip_of("clip"), waveform, (3,))
    loudest, calmest, mean = (float(f(anchor.waveform)) for f in (np.max, np.min, np.mean))
    assert anchor.tag_probabilities[3] == pytest.approx(1.0 - loudest)
    if strategy == "sed":
        # Where the detector, not the anchor tagger, says that the class is.
        assert anchor.start_seconds == pytest.approx(5.0, abs=0.02)
        assert anchor.score == pytest.approx(0.75, abs=0.01)
    else:
        assert anchor.score == pytest.approx(1.0 - loudest)
    assert anchor.conditions["loudness-2"] == pytest.approx([loudest, anchor.waveform[-1]])
    for space in ("calm-2", "other-2"):
        assert anchor.conditions[space] == pytest.approx([calmest, mean], abs=1e-6)
    # The detector: the clip, if it detects, and the embedding. The other two: once each.
    assert detector.num_calls == (2 if strategy == "sed" else 1)
    assert anchor_tagger.num_calls == other.num_calls == 1


def test_without_an_anchor_tagger_the_tagger_tags(ontology: Ontology) -> None:
    tagger = LoudnessTagger()
    miner = AnchorMiner(tagger, [], ontology, MiningSettings())
    assert miner.anchor_tagger is tagger
    (anchor,) = miner.mine(clip_of("clip"), clip_with_bumps(10.0, (6.0, 0.75)), (3,))
    assert anchor.conditions == {}
    assert anchor.tag_probabilities[3] == pytest.approx(0.75)


def test_a_clip_shorter_than_a_segment_gives_one_short_anchor(ontology: Ontology) -> None:
    waveform = np.full(SAMPLE_RATE, 0.5, np.float32)
    (anchor,) = make_miner(ontology, anchors_per_clip=3).mine(clip_of("clip"), waveform, (0,))
    assert anchor.start_seconds == 0.0
    np.testing.assert_array_equal(anchor.waveform, waveform)
    # What the encoder hears is padded with zeros to a whole segment.
    assert anchor.conditions["loudness-2"].tolist() == [0.5, 0.0]


def test_a_clip_of_0_3_s_is_kept(ontology: Ontology) -> None:
    waveform = np.full(round(0.3 * SAMPLE_RATE), 0.5, np.float32)
    (anchor,) = make_miner(ontology).mine(clip_of("clip"), waveform, (0,))
    assert len(anchor.waveform) == 960


@pytest.mark.parametrize("num_samples", [0, 1, 959])
def test_a_clip_shorter_than_0_3_s_is_skipped(ontology: Ontology, num_samples: int) -> None:
    with pytest.raises(SkippedClipError, match=r"shorter than 0\.3 s"):
        make_miner(ontology).mine(clip_of("clip"), np.ones(num_samples, np.float32), (0,))


def test_a_silent_clip_is_skipped(ontology: Ontology) -> None:
    with pytest.raises(SkippedClipError, match="silent"):
        make_miner(ontology).mine(clip_of("clip"), np.zeros(10 * SAMPLE_RATE, np.float32), (0,))


def test_mids_become_class_indexes_and_nodes_without_a_class_are_left_out(
    ontology: Ontology,
) -> None:
    human_sounds, speech, dog = "/m/0dgw9r", "/m/09x0r", "/m/0bt9lr"
    assert ontology.find(human_sounds).class_index is None
    labels = make_miner(ontology).labels((dog, human_sounds, speech))
    assert labels == (ontology.find("Dog").class_index, 0)


@pytest.mark.parametrize("mids", [(), ("/m/0dgw9r",)])
def test_clips_without_any_of_the_527_classes_are_skipped(
    ontology: Ontology, mids: tuple[str, ...]
) -> None:
    with pytest.raises(SkippedClipError, match="no label among the 527 classes"):
        make_miner(ontology).labels(mids)


def test_an_unknown_mid_is_named(ontology: Ontology) -> None:
    with pytest.raises(SkippedClipError, match="/m/nothing"):
        make_miner(ontology).labels(("/m/09x0r", "/m/nothing"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"segment_seconds": 0.4}, "segments of 0.4 s; choose 0.5 to 10.24 s"),
        ({"segment_seconds": 11.0}, "choose 0.5 to 10.24 s"),
        ({"segment_seconds": float("nan")}, "choose 0.5 to 10.24 s"),
        ({"anchors_per_clip": 0}, "0 anchors per clip"),
        ({"labels": "some"}, "choose all or specific"),
        ({"strategy": "random"}, "'random'; choose one of sed, in-clip-random, out-clip-random"),
        ({"strategy": "in-clip-random", "anchors_per_clip": 1}, "choose 2 or more"),
        ({"seed": -1}, "seed -1; choose 0 or more"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MiningSettings(**settings)  # type: ignore[arg-type]


def noise(seconds: float = 10.0, seed: int = 0) -> NDArray[np.float32]:
    samples = np.random.default_rng(seed).uniform(0.1, 0.9, round(seconds * SAMPLE_RATE))
    return samples.astype(np.float32)


def test_random_anchors_are_the_clips_own_samples(ontology: Ontology) -> None:
    waveform = noise()
    (anchor,) = make_miner(ontology, strategy="out-clip-random").mine(
        clip_of("clip"), waveform, (3,)
    )
    start = round(anchor.start_seconds * SAMPLE_RATE)
    np.testing.assert_array_equal(anchor.waveform, waveform[start : start + SEGMENT_SAMPLES])
    assert anchor.score == pytest.approx(float(anchor.tag_probabilities[3]))
    # The embedding of the fake tagger: the largest sample and the last one.
    assert anchor.conditions["loudness-2"] == pytest.approx(
        [anchor.waveform.max(), anchor.waveform[-1]]
    )


def test_random_anchors_come_from_the_whole_clip_whatever_sounds_where(ontology: Ontology) -> None:
    waveform = clip_with_bumps(10.0, (1.0, 0.9))
    miner = make_miner(ontology, strategy="out-clip-random")
    starts = [miner.mine(clip_of(f"clip-{n}"), waveform, (0,))[0].start_seconds for n in range(200)]
    counts, _ = np.histogram(starts, bins=4, range=(0.0, 8.0))
    assert counts.sum() == 200
    # Chi-square with 3 degrees of freedom exceeds 16.3 once in a thousand.
    assert (np.square(counts - 50) / 50).sum() < 16.3


@pytest.mark.parametrize(
    ("strategy", "changes", "expected"),
    [
        ("out-clip-random", {}, 1),
        ("out-clip-random", {"anchors_per_clip": 2}, 2),
        ("in-clip-random", {}, 2),
        ("in-clip-random", {"anchors_per_clip": 4}, 4),
        ("in-clip-random", {"anchors_per_clip": 9}, 5),
    ],
)
def test_all_labels_share_the_random_spans(
    ontology: Ontology, strategy: str, changes: dict[str, int], expected: int
) -> None:
    tagger = LoudnessTagger()
    miner = make_miner(ontology, tagger, strategy=strategy, **changes)
    anchors = miner.mine(clip_of("clip"), noise(), (0, 137, 5))
    assert len(anchors) == 3 * expected
    starts = {
        index: [anchor.start_seconds for anchor in anchors if anchor.class_index == index]
        for index in (0, 137, 5)
    }
    assert starts[0] == starts[137] == starts[5]
    assert len(set(starts[0])) == expected
    gaps = np.diff(sorted(starts[0]))
    assert (gaps >= 2.0 - 1e-9).all()
    assert tagger.num_calls == 1  # tags and embeddings together; no framewise detection


@pytest.mark.parametrize("seconds", [0.5, 2.0, 3.99])
def test_a_clip_too_short_for_two_segments_is_skipped_in_clip_alone(
    ontology: Ontology, seconds: float
) -> None:
    in_clip = make_miner(ontology, strategy="in-clip-random")
    with pytest.raises(SkippedClipError, match=r"too short .* for two segments of 2 s"):
        in_clip.mine(clip_of("clip"), noise(seconds), (0,))
    out_clip = make_miner(ontology, strategy="out-clip-random")
    assert len(out_clip.mine(clip_of("clip"), noise(seconds), (0,))) == 1
    assert len(in_clip.mine(clip_of("clip"), noise(4.0), (0,))) == 2


def test_draws_depend_on_seed_and_clip_id_alone(ontology: Ontology) -> None:
    def starts(seed: int, *clip_ids: str) -> list[list[float]]:
        miner = make_miner(ontology, strategy="in-clip-random", seed=seed)
        return [
            [anchor.start_seconds for anchor in miner.mine(clip_of(clip_id), noise(), (0,))]
            for clip_id in clip_ids
        ]

    first, second = starts(3, "a", "ü")
    assert starts(3, "other", "ü", "a") == [starts(3, "other")[0], second, first]
    assert first != second
    assert starts(4, "a") != [first]


def test_the_generator_of_a_clip_is_the_same_on_every_machine() -> None:
    assert clip_generator(0, "clip").integers(10**6, size=3).tolist() == [367493, 761225, 607940]
    assert clip_generator(1, "clip").integers(10**6, size=3).tolist() != [367493, 761225, 607940]


def test_recorded_settings_of_detection_are_those_of_older_shards() -> None:
    older = {"segment_seconds": 2.0, "anchors_per_clip": 1, "labels": "all", "strategy": "sed"}
    assert MiningSettings().attributes() == older
    assert MiningSettings(seed=5).attributes() == older
    drawn = MiningSettings(strategy="in-clip-random", seed=5).attributes()
    assert drawn == older | {"anchors_per_clip": 2, "strategy": "in-clip-random", "seed": 5}
