"""AudioSep's lists with captions, on folders with their layouts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from uss.benchmarks import BENCHMARKS
from uss.core.errors import InputError
from uss.evaluation.lists.mixture_list import ListRow, read_list, write_list
from uss.evaluation.lists.mixtures import load_mixture

WriteTone = Callable[..., Path]
WriteTable = Callable[[Path, Sequence[Mapping[str, object]]], Path]

NUMBERED = ("audiocaps", "clotho", "music")
VGGSOUND = {
    "file_id": "a+++b",
    "mix_wav": "data/mix_wav/a+++b.wav",
    "s0_wav": "data/s0_wav/a+++b.wav",
    "s0_text": "playing marimba, xylophone",
    "s1_wav": "data/s1_wav/a+++b.wav",
    "s1_text": "skidding",
}


def make(name: str, folder: Path, **options: object) -> list[ListRow]:
    benchmark = BENCHMARKS[name]
    chosen = replace(benchmark.defaults, sample_rate=2_000, **options)  # type: ignore[arg-type]
    return benchmark.make_rows(folder, chosen, list)


@pytest.fixture
def numbered(tmp_path: Path, write_tone: WriteTone) -> Path:
    for number in (0, 1):
        write_tone(tmp_path / f"segment-{number}.wav", 0.2)
        write_tone(tmp_path / f"mixture-{number}.wav", 0.5)
    return tmp_path


@pytest.mark.parametrize("name", NUMBERED)
def test_numbered_lists(name: str, numbered: Path, write_table: WriteTable, tmp_path: Path) -> None:
    captions = [{"idx": 0, "caption": "a tuba", "x": ""}, {"idx": 1, "caption": " a dog ", "x": ""}]
    write_table(numbered / f"{name}_eval.csv", captions)
    rows = make(name, numbered)
    assert [row.caption for row in rows] == ["a tuba", "a dog"]
    assert (rows[1].target, rows[1].mixture) == (("segment-1.wav",), "mixture-1.wav")
    assert [row.group for row in rows] == (["a tuba", "a dog"] if name == "music" else ["", ""])
    mixture = load_mixture(rows[0], numbered)
    assert mixture.mixture.max() == pytest.approx(0.5, abs=0.01)
    assert mixture.target.max() == pytest.approx(0.2, abs=0.01)
    write_list(tmp_path / "list.csv", rows)
    assert read_list(tmp_path / "list.csv") == rows


def test_vggsound_names_its_files_and_both_sounds(
    tmp_path: Path, write_tone: WriteTone, write_table: WriteTable
) -> None:
    for kind in ("mix_wav", "s0_wav"):
        write_tone(tmp_path / "audio" / kind / "a+++b.wav")
    path = write_table(tmp_path / "lists" / "mine.csv", [VGGSOUND])
    (row,) = make("vggsound", tmp_path / "audio", pairs=path)
    assert (row.caption, row.interferer_caption) == ("playing marimba, xylophone", "skidding")
    assert (row.target, row.mixture) == (("s0_wav/a+++b.wav",), "mix_wav/a+++b.wav")


def test_what_is_wrong_is_named(numbered: Path, write_table: WriteTable) -> None:
    with pytest.raises(FileNotFoundError, match=r"clotho_eval\.csv: no such file"):
        make("clotho", numbered)
    path = write_table(numbered / "clotho_eval.csv", [{"idx": 7, "caption": "a dog"}])
    with pytest.raises(FileNotFoundError, match=r"clotho_eval\.csv, row 2: .*segment-7\.wav"):
        make("clotho", numbered)
    write_table(path, [{"idx": 0, "caption": " "}])
    with pytest.raises(InputError, match="row 2: it has no caption"):
        make("clotho", numbered)
    write_table(path, [{"number": 0, "caption": "a dog"}])
    with pytest.raises(InputError, match="has neither the columns idx, caption nor mix_wav"):
        make("clotho", numbered)


CLAPSEP = {
    "source_file": "Yone.wav",
    "positive_caption": "The sound of tuba",
    "noise_file": "Ytwo.wav",
    "negative_caption": "a man speaks",
}


@pytest.fixture
def clips(tmp_path: Path, write_tone: WriteTone) -> Path:
    for name, amplitude in {"Yone": 0.8, "Ytwo": 0.2, "x_1": 0.5, "x_2": 0.5}.items():
        write_tone(tmp_path / "clips" / f"{name}.wav", amplitude)
    return tmp_path / "clips"


@pytest.mark.parametrize("name", ["audiocaps", "music"])
def test_clapseps_pairs_of_clips(
    name: str, clips: Path, write_table: WriteTable, tmp_path: Path
) -> None:
    swapped = dict(zip(CLAPSEP, ["Ytwo.wav", "a man speaks", "Yone.wav", "a tuba"], strict=True))
    path = write_table(tmp_path / "pairs.csv", [CLAPSEP, swapped])
    samples = tmp_path / "samples.csv"
    write_table(samples, [{"class": "the sound of tuba", "file": "['x_1.wav', 'Yone.wav']"}])
    first, second = make(name, clips, pairs=path, query_samples=samples)
    assert (first.caption, first.interferer_caption) == ("The sound of tuba", "a man speaks")
    assert (second.caption, second.interferer_caption) == ("a man speaks", "a tuba")
    assert (first.query, second.query) == (("x_1.wav",), ()), "what is mixed is no example"
    assert first.group == ("The sound of tuba" if name == "music" else "")
    mixture = load_mixture(first, clips)
    assert mixture.mixture.shape == (1, 20_000), "ten seconds"
    # Two tones of 0.8 in phase are brought from 1.6 to 0.9.
    assert abs(mixture.mixture).max() == pytest.approx(0.9, abs=1e-3)
    assert abs(mixture.target).max() == pytest.approx(0.45, abs=1e-3)
    quiet = load_mixture(second, clips)
    assert abs(quiet.target).max() == pytest.approx(0.2, abs=1e-3)
    assert abs(quiet.mixture).max() == pytest.approx(0.4, abs=1e-3)


def test_what_is_wrong_with_clapseps_lists_is_named(
    clips: Path, write_table: WriteTable, write_tone: WriteTone, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "pairs.csv", [CLAPSEP | {"noise_file": "Ythree.wav"}])
    with pytest.raises(FileNotFoundError, match=r"pairs\.csv, row 2: .*Ythree\.wav: no such file"):
        make("audiocaps", clips, pairs=path)
    write_tone(clips / "Ythree.wav", 0.0)
    with pytest.raises(InputError, match=r"pairs\.csv, row 2: .*Ythree\.wav is silent"):
        make("audiocaps", clips, pairs=path)
    samples = write_table(tmp_path / "samples.csv", [{"class": "tuba", "file": "x_1.wav"}])
    with pytest.raises(InputError, match=r"samples\.csv, row 2: 'x_1\.wav' is no list of files"):
        make("music", clips, pairs=path, query_samples=samples)


def test_examples_are_for_clapseps_lists(
    numbered: Path, write_table: WriteTable, tmp_path: Path
) -> None:
    write_table(numbered / "music_eval.csv", [{"idx": 0, "caption": "a tuba"}])
    samples = write_table(tmp_path / "samples.csv", [{"class": "tuba", "file": "['x_1.wav']"}])
    with pytest.raises(InputError, match=r"--query-samples is for CLAPSep's lists"):
        make("music", numbered, query_samples=samples)


def test_a_folder_that_is_missing_or_holds_no_list(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        make("audiocaps", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"audiocaps_eval\.csv: no such file; .*--pairs"):
        make("audiocaps", tmp_path)
