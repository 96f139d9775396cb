import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from uss.checkpoints.loading import load_tagger, weight_hash
from uss.conditions.embedding import EmbeddingEncoder
from uss.conditions.encoders import SpeakerEncoder, Wav2Vec2Encoder, is_speech_space, load_encoder
from uss.taggers import EfficientAT

ROOT = Path(__file__).resolve().parents[3]
RATE = 32_000
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (8, 8, 12),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 4, 4),
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
}
XVECTOR = {
    "tdnn_dim": (8, 8, 8),
    "tdnn_kernel": (3, 2, 1),
    "tdnn_dilation": (1, 2, 1),
    "xvector_output_dim": 6,
}


@pytest.fixture(scope="module", autouse=True)
def no_network() -> Any:
    """Set before transformers is imported, which reads it once."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random models in files: ``wav2vec2`` with a head for transcripts, and ``speaker``."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("speech")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        wav2vec2 = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SMALL))
        speaker = transformers.WavLMForXVector(transformers.WavLMConfig(**SMALL, **XVECTOR))
        for parameter in (*wav2vec2.parameters(), *speaker.parameters()):
            if parameter.dim() > 1:  # what transformers draws lets next to nothing through
                torch.nn.init.xavier_uniform_(parameter.data)
    wav2vec2.save_pretrained(folder / "wav2vec2")
    speaker.save_pretrained(folder / "speaker")
    return folder


@pytest.fixture(scope="module", params=["wav2vec2", "speaker"])
def encoder(request: pytest.FixtureRequest, folder: Path) -> Any:
    return load_encoder(f"{request.param}={folder / request.param}", load_tagger)


def noise(seconds: float, size: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(size, round(seconds * RATE), generator=generator)


def tone(frequency_hz: float, seconds: float = 1.0) -> torch.Tensor:
    """A tone that fades in and out, so that its ends hold no other frequencies."""
    times = np.arange(round(seconds * RATE)) / RATE
    fade = np.sin(np.pi * times / seconds) ** 2
    wave = 0.1 * fade * np.sin(2 * np.pi * frequency_hz * times)
    return torch.from_numpy(wave.astype(np.float32))[None]


def encode(encoder: Any, waveform: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        encoded: torch.Tensor = encoder(waveform)
    return encoded


def test_names_choose_the_encoder_and_sizes_name_its_space(folder: Path) -> None:
    wav2vec2 = load_encoder(f"wav2vec2={folder / 'wav2vec2'}", load_tagger)
    speaker = load_encoder(f"speaker={folder / 'speaker'}", load_tagger)
    assert isinstance(wav2vec2, Wav2Vec2Encoder)
    assert isinstance(speaker, SpeakerEncoder)
    # The last convolution of the one, the x-vector of the other.
    assert (wav2vec2.space, wav2vec2.size) == ("wav2vec2-12", 12)
    assert (speaker.space, speaker.size) == ("wavlm-xvector-6", 6)
    for encoder in (wav2vec2, speaker):
        assert encode(encoder, noise(1.0, 2)).shape == (2, encoder.size)
        assert not encoder.network.training
        assert is_speech_space(encoder.space)


def test_any_other_name_is_a_taggers(tmp_path: Path) -> None:
    tagger = EfficientAT(width=0.05, name="tiny").eval()
    asked: list[str] = []

    def load(name: str) -> EfficientAT:
        asked.append(name)
        return tagger

    for name in ("cnn14", "wav2vec2.safetensors", "speakers=3.pt"):
        encoder = load_encoder(name, load)
        assert isinstance(encoder, EmbeddingEncoder)
        assert encoder.network is tagger
        assert encoder.space == "tiny-48"
        assert not is_speech_space(encoder.space)
    assert asked == ["cnn14", "wav2vec2.safetensors", "speakers=3.pt"]
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt: no such file"):
        load_encoder(str(tmp_path / "nowhere.pt"), load_tagger)


def test_wav2vec2_conditions_are_the_mean_of_the_convolutional_features(folder: Path) -> None:
    """Against transformers itself, fed at 16 kHz with zero mean and unit variance."""
    encoder = Wav2Vec2Encoder(str(folder / "wav2vec2"))
    waveform = tone(500.0)
    at_16_khz = waveform[0, ::2]  # a tone of 500 Hz needs no filter
    standardised = (at_16_khz - at_16_khz.mean()) / at_16_khz.std(correction=0)
    with torch.inference_mode():
        network = encoder.network
        features = network.feature_extractor(standardised[None]).transpose(1, 2)
        expected = network.feature_projection.layer_norm(features).mean(dim=1)
    torch.testing.assert_close(encode(encoder, waveform), expected, rtol=0.0, atol=2e-3)


def test_content_above_8_khz_does_not_matter_and_content_below_does(encoder: Any) -> None:
    """Every second sample alone would turn 10 kHz into 6 kHz."""
    voice = noise(1.0, seed=3)
    voice = torch.fft.irfft(
        torch.fft.rfft(voice) * (torch.arange(RATE // 2 + 1) < 5_000), n=RATE
    )  # one second: bin n is n Hz
    clean = encode(encoder, voice)
    above = (encode(encoder, voice + tone(10_000.0)) - clean).abs().max()
    below = (encode(encoder, voice + tone(6_000.0)) - clean).abs().max()
    assert below > 1e-3
    assert above < 0.02 * below


@pytest.fixture
def heard(encoder: Any, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What the network inside the encoder was given."""
    heard: list[torch.Tensor] = []
    # Of wav2vec 2.0 only the first layers run.
    only_first = isinstance(encoder, Wav2Vec2Encoder)
    entrance = encoder.network.feature_extractor if only_first else encoder.network
    forward = entrance.forward

    def spy(waveform: torch.Tensor) -> Any:
        heard.append(waveform)
        return forward(waveform)

    monkeypatch.setattr(entrance, "forward", spy)
    return heard


