"""Scenes whose truth is the union of their parts, and a training on them."""

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from uss.checkpoints.loading import load_tagger, save_tagger
from uss.data.augmentation import Variation
from uss.taggers import NUM_CLASSES, EfficientAT

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
scene_mixtures = importlib.import_module("scene_mixtures")
train_scene_tagger = importlib.import_module("train_scene_tagger")

RATE, FRAMES = 32_000, 8
MALE_SPEECH, BARK = "/m/05zppz", "/m/05tny_"
AS_IS = Variation(
    speed_probability=0.0, filter_probability=0.0, room_probability=0.0, band_probability=0.0
)


def mixer_of(seconds: tuple[float, float], labels: tuple[tuple[int, ...], ...] = ((1,), (2,))):  # type: ignore[no-untyped-def]
    """Clip n is heard as class n + 1 with 0.6, in all frames."""
    rng = np.random.default_rng(0)
    clips = [(3_000.0 * rng.standard_normal(round(s * RATE))).astype(np.int16) for s in seconds]
    clipwise = np.zeros((2, NUM_CLASSES), np.float16)
    clipwise[[0, 1], [1, 2]] = 0.6
    framewise = np.repeat(clipwise[:, None], FRAMES, axis=1)
    heard = scene_mixtures.Heard(np.arange(2), np.zeros(2, np.int64), clipwise, framewise)
    return scene_mixtures.SceneMixer(clips, labels, heard, AS_IS)


def test_the_truth_holds_what_is_in_the_parts_and_nothing_else() -> None:
    scenes = mixer_of((4.0, 4.0)).batch(40, np.random.default_rng(1))
    assert scenes.waveform.shape == (40, 4 * RATE) and scenes.waveform.abs().max() <= 1.0
    assert not scenes.clipwise[:, 3:].any() and not scenes.framewise[:, :, 3:].any()
    # A label that the teacher confirms counts 0.9; two parts of one class make it surer.
    sure = scenes.clipwise[:, 1:3]
    assert sure.max() >= 0.9 - 1e-3 and (sure.max(dim=1).values >= 0.89).all()
    assert ((sure > 0.0).all(dim=1)).any() and (~(sure > 0.0).all(dim=1)).any()


def test_without_labels_the_teacher_alone_counts() -> None:
    mixer = mixer_of((4.0, 4.0), labels=((), (2,)))
    probabilities = mixer._confirmed(0, 0)
    assert probabilities[1] == pytest.approx(0.6, abs=1e-3)
    assert mixer._confirmed(1, 1)[2] == pytest.approx(0.9)


def test_a_short_sound_is_active_where_it_was_put() -> None:
    """One second of four in eight frames: two frames' worth, and energy there only."""
    rng = np.random.default_rng(2)
    part = np.zeros(4 * RATE, np.float32)
    part[:RATE] = 1.0
    for _ in range(20):
        placed, active, shift = scene_mixtures._place(part, RATE, FRAMES, rng)
        assert active.sum() == pytest.approx(2.0)
        heard = np.square(placed).reshape(FRAMES, -1).mean(axis=1)
        np.testing.assert_allclose(heard, active, atol=1e-6)
        assert active.argmax() == shift


def test_a_cut_event_is_active_where_it_is_heard() -> None:
    rng = np.random.default_rng(3)
    part = np.ones(4 * RATE, np.float32)
    cut = 0
    for _ in range(40):
        placed, active, shift = scene_mixtures._place(part, 4 * RATE, FRAMES, rng)
        assert shift == 0
        heard = np.abs(placed).reshape(FRAMES, -1).mean(axis=1)
        np.testing.assert_allclose(heard, active, atol=0.03)
        cut += active.min() < 1.0
    assert 5 < cut < 25


def test_a_stopped_training_goes_on_and_writes_a_tagger_of_its_own_name(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    tagger = EfficientAT(0.1, name="teacher").eval()
    save_tagger(tmp_path / "teacher.safetensors", tagger, licence="CC0-1.0", provenance={})
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids", "split"])
        for number in range(6):
            noise = 0.1 * rng.standard_normal(RATE * (1 + number % 3))
            soundfile.write(tmp_path / f"{number}.wav", noise, RATE)
            split = "validation" if number < 4 else "train"
            mid = MALE_SPEECH if number % 2 else BARK
            writer.writerow([number, f"{number}.wav", mid, split])
    clips, teacher = tmp_path / "clips.csv", str(tmp_path / "teacher.safetensors")
    monkeypatch.setattr(train_scene_tagger, "_CHECKPOINT_STEPS", 2)

    def run(output: Path, steps: int) -> int:
        words = ["--teacher", teacher, "--student", teacher, "--clips", f"{clips}:train"]
        words += ["--validation", f"{clips}:validation", "--batch-size", "2", "-o", str(output)]
        status: int = train_scene_tagger.main([*words, "--steps", str(steps)])
        return status

    assert run(tmp_path / "whole.safetensors", 4) == 0
    whole = load_tagger(tmp_path / "whole.safetensors")
    assert whole.name == "uss-scenes"
    moved = [
        name
        for name, value in tagger.named_parameters()
        if not torch.equal(value, whole.get_parameter(name))
    ]
    assert len(moved) > 20
    # What was stopped after the last checkpoint ends the same.
    schedule = train_scene_tagger.scene_loss

    def stopped(*arguments: object) -> object:
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return schedule(*arguments)

    calls: list[int] = []
    monkeypatch.setattr(train_scene_tagger, "scene_loss", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts.safetensors", 4)
    monkeypatch.setattr(train_scene_tagger, "scene_loss", schedule)
    assert run(tmp_path / "parts.safetensors", 4) == 0
    parts = load_tagger(tmp_path / "parts.safetensors").state_dict()
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts[name], value, msg=name)


def test_what_is_no_efficientat_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--teacher", str(tmp_path / "gone.pt"), "--clips", "a.csv", "--validation", "a.csv"]
    assert train_scene_tagger.main([*words, "-o", str(tmp_path / "out.safetensors")]) == 2
    assert "train_scene_tagger:" in capsys.readouterr().err
