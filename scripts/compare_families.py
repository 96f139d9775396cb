"""Measure the families of separators on one scene: time, memory, and whether stems add up.

Run it on an idle machine; it prints the tables of docs/generative.md:

    python scripts/compare_families.py [SCENE]

Each family separates the scene by uss-separate in a process of its own. The embedded model is
real; the others have the layouts of their recipes at full size, filled with random numbers (5 GB in
a temporary folder, text encoders among them). Time, memory and the sum of the files are those of
trained weights. What depends on weights, whether the stems alone leave a rest that is the rest, is
measured with the embedded model's stems, and with their sound as a perfect generator of mels would
make it (``measure_guide.mel_alone``).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.signal
import torch
from measure_guide import RATE, mel_alone
from measured_command import separate
from random_models import TEXT_ENCODERS, write_separator

from uss.audio import Recording, read_audio, resample
from uss.core.arrays import Float32
from uss.core.errors import INPUT_ERRORS, InputError
from uss.models.flowsep.level_fitting import fitted_gain, guided

_SCENE = Path(__file__).resolve().parents[1] / "demo" / "scene.flac"
_COSTS = (
    "family",
    "stems",
    "start and loading, s",
    "s per second of sound",
    "peak memory, GB",
    "sum of the files is off by at most",
)
_RESTS = ("stems", "in phase with the recording", "level of the residual, dB")
_N_FFT = 2048
_TINY = 1e-20


class Family(NamedTuple):
    """A family of separators, and how it is asked.

    Attributes:
        name: for ``--only``.
        title: in the tables.
        words: of the command.
        recipe: whose layout the separator has; None for the embedded model.
        reader: of the text, one of ``TEXT_ENCODERS``; None for the separator's own.
    """

    name: str
    title: str
    words: tuple[str, ...]
    recipe: str | None = None
    reader: str | None = None


class Measured(NamedTuple):
    """What came of a family.

    Attributes:
        num_stems: how many it wrote.
        loading_seconds: from its start until it would begin to listen.
        speed: seconds per second of sound, without these.
        gigabytes: its highest resident set.
        deviation: the largest difference of the sum of all files from the recording.
        stem: (C, T) the sum of the stems.
    """

    num_stems: int
    loading_seconds: float
    speed: float
    gigabytes: float
    deviation: float
    stem: Float32


def families(classes: Sequence[str], text: str) -> tuple[Family, ...]:
    """List all families; the first class is asked for alone."""
    one, several, said = ("--class", classes[0]), ("--class", *classes), ("--text", text)
    t5, ten = "flan-t5-large", ("--steps", "10")
    drawn = "diffusionsep"
    return (
        Family("masks", "masks, default model, by class", one),
        Family("text", "masks, default model, by text", said),
        Family("independent", "masks, default model, `--independent`", (*several, "--independent")),
        Family("joint", "masks, default model, `--joint`", (*several, "--joint")),
        Family("blind", "masks, MixIT, `--blind`", ("--blind",), "mixit"),
        Family("audiosep", "masks, AudioSep, by text", said, "audiosep", "clap"),
        Family("flowsep", "generative, FlowSep, 10 steps", (*said, *ten), "flowsep", t5),
        Family("guide", "the same, `--guide`", (*said, *ten, "--guide"), "flowsep", t5),
        Family(drawn, "generative, DiffusionSep, 50 steps", (*said, "--steps", "50"), drawn, t5),
    )


@dataclass(frozen=True)
class Models:
    """Writes what families need, each once.

    Attributes:
        folder: for the files.
        narrow: whether networks are small.
    """

    folder: Path
    narrow: bool

    def words(self, family: Family) -> list[str | Path]:
        """Name a family's models on the command line, and write those that are not there."""
        words: list[str | Path] = []
        if family.recipe is not None:
            path = self.folder / f"{family.recipe}.safetensors"
            if not path.exists():
                write_separator(path, family.recipe, self.narrow)
            words += ["--model", path]
        if family.reader is not None:
            path = self.folder / family.reader
            if not path.exists():
                TEXT_ENCODERS[family.reader](path, self.narrow)
            words += ["--text-encoder", path]
        return words


def measure(family: Family, scene: Path, models: Models, precision: str) -> Measured:
    """Separate a scene by one family, everywhere, whatever the tagger hears.

    Raises:
        OSError, ValueError: if the scene cannot be read, or the command fails.
    """
    recording = read_audio(scene)
    # What auto chooses is found by a trial, and may differ from run to run.
    words = [*models.words(family), *family.words, "--precision", precision]
    if "--blind" not in family.words:
        words += ["--threshold", "0"]
    with tempfile.TemporaryDirectory(dir=models.folder) as output:
        whole = separate([scene, "-o", output, *words])
        # The result is there: the same command loads the models, reads the text, and ends.
        loading = separate([scene, "-o", output, *words, "--resume"])
        if "skipped" not in loading.printed:
            raise InputError(f"{family.title}: with --resume it did not skip: {loading.printed}")
        (residual,) = Path(output).rglob("residual.wav")
        stems = [path for path in residual.parent.glob("*.wav") if path != residual]
        stem = np.sum([read_audio(path).waveform for path in stems], axis=0, dtype=np.float64)
        total = stem + read_audio(residual).waveform
    duration = recording.waveform.shape[1] / recording.sample_rate
    return Measured(
        num_stems=len(stems),
        loading_seconds=loading.seconds,
        speed=(whole.seconds - loading.seconds) / duration,
        gigabytes=whole.megabytes / 1e3,
        deviation=float(np.abs(total - recording.waveform).max()),
        stem=stem.astype(np.float32),
    )


