"""LASS-Net against the numbers of the released code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.text_models import State, filled, noise
from uss.conditions.bert_mini import BertMini
from uss.conditions.tokenizing import Tokens
from uss.models import LASSNet, MaskModel, SeparationModel

BERT = "text_embedder.bert_layer."
SMALL: dict[str, Any] = {"channels": (4, 6), "text_size": 8, "n_fft": 64, "hop_length": 32}


@pytest.fixture(scope="module")
def state(shared: Path) -> State:
    return filled(shared, "lassnet", "module.")


@pytest.fixture(scope="module")
def expected(shared: Path) -> Any:
    return np.load(shared / "parity" / "lassnet.npz")


@pytest.fixture(scope="module")
def hidden(state: State, expected: Any) -> torch.Tensor:
    """(3, 256): the fixture's text, the same padded, and a shorter one."""
    pytest.importorskip("transformers")
    entries = {n.removeprefix(BERT): value for n, value in state.items() if n.startswith(BERT)}
    bert = BertMini(entries, "x", lambda: pytest.fail("nothing is to be tokenized"))
    ids = torch.from_numpy(expected["ids"])
    batch, mask = (torch.from_numpy(expected[f"{n}_batch"]) for n in ("ids", "attention_mask"))
    with torch.inference_mode():
        alone = bert.vectors(Tokens(ids, torch.ones_like(ids)))
        return torch.cat([alone, bert.vectors(Tokens(batch, mask))])


@pytest.fixture(scope="module")
def network(state: State) -> LASSNet:
    return LASSNet.from_state_dict(state, "LASSNet.pt")


def small(seed: int = 0, **changes: Any) -> LASSNet:
    torch.manual_seed(seed)
    return LASSNet("fake-5", 5, **(SMALL | changes)).eval()


def test_texts_are_read_as_released(network: LASSNet, hidden: torch.Tensor, expected: Any) -> None:
    np.testing.assert_allclose(hidden[0], expected["cls_hidden"], atol=1e-5, rtol=0.0)
    with torch.inference_mode():
        vectors = network.text_vector(hidden)
    np.testing.assert_allclose(vectors[0], expected["text_vector"], atol=1e-5, rtol=0.0)
    np.testing.assert_allclose(vectors[1:], expected["text_vector_batch"], atol=1e-5, rtol=0.0)


def test_it_separates_as_released(network: LASSNet, hidden: torch.Tensor, expected: Any) -> None:
    waveform = noise(21, (1, 64_000), 0.1)
    with torch.inference_mode():
        spectrogram = network.spectrogram(waveform)
        mask = network.mask(network.encode(spectrogram), network.modulate(hidden[:1])).real[0]
        output = network(waveform[:, None], hidden[:1])[0, 0]
    # Measured: mask 4e-6, waveform 2.3e-7.
    np.testing.assert_allclose(mask[:, 60], expected["mask_frame_60"], atol=1e-5, rtol=0.0)
    np.testing.assert_allclose(mask.T[:, ::2], expected["mask_every_2"], atol=3e-4, rtol=0.0)
    np.testing.assert_allclose(output, expected["waveform"], atol=1e-6, rtol=0.0)
    assert (mask[-2:] == 0.5).all()
    assert (network.condition_space, network.sample_rate) == ("lass-net-256", 32_000)


def test_wrong_entries_are_named(state: State) -> None:
    broken = dict(state)
    del broken["UNet.conv_block7.film1.linear.2.bias"]
    broken["UNet.conv_block7.film9.bias"] = torch.zeros(3)
    with pytest.raises(
        ValueError, match=r"film1.linear.2.bias.*unknown entries UNet.conv_block7.f"
    ):
        LASSNet.from_state_dict(broken, "LASSNet.pt")


@pytest.mark.parametrize("num_samples", [64, 1_000, 1_001, 5_000])
def test_audio_of_any_length_comes_back_as_long(num_samples: int) -> None:
    network = small()
    assert isinstance(network, SeparationModel) and isinstance(network, MaskModel)
    mixture = noise(1, (2, 2, num_samples), 0.1)
    with torch.inference_mode():
        out = network(mixture, noise(2, (2, 5)))
    assert out.shape == mixture.shape
    assert torch.isfinite(out).all()
    # A mask between 0 and 1 adds nothing.
    assert out.square().sum() < mixture.square().sum()


def test_queries_get_masks_of_their_own() -> None:
    network, spectrogram = small(), small().spectrogram(noise(1, (1, 2_000), 0.1))
    conditions = noise(2, (1, 3, 5))
    with torch.inference_mode():
        encoded = network.encode(spectrogram)
        together = network.masks(encoded, conditions)[0]
        each = [network.mask(encoded, network.modulate(c[None]))[0] for c in conditions[0]]
    assert together.shape == (3, 33, spectrogram.shape[-1])
    for one, other in zip(together, each, strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.allclose(together[0], together[1])


def test_it_is_built_again_from_its_hyperparameters() -> None:
    network = small()
    again = LASSNet(**network.hyperparameters)
    again.load_state_dict(network.state_dict())
    mixture, condition = noise(1, (1, 1, 500), 0.1), noise(2, (1, 5))
    assert torch.equal(again.eval()(mixture, condition), network(mixture, condition))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": ()}, "there must be a stage"),
        ({"text_size": 0}, "at least 1"),
        ({"n_fft": 100}, "cannot be halved 2 times"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small(**changes)
