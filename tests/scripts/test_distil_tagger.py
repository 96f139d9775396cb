import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from uss.checkpoints.loading import load_tagger, save_tagger
from uss.taggers import EfficientAT

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
distillation = importlib.import_module("distillation")
distil_tagger = importlib.import_module("distil_tagger")

MALE_SPEECH, BARK = "/m/05zppz", "/m/05tny_"


@pytest.fixture
def teacher() -> EfficientAT:
    torch.manual_seed(0)
    return EfficientAT(0.1, name="teacher").eval()


@pytest.fixture
def arguments(tmp_path: Path, rng: np.random.Generator, teacher: EfficientAT) -> list[str]:
    save_tagger(tmp_path / "teacher.safetensors", teacher, licence="CC0-1.0", provenance={})
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids", "split"])
        for number in range(8):
            name = f"{number}.wav"
            noise = 0.1 * rng.standard_normal(32_000 * (1 + number % 3))
            soundfile.write(tmp_path / name, noise, 32_000)
            split = "validation" if number < 4 else "train"
            writer.writerow([number, name, MALE_SPEECH if number % 2 else BARK, split])
    clips = str(tmp_path / "clips.csv")
    return [
        *("--teacher", str(tmp_path / "teacher.safetensors")),
        *("--clips", f"{clips}:train"),
        *("--validation", f"{clips}:validation"),
        *("--steps", "4", "--block-steps", "2", "--batch-size", "2"),
    ]


def test_a_batch_depends_on_its_generator_alone(rng: np.random.Generator) -> None:
    clips = [(3000.0 * rng.standard_normal(n)).astype(np.int16) for n in (9_000, 200_000)]
    first, again, other = (
        distillation.make_batch(clips, 4, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)
    assert first.abs().max() <= 1.0
    assert (first.square().mean(dim=1).sqrt() > 10 ** (-46 / 20)).all()


def test_the_teacher_itself_has_nothing_to_learn(teacher: EfficientAT) -> None:
    """Both hint losses vanish for a student that is its teacher; what is left is the entropy."""
    waveform = 0.1 * torch.randn(3, 64_000, generator=torch.Generator().manual_seed(0))
    trace = distillation.trace_teacher(teacher, waveform)
    entropy = torch.nn.functional.binary_cross_entropy(
        trace.probabilities, trace.probabilities, reduction="sum"
    )
    for loss in (distillation.block_loss, distillation.whole_loss):
        with torch.no_grad():
            assert loss(teacher, trace).item() == pytest.approx(entropy.item() / 3, rel=1e-3)


def test_the_student_comes_closer(teacher: EfficientAT) -> None:
    torch.manual_seed(1)
    student = EfficientAT(0.1).train()
    waveform = 0.1 * torch.randn(4, 64_000, generator=torch.Generator().manual_seed(0))
    trace = distillation.trace_teacher(teacher, waveform)
    optimiser = torch.optim.AdamW(student.parameters(), lr=5e-3)
    losses = []
    for _ in range(12):
        loss = distillation.block_loss(student, trace)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_both_stages_and_resuming(arguments: list[str], tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    assert distil_tagger.main([*arguments, "-o", str(whole)]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distil_tagger, "CHECKPOINT_STEPS", 1)
        patch.setattr(distil_tagger, "whole_loss", interrupt)
        with pytest.raises(KeyboardInterrupt):
            distil_tagger.main([*arguments, "-o", str(parts)])
    assert not parts.exists()
    assert distil_tagger.main([*arguments, "-o", str(parts)]) == 0
    expected, resumed = load_tagger(whole).state_dict(), load_tagger(parts).state_dict()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_missing_teacher_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments[1] = str(tmp_path / "nowhere.pt")
    assert distil_tagger.main([*arguments, "-o", str(tmp_path / "s.safetensors")]) == 2
    assert "nowhere.pt" in capsys.readouterr().err
