import pytest
import torch

from uss.core.runtime import Runtime, _bf16_is_faster, _convolution_seconds


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16)],
)
def test_runtime_on_the_cpu(precision: str, dtype: torch.dtype) -> None:
    runtime = Runtime.choose("cpu", precision)
    assert runtime.device == torch.device("cpu")
    assert runtime.dtype == dtype
    with runtime.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == dtype


@pytest.mark.parametrize(("bf16_seconds", "dtype"), [(0.5, torch.bfloat16), (0.9, torch.float32)])
def test_the_cpus_precision_is_measured(
    bf16_seconds: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bfloat16 is taken where a trial convolution is clearly faster with it."""
    seconds = {torch.float32: 1.0, torch.bfloat16: bf16_seconds}
    monkeypatch.setattr("uss.core.runtime._convolution_seconds", seconds.__getitem__)
    _bf16_is_faster.cache_clear()
    assert Runtime.choose("cpu", "auto").dtype == dtype
    _bf16_is_faster.cache_clear()


def test_the_trial_convolution_takes_time() -> None:
    assert 0.0 < _convolution_seconds(torch.float32) < 10.0


def test_unknown_precision_is_named() -> None:
    with pytest.raises(ValueError, match="unknown precision 'fp8'; choose fp32, bf16, fp16"):
        Runtime.choose("cpu", "fp8")


def test_unknown_device_is_named() -> None:
    with pytest.raises(ValueError, match="gpu"):
        Runtime.choose("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_cuda_device_that_is_not_there(device: str) -> None:
    with pytest.raises(ValueError, match="CUDA"):
        Runtime.choose(device)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an MPS device")
def test_an_mps_device_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="there is no MPS device; use --device cpu"):
        Runtime.choose("mps")
