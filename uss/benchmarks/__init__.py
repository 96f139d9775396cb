"""Benchmarks: evaluation lists from data sets as they were published."""

from collections.abc import Mapping
from types import MappingProxyType

from uss.benchmarks.benchmark import Benchmark, Mining, PrepareOptions, Track
from uss.benchmarks.captioned import AUDIOCAPS, CLOTHO, MUSIC, VGGSOUND
from uss.benchmarks.dcase2024_task9 import DCASE2024_TASK9
from uss.benchmarks.dnr import DNR
from uss.benchmarks.esc50 import ESC50
from uss.benchmarks.fsd50k import FSD50K
from uss.benchmarks.fsdkaggle2018 import FSDKAGGLE2018
from uss.benchmarks.mined import AUDIOSET, CLIPS, manifest_of
from uss.benchmarks.musdb18 import MUSDB18
from uss.benchmarks.slakh2100 import SLAKH2100
from uss.benchmarks.voicebank_demand import VOICEBANK_DEMAND

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        benchmark.name: benchmark
        for benchmark in (
            AUDIOSET,
            CLIPS,
            FSDKAGGLE2018,
            FSD50K,
            MUSDB18,
            SLAKH2100,
            VOICEBANK_DEMAND,
            ESC50,
            DCASE2024_TASK9,
            AUDIOCAPS,
            CLOTHO,
            MUSIC,
            VGGSOUND,
            DNR,
        )
    }
)
"""By name, in the order of the paper's section 4.4, then those of other systems."""

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Mining",
    "PrepareOptions",
    "Track",
    "manifest_of",
]
