import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.uss.evaluation.conftest import RATE, SaveTone, tone
from uss.core.errors import InputError
from uss.evaluation.lists.embedders import Embedder
from uss.evaluation.lists.reference_sets import ReferenceSet


class Counting(Embedder):
    """Embeds a sound as its energy and its length, and counts how often."""

    weight_hash = "0123"

    def __init__(self) -> None:
        super().__init__(RATE, 2, torch.device("cpu"))
        self.num_calls = 0

    def _embedded(self, windows: torch.Tensor) -> torch.Tensor:
        self.num_calls += 1
        lengths = torch.full((len(windows),), float(windows.shape[1]))
        return torch.stack([windows.square().sum(dim=1), lengths], dim=1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


Make = Callable[[], tuple[ReferenceSet, Counting]]


@pytest.fixture
def make() -> Make:
    def made() -> tuple[ReferenceSet, Counting]:
        embedder = Counting()
        return ReferenceSet("a list", embedder), embedder

    return made


def test_what_is_known_is_not_made_again(make: Make) -> None:
    sounds = [tone(500.0)[None], tone(500.0, 25.0)[None]]
    first, embedder = make()
    made = [first.of_waveform(each, RATE) for each in sounds]
    assert embedder.num_calls == 2 and [len(each) for each in made] == [1, 3]
    first.save()
    second, other = make()
    for sound, expected in zip(sounds, made, strict=True):
        np.testing.assert_array_equal(second.of_waveform(sound, RATE), expected)
    assert other.num_calls == 0


def test_another_sound_is_not_taken_for_it(make: Make) -> None:
    first, _ = make()
    first.of_waveform(tone(500.0)[None], RATE)
    first.save()
    second, embedder = make()
    changed = tone(500.0)[None]
    changed[0, 100] += 1e-6
    second.of_waveform(changed, RATE)
    second.of_waveform(tone(500.0)[None], 16_000)
    assert embedder.num_calls == 2


def test_networks_and_lists_have_their_own(make: Make, cache: Path) -> None:
    first, _ = make()
    first.of_waveform(tone(500.0)[None], RATE)
    first.save()
    embedder = Counting()
    embedder.weight_hash = "4567"  # type: ignore[misc]
    ReferenceSet("a list", embedder).of_waveform(tone(500.0)[None], RATE)
    assert embedder.num_calls == 1
    (file,) = (cache / "references").iterdir()
    assert file.name.endswith("-0123.npz")


def test_a_broken_file_is_made_again(
    make: Make, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = make()
    first.of_waveform(tone(500.0)[None], RATE)
    first.save()
    (file,) = (cache / "references").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    second, embedder = make()
    second.of_waveform(tone(500.0)[None], RATE)
    second.save()
    assert embedder.num_calls == 1 and "is broken" in caplog.text
    third, embedder = make()
    third.of_waveform(tone(500.0)[None], RATE)
    assert embedder.num_calls == 0


def test_a_folder_is_searched_and_its_files_are_known_until_they_change(
    make: Make, save_tone: SaveTone, tmp_path: Path
) -> None:
    folder = tmp_path / "references"
    for name in ("a.wav", "below/b.wav"):
        save_tone(f"references/{name}", 500.0, channels=2)
    (folder / "notes.txt").write_text("no audio")
    first, embedder = make()
    found = first.of_folder(folder)
    assert found.shape == (2, 2) and embedder.num_calls == 2
    first.save()
    second, embedder = make()
    np.testing.assert_array_equal(second.of_folder(folder), found)
    assert embedder.num_calls == 0
    save_tone("references/a.wav", 500.0, gain=0.5)
    os.utime(folder / "a.wav", ns=(1, 1))
    third, embedder = make()
    changed = third.of_folder(folder)
    assert embedder.num_calls == 1
    np.testing.assert_allclose(changed[0, 0], 0.25 * found[0, 0], rtol=1e-3)


def test_a_folder_without_audio_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no audio to compare with; name another"):
        make()[0].of_folder(tmp_path / "empty")
    with pytest.raises(InputError, match="no such folder; name one"):
        make()[0].of_folder(tmp_path / "missing")
