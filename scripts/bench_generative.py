"""Time and memory of FlowSep on a chunk, with weights of no meaning.

    python scripts/bench_generative.py [--steps 10] [--precision fp32] [--narrow]

Prints what listening, a step and decoding take for 10.24 s of one channel, and the peak memory of
the process. The text encoder, 341 million parameters more, is not among it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence

import torch
from random_models import random_network
from torch import Tensor

from uss.core.runtime import Runtime
from uss.models import FlowSep

_CHUNK_SECONDS = 10.24


def timed(what: str, work: Callable[[], Tensor]) -> Tensor:
    """Run something, and say how long it took."""
    start = time.perf_counter()
    out = work()
    if out.is_cuda:
        torch.cuda.synchronize()
    print(f"{what:10} {time.perf_counter() - start:8.2f} s")
    return out


@torch.inference_mode()
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--narrow", action="store_true", help="the sizes of the parity test")
    arguments = parser.parse_args(argv)
    runtime = Runtime.choose(arguments.device, arguments.precision)
    whole = random_network("flowsep", narrow=arguments.narrow, segment_seconds=_CHUNK_SECONDS)
    assert isinstance(whole, FlowSep)
    network = whole.for_inference(runtime.dtype).to(runtime.device)
    print(f"parameters {sum(each.numel() for each in network.parameters()) / 1e6:8.1f} million")
    num_samples = round(network.segment_seconds * network.sample_rate)
    shape = (1, network.latent_shape[0], num_samples // network.latent_samples, 16)
    given = {
        "mixture": torch.randn(1, num_samples),
        "condition": torch.ones(1, network.condition_size),
        "noise": torch.randn(shape),
    }
    on = {name: value.to(runtime.device) for name, value in given.items()}
    latent = timed("listening", lambda: network.listen(on["mixture"], on["noise"]).latent)
    drawn = timed(
        f"{arguments.steps} steps",
        lambda: network.draw(latent, on["condition"], on["noise"], arguments.steps),
    )
    timed("decoding", lambda: network.decode(drawn))
    # In kB on Linux.
    print(f"memory     {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:8.2f} GB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
