"""Pictures with few colours as PNG files, for pages that hold them."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH_BITS, _PALETTE_COLOURS = 8, 3


def indexed_png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """Encode a picture; see the PNG specification (ISO/IEC 15948), sections 5 and 11.

    Args:
        pixels: (H, W) numbers of colours, the top row first.
        palette: (P, 3) red, green and blue of each colour; P at most 256.

    Raises:
        ValueError: if a pixel has no colour, or there is no pixel.
    """
    height, width = pixels.shape
    if not pixels.size or int(pixels.max()) >= len(palette) or len(palette) > 256:
        raise ValueError(f"{height} x {width} pixels of {len(palette)} colours are no such picture")
    size = struct.pack(">IIBBBBB", width, height, _DEPTH_BITS, _PALETTE_COLOURS, 0, 0, 0)
    # Each row begins with its filter; 0 is none.
    rows = np.pad(pixels, ((0, 0), (1, 0))).tobytes()
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", size),
            _chunk(b"PLTE", palette.astype(np.uint8).tobytes()),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