def generated(recording: Recording, stem: Float32) -> tuple[Float32, Float32, Float32]:
    """Make a stem anew, as well as mels can tell it.

    Args:
        recording: what it was separated from.
        stem: (C, T) at its rate.

    Returns:
        The recording, the stem as a generator makes it, and as it guides a mask; (C, T), at 16 kHz.
    """
    mixture, wanted = (
        torch.from_numpy(resample(each, recording.sample_rate, RATE))
        for each in (recording.waveform, stem)
    )
    rng = np.random.default_rng(0)
    made = torch.stack([torch.from_numpy(mel_alone(each.numpy(), rng)) for each in wanted])
    made = made * fitted_gain(made, mixture)[:, None]
    return mixture.numpy(), made.numpy(), guided(made, mixture).numpy()


def in_phase(stem: Float32, mixture: Float32) -> float:
    """Say how far a stem is the recording's own sound.

    The cosine of the angle between the two in each bin of the spectrogram, averaged with the
    product of their magnitudes as weights. A real mask of the recording gives 1, a sound with
    phases of its own 0, however like the wanted one it is.

    Args:
        stem: (C, T), T at least 2048.
        mixture: (C, T).

    Returns:
        -1 to 1; NaN if one of the two is silent.
    """
    first, second = (scipy.signal.stft(each, nperseg=_N_FFT)[2] for each in (stem, mixture))
    products = first * second.conj()
    with np.errstate(invalid="ignore"):
        return float(products.real.sum() / np.abs(products).sum())


def residual_db(stem: Float32, mixture: Float32) -> float:
    """Say how loud what is left is, that of the (C, T) mixture being 0 dB.

    Above 0, taking the stem out has made the recording louder: it has added a sound.
    """
    left, whole = (
        float(np.square(each, dtype=np.float64).sum()) for each in (mixture - stem, mixture)
    )
    return 10.0 * float(np.log10((left + _TINY) / (whole + _TINY)))


def print_costs(found: Mapping[Family, Measured], family: Family) -> None:
    """Print a family's row of the first table, and before the first row its head."""
    got = found[family]
    if len(found) == 1:
        print_row(_COSTS)
        print("|---|" + "---:|" * (len(_COSTS) - 1))
    print_row(
        [
            family.title,
            str(got.num_stems),
            f"{got.loading_seconds:.1f}",
            f"{got.speed:.2f}",
            f"{got.gigabytes:.2f}",
            f"{got.deviation:.0e}",
        ]
    )


def print_rests(found: Mapping[Family, Measured], recording: Recording) -> None:
    """Print the table of what stems leave, of the families whose weights are real."""
    rows = [
        (family.title, got.stem, recording.waveform)
        for family, got in found.items()
        if family.recipe is None
    ]
    if not rows:
        return
    stem = rows[0][1]
    mixture, made, guide = generated(recording, stem)
    rows += [
        ("the first one's sound, generated", made, mixture),
        ("the same as a guide", guide, mixture),
    ]
    print()
    print_row(_RESTS)
    print("|---|---:|---:|")
    for title, stem, whole in rows:
        print_row([title, f"{in_phase(stem, whole):.2f}", f"{residual_db(stem, whole):+.1f}"])


def print_row(cells: Sequence[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("scene", nargs="?", type=Path, default=_SCENE)
    parser.add_argument(
        "--classes",
        nargs="+",
        default=["Speech", "Telephone bell ringing", "Siren"],
        help="what is asked for together; the first one also alone",
    )
    parser.add_argument("--text", default="a man speaks")
    names = [family.name for family in families(["any"], "any")]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="FAMILY")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--narrow", action="store_true", help="small networks, for a trial")
    arguments = parser.parse_args(argv)
    try:
        _compare(arguments)
    except INPUT_ERRORS as error:
        print(f"compare_families: {error}", file=sys.stderr)
        return 2
    return 0


def _compare(arguments: argparse.Namespace) -> None:
    recording = read_audio(arguments.scene)
    channels, num_samples = recording.waveform.shape
    print(
        f"{arguments.scene.name}: {num_samples / recording.sample_rate:.1f} s at "
        f"{recording.sample_rate:g} Hz, channels: {channels}; threads: {torch.get_num_threads()}, "
        f"{arguments.precision}, torch {torch.__version__}\n"
    )
    found: dict[Family, Measured] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = Models(Path(folder), arguments.narrow)
        for family in families(arguments.classes, arguments.text):
            if family.name in arguments.only:
                found[family] = measure(family, arguments.scene, models, arguments.precision)
                print_costs(found, family)
    print_rests(found, recording)


if __name__ == "__main__":
    sys.exit(main())
