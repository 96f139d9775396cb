import numpy as np
import pytest
import torch

from uss.hearing.kaldi import KaldiLogMel


def test_it_agrees_with_the_front_end_of_another_library() -> None:
    """Transformers' AST, which hears as Audio-MAE does; its own NumPy way, without torchaudio."""
    transformers = pytest.importorskip("transformers")
    from transformers.models.audio_spectrogram_transformer import (
        feature_extraction_audio_spectrogram_transformer as module,
    )

    rng = np.random.default_rng(0)
    waveform = (0.1 * rng.standard_normal(16_000)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "is_speech_available", lambda: False)
        extractor = transformers.ASTFeatureExtractor(do_normalize=False, max_length=98)
        theirs = extractor(waveform, sampling_rate=16_000, return_tensors="np")["input_values"][0]
    ours = KaldiLogMel()(torch.from_numpy(waveform)[None])[0].numpy().T
    assert ours.shape == (98, 128)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_tone_is_loudest_in_its_band() -> None:
    times = torch.arange(16_000) / 16_000
    for hz in (500.0, 2_000.0, 6_000.0):
        bands = KaldiLogMel()(torch.sin(2 * np.pi * hz * times)[None])[0].mean(dim=1)
        edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8_000 / 700), 130)
        centres_hz = 700 * np.expm1(edges[1:-1] / 1127)
        assert abs(int(bands.argmax()) - int(np.abs(centres_hz - hz).argmin())) <= 1


@pytest.mark.parametrize(("num_samples", "num_frames"), [(1, 1), (400, 1), (559, 1), (560, 2)])
def test_frames_are_whole(num_samples: int, num_frames: int) -> None:
    assert KaldiLogMel()(torch.ones(1, num_samples)).shape == (1, 128, num_frames)
