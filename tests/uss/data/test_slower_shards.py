from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uss.data.slower_shards import SlowerShards
from uss.shards import Anchor, ShardReader, ShardSettings, shard_path, write_shard

MakeAnchor = Callable[..., Anchor]
NUM_SAMPLES = 3_200


@pytest.fixture
def folder(tmp_path: Path, shard_settings: ShardSettings, make_anchor: MakeAnchor) -> Path:
    """One anchor of 440 Hz at 32 kHz, and one that ends after 1,001 samples."""
    tone = np.sin(2.0 * np.pi * 440.0 * np.arange(NUM_SAMPLES) / 32_000).astype(np.float32)
    settings = replace(shard_settings, sample_rate=32_000, segment_samples=NUM_SAMPLES)
    anchors = [make_anchor(0, waveform=0.5 * tone), make_anchor(1, waveform=0.5 * tone[:1_001])]
    write_shard(shard_path(tmp_path, 0, 2), anchors, [], settings)
    return tmp_path


def test_waveforms_come_at_the_lower_rate(folder: Path) -> None:
    with SlowerShards(folder, 16_000) as reader:
        assert (reader.settings.sample_rate, reader.settings.segment_samples) == (16_000, 1_600)
        assert reader.valid_samples.tolist() == [1_600, 501]
        waveform = reader.waveform(0)
    expected = 0.5 * np.sin(2.0 * np.pi * 440.0 * np.arange(1_600) / 16_000)
    assert waveform.shape == (1_600,) and waveform.dtype == np.float32
    # The ends ring, as the tone begins and stops there.
    np.testing.assert_allclose(waveform[200:-200], expected[200:-200], atol=1e-3)


def test_at_the_shards_own_rate_nothing_changes(folder: Path) -> None:
    with SlowerShards(folder, 32_000) as same, ShardReader(folder) as reader:
        assert np.array_equal(same.waveform(0), reader.waveform(0))
        assert same.settings == reader.settings


@pytest.mark.parametrize("rate", [0, -16_000, 48_000, 12_800, 5])
def test_other_rates_are_refused(folder: Path, rate: int) -> None:
    with pytest.raises(ValueError, match=f"sample_rate {rate}: .* choose a whole fraction"):
        SlowerShards(folder, rate)
