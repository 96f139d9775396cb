import zlib
from pathlib import Path

import pytest

from uss.shards.checksums import add_checksum, measured_checksum, stated_checksum


@pytest.mark.parametrize("size", [0, 1, 25, 26, 27, 1000])
@pytest.mark.parametrize("block", [1, 7, 26, 5000])
def test_a_file_states_the_checksum_of_what_comes_before(
    tmp_path: Path, size: int, block: int
) -> None:
    path, content = tmp_path / "x", bytes(range(256)) * 4
    path.write_bytes(content[:size])
    assert add_checksum(path) == f"{zlib.crc32(content[:size]):08x}"
    whole = path.read_bytes()
    blocks = [whole[start : start + block] for start in range(0, len(whole), block)]
    assert measured_checksum(blocks) == (f"{zlib.crc32(content[:size]):08x}",) * 2


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"some content")
    add_checksum(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        measured, stated = measured_checksum([bytes(flipped)])
        assert measured != stated, place


def test_a_file_that_states_none() -> None:
    assert measured_checksum([b"older release"]) == (f"{zlib.crc32(b'older release'):08x}", None)
    assert stated_checksum(b"") is None and stated_checksum(b"\nuss crc32 0123456z\n") is None
