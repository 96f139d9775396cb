import io

import numpy as np
import pytest

from uss.core.png import indexed_png

PALETTE = np.array([[0, 0, 0], [255, 128, 3], [9, 200, 100]], np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (96, 1200)])
def test_another_decoder_reads_the_colours(
    shape: tuple[int, int], rng: np.random.Generator
) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = rng.integers(0, 3, shape).astype(np.uint8)
    read = np.asarray(image.open(io.BytesIO(indexed_png(pixels, PALETTE))).convert("RGB"))
    np.testing.assert_array_equal(read, PALETTE[pixels])


@pytest.mark.parametrize("pixels", [np.full((2, 2), 3, np.uint8), np.zeros((0, 4), np.uint8)])
def test_what_is_no_such_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="are no such picture"):
        indexed_png(pixels, PALETTE)
