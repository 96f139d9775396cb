import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
fuzz_audio = importlib.import_module("fuzz_audio")

Damage = Callable[[bytearray, np.random.Generator], bytearray]


@pytest.mark.parametrize("damage", fuzz_audio.MUTATIONS)
@pytest.mark.parametrize("size", [0, 1, 5, 300, 20_000])
def test_any_content_can_be_damaged(damage: Damage, size: int) -> None:
    content = bytes(np.random.default_rng(0).integers(0, 256, size, np.uint8))
    results = [bytes(damage(bytearray(content), np.random.default_rng(seed))) for seed in range(20)]
    assert size < 300 or sum(result != content for result in results) >= 15
    assert results[0] == bytes(damage(bytearray(content), np.random.default_rng(0)))


def test_a_file_depends_on_the_seed_and_its_number_alone() -> None:
    content = bytes(1_000)
    assert fuzz_audio.damaged(content, 0, 5) == fuzz_audio.damaged(content, 0, 5)
    assert fuzz_audio.damaged(content, 0, 5) != fuzz_audio.damaged(content, 1, 5)
    assert fuzz_audio.damaged(content, 0, 5) != fuzz_audio.damaged(content, 0, 6)


@pytest.mark.parametrize(
    ("reply", "names", "expected"),
    [
        ((0, "", 300.0), ["out/a/detections.json"], None),
        ((2, "uss-separate: error: a.wav is no audio\n", 300.0), [], None),
        ((1, "a.wav", 300.0), [], "status 1"),
        ((2, "a.wav", 300.0), ["out/a/level2/Dog.wav"], "status 2, but leaves a/level2/Dog.wav"),
        ((0, "", 300.0), [], "status 0, but no result"),
        ((2, "a.wav\nTraceback (most recent call last):", 300.0), [], "prints 'Traceback"),
        ((2, "a.wav", 1_300.0), [], "needs 1300 MB"),
    ],
)
def test_what_counts_as_a_failure(
    tmp_path: Path, reply: tuple[int, str, float], names: list[str], expected: str | None
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    problem = fuzz_audio._problem(fuzz_audio._Reply(*reply), tmp_path / "a.wav", tmp_path / "out")
    assert problem is None if expected is None else (problem or "").startswith(expected)
