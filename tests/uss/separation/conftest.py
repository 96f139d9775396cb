"""Where the fakes run."""

import pytest
import torch

from uss.core.runtime import Runtime


@pytest.fixture
def runtime() -> Runtime:
    return Runtime(torch.device("cpu"), torch.float32, batch_size=3)
