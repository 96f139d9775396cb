"""Voicebank-Demand: speech in noise, 824 utterances as they were mixed (section 4.4)."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from uss.benchmarks.archives import files_below, find_prefix
from uss.benchmarks.benchmark import Benchmark, PrepareOptions, Track
from uss.benchmarks.class_names import class_mids
from uss.benchmarks.pairs import draw_files
from uss.core.errors import InputError
from uss.evaluation.lists.mixture_list import ListRow

logger = logging.getLogger(__name__)

_NAME = "voicebank-demand"
_NUM_UTTERANCES = 824
_CLEAN, _NOISY = "clean_testset_wav", "noisy_testset_wav"
_TRAINING = ("clean_trainset_28spk_wav", "clean_trainset_wav", "clean_trainset_56spk_wav")
_LOGS = ("log_testset.txt", "logfiles/log_testset.txt")
_REMEDY = f"name the folder that {_CLEAN}.zip and {_NOISY}.zip were unpacked into"


def make_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list; see ``Benchmark.make_rows``."""
    for name in (_CLEAN, _NOISY):
        find_prefix(folder, name, ("",), _REMEDY)
    clean = files_below(folder, _CLEAN, ".wav")
    if not clean:
        raise FileNotFoundError(f"{folder / _CLEAN} holds no WAV files; {_REMEDY}")
    if len(clean) != _NUM_UTTERANCES:
        logger.warning("%d utterances; the test set has %d", len(clean), _NUM_UTTERANCES)
    noises = _read_log(folder)
    query = _query(folder, options)
    rows = []
    for target in track(clean):
        mixture = f"{_NOISY}/{Path(target).name}"
        if not (folder / mixture).is_file():
            raise FileNotFoundError(f"{folder / mixture}: no such file; {_REMEDY}")
        rows.append(
            ListRow(
                target=(target,),
                mixture=mixture,
                query=query,
                class_name="Speech",
                mids=class_mids(_NAME)["Speech"],
                group=noises.get(Path(target).stem, ""),
                sample_rate=options.sample_rate,
                seed=options.seed if query else None,
            )
        )
    return rows


def _read_log(folder: Path) -> dict[str, str]:
    """Read which noise each utterance has, and its SNR: ``p232_001 bus 2.5``; where there is it.

    Raises:
        InputError: if a line has other fields.
    """
    noises = {}
    for name in _LOGS:
        if (folder / name).is_file():
            # Its fields are ASCII; what else a file holds is named with its line.
            text = (folder / name).read_text(encoding="utf-8", errors="backslashreplace")
            lines = text.splitlines()
            for number, line in enumerate(lines, start=1):
                fields = line.split()
                if not fields:
                    continue
                if len(fields) != 3:
                    raise InputError(
                        f"{folder / name}, line {number}: {line!r} is not a name, a noise and an "
                        "SNR; take the file from the data set, or remove it"
                    )
                noises[fields[0].removesuffix(".wav")] = f"{fields[1]} {fields[2]} dB"
            break
    return noises


def _query(folder: Path, options: PrepareOptions) -> tuple[str, ...]:
    """Clean utterances of the training speakers, where they are."""
    for name in _TRAINING if options.queries_per_class else ():
        files = files_below(folder, name, ".wav")
        if files:
            rng = np.random.default_rng(options.seed)
            return draw_files({"Speech": files}, options.queries_per_class, rng)["Speech"]
    return ()


VOICEBANK_DEMAND = Benchmark(
    name=_NAME,
    title="Voicebank-Demand: speech in everyday noise, 824 utterances",
    make_rows=make_rows,
    options=("seed", "queries_per_class", "sample_rate"),
    defaults=PrepareOptions(sample_rate=None),
    metrics=("pesq", "ssnr"),
)
