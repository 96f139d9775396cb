"""What the measurement of guides prints."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from scripts.measure_guide import RATE, main, mel_alone, phases_turned


def test_turned_phases_keep_magnitudes() -> None:
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 440.0 * time).astype(np.float32)
    turned = phases_turned(tone)
    np.testing.assert_allclose(turned, -np.cos(2 * np.pi * 440.0 * time), atol=1e-3)


def test_noise_takes_the_levels_of_bands() -> None:
    time = np.arange(RATE) / RATE
    loud_then_soft = np.where(time < 0.5, 1.0, 0.1) * np.sin(2 * np.pi * 1_000.0 * time)
    made = mel_alone(loud_then_soft.astype(np.float32), np.random.default_rng(0))
    first, second = made[1_000:7_000].std(), made[9_000:15_000].std()
    assert 7.0 < first / second < 13.0
    spectrum = np.abs(np.fft.rfft(made[:8_000]))
    assert abs(int(spectrum.argmax()) * 2 - 1_000) < 100


def test_it_prints_a_row_for_each_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["clip_id,path,mids,split"]
    time = np.arange(RATE) / RATE
    for number, mid in enumerate(("/m/0bt9lr", "/m/06mb1")):
        soundfile.write(tmp_path / f"{number}.wav", np.sin(2e3 * (number + 1) * time), RATE)
        rows.append(f"{number},{number}.wav,{mid},validation")
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    assert main([str(tmp_path), "--size", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    value = {line[:28].strip(): float(line[28:].split()[0]) for line in lines}
    assert value["mixture"] == pytest.approx(0.0, abs=0.1)
    assert value["phases turned"] < 0.0 < 5.0 < value["phases turned, as a guide"]
    assert main([str(tmp_path / "nowhere")]) == 2
