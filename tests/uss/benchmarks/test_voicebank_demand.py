from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from uss.benchmarks import BENCHMARKS, PrepareOptions
from uss.core.errors import InputError
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import load_mixture

WriteTone = Callable[..., Path]

VOICEBANK = BENCHMARKS["voicebank-demand"]


@pytest.fixture
def folder(tmp_path: Path, write_tone: WriteTone) -> Path:
    for name in ("p257_003", "p232_001"):
        write_tone(tmp_path / "clean_testset_wav" / f"{name}.wav", 0.2)
        write_tone(tmp_path / "noisy_testset_wav" / f"{name}.wav", 0.3)
    (tmp_path / "log_testset.txt").write_text("p232_001 bus 2.5\np257_003 living 12.5\n")
    for name in ("p226_001", "p226_002"):
        write_tone(tmp_path / "clean_trainset_28spk_wav" / f"{name}.wav")
    return tmp_path


def make(folder: Path, options: PrepareOptions = VOICEBANK.defaults) -> list[ListRow]:
    return VOICEBANK.make_rows(folder, options, list)


def test_every_utterance_is_a_row(folder: Path) -> None:
    rows = make(folder)
    assert [row.target for row in rows] == [
        ("clean_testset_wav/p232_001.wav",),
        ("clean_testset_wav/p257_003.wav",),
    ]
    assert rows[0].mixture == "noisy_testset_wav/p232_001.wav"
    assert [row.group for row in rows] == ["bus 2.5 dB", "living 12.5 dB"]
    assert (rows[0].class_name, rows[0].mids) == ("Speech", ("/m/09x0r",))
    assert (rows[0].sample_rate, rows[0].seconds) == (None, None)
    mixture = load_mixture(rows[0], folder)
    assert abs(mixture.interferer).max() == pytest.approx(0.1, abs=1e-3)


def test_queries_are_clean_training_utterances(folder: Path) -> None:
    assert make(folder)[0].query == tuple(
        f"clean_trainset_28spk_wav/p226_00{number}.wav" for number in (1, 2)
    )
    assert make(folder, replace(VOICEBANK.defaults, queries_per_class=0))[0].query == ()


def test_log_and_training_speakers_may_be_absent(folder: Path) -> None:
    (folder / "log_testset.txt").unlink()
    for path in folder.glob("clean_trainset_28spk_wav/*"):
        path.unlink()
    assert {(row.group, row.query) for row in make(folder)} == {("", ())}


def test_a_broken_log_is_named_by_its_line(folder: Path) -> None:
    (folder / "log_testset.txt").write_text("p232_001 bus 2.5\np257_003 living\n")
    with pytest.raises(ValueError, match=r"log_testset\.txt, line 2"):
        make(folder)


def test_a_log_that_is_no_text_is_named_by_its_line(folder: Path) -> None:
    (folder / "log_testset.txt").write_bytes(b"p232_001 bus 2.5\np257_003 caf\xe9\n")
    with pytest.raises(InputError, match=r"log_testset\.txt, line 2: .*caf.*xe9"):
        make(folder)


def test_a_missing_noisy_file_is_named(folder: Path) -> None:
    (folder / "noisy_testset_wav/p257_003.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"p257_003\.wav: no such file"):
        make(folder)


def test_a_folder_without_the_data_set_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no clean_testset_wav; name the folder"):
        make(tmp_path)
    for name in ("clean_testset_wav", "noisy_testset_wav"):
        (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match="holds no WAV files"):
        make(tmp_path)
