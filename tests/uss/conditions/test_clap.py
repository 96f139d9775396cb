"""CLAP against the numbers of the published code, and what it does with audio of any length."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.text_models import State, as_laion, filled_clap, noise
from uss.conditions.clap import Clap, ten_seconds
from uss.conditions.clap_names import laion_entry
from uss.conditions.clap_words import ClapWords
from uss.conditions.text_encoders import TextEncoder
from uss.conditions.tokenizing import Tokens

pytest.importorskip("transformers")

SAMPLE_RATE = 48_000


def no_tokenizer() -> Any:
    raise AssertionError("these texts are tokenized")


@pytest.fixture(scope="module")
def hf_state(shared: Path) -> State:
    return filled_clap(shared)


@pytest.fixture(scope="module")
def laion_state(shared: Path, hf_state: State) -> State:
    return as_laion(shared, hf_state)


@pytest.fixture(scope="module")
def clap(laion_state: State) -> Clap:
    return Clap(laion_state, "laion.pt", no_tokenizer)


@pytest.fixture(scope="module")
def expected(shared: Path) -> Any:
    return np.load(shared / "parity" / "clap.npz")


def padded(ids: np.ndarray[Any, Any], length: int) -> Tokens:
    row = torch.ones(1, length, dtype=torch.int64)
    row[0, : len(ids)] = torch.from_numpy(ids)
    mask = (torch.arange(length) < len(ids)).long()[None]
    return Tokens(row, mask)


def test_names_are_those_of_the_list(shared: Path) -> None:
    listed = json.loads((shared / "systems" / "shapes" / "clap_laion_to_hf.json").read_text())
    found = 0
    for name, entry in listed.items():
        parts = [entry["hf"]] if isinstance(entry["hf"], str) else entry["hf"] or []
        for third, part in enumerate(parts):
            assert laion_entry(part) == (name, third if len(parts) == 3 else None)
            found += 1
    assert found == 554


@pytest.mark.slow
@pytest.mark.parametrize("name", ["5", "20"])
@pytest.mark.parametrize("length", [None, 77])
def test_texts_are_encoded_as_published(
    clap: Clap, expected: Any, name: str, length: int | None
) -> None:
    ids = expected[f"ids_{name}"]
    with torch.inference_mode():
        vector = clap.vectors(padded(ids, length or len(ids)))[0]
    # Measured: 1.4e-7. The wrong epsilon of the norms would show as 4.6e-5.
    np.testing.assert_allclose(vector, expected[f"text_embedding_{name}"], atol=2e-6, rtol=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["5", "20"])
def test_words_are_encoded_as_published(clap: Clap, expected: Any, name: str) -> None:
    ids = torch.from_numpy(expected[f"ids_{name}"]).long()[None]
    with torch.inference_mode():
        made = ClapWords(clap).vectors(Tokens(ids, torch.ones_like(ids)))[0].numpy()
    vector, hidden, mask = np.split(made, [512, 512 + 77 * 768])
    np.testing.assert_allclose(vector, expected[f"text_embedding_{name}"], atol=2e-6, rtol=0.0)
    # The first and the last token, and two places of padding, which have hidden states as well.
    places = hidden.reshape(77, 768)[[0, int(name) - 1, int(name), 76]]
    released = expected[f"hidden_{name}_first_last_pad"]
    np.testing.assert_allclose(places, released, atol=2e-5, rtol=0.0)
    assert mask.tolist() == [1.0] * int(name) + [0.0] * (77 - int(name))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed", "num_samples"), [("3s", 113, 144_000), ("10s", 114, 480_000)]
)
def test_audio_is_encoded_as_published(
    clap: Clap, expected: Any, name: str, seed: int, num_samples: int
) -> None:
    waveform = noise(seed, (num_samples,), 0.1)
    gains = torch.tensor([1.0, 0.02, 0.5, 0.0, 0.1])
    waveform *= gains[torch.arange(num_samples) // 24_000 % 5]
    with torch.inference_mode():
        whole = ten_seconds(waveform[None])
        log_mel = clap.ears.log_mel(whole)[0, ::50]
        swin = clap.ears.swin_vector(whole)[0]
        vector = clap.ears.embed(waveform[None])[0]
    np.testing.assert_allclose(log_mel, expected[f"log_mel_{name}_every_50"], atol=1e-4, rtol=0.0)
    np.testing.assert_allclose(swin, expected[f"swin_vector_{name}"], atol=1e-5, rtol=0.0)
    np.testing.assert_allclose(vector, expected[f"audio_embedding_{name}"], atol=2e-6, rtol=0.0)


@pytest.mark.slow
def test_transformers_own_names_give_the_same(hf_state: State, clap: Clap, expected: Any) -> None:
    other = Clap(hf_state, "folder", no_tokenizer)
    tokens = padded(expected["ids_5"], 5)
    with torch.inference_mode():
        assert torch.equal(other.vectors(tokens), clap.vectors(tokens))


@pytest.mark.slow
def test_a_file_without_position_ids_is_whole(laion_state: State, clap: Clap) -> None:
    newer = {n: v for n, v in laion_state.items() if not n.endswith("position_ids")}
    assert len(newer) == 504
    weight = Clap(newer, "newer.pt", no_tokenizer).network.state_dict()
    assert all(
        torch.equal(value, weight[name]) for name, value in clap.network.state_dict().items()
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("text_branch.pooler.dense.bias", None, "it lacks text_branch.pooler.dense.bias"),
        ("text_projection.0.weight", torch.zeros(3, 3), r"text_projection.0.weight \(\(3, 3\)\)"),
        ("text_branch.more.bias", torch.zeros(3), "unknown entries text_branch.more.bias"),
    ],
)
def test_wrong_entries_are_named_as_laion_names_them(
    laion_state: State, name: str, change: torch.Tensor | None, said: str
) -> None:
    state = dict(laion_state)
    state.pop(name, None)
    if change is not None:
        state[name] = change
    with pytest.raises(ValueError, match=f"^broken.pt .*{said}"):
        _ = Clap(state, "broken.pt", no_tokenizer).network


def test_it_is_a_text_encoder_of_its_space() -> None:
    clap = Clap({}, "x", no_tokenizer)
    assert isinstance(clap, TextEncoder)
    assert (clap.space, clap.size) == ("clap-512", 512)


class TestTenSeconds:
    def test_short_audio_is_repeated_as_often_as_it_fits(self) -> None:
        waveform = torch.arange(1.0, 150_001.0)[None]
        out = ten_seconds(waveform)
        assert out.shape == (1, 480_000)
        assert torch.equal(out[:, :450_000], waveform.repeat(1, 3))
        assert not out[:, 450_000:].any()

    def test_long_audio_is_cropped_at_its_centre(self) -> None:
        waveform = torch.arange(481_000.0)[None]
        assert torch.equal(ten_seconds(waveform), waveform[:, 500:480_500])

    @pytest.mark.parametrize("num_samples", [1, 479_999, 480_000])
    def test_every_length_comes_out_alike(self, num_samples: int) -> None:
        out = ten_seconds(torch.ones(1, num_samples))
        assert out.shape == (1, 480_000)
        assert out.sum() == 480_000 // num_samples * num_samples


@pytest.mark.slow
def test_audio_at_32_khz_is_heard_as_at_48(clap: Clap) -> None:
    """A tone has the same embedding, whatever rate it was sampled at."""
    low, high = (
        0.1 * torch.sin(2 * torch.pi * 440.0 * torch.arange(5 * rate) / rate)[None]
        for rate in (32_000, SAMPLE_RATE)
    )
    with torch.inference_mode():
        heard, expected = clap.ears(low), clap.ears.embed(high)
        longer = clap.ears(low.repeat(1, 3))
        centre = clap.ears(low.repeat(1, 3)[:, 80_000:400_000])
    assert float(heard @ expected.T) > 0.999
    assert torch.equal(longer, centre)
