"""A model as a folder of ONNX graphs, and what is known of them: how it lies on disk.

``model.json`` describes the parts and has the SHA-256 of every file; what classes are asked with,
and thresholds, are in a bundle without networks. Nothing here needs torch.
"""

from __future__ import annotations

import json
from pathlib import Path

DESCRIPTION = "model.json"
ASKING = "asking.safetensors"
ENCODER, MASKS, TAGGER, TEXT = "encoder.onnx", "masks.onnx", "tagger.onnx", "text.onnx"
WORDS = "words.json"
VERSION_KEY = "uss_onnx"
VERSION = 1


def is_onnx_folder(folder: Path) -> bool:
    """Whether a folder holds a description of a model in ONNX."""
    try:
        return VERSION_KEY in json.loads((folder / DESCRIPTION).read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False
