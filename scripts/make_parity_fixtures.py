"""Writes tests/fixtures/parity, from which a bare clone proves the published arithmetic.

    python scripts/make_parity_fixtures.py PARITY [-o FOLDER]

PARITY is a folder with outputs of the released networks (*.npz, *.shapes.json, fill.py), which are
too large to ship. Nothing is written unless this program agrees with all of them. The small
fixtures then hold what it computes for other weights and inputs, except where something simple
stands for the original: CNN14 is that of panns-inference; anchors, gains and node probabilities are
computed here, by definition and without the library.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import parity_inputs as inputs
import torch
from numpy.typing import NDArray

from uss.core.state_dicts import is_constant
from uss.data.mixing import energy_matching_gain
from uss.mining.anchors import find_anchors
from uss.taggers.panns_library import panns_models

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "fixtures" / "parity"

_SEPARATOR = "resunet30_at_soft"
_RELEASED = {
    "anchors": 0.0,
    "mixer": 1e-5,
    "cnn6_cnn10": 1e-4,
    "htsat": 1e-4,
    "hierarchy": 1e-4,
    _SEPARATOR: 1e-5,
}
"""File of released outputs -> how far this program may be from them; the cheap ones first."""


def check(parity: Path) -> None:
    """Compare with the released outputs.

    Raises:
        ValueError: if one is missing or differs.
    """
    for name, tolerance in _RELEASED.items():
        path = parity / f"{name}.npz"
        if not path.is_file():
            raise ValueError(f"{path} is missing; name the folder of the released outputs")
        with torch.inference_mode():
            pairs = _released_pairs(name, np.load(path), parity)
        for what, (got, expected) in pairs.items():
            scale = np.abs(expected).max() if name == "mixer" else 1.0
            error = float(np.abs(np.asarray(got, np.float64) - expected).max()) / scale
            if not error <= tolerance:
                raise ValueError(f"{path}: {what} differs by {error:.2g}; nothing was written")
            print(f"{name}: {what} within {error:.1g}")


def _released_pairs(name: str, stored: Mapping[str, Any], parity: Path) -> dict[str, Any]:
    """Return (ours, theirs) by what they are."""
    if name == "anchors":
        spans = _find(stored["framewise"])
        return {"begin": (spans[:, 0], stored["begin_sample"])}
    if name == "mixer":
        rows = inputs.noise(11, (4, 64_000)) * np.array([[1.0], [0.1], [3.0], [0.001]], np.float32)
        sources = torch.from_numpy(rows)
        gain = energy_matching_gain(sources, sources.roll(-1, dims=0)).numpy()
        return {"gain": (gain, stored["gain"].reshape(-1))}
    if name == "cnn6_cnn10":
        heard = torch.from_numpy(inputs.noise(15, (1, 64_000), 0.1))
        outputs = {kind: _released_network(kind, parity)(heard) for kind in ("cnn6", "cnn10")}
        return {
            f"{kind}_{part}": (getattr(output, part)[0], stored[f"{kind}_{part}"])
            for kind, output in outputs.items()
            for part in ("clipwise", "embedding")
        }
    if name == "htsat":
        output = _released_network(name, parity)(
            torch.from_numpy(inputs.noise(14, (1, 64_000), 0.1))
        )
        parts = ("clipwise", "embedding")
        return {p: (getattr(output, p)[0], stored[f"two_seconds_{p}"]) for p in parts}
    if name == "hierarchy":
        levels = np.repeat(np.array([1.0, 0.02, 0.5, 0.0, 1.0, 0.0], np.float32), 32_000)
        heard = np.pad(inputs.noise(12, (160_000,), 0.1), (0, 32_000)) * levels
        output = _released_network("cnn14", parity)(torch.from_numpy(heard.reshape(3, 64_000)))
        return {"CNN14's probabilities": (output.clipwise, stored["probabilities"])}
    asked = np.clip(np.abs(inputs.noise(8, (1, 527))) / 3.0, 0.0, 1.0)
    mixture = torch.from_numpy(inputs.noise(7, (1, 1, 64_000), 0.1))
    output = _released_network(name, parity)(mixture, torch.from_numpy(asked))
    return {"waveform": (output, stored["waveform"])}


def _released_network(name: str, parity: Path) -> Any:
    """Build a network with the weights of the released outputs."""
    spec = importlib.util.spec_from_file_location("fill", parity / "fill.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = module.fill_state_dict(_released_shapes(name, parity))
    return inputs.KINDS[name].from_state_dict(state, name)


def _released_shapes(name: str, parity: Path) -> dict[str, tuple[int, ...]]:
    shapes = json.loads((parity / f"{name}.shapes.json").read_text("utf-8"))
    constants = inputs.KINDS[name].constants
    return {n: tuple(shape) for n, shape in shapes.items() if not is_constant(n, constants)}


def _find(framewise: NDArray[Any]) -> NDArray[np.int64]:
    spans = [
        find_anchors(
            row, hop_length=inputs.HOP, clip_samples=inputs.CLIP, segment_samples=inputs.SEGMENT
        )[0]
        for row in framewise
    ]
    return np.array([span[:2] for span in spans])


@torch.inference_mode()
def network_outputs() -> dict[str, NDArray[Any]]:
    """Return what the networks give for the small inputs."""
    mixture = inputs.waveform()
    separated = inputs.filled(_SEPARATOR)(mixture[None], inputs.condition())
    outputs = {_SEPARATOR: separated[0, 0, :: inputs.WAVEFORM_STEP].numpy()}
    for name in ("cnn6", "cnn10", "htsat"):
        found = inputs.filled(name)(mixture)
        outputs[f"{name}_clipwise"] = found.clipwise[0].numpy()
        outputs[f"{name}_embedding"] = found.embedding[0].numpy()
    library = panns_models().Cnn14(32_000, 1024, 320, 64, 50, 14_000, 527).eval()
    constants = inputs.KINDS["cnn14"].constants
    filled = inputs.fill(inputs.published_entries(library, constants))
    library.load_state_dict({**library.state_dict(), **filled})
    found = library(mixture)
    outputs["cnn14_clipwise"] = found["clipwise_output"][0].numpy()
    outputs["cnn14_embedding"] = found["embedding"][0].numpy()
    return outputs


def steps_by_definition() -> dict[str, NDArray[Any]]:
    """Compute anchors, gains and node probabilities without the library."""
    frames = inputs.framewise()
    half, last = inputs.SEGMENT // inputs.HOP // 2, frames.shape[1] - 1
    begins = []
    for row in frames:
        means = [
            np.mean([row[min(max(centre + offset, 0), last)] for offset in range(-half, half + 1)])
            for centre in range(len(row))
        ]
        centre = min(max(int(np.argmax(means)), half), len(row) - half)
        begins.append((centre - half) * inputs.HOP)
    energy = [sum(float(x) ** 2 for x in row) for row in inputs.segments()]
    following = energy[1:] + energy[:1]
    gains = [
        min(max((own / other) ** 0.5, 0.02), 50.0)
        for own, other in zip(energy, following, strict=True)
    ]
    mids, columns = _node_classes()
    heard = inputs.probabilities()
    grouped = [[max(row[k] for k in columns[mid]) for mid in mids] for row in heard]
    return {
        "anchor_begin_sample": np.array(begins),
        "gain": np.array(gains),
        "node_mids": np.array(mids),
        "node_probability": np.array(grouped, np.float32),
    }


def _node_classes() -> tuple[list[str], dict[str, set[int]]]:
    """Walk the ontology's CSV files: nodes with classes, and each one's classes, parents first."""
    folder = ROOT / "ontology"
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
        index = {row["mid"]: int(row["index"]) for row in csv.DictReader(file)}
    with (folder / "nodes.csv").open(encoding="utf-8", newline="") as file:
        listed = {row["mid"]: row["child_mids"].split() for row in csv.DictReader(file)}
    parent: dict[str, str] = {}
    for mid, children in listed.items():
        for child in children:
            parent.setdefault(child, mid)
    classes: dict[str, set[int]] = {mid: set() for mid in listed}
    for mid, number in index.items():
        above: str | None = mid
        while above is not None:
            classes[above].add(number)
            above = parent.get(above)
    return [mid for mid in listed if classes[mid]], classes


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parity", type=Path, metavar="PARITY")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER)
    arguments = parser.parse_args(argv)
    try:
        check(arguments.parity)
    except ValueError as error:
        print(f"make_parity_fixtures: {error}", file=sys.stderr)
        return 1
    entries = {
        name: inputs.fingerprint(_released_shapes(name, arguments.parity)) for name in inputs.KINDS
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(arguments.output / "networks.npz", **network_outputs())
    np.savez_compressed(arguments.output / "steps.npz", **steps_by_definition())
    (arguments.output / "entries.json").write_text(json.dumps(entries, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
