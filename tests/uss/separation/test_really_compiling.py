"""torch.compile itself, on a tiny separator, compared with the network as it is."""

import warnings
from collections.abc import Iterator

import pytest
import torch

from uss.core.compilers import has_compiler
from uss.core.runtime import Runtime
from uss.models import ResUNet, ResUNet30
from uss.models.masking import MaskNetwork
from uss.separation.compiling import LazyCompiler

CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    ],
)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Leave neither compiled code nor filters to other tests."""
    with warnings.catch_warnings():
        yield
    torch._dynamo.reset()


def network(kind: type[ResUNet] | type[ResUNet30]) -> MaskNetwork:
    torch.manual_seed(0)
    small = kind("fake-5", 5, channels=(4,), n_fft=64, hop_length=16).eval()
    for value in small.state_dict().values():
        if value.is_floating_point():
            value.mul_(1.0 + 0.2 * torch.rand(value.shape))
    return small


@pytest.mark.slow
@pytest.mark.parametrize("device_name", ["cpu", CUDA])
@pytest.mark.parametrize("kind", [ResUNet, ResUNet30])
def test_the_compiled_mask_is_that_of_the_network(
    kind: type[ResUNet] | type[ResUNet30],
    device_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = torch.device(device_name)
    if not has_compiler(device):
        pytest.skip("torch.compile needs a C++ compiler on a CPU, Triton on a CUDA device")
    model = network(kind).for_inference(Runtime.choose(device_name, "fp32").dtype).to(device)
    generator = torch.Generator().manual_seed(1)
    waveform = (0.1 * torch.randn(3, 640, generator=generator)).to(device)
    condition = torch.randn(3, 5, generator=generator).to(device)
    lazy = LazyCompiler(model.mask, device)
    with torch.inference_mode():
        encoded = model.encode(model.spectrogram(waveform))
        modulation = model.modulate(condition)
        expected = model.mask(encoded, modulation)
        lazy.compile()
        masks = [lazy.mask(encoded, modulation) for _ in range(2)]
    assert lazy.is_compiled, caplog.text
    assert lazy.mask != model.mask
    assert expected.is_complex() and expected.imag.abs().max() > 1e-3
    for mask in masks:
        assert mask.dtype == expected.dtype
        torch.testing.assert_close(mask, expected, rtol=0.0, atol=1e-4)
