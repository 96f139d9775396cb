"""What torch.compile needs of a machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

import torch


def has_compiler(device: torch.device) -> bool:
    """Whether what torch.compile calls is there: a C++ compiler, or Triton for CUDA."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    # What torch.compile calls: with another compiler alone it would only fail later.
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    return device.type == "cpu" and shutil.which(name) is not None
