"""The three errors of captioned mixtures: by hand, as released, and at their edges."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.text_models import filled, noise
from uss.core.arrays import Float32
from uss.data.captioned_mixing import CaptionedBatch
from uss.data.dataset import Batch
from uss.models import BiModalUNet, ConvTasNet
from uss.models.bimodal import WINDOW_SAMPLES
from uss.training.bimodal_objective import BiModalError
from uss.training.contrast import Contrast
from uss.training.judges import Judge
from uss.training.objectives import Starting, WaveformL1

SAMPLES = 2_000
SIZE = 6
RATE = 16_000


class LinearJudge(Judge):
    """Hears by a matrix, and reads what a test says."""

    def __init__(
        self,
        matrix: Tensor,
        vectors: dict[str, Float32],
        sample_rate: int = RATE,
        first: int = 0,
        step: int = 1,
    ) -> None:
        super().__init__()
        self.matrix, self.vectors = matrix, vectors
        self.sample_rate, self.scale = sample_rate, 1.0 / 0.07
        self.first, self.step = first, step
        self.heard: list[Tensor] = []
        self.started = 0

    def start(self, device: torch.device) -> None:
        self.started += 1

    def hear(self, waveform: Tensor) -> Tensor:
        self.heard.append(waveform)
        return F.normalize(waveform[:, self.first :: self.step] @ self.matrix, dim=-1)

    def _read(self, phrases: Sequence[str]) -> Float32:
        return np.stack([self.vectors[phrase] for phrase in phrases])


def small(seed: int = 0) -> BiModalUNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BiModalUNet("fake", SIZE, width=2, depth=5, num_maps=3, n_fft=62, hop_length=16)
        torch.nn.init.normal_(network.net_clap["fc"].weight)
    return network.eval()


def batch(said: list[list[list[str]]] | None = None, **changes: Any) -> CaptionedBatch:
    """B = 2 mixtures of N = 2 parts with K = 3 phrases."""
    parts = noise(1, (2, 2, SAMPLES), 0.05)
    if said is None:
        said = [[[f"{b}{i}{k}" for k in range(3)] for i in range(2)] for b in range(2)]
    made = CaptionedBatch(
        mixture=parts.sum(dim=1, keepdim=True),
        parts=parts,
        captions=noise(2, (2, 2, SIZE)),
        phrases=noise(3, (2, 2, 3, SIZE)),
        weights=torch.tensor([[[1.0, 1, 1], [0.5, 0.5, 1]], [[1 / 3] * 3, [1, 1, 1]]]),
        caption_is_understood=torch.ones(2, 2, dtype=torch.bool),
        phrase_is_understood=torch.ones(2, 2, 3, dtype=torch.bool),
        said=said,
    )
    return made._replace(**changes)


def judge(said: Sequence[Sequence[Sequence[str]]], **changes: Any) -> LinearJudge:
    phrases = sorted({phrase for texts in said for some in texts for phrase in some})
    vectors = noise(4, (len(phrases), 5)).numpy()
    return LinearJudge(noise(5, (SAMPLES, 5)), dict(zip(phrases, vectors, strict=True)), **changes)


def losses(objective: BiModalError, made: CaptionedBatch) -> dict[str, float]:
    with torch.inference_mode():
        return {name: float(value) for name, value in objective(small(), made).items()}


def one_by_one(made: CaptionedBatch, linear: LinearJudge) -> dict[str, float]:
    """The same sums, mask by mask and row by row."""
    network = small()
    spectrogram = network.spectrogram(made.mixture[:, 0])
    magnitude = spectrogram.abs()
    found = {"reconstruction": 0.0, "consistency": 0.0, "contrast": 0.0}

    def weighed(magnitudes: Tensor, wanted: Tensor, of: Tensor) -> float:
        return float((torch.log1p(of).clamp(1e-3, 10.0) * (magnitudes - wanted).abs()).mean())

    def mask(condition: Tensor) -> Tensor:
        return network.mask(network.encode(spectrogram), network.modulate(condition)).real

    with torch.inference_mode():
        for i in range(2):
            part = network.spectrogram(made.parts[:, i]).abs()
            estimate = mask(made.captions[:, i]) * magnitude
            found["reconstruction"] += weighed(estimate, part, magnitude)
            masks = [mask(made.phrases[:, i, k]) for k in range(3)]
            remixed = sum(
                made.weights[:, i, k, None, None] * masks[k] * magnitude for k in range(3)
            )
            assert isinstance(remixed, Tensor)
            found["consistency"] += weighed(remixed, part, part)
            waveforms = [network.waveform(each * spectrogram, SAMPLES) for each in masks]
            heard = linear.hear(torch.cat(waveforms))
            said = linear.read([made.said[b][i][k] for k in range(3) for b in range(2)])
            scores = linear.scale * heard @ said.T
            rows = [
                float(torch.logsumexp(row, dim=0) - row[number])
                for number, row in enumerate(scores)
            ]
            found["contrast"] += sum(rows) / len(rows)
    return found


def test_the_sums_are_those_of_the_formulas() -> None:
    made = batch()
    linear = judge(made.said)
    got = losses(BiModalError(linear), made)
    expected = one_by_one(made, linear)
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=1e-5), name
    total = 0.5 * got["contrast"] + 5.0 * (got["reconstruction"] + got["consistency"])
    assert got["loss"] == pytest.approx(total, rel=1e-6)


@pytest.mark.long
@torch.inference_mode()
def test_losses_at_full_size_are_the_released_ones(shared: Path) -> None:
    expected = np.load(shared / "parity" / "bimodal.npz")
    state = filled(shared, "bimodal_trainable", "module.")
    network = BiModalUNet.from_state_dict(state, "model_best.pth.tar")

    def conditions(vectors: int, words: int, shape: tuple[int, ...]) -> Tensor:
        vector = F.normalize(noise(vectors, (*shape, 512)), dim=-1)
        hidden = noise(words, (*shape, 77, 768)).flatten(-2)
        return torch.cat([vector, hidden, torch.ones(*shape, 77)], dim=-1)

    parts = noise(45, (2, 2, WINDOW_SAMPLES), 0.1).clamp(-1.0, 1.0) / 2
    made = batch(
        mixture=parts.sum(dim=1, keepdim=True),
        parts=parts,
        captions=conditions(46, 47, (2, 2)),
        phrases=conditions(50, 51, (2, 2, 3)),
    )
    vectors = {
        made.said[b][i][k]: made.phrases[b, i, k, :512].numpy()
        for b in range(2)
        for i in range(2)
        for k in range(3)
    }
    matrix = noise(49, (2_048, 512), 1.0 / math.sqrt(2_048))
    linear = LinearJudge(matrix, vectors, sample_rate=48_000, first=1, step=192)
    got = BiModalError(linear)(network, made)
    names = {"reconstruction": "reconstruction", "consistency": "consistency"}
    for name, released in {**names, "contrast": "contrastive", "loss": "loss"}.items():
        assert float(got[name]) == pytest.approx(float(expected[released]), rel=1e-4), name
    heard = linear.heard[1][:, 1::997]
    np.testing.assert_allclose(heard, expected["heard_48k_every_997"], atol=5e-7, rtol=0.0)


def test_gradients_reach_the_network_through_what_the_judge_hears() -> None:
    made = batch()
    network = small()
    alone = BiModalError(judge(made.said, sample_rate=24_000), 0.0, 0.0, 1.0)
    alone.judge.matrix = noise(5, (3_000, 5))  # type: ignore[union-attr]
    alone(network, made)["loss"].backward()
    grown = [p.grad.abs().max() for p in network.parameters() if p.grad is not None]
    assert max(grown) > 0.0
    assert alone.judge.heard[0].shape == (6, 3_000)  # type: ignore[union-attr]


def test_what_has_no_weight_is_not_computed() -> None:
    made = batch()
    linear = judge(made.said)
    got = losses(BiModalError(linear, contrast_weight=0.0, consistency_weight=0.0), made)
    assert got.keys() == {"loss", "reconstruction"} and not linear.heard
    assert got["loss"] == pytest.approx(5.0 * got["reconstruction"])
    with pytest.raises(ValueError, match="weights"):
        BiModalError(consistency_weight=-1.0)


def test_a_batch_whose_phrases_are_all_the_same_teaches_no_contrast() -> None:
    made = batch([[["dog"] * 3] * 2] * 2)
    masked = BiModalError(judge(made.said), contrast=Contrast(mask_duplicates=True, symmetric=True))
    assert losses(masked, made)["contrast"] == 0.0
    # As published all other phrases are negatives, though they are the same: log(6) for each part.
    published = losses(BiModalError(judge(made.said)), made)
    assert published["contrast"] == pytest.approx(2.0 * math.log(6.0), rel=1e-6)


def test_what_is_not_understood_counts_as_nothing() -> None:
    made = batch()
    plain = judge(made.said)
    deaf = judge(made.said)
    # The judge does not know one phrase of the first part; the separator not the same.
    deaf.vectors["000"] = np.zeros(5, np.float32)
    captions = torch.tensor([[False, True], [True, True]])
    phrases = made.phrase_is_understood.clone()
    phrases[1, 1, 2] = False
    changed = made._replace(caption_is_understood=captions, phrase_is_understood=phrases)
    got, before = losses(BiModalError(deaf), changed), losses(BiModalError(plain), made)
    for name in ("reconstruction", "consistency", "contrast"):
        assert 0.0 < got[name] < before[name], name
    # Without any word that is understood there is nothing to learn, and nothing breaks.
    nothing = made._replace(
        caption_is_understood=torch.zeros(2, 2, dtype=torch.bool),
        phrase_is_understood=torch.zeros(2, 2, 3, dtype=torch.bool),
    )
    silent = judge(made.said)
    silent.vectors = {phrase: np.zeros(5, np.float32) for phrase in silent.vectors}
    assert losses(BiModalError(silent), nothing)["loss"] == 0.0


def test_anchors_have_an_error_of_their_own() -> None:
    anchors = Batch(noise(1, (2, 1, SAMPLES)), noise(2, (2, 1, SAMPLES)), noise(3, (2, SIZE)))
    with torch.inference_mode():
        got = BiModalError()(small(), anchors)["loss"]
        heavier = BiModalError(supervised_weight=50.0)(small(), anchors)["loss"]
        expected = WaveformL1()(small(), anchors)["loss"]
    assert torch.equal(got, expected)
    torch.testing.assert_close(heavier, 50.0 * expected)


def test_the_judge_is_started_once_and_only_if_it_is_asked() -> None:
    linear = judge(batch().said)
    objective = BiModalError(linear)
    assert isinstance(objective, Starting)
    objective.start(torch.device("cpu"))
    BiModalError(linear, contrast_weight=0.0).start(torch.device("cpu"))
    assert linear.started == 1


def test_a_separator_without_masks_is_refused() -> None:
    with torch.device("meta"):
        model = ConvTasNet("fake", SIZE)
    with pytest.raises(ValueError, match="a separator that gives masks"):
        BiModalError()(model, batch())
