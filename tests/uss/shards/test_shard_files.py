"""Folders and URLs; ``s3://`` against a server that the test starts."""

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from uss.core.errors import InputError
from uss.shards import (
    Anchor,
    ShardFiles,
    ShardReader,
    ShardSettings,
    shard_path,
    update_index,
    verify,
    write_shard,
)
from uss.shards.shard_files import Span, is_url

MakeAnchor = Callable[..., Anchor]
Upload = Callable[[Path], str]


@pytest.fixture
def local_set(tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings) -> Path:
    """Two shards of three anchors each."""
    folder = tmp_path / "set"
    folder.mkdir()
    for start in (0, 3):
        anchors = [
            make_anchor(k, waveform=np.full(100, k / 10, np.float32))
            for k in range(start, start + 3)
        ]
        write_shard(shard_path(folder, start, start + 3), anchors, [], shard_settings)
    update_index(ShardFiles(folder))
    return folder


@pytest.fixture
def in_memory() -> Iterator[Upload]:
    system = fsspec.filesystem("memory")

    def upload(folder: Path) -> str:
        for path in folder.iterdir():
            system.pipe_file(f"/bucket/train/{path.name}", path.read_bytes())
        return "memory://bucket/train"

    yield upload
    system.rm("/bucket", recursive=True)


@pytest.fixture
def in_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upload]:
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    server_module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()

    def upload(folder: Path) -> str:
        system = s3fs.S3FileSystem()
        # The server's memory outlives it.
        bucket = f"shards-{port}"
        system.mkdir(bucket)
        for path in folder.iterdir():
            system.put_file(str(path), f"{bucket}/train/{path.name}")
        return f"s3://{bucket}/train"

    yield upload
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture(params=["in_memory", "in_s3"])
def upload(request: pytest.FixtureRequest) -> Upload:
    found: Upload = request.getfixturevalue(request.param)
    return found


def test_a_set_at_a_url_is_read_as_the_folder_is(local_set: Path, upload: Upload) -> None:
    with ShardReader(local_set) as here, ShardReader(upload(local_set)) as there:
        rows = np.array([5, 0, 3, 3])
        assert there.class_index.tolist() == here.class_index.tolist()
        np.testing.assert_array_equal(there.waveforms(rows), here.waveforms(rows))
        np.testing.assert_array_equal(there.waveform(4), here.waveform(4))
        np.testing.assert_array_equal(there.rows_of("fake-2")[rows], here.rows_of("fake-2")[rows])
        np.testing.assert_array_equal(there.tags[rows], here.tags[rows])
        np.testing.assert_array_equal(there.conditions("fake-2"), here.conditions("fake-2"))
        assert there.averages("fake-2").vectors.tolist() == here.averages("fake-2").vectors.tolist()
        assert there.clip_id.tolist() == here.clip_id.tolist()


def test_a_reader_of_a_url_survives_a_change_of_process(local_set: Path, upload: Upload) -> None:
    reader = ShardReader(upload(local_set))
    before = reader.waveforms(np.arange(6))
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(copy.waveforms(np.arange(6)), before)


class Rows(Dataset[np.ndarray]):
    def __init__(self, reader: ShardReader) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> np.ndarray:
        return self.reader.waveforms(np.array([number, 5 - number]))


def test_loader_processes_read_from_a_url(local_set: Path, upload: Upload) -> None:
    """After the process that started them has read, too."""
    reader = ShardReader(upload(local_set))
    expected = [reader.waveforms(np.array([number, 5 - number])) for number in range(3)]
    loader = DataLoader(Rows(reader), batch_size=None, num_workers=2)
    for found, wanted in zip(loader, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_set_without_index_at_a_url(local_set: Path, upload: Upload) -> None:
    (local_set / "index.h5").unlink()
    reader = ShardReader(upload(local_set))
    np.testing.assert_allclose(reader.waveform(5), 0.5, atol=1e-4)


def test_a_set_at_a_url_is_verified_and_its_index_written_there(
    local_set: Path, upload: Upload
) -> None:
    (local_set / "index.h5").unlink()
    place = upload(local_set)
    found = verify(ShardFiles(place))
    assert found.problems == () and found.num_files == 2
    assert "index.h5" in ShardFiles(place).states()
    assert len(ShardReader(place)) == 6


def test_a_damaged_shard_at_a_url_is_named(local_set: Path, upload: Upload) -> None:
    path = shard_path(local_set, 3, 6)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    place = upload(local_set)
    (problem,) = verify(ShardFiles(place)).problems
    assert problem.startswith(f"{place}/{path.name} is damaged")


def test_nothing_at_a_url(in_s3: Upload, local_set: Path) -> None:
    place = in_s3(local_set)
    with pytest.raises(FileNotFoundError, match="train/nowhere has no shards"):
        ShardReader(f"{place}/nowhere")


def test_whole_shards_can_be_kept_here(local_set: Path, in_memory: Upload, tmp_path: Path) -> None:
    """By fsspec's own chain of URLs."""
    place = in_memory(local_set)
    with ShardReader(f"simplecache::{place}") as reader:
        np.testing.assert_allclose(reader.waveforms(np.array([1, 4])), [[0.1] * 100, [0.4] * 100],
                                   atol=1e-4)  # fmt: skip


def test_a_file_url_is_a_folder(local_set: Path) -> None:
    files = ShardFiles(f"file://{local_set}")
    assert files.is_local and len(ShardReader(f"file://{local_set}")) == 6


def test_an_unknown_scheme() -> None:
    with pytest.raises(InputError, match=r"nonsense://x: .*give a folder or one of .*s3"):
        ShardFiles("nonsense://x")


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/x") and is_url("filecache::s3://bucket/x")
    assert not is_url("C:\\shards") and not is_url(Path("shards/train"))


def test_many_files_are_read_with_few_open(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / str(number)).write_bytes(str(number).encode() * 10)
    files = ShardFiles(tmp_path)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    pieces = files.read([Span(str(number), 0, 1) for number in range(300)])
    assert [piece.decode() for piece in pieces] == [str(number)[0] for number in range(300)]
    if before:
        assert len(os.listdir("/proc/self/fd")) - before <= 130
    files.close()


def test_a_piece_beyond_the_end(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"123")
    with pytest.raises(OSError, match="ends before byte 5"):
        ShardFiles(tmp_path).read([Span("x", 1, 5)])


def test_a_disk_for_whole_shards_is_named_by_fsspecs_own_variable(
    local_set: Path, in_memory: Upload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, disk = in_memory(local_set), tmp_path / "disk"
    monkeypatch.setitem(fsspec.config.conf, "filecache", {"cache_storage": str(disk)})
    with ShardReader(f"filecache::{place}") as reader:
        np.testing.assert_allclose(reader.waveform(4), 0.4, atol=1e-4)
    sizes = [path.stat().st_size for path in disk.iterdir()]
    assert shard_path(local_set, 3, 6).stat().st_size in sizes
