"""Separators on a CUDA device, compared with float32 on the CPU; skipped where there is none."""

import pytest
import torch
from torch import Tensor

from uss.core.runtime import Runtime
from uss.models import ResUNet, ResUNet30

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

# Of mask values, whose magnitudes are at most 1: float32 may run as TF32, the others round to 8
# and 11 bits at every layer.
TOLERANCES = {"fp32": 5e-3, "bf16": 0.1, "fp16": 0.02}


@pytest.fixture(scope="module", params=[ResUNet, ResUNet30])
def model(request: pytest.FixtureRequest) -> ResUNet | ResUNet30:
    torch.manual_seed(0)
    kind = request.param
    made: ResUNet | ResUNet30 = kind("fake-5", 5, channels=(8, 12, 16), n_fft=256, hop_length=64)
    return made.eval()


def mask_of(model: ResUNet | ResUNet30, runtime: Runtime) -> Tensor:
    """(2, bins, F) complex mask as the separator computes it, back on the CPU."""
    generator = torch.Generator().manual_seed(1)
    waveform = (0.1 * torch.randn(2, 8_000, generator=generator)).to(runtime.device)
    condition = torch.randn(2, 5, generator=generator).to(runtime.device)
    moved = model.for_inference(runtime.dtype).to(runtime.device)
    with torch.inference_mode():
        encoded = moved.encode(moved.spectrogram(waveform))
        modulation = moved.modulate(condition)
        with runtime.autocast():
            mask = moved.mask(encoded, modulation)
    return mask.cpu()


def test_cuda_is_chosen_where_it_is() -> None:
    runtime = Runtime.choose("auto", "auto")
    assert runtime.device.type == "cuda"
    expected = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    assert runtime.dtype == expected
    assert runtime.batch_size > Runtime.choose("cpu", "fp32").batch_size


@pytest.mark.parametrize("precision", TOLERANCES)
def test_masks_are_those_of_the_cpu(model: ResUNet | ResUNet30, precision: str) -> None:
    expected = mask_of(model, Runtime.choose("cpu", "fp32"))
    mask = mask_of(model, Runtime.choose("cuda", precision))
    assert mask.dtype == torch.complex64
    torch.testing.assert_close(mask, expected, rtol=0.0, atol=TOLERANCES[precision])


def test_autocast_computes_in_the_precision_that_was_chosen() -> None:
    for precision, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        runtime = Runtime.choose("cuda", precision)
        with runtime.autocast():
            product = torch.ones(2, 2, device="cuda") @ torch.ones(2, 2, device="cuda")
        assert product.dtype == dtype
