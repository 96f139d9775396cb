"""DCASE 2024, task 9: the synthetic validation set of language-queried separation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from uss.benchmarks.archives import find_prefix
from uss.benchmarks.benchmark import Benchmark, PrepareOptions, Track
from uss.benchmarks.gains import ExcerptGains
from uss.benchmarks.mixed_rows import Excerpt, Source, mixed_row
from uss.core.errors import INPUT_ERRORS, InputError
from uss.evaluation.csv_tables import parse_number, read_table
from uss.evaluation.lists.mixture_list import ListRow

_CLIP_SECONDS = 10.0
_SAMPLE_RATE = 16_000
_MIXTURES = "lass_synthetic_validation.csv"
_CLIPS = "lass_validation"
_REMEDY = f"name the folder that holds {_MIXTURES} and what {_CLIPS}.zip holds"


def make_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list; see ``Benchmark.make_rows``.

    The mixtures are those of the challenge's baseline: the noise at a signal-to-noise ratio, both
    scaled where the sum would clip. Their queries are captions; the rows have no class.
    """
    for name in (_MIXTURES, _CLIPS):
        find_prefix(folder, name, ("",), _REMEDY)
    path = folder / _MIXTURES
    mixing = ExcerptGains(folder, Excerpt(_CLIP_SECONDS, "zeros", options.sample_rate))
    rows = []
    for number, record in track(read_table(path)):
        where = f"{path}, row {number}"
        target, noise, snr_db, caption = _mixture_of(tuple(record.values()), where)
        try:
            gains = mixing.limited(target, noise, snr_db)
        except INPUT_ERRORS as error:
            raise InputError(f"{where}: {error}") from error
        rows.append(replace(mixed_row(target, noise, mixing.excerpt, gains), caption=caption))
    return rows


def _mixture_of(values: Sequence[str], where: str) -> tuple[Source, Source, float, str]:
    """Read source, noise, SNR and caption by their places, as the baseline does."""
    try:
        source, noise, snr, caption = values
        snr_db = parse_number("SNR", snr)
    except ValueError:
        raise InputError(
            f"{where}: {','.join(values)!r} is not a source, a noise, an SNR in dB and a caption; "
            "take the file from the data set"
        ) from None
    target, rest = (Source(f"{_CLIPS}/{name}.wav", "") for name in (source, noise))
    return target, rest, snr_db, caption.strip()


DCASE2024_TASK9 = Benchmark(
    name="dcase2024-task9",
    title="DCASE 2024 task 9: 3,000 mixtures of its synthetic validation set, -15 to 15 dB",
    make_rows=make_rows,
    options=("sample_rate",),
    defaults=PrepareOptions(queries_per_class=0, sample_rate=_SAMPLE_RATE),
)
