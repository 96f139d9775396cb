"""--blind: the stems that a model finds of itself, named by the tagger."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from pipelines.evaluate.command import main as evaluate
from tests.pipelines.conftest import SEGMENT_SECONDS, tiny_tagger
from tests.pipelines.separate.outputs import read, record, stems
from uss.checkpoints.bundle import Bundle, load_bundle, save_bundle
from uss.models import BlindUNet
from uss.separation.separator import Separator

Separate = Callable[..., int]
RATE = 32_000


class Bands(BlindUNet):
    """Every stem is a band of the spectrogram, in another order for every segment."""

    def encode(self, spectrogram: Tensor) -> Tensor:
        bands = torch.arange(spectrogram.shape[1]) * self.num_stems // spectrogram.shape[1]
        masks = (bands == torch.arange(self.num_stems)[:, None]).float()
        shuffled = []
        for row in spectrogram:
            order = torch.from_numpy(_order_of(row.abs().sum().item(), self.num_stems))
            shuffled.append(masks[order][..., None].expand(-1, -1, spectrogram.shape[2]))
        return torch.stack(shuffled)


def _order_of(number: float, count: int) -> np.ndarray:
    return np.random.default_rng(int(number * 1e3)).permutation(count)


def blind_unet(kind: type[BlindUNet] = BlindUNet, num_stems: int = 4) -> BlindUNet:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = kind(
            num_stems,
            channels=(4, 8),
            n_fft=256,
            hop_length=64,
            segment_seconds=SEGMENT_SECONDS,
        )
        torch.nn.init.normal_(model.after_conv.weight, std=2.0)
    return model.eval()


@pytest.fixture(scope="module")
def blind_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blind") / "mixit.safetensors"
    save_bundle(path, Bundle(tiny_tagger(heard=("Dog",)), blind_unet(), licence="CC0-1.0"))
    return path


@pytest.fixture
def blind(separate: Separate, blind_file: Path) -> Separate:
    def run(*arguments: str | Path) -> int:
        return separate("--model", blind_file, "--blind", *arguments)

    return run


@pytest.mark.parametrize(
    ("sample_rate", "num_channels", "seconds"),
    [
        pytest.param(RATE, 1, 1.7, id="as the model hears"),
        pytest.param(48_000, 2, 2.3, id="stereo, faster"),
        pytest.param(16_000, 2, 1.1, id="stereo, slower"),
        pytest.param(44_100, 1, 0.2, id="shorter than a segment"),
        pytest.param(RATE, 1, 1 / RATE, id="one sample"),
    ],
)
def test_stems_add_up_and_are_named_by_the_tagger(
    blind: Separate,
    write_noise: Callable[..., Path],
    tmp_path: Path,
    sample_rate: int,
    num_channels: int,
    seconds: float,
) -> None:
    source = write_noise(
        tmp_path / "wood.wav", seconds, sample_rate=sample_rate, num_channels=num_channels
    )
    assert blind(source) == 0
    result = tmp_path / "out" / "wood"
    written = stems(result / "blind")
    named = [f"stem{number}_Dog" for number in range(1, 5)]
    assert sorted(written) == ["residual", *named]
    mixture = read(source)
    total = sum(written[name] for name in named)
    np.testing.assert_allclose(total, mixture, rtol=0.0, atol=2e-6)
    assert np.abs(written["residual"]).max() <= 2e-6
    noted = record(result)["stems"]
    assert [stem["name"] for stem in noted] == named
    assert [stem["file"] for stem in noted] == [f"blind/{name}.wav" for name in named]
    for stem in noted:
        assert stem["mid"] == "/m/0bt9lr"
        assert stem["probability"] == max(stem["probabilities"])
        assert stem["preset"] == "blind" and stem["level"] is None


def test_a_stem_stays_one_stem_from_segment_to_segment(
    write_noise: Callable[..., Path], tmp_path: Path
) -> None:
    """Each segment's bands come in another order; the bands of the whole are the stems."""
    separator = Separator(Bundle(tiny_tagger(heard=("Dog",)), blind_unet(Bands, 3)))
    noise, _ = soundfile.read(write_noise(tmp_path / "noise.wav", 4.0), dtype="float32")
    model = separator.model
    assert isinstance(model, Bands)
    with torch.inference_mode():
        orders = {
            tuple(model.encode(model.spectrogram(torch.from_numpy(noise)[None, s : s + 16_000]))
                  [0, :, 10, 0].tolist())
            for s in range(0, 112_000, 12_000)
        }  # fmt: skip
    assert len(orders) > 1, "the test needs segments of different orders"
    found = separator.separate(noise, RATE, blind=True)
    assert list(found) == ["stem1", "stem2", "stem3"]
    edges_hz = np.array([0.0, 1.0, 2.0, 3.0]) / 3.0 * RATE / 2
    power = []
    for samples in found.values():
        # Every half second by itself: no stem may change its band anywhere.
        halves = np.abs(np.fft.rfft(samples.reshape(8, -1), axis=1)) ** 2
        hz = np.fft.rfftfreq(samples.size // 8, 1 / RATE)
        power.append([halves[:, (hz >= a) & (hz < b)].sum(axis=1) for a, b in pairwise(edges_hz)])
    shares = np.array(power) / np.sum(power, axis=1, keepdims=True)
    assert sorted(shares.mean(axis=2).argmax(axis=1)) == [0, 1, 2]
    assert shares.max(axis=1).min() > 0.9
    np.testing.assert_allclose(sum(found.values()), noise, atol=1e-6)


def test_a_stem_in_which_nothing_is_sure_is_named_all_the_same(
    blind: Separate,
    write_noise: Callable[..., Path],
    deaf_tagger: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its intervals are when it sounds: the first second of two."""
    source = write_noise(tmp_path / "wood.wav", 2.0, loud_seconds=1.0)
    assert blind(source, "--tagger", deaf_tagger) == 0
    assert "silent" not in capsys.readouterr().out
    for number, stem in enumerate(record(tmp_path / "out" / "wood")["stems"], start=1):
        assert stem["name"].startswith(f"stem{number}_")
        assert stem["probability"] < 0.01
        ((start, end),) = stem["active_intervals"]
        assert start == 0.0 and 1.0 <= end < 1.7
        assert stem["loudness_dbfs"] is not None


def test_silence_gives_silent_stems_without_a_class(blind: Separate, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    assert blind(tmp_path / "silence.wav") == 0
    names = sorted(stems(tmp_path / "out" / "silence" / "blind"))
    assert names == ["residual", "stem1", "stem2", "stem3", "stem4"]


def test_a_template_names_the_files(
    blind: Separate, write_noise: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_noise(tmp_path / "wood.wav", 0.6)
    assert blind(source, "--names", "{stem}-{class}") == 0
    names = sorted(stems(tmp_path / "out" / "wood" / "blind"))
    assert names == ["wood-residual", *(f"wood-stem{number}_Dog" for number in range(1, 5))]


def test_another_run_replaces_the_stems_that_the_first_has_named(
    blind: Separate, write_noise: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_noise(tmp_path / "wood.wav", 0.6)
    assert blind(source) == 0
    assert blind(source) == 0
    assert len(stems(tmp_path / "out" / "wood" / "blind")) == 5


def refusal(status: int, capsys: pytest.CaptureFixture[str]) -> str:
    stderr = capsys.readouterr().err
    assert status == 2
    assert len(stderr.splitlines()) == 1, stderr
    return stderr


def test_a_model_that_is_asked_cannot_be_blind(
    separate: Separate, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "trained with MixIT" in refusal(separate(scene, "--blind"), capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "asked", [(), ("--class", "Dog"), ("--level", "1"), ("--text", "a dog"), ("--preset", "film")]
)
def test_a_blind_model_cannot_be_asked(
    separate: Separate,
    blind_file: Path,
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    asked: tuple[str, ...],
) -> None:
    line = refusal(separate(scene, "--model", blind_file, *asked), capsys)
    assert "4 stems of itself" in line and "--blind" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "option",
    [
        "--class Dog",
        "--level 2",
        "--not Dog",
        "--threshold 0.5",
        "--consistency",
        "--joint",
        "--detect-only",
        "--stdout residual",
        "--overlap 0",
    ],
)
def test_blind_stands_alone(
    blind: Separate, scene: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    name = "--overlap 0" if "overlap" in option else option.split()[0]
    assert f"leave out {name}, or --blind" in refusal(blind(scene, *option.split()), capsys)


@pytest.mark.parametrize("condition", ["oracle", "class-average", "soft-masked"])
def test_it_is_not_measured_by_what_it_is_asked_for(
    blind_file: Path,
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    condition: str,
) -> None:
    (tmp_path / "list.csv").write_text(f"mixture,target,class\n{scene},{scene},Dog\n")
    words = (tmp_path / "list.csv", "--model", blind_file, "--condition", condition)
    status = evaluate([*map(str, words), "--device", "cpu", "-o", str(tmp_path / "scores")])
    assert "4 stems of itself" in refusal(status, capsys)


def test_programs_are_refused_alike(blind_file: Path) -> None:
    separator = Separator(load_bundle(blind_file))
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    for options, said in (
        ({}, "4 stems of itself"),
        ({"classes": ["Dog"]}, "4 stems of itself"),
        ({"blind": True, "classes": ["Dog"]}, "no classes and queries"),
        ({"blind": True, "overlap": 0.0}, "overlap above 0"),
    ):
        with pytest.raises(ValueError, match=said):
            separator.separate(noise, RATE, **options)
