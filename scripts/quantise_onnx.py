"""Store the weights of an exported model as int8, and let onnxruntime compute with them.

Nothing of the package does this: it is here to be measured (docs/onnx.md).

    uss-export-onnx -o exported
    python scripts/quantise_onnx.py exported -o dynamic --kind dynamic
    python scripts/quantise_onnx.py exported -o static --kind static --clips AUDIO/*.ogg
    python scripts/bench_onnx.py default exported dynamic static

``dynamic`` finds the range of each activation when it comes, ``static`` before, from clips.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from uss.audio import read_mono
from uss.checkpoints.loading import load_model
from uss.checkpoints.onnx_layout import DESCRIPTION, ENCODER, MASKS, TAGGER
from uss.core.files import folder_written_whole
from uss.models.onnx_separator import OnnxSeparator
from uss.models.portable import parts_of
from uss.taggers.efficientat import at_least_a_second
from uss.taggers.onnx_tagger import OnnxTagger

_WINDOW_SECONDS = 4
# What has weights; sums and activations between them stay in float32.
_OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
Inputs = dict[str, np.ndarray]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="that uss-export-onnx wrote")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--kind", choices=("dynamic", "static"), required=True)
    parser.add_argument("--clips", nargs="+", type=Path, default=[], help="that ranges come from")
    parser.add_argument(
        "--graphs", nargs="+", choices=(ENCODER, MASKS, TAGGER), default=[ENCODER, MASKS, TAGGER]
    )
    arguments = parser.parse_args(argv)
    if (arguments.kind == "static") != bool(arguments.clips):
        parser.error("--clips go with --kind static, which needs some")
    # It warns of each graph that it was not told the shapes of.
    logging.getLogger().setLevel(logging.ERROR)
    examples = _examples(arguments.folder, arguments.clips) if arguments.clips else {}
    with folder_written_whole(arguments.output) as part:
        shutil.copytree(arguments.folder, part, dirs_exist_ok=True)
        for name in arguments.graphs:
            _quantise(arguments.folder / name, part / name, examples.get(name))
            before, after = ((each / name).stat().st_size for each in (arguments.folder, part))
            print(f"{name}: {before / 1e6:.1f} MB to {after / 1e6:.1f} MB", flush=True)
        described = json.loads((part / DESCRIPTION).read_text("utf-8"))
        for name in arguments.graphs:
            described["files"][name] = hashlib.sha256((part / name).read_bytes()).hexdigest()
        (part / DESCRIPTION).write_text(json.dumps(described, ensure_ascii=False), "utf-8")
    return 0


class _Reader(quantization.CalibrationDataReader):
    def __init__(self, examples: Sequence[Inputs]) -> None:
        self._rest: Iterator[Inputs] = iter(examples)

    def get_next(self) -> Inputs | None:  # type: ignore[override]
        return next(self._rest, None)


def _quantise(source: Path, target: Path, examples: Sequence[Inputs] | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared.onnx")
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        options: dict[str, Any] = {"per_channel": True, "op_types_to_quantize": list(_OPERATORS)}
        if examples is None:
            quantization.quantize_dynamic(prepared, target, **options)
        else:
            quantization.quantize_static(prepared, target, _Reader(examples), **options)


def _examples(folder: Path, clips: Sequence[Path]) -> Mapping[str, list[Inputs]]:
    """What each graph takes when the clips are separated, a segment of each."""
    bundle = load_model(folder)
    separator, tagger, queries = bundle.separator, bundle.tagger, bundle.class_queries
    assert isinstance(separator, OnnxSeparator) and isinstance(tagger, OnnxTagger)
    assert queries is not None
    encoded_names = json.loads((folder / DESCRIPTION).read_text("utf-8"))["separator"]["encoded"]
    num_samples = round(separator.segment_seconds * separator.sample_rate)
    examples: dict[str, list[Inputs]] = {ENCODER: [], MASKS: [], TAGGER: []}
    rng = np.random.default_rng(0)
    with torch.inference_mode():
        for clip in clips:
            waveform = torch.from_numpy(read_mono(clip, tagger.sample_rate)).reshape(1, -1)
            window = waveform[:, : _WINDOW_SECONDS * tagger.sample_rate]
            examples[TAGGER].append({"logmel": tagger.logmel(at_least_a_second(window)).numpy()})
            segment = torch.nn.functional.pad(waveform, (0, num_samples))[:, :num_samples]
            transformed = separator.transformed(separator.spectrogram(segment))
            names = ("power", "ear_image")[: len(transformed)]
            examples[ENCODER].append(_named(names, transformed))
            asked = torch.from_numpy(queries.vectors[rng.integers(len(queries.vectors), size=4)])
            given = (*parts_of(separator.encode_transformed(*transformed)), asked)
            examples[MASKS].append(_named((*encoded_names, "conditions"), given))
    return examples


def _named(names: Sequence[str], tensors: Sequence[torch.Tensor]) -> Inputs:
    return {name: each.numpy() for name, each in zip(names, tensors, strict=True)}


if __name__ == "__main__":
    sys.exit(main())
