"""Captioned clips and mixtures of them: what is read, drawn and mixed, and what is refused."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from ontology import load_ontology
from uss.conditions.meant_conditions import Worded
from uss.data.captioned_clips import CaptionedClip, read_captioned, read_excerpt
from uss.data.captioned_mixing import CaptionedBatches, CaptionedMixing
from uss.data.clip_spans import WHOLE, Span
from uss.data.interleaving import Interleaved
from uss.data.sharing import Place

RATE = 8_000
ONTOLOGY = load_ontology()


class Letters:
    """A text is its length, and understood if it has any."""

    space, size = "letters", 1

    def words(self, texts: Sequence[str]) -> Worded:
        lengths = np.array([[len(text)] for text in texts], np.float32)
        return Worded(lengths, np.array([bool(text) for text in texts]))


def write(path: Path, value: float, seconds: float = 2.0, rate: int = RATE) -> None:
    soundfile.write(path, np.full(round(seconds * rate), value), rate, subtype="FLOAT")


def manifest(folder: Path, rows: list[dict[str, str]]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    path = folder / "clips.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, restval="")
        table.writeheader()
        table.writerows(rows)
    return path


def row(name: str, **more: str) -> dict[str, str]:
    return {"clip_id": name, "path": f"{name}.wav"} | more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate("abcd", start=1):
        write(tmp_path / f"{name}.wav", number / 10)
    return tmp_path


def read(path: Path, split: str | None = None) -> list[CaptionedClip]:
    return read_captioned(path, path.parent, ONTOLOGY, split)


class TestClips:
    def test_captions_become_phrases_and_labels_names(self, folder: Path) -> None:
        dog, animal = ONTOLOGY.find("Dog").mid, ONTOLOGY.find("Animal").mid
        glass = ONTOLOGY.find("Chink, clink").mid
        path = manifest(
            folder,
            [
                row("a", caption="A dog barks and rain falls"),
                row("b", mids=f"{dog};{animal};{glass};/m/unknown"),
                row("c", caption="Music", mids=dog),
            ],
        )
        first, second, third = read(path)
        assert first.phrases == ("A dog barks", "Rain falls")
        # Of labels, those that are not above another one, whole though they hold a comma.
        assert second.phrases == ("Dog", "Chink, clink")
        assert second.caption == "Dog and Chink, clink"
        assert third.phrases == ("Music",)

    def test_what_a_caption_says_twice_is_one_phrase(self, folder: Path) -> None:
        path = manifest(folder, [row("a", caption="A dog barks, a car passes and a dog barks")])
        (clip,) = read(path)
        assert clip.phrases == ("A dog barks", "A car passes")

    def test_rows_without_words_or_file_are_left_out_and_told(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = manifest(
            folder, [row("a", caption="rain"), row("b", caption=" "), row("x", caption="wind")]
        )
        assert [clip.clip_id for clip in read(path)] == ["a"]
        assert "without caption or labels: 1, without a file in" in caplog.text
        assert ": 1; rows left: 1" in caplog.text

    def test_a_manifest_that_says_nothing_is_refused(self, folder: Path) -> None:
        path = manifest(folder, [row("a", caption=""), row("x", caption="wind")])
        with pytest.raises(ValueError, match="no row to learn from: 1 of 2 have neither"):
            read(path)

    def test_one_word_and_two_thousand_are_captions(self, folder: Path) -> None:
        long = "bark " * 2_000
        path = manifest(folder, [row("a", caption="dog"), row("b", caption=long)])
        first, second = read(path)
        assert first.phrases == ("Dog",)
        assert second.phrases == (long.strip().capitalize(),)

    def test_a_split_is_taken(self, folder: Path) -> None:
        path = manifest(
            folder,
            [row("a", caption="x", split="train"), row("b", caption="y", split="test")],
        )
        assert [clip.clip_id for clip in read(path, "test")] == ["b"]

    @pytest.mark.parametrize(
        ("times", "said"),
        [
            ({"start_seconds": "soon"}, "row 2: 'soon' is no time"),
            ({"start_seconds": "-1"}, "row 2: '-1' is no time"),
            ({"start_seconds": "nan"}, "row 2: 'nan' is no time"),
            ({"start_seconds": "2", "end_seconds": "1"}, "end_seconds 1 is not after"),
        ],
    )
    def test_times_that_are_none_are_refused(
        self, folder: Path, times: dict[str, str], said: str
    ) -> None:
        with pytest.raises(ValueError, match=said):
            read(manifest(folder, [row("a", caption="x", **times)]))


class TestExcerpts:
    @pytest.fixture
    def film(self, tmp_path: Path) -> Path:
        """Ten seconds whose samples are the second they lie in, over 100."""
        path = tmp_path / "film.wav"
        seconds = np.arange(10 * RATE) // RATE
        soundfile.write(path, seconds / 100.0, RATE, subtype="FLOAT")
        return path

    def clip(self, path: Path, *span: Any) -> CaptionedClip:
        return CaptionedClip("clip", path, "words", ("words",), Span(*span) if span else WHOLE)

    def test_a_row_means_its_part_of_a_film(self, film: Path) -> None:
        clip = self.clip(film, 3.0, 5.0)
        whole = read_excerpt(clip, RATE, 2 * RATE, 0.7)
        assert whole.shape == (2 * RATE,) and whole.dtype == np.float32
        np.testing.assert_allclose(whole[[0, RATE - 1, RATE, -1]], [0.03, 0.03, 0.04, 0.04])
        # Where in its part a shorter excerpt lies is drawn.
        np.testing.assert_allclose(read_excerpt(clip, RATE, RATE // 2, 0.0), 0.03)
        np.testing.assert_allclose(read_excerpt(clip, RATE, RATE // 2, 0.99), 0.04)

    def test_a_row_without_an_end_goes_to_the_end_of_the_file(self, film: Path) -> None:
        clip = self.clip(film, 8.0, None)
        np.testing.assert_allclose(read_excerpt(clip, RATE, RATE, 0.0), 0.08)
        np.testing.assert_allclose(read_excerpt(clip, RATE, RATE, 0.9999)[1:], 0.09)
        np.testing.assert_allclose(read_excerpt(clip, RATE, 2 * RATE, 0.5)[[0, -1]], [0.08, 0.09])

    def test_a_short_clip_has_silence_around_it(self, film: Path) -> None:
        clip = self.clip(film, 9.0, 20.0)
        # It ends with the file, where the row goes on.
        padded = read_excerpt(clip, RATE, 3 * RATE, 0.0)
        np.testing.assert_allclose(padded[:RATE], 0.09)
        assert not padded[RATE:].any()
        middle = read_excerpt(clip, RATE, 3 * RATE, 0.5)
        np.testing.assert_allclose(middle[RATE : 2 * RATE], 0.09)
        assert not middle[:RATE].any() and not middle[2 * RATE :].any()

    @pytest.mark.parametrize(
        ("length", "first"), [(1_000, -500), (1_001, -500), (4_000, 1_000), (4_001, 1_000)]
    )
    def test_the_middle_is_where_the_released_code_takes_it(
        self, tmp_path: Path, length: int, first: int
    ) -> None:
        """Half of the excerpt lies before the sample at half the length, rounded down."""
        path = tmp_path / "ramp.wav"
        soundfile.write(path, np.arange(1, length + 1) / 10_000.0, RATE, subtype="FLOAT")
        excerpt = read_excerpt(self.clip(path), RATE, 2_000, 0.5)
        centre = length // 2
        assert first == centre - 1_000 or first == -(1_000 - centre)
        start = max(0, 1_000 - centre)
        assert excerpt[start] == np.float32((max(first, 0) + 1) / 10_000.0)
        assert not excerpt[:start].any()

    def test_it_is_brought_to_the_rate_wanted(self, film: Path) -> None:
        assert read_excerpt(self.clip(film, 1.0, 2.0), 2 * RATE, 2 * RATE, 0.0).shape == (2 * RATE,)

    def test_a_file_that_ends_before_is_told(self, film: Path) -> None:
        with pytest.raises(ValueError, match="ends before 12 s, where a row of"):
            read_excerpt(self.clip(film, 12.0, 13.0), RATE, RATE, 0.0)


def batches(folder: Path, captions: Sequence[str], **changes: Any) -> CaptionedBatches:
    rows = [row(name, caption=text) for name, text in zip("abcd", captions, strict=False)]
    path = manifest(folder, rows)
    place = changes.pop("place", Place())
    mixing = CaptionedMixing(str(path), str(folder), **changes)
    return CaptionedBatches(
        read(path),
        mixing,
        Letters(),
        sample_rate=RATE,
        num_samples=RATE,
        batch_size=4,
        seed=3,
        place=place,
    )


CAPTIONS = ("a dog barks and rain falls", "music", "wind, rain, thunder and hail", "a cat")


class TestMixtures:
    def test_parts_add_up_and_are_clipped_and_divided_as_released(self, folder: Path) -> None:
        write(folder / "d.wav", 3.0)
        made = batches(folder, CAPTIONS, num_mixtures=3)[0]
        assert made.parts.shape == (4, 3, RATE) and made.mixture.shape == (4, 1, RATE)
        torch.testing.assert_close(made.mixture[:, 0], made.parts.sum(dim=1))
        levels = made.parts[..., 0] * 3
        assert levels.max() == 1.0
        for level in levels.flatten().tolist():
            ratios = [level / (number / 10) for number in (1, 2, 3)]
            assert level == 1.0 or any(0.5 <= ratio <= 1.5 for ratio in ratios)

    def test_parts_of_any_level_count_alike_if_wanted(self, folder: Path) -> None:
        noise = np.random.default_rng(0).standard_normal(2 * RATE)
        for name, level in zip("abc", (1.0, 1e-3, 1e-5), strict=True):
            soundfile.write(folder / f"{name}.wav", level * noise, RATE, subtype="FLOAT")
        soundfile.write(folder / "d.wav", np.zeros(2 * RATE), RATE, subtype="FLOAT")
        some = batches(folder, CAPTIONS, rms=0.1, gain=(1.0, 1.0))
        found: dict[str, set[float]] = {}
        for n in range(5):
            captions = [text for texts in some.read(n).captions for text in texts]
            levels = some.read(n).parts.square().mean(dim=-1).sqrt().flatten().tolist()
            for caption, level in zip(captions, levels, strict=True):
                found.setdefault(caption, set()).add(round(2 * level, 4))
        # Silence is not made loud: what lies below -80 dB gains no more than what lies there.
        assert found[CAPTIONS[0]] == found[CAPTIONS[1]] == {0.1}
        assert max(found[CAPTIONS[2]]) == pytest.approx(0.01, rel=0.05)
        assert found[CAPTIONS[3]] == {0.0}

    def test_phrases_are_repeated_or_drawn_until_there_are_k(self, folder: Path) -> None:
        some = batches(folder, CAPTIONS, num_phrases=3)
        seen = set()
        for n in range(10):
            made = some[n]
            for texts, weights in zip(made.said, made.weights, strict=True):
                for phrases, each in zip(texts, weights.tolist(), strict=True):
                    assert len(phrases) == 3
                    assert each == pytest.approx([1 / phrases.count(p) for p in phrases])
                    assert sum(each) == pytest.approx(len(set(phrases)))
                    seen.add(tuple(phrases))
        assert ("Music",) * 3 in seen
        assert ("A dog barks", "Rain falls", "Rain falls") in seen
        four = {phrases for phrases in seen if set(phrases) <= {"Wind", "Rain", "Thunder", "Hail"}}
        assert len(four) > 1 and all(len(set(phrases)) == 3 for phrases in four)

    def test_conditions_are_those_of_the_words(self, folder: Path) -> None:
        some = batches(folder, CAPTIONS)
        read, made = some.read(0), some[0]
        captions = [[len(text) for text in texts] for texts in read.captions]
        assert made.captions[..., 0].tolist() == captions
        phrases = [[[len(p) for p in each] for each in texts] for texts in made.said]
        assert made.phrases[..., 0].tolist() == phrases
        assert made.caption_is_understood.all() and made.phrase_is_understood.all()

    def test_two_parts_of_a_mixture_say_different_things(self, folder: Path) -> None:
        some = batches(folder, ("dog", "dog", "dog", "cat"))
        for n in range(10):
            for captions in some.read(n).captions:
                assert sorted(captions) == ["cat", "dog"]

    def test_where_all_say_the_same_they_are_mixed_all_the_same(self, folder: Path) -> None:
        assert batches(folder, ("dog",) * 4)[0].said == [[["Dog"] * 3] * 2] * 4

    def test_a_batch_is_a_function_of_seed_and_number(self, folder: Path) -> None:
        first, again = batches(folder, CAPTIONS), batches(folder, CAPTIONS)
        # In any order, and as often as one likes.
        for n in (5, 0, 5):
            assert torch.equal(first[n].parts, again[n].parts)
            assert first[n].said == again[n].said
        assert not torch.equal(first[0].parts, first[1].parts)

    def test_processes_share_what_one_would_mix(self, folder: Path) -> None:
        whole = batches(folder, CAPTIONS)[2]
        shares = [batches(folder, CAPTIONS, place=Place(rank, 2))[2] for rank in range(2)]
        assert torch.equal(torch.cat([each.parts for each in shares]), whole.parts)
        assert [*shares[0].said, *shares[1].said] == whole.said

    def test_clips_that_cannot_be_read_are_passed_over_and_told_once(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        readable = batches(folder, CAPTIONS)[0]
        (folder / "d.wav").write_bytes(b"no audio")
        some = batches(folder, CAPTIONS)
        made = some[0]
        heard = {text for texts in some.read(0).captions for text in texts}
        assert "a cat" not in heard and len(heard) == 3
        assert all(texts[0] != texts[1] for texts in some.read(0).captions)
        assert caplog.text.count("left out: row d") == 1
        # What can be read is what was drawn.
        same = [texts == other for texts, other in zip(made.said, readable.said, strict=True)]
        assert 0 < sum(same) < 4
        assert torch.equal(made.parts[same], readable.parts[same])
        # A process that reads other batches before, or a share of this one, finds the same.
        late = batches(folder, CAPTIONS)
        _ = late[3]
        shares = [batches(folder, CAPTIONS, place=Place(rank, 2))[0] for rank in range(2)]
        assert torch.equal(late[0].parts, made.parts)
        assert torch.equal(torch.cat([each.parts for each in shares]), made.parts)

    def test_where_too_few_can_be_read_that_is_an_error(self, folder: Path) -> None:
        for name in "bcd":
            (folder / f"{name}.wav").write_bytes(b"no audio")
        with pytest.raises(ValueError, match=r"too few of the clips .* a mixture of 2"):
            batches(folder, CAPTIONS)[0]

    def test_the_middle_is_taken_as_released_if_wanted(self, folder: Path) -> None:
        ramp = np.arange(2 * RATE) / (2 * RATE)
        for name in "abcd":
            soundfile.write(folder / f"{name}.wav", ramp, RATE, subtype="FLOAT")
        made = batches(folder, CAPTIONS, random_excerpt=False, gain=(1.0, 1.0))[0]
        expected = np.float32(ramp[RATE // 2] / 2)
        np.testing.assert_allclose(made.parts[..., 0], expected, rtol=1e-4)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"num_mixtures": 1}, "num_mixtures 1 must be at least 2"),
            ({"num_phrases": 0}, "num_phrases 0 at least 1"),
            ({"gain": (1.5, 0.5)}, "the smaller one first"),
            ({"gain": (1.0, np.inf)}, "two positive factors"),
            ({"rms": 0.0}, "captions.rms 0.0 is not in"),
            ({"rms": np.nan}, "captions.rms nan is not in"),
            ({"seconds": 0.0}, "0.0 s; give a length"),
            ({"seconds": np.inf}, "inf s; give a length"),
            ({"num_mixtures": 5}, "a mixture of 5 captioned clips, and .* has 4"),
        ],
    )
    def test_what_cannot_be_mixed_is_refused(
        self, folder: Path, changes: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ValueError, match=said):
            batches(folder, CAPTIONS, **changes)


class Numbered:
    """Batches that are their number."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.is_closed = False

    def read(self, n: int) -> int:
        return n

    def mix(self, read: int) -> tuple[str, int]:
        return self.kind, read

    def close(self) -> None:
        self.is_closed = True


class TestInTurn:
    @pytest.mark.parametrize(
        ("ratio", "kinds"),
        [(0.0, "cccccccc"), (0.25, "cccaccca"), (0.5, "cacacaca"), (1.0, "a" * 8)],
    )
    def test_batches_take_turns_by_their_number(self, ratio: float, kinds: str) -> None:
        both = Interleaved(Numbered("a"), Numbered("c"), ratio)
        assert [both[n] for n in range(8)] == list(zip(kinds, range(8), strict=True))

    def test_both_are_closed(self) -> None:
        first, second = Numbered("a"), Numbered("c")
        Interleaved(first, second, 0.5).close()
        assert first.is_closed and second.is_closed

    def test_a_ratio_that_is_none_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"anchor_ratio 1.5 is not in \[0, 1\]"):
            Interleaved(Numbered("a"), Numbered("c"), 1.5)
