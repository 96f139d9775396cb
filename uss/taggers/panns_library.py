"""The networks of the package ``panns-inference``, imported only when one is built."""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType

from torch import nn

from ontology import load_ontology
from uss.core.files import written_whole
from uss.core.state_dicts import is_constant
from uss.hearing.mel import PannsLogMel


def panns_models() -> ModuleType:
    """Import the library's networks.

    Importing it reads a class list in the home folder, and calls ``wget`` where there is none;
    offline that leaves an empty file, with which a later import fails. So the list is written
    before, into ``~/panns_data``.

    Returns:
        ``panns_inference.models``.

    Raises:
        OSError: if the list is missing and cannot be written.
    """
    provide_class_list(Path.home() / "panns_data" / "class_labels_indices.csv")
    from panns_inference import models

    module: ModuleType = models
    return module


def without_transforms(network: nn.Module) -> nn.Module:
    """Turn transform kernels and mel matrix into buffers that are neither trained nor stored.

    The library keeps them as frozen parameters, which a bundle in half precision would blur.
    """
    for name, parameter in list(network.named_parameters()):
        if is_constant(name, PannsLogMel.constants):
            owner, _, attribute = name.rpartition(".")
            layer = network.get_submodule(owner)
            delattr(layer, attribute)
            layer.register_buffer(attribute, parameter.detach(), persistent=False)
    return network


def provide_class_list(path: Path) -> None:
    """Write our class list as AudioSet publishes it, unless a file with content is there.

    Raises:
        OSError: if it cannot be written.
    """
    if _has_content(path):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            written_whole(path) as part,
            part.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["index", "mid", "display_name"])
            for node in load_ontology().classes:
                writer.writerow([node.class_index, node.mid, node.name])
    except OSError as error:
        # Another process may have written it in the meantime.
        if not _has_content(path):
            raise OSError(
                f"CNN14 comes from panns-inference, which reads {path}, and that cannot be "
                f"written ({error.strerror}); let HOME name a folder that can be written"
            ) from error


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
