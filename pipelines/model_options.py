"""Options of all commands that separate: which models, and how they run."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pipelines.cli import at_least, between
from pipelines.interruptions import importing
from uss.checkpoints.published import DEFAULT_MODEL, PUBLISHED
from uss.detection.defaults import DEFAULT_OVERLAP, DEFAULT_THRESHOLD, SENSITIVITIES

if TYPE_CHECKING:
    from uss.separation.separator import Separator


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which models, and how they run; see ``Separator.from_pretrained``."""

    model: str = DEFAULT_MODEL
    separator: str | None = None
    tagger: str | None = None
    class_queries: str | None = None
    text_encoder: str | None = None
    device: str = "auto"
    precision: str = "auto"
    trust_checkpoint: bool = False
    steps: int | None = None
    seed: int | None = None
    guide: bool = False

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> ModelOptions:
        """Take what the functions below have parsed."""
        return cls(**{field.name: getattr(arguments, field.name) for field in fields(cls)})

    def load(self) -> Separator:
        """Load what is named.

        Raises:
            OSError, ValueError: see ``Separator.from_pretrained``.
        """
        with importing():
            from uss.separation.separator import Separator

        options = {field.name: getattr(self, field.name) for field in fields(self)}
        return Separator.from_pretrained(options.pop("model"), **options)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which models separate and detect."""
    separators, taggers, encoders = (
        ", ".join(name for name, file in PUBLISHED.items() if file.kind == kind)
        for kind in ("separator", "tagger", "text encoder")
    )
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE|FOLDER",
        help=f"separates and detects: {DEFAULT_MODEL}, a bundle, a published checkpoint, or "
        f"{separators}, which are downloaded once; a folder holds a model in ONNX "
        "(uss-export-onnx), or the parts of FlowSep",
    )
    parser.add_argument(
        "--separator", metavar="NAME|FILE", help="separates instead of the model, which detects"
    )
    parser.add_argument(
        "--tagger",
        metavar="NAME|FILE",
        help=f"detects instead of the model: a file, or {taggers}, which are downloaded once; "
        "cnn14:FILE or cnn14-decision-level-max:FILE says which of these two a file holds",
    )
    parser.add_argument(
        "--class-queries",
        metavar="FILE",
        help="what to ask the separator for each class, instead of what its own file says",
    )
    parser.add_argument(
        "--text-encoder",
        metavar="NAME|FILE|FOLDER",
        help="reads words for the separator, instead of what its own file holds: a file, a folder "
        f"as transformers saves it, or {encoders}; needs the extra 'text'",
    )
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="load files that hold more than weights; they can run any code",
    )


def add_detection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how segments are laid and what counts as detected."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--threshold",
        type=between(0.0, 1.0),
        default=None,
        help=f"of detection (the model's per-class thresholds, else {DEFAULT_THRESHOLD})",
    )
    group.add_argument(
        "--sensitivity",
        choices=SENSITIVITIES,
        dest="threshold",
        help="detect little that is not there, as well as can be, or most of what is there, as the "
        "model's thresholds have it",
    )
    parser.add_argument(
        "--overlap",
        type=between(0.0, 0.5),
        default=DEFAULT_OVERLAP,
        help="of neighbouring segments; 0 is the paper's algorithm, where also the tagger hears "
        "the segment alone",
    )


def add_joint_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how the stems of a folder are asked for."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--joint",
        action="store_true",
        default=None,
        help="let the stems of a folder share each bin of the spectrogram, so that no sound is in "
        "two of them (what models do that were trained so)",
    )
    group.add_argument(
        "--independent",
        action="store_false",
        dest="joint",
        help="separate each stem as if it were the only one (what all other models do)",
    )


def add_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where networks run, and in which precision."""
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")


def add_drawing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how models draw that generate stems."""
    parser.add_argument(
        "--steps",
        type=at_least(1),
        default=None,
        metavar="N",
        help="how many steps a generative model, such as flowsep-hive, takes from noise to a stem "
        "(if not given, the model's own number: FlowSep's is 10, DiffusionSep's 50)",
    )
    parser.add_argument(
        "--seed",
        type=at_least(0),
        default=None,
        metavar="N",
        help="of its noise; the same seed gives the same stems (0 if not given)",
    )
    parser.add_argument(
        "--guide",
        action="store_true",
        help="mask the mixture by what a generative model has drawn, so that stems keep the "
        "mixture's phases, and add up with the residual",
    )