def test_a_tone_of_6_khz_reaches_the_network_at_16_khz(
    encoder: Any, heard: list[torch.Tensor]
) -> None:
    encode(encoder, tone(6_000.0))
    (waveform,) = heard
    assert waveform.shape == (1, 16_000)
    if isinstance(encoder, Wav2Vec2Encoder):
        assert waveform.mean().item() == pytest.approx(0.0, abs=1e-5)
        assert waveform.square().mean().item() == pytest.approx(1.0, abs=1e-3)
    spectrum = torch.fft.rfft(waveform[0]).abs()
    assert int(spectrum.argmax()) == 6_000


def test_the_level_and_an_offset_do_not_matter_to_wav2vec(encoder: Any) -> None:
    if not isinstance(encoder, Wav2Vec2Encoder):
        pytest.skip("WavLM Base+ was trained without standardisation")
    waveform = noise(1.0, 2)
    expected = encode(encoder, waveform)
    for changed in (0.03 * waveform, 20.0 * waveform, waveform + 0.3):
        torch.testing.assert_close(encode(encoder, changed), expected, rtol=0.0, atol=2e-3)
    assert (encode(encoder, noise(1.0, 2, seed=9)) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("num_samples", [1, 2, 100, 15_000])
def test_shorter_than_half_a_second_is_padded_with_zeros(
    encoder: Any, num_samples: int, heard: list[torch.Tensor]
) -> None:
    encoded = encode(encoder, noise(0.5)[:, :num_samples])
    assert encoded.shape == (1, encoder.size)
    assert torch.isfinite(encoded).all()
    (waveform,) = heard
    assert waveform.shape == (1, 8_000)
    padding = waveform[0, num_samples // 2 + 1 :]
    assert padding.min() == padding.max()


def test_silence_is_encoded_as_something_finite(encoder: Any) -> None:
    assert torch.isfinite(encode(encoder, torch.zeros(1, RATE))).all()


def test_rows_of_a_batch_do_not_change_each_other(encoder: Any) -> None:
    waveform = noise(0.7, 3)
    waveform[1] *= 100.0
    together = encode(encoder, waveform)
    alone = torch.cat([encode(encoder, row[None]) for row in waveform])
    torch.testing.assert_close(together, alone, rtol=0.0, atol=1e-5)


def test_each_loading_gives_the_same_network(folder: Path, tmp_path: Path) -> None:
    """The file of facebook/wav2vec2-base-960h lacks the vector that stands for masked frames.

    Drawn at random it would change the hash by which mining knows its own shards again.
    """
    source = folder / "wav2vec2"
    entries = load_file(source / "model.safetensors")
    del entries["wav2vec2.masked_spec_embed"]
    save_file(entries, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    hashes = {weight_hash(Wav2Vec2Encoder(str(tmp_path)).network) for _ in range(3)}
    assert len(hashes) == 1
    assert hashes == {weight_hash(Wav2Vec2Encoder(str(source)).network)}


@pytest.mark.parametrize(
    ("name", "architecture"), [("wav2vec2", "Wav2Vec2Model"), ("speaker", "WavLMForXVector")]
)
def test_a_model_of_another_architecture_is_refused(
    folder: Path, name: str, architecture: str
) -> None:
    """Not filled up with random weights."""
    other = "speaker" if name == "wav2vec2" else "wav2vec2"
    with pytest.raises(ValueError, match=f"lacks .* entries of a {architecture}") as refusal:
        load_encoder(f"{name}={folder / other}", load_tagger)
    assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["wav2vec2", "speaker"])
def test_a_hub_out_of_reach_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OSError, match="transformers cannot get the model") as refusal:
        load_encoder(f"{name}=nobody/no-such-model", load_tagger)
    assert "nobody/no-such-model" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("folder")
def test_a_folder_without_a_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="name a folder that holds the model") as refusal:
        load_encoder(f"speaker={tmp_path}", load_tagger)
    assert str(tmp_path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["wav2vec2", "speaker", "wav2vec2=folder"])
def test_without_transformers_the_extra_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r"pip install 'uss-pipeline\[speech\]'") as refusal:
        load_encoder(name, load_tagger)
    assert "\n" not in str(refusal.value)


def test_importing_the_encoders_imports_no_transformers() -> None:
    code = "import sys, uss.conditions.encoders; print('transformers' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "False", done.stderr
