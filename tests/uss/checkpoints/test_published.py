import hashlib
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from uss.checkpoints.published import PUBLISHED, PublishedFile

NAMES = {
    "audiosep-hive",
    "lass-net",
    "clipsep-nit",
    "flowsep",
    "flowsep-hive",
    "flan-t5-large",
    "flan-t5-large-tokenizer",
    "clap-music-speech-audioset",
    "clap-music-audioset",
    "bimodal",
    "clip-vit-base-patch32",
    "bert-mini",
    "roberta-base-vocab",
    "roberta-base-merges",
    "bert-base-uncased-vocab",
    "clip-vit-base-patch32-vocab",
    "clip-vit-base-patch32-merges",
    "uss-at-soft-full",
    "uss-embedding-balanced",
    "audiosep",
    "cnn14",
    "cnn14-decision-level-max",
    "cnn6",
    "cnn10",
    "mn04_as",
    "mn10_as",
    "htsat",
}
ASKED_IN_WORDS = {
    "audiosep",
    "audiosep-hive",
    "lass-net",
    "clipsep-nit",
    "flowsep",
    "flowsep-hive",
    "bimodal",
}
BY_HAND = {"htsat", "lass-net", "clipsep-nit", "bimodal"}
SIZES = {
    "uss-at-soft-full": 1_121_024_828,
    "cnn14": 327_428_481,
    "cnn14-decision-level-max": 327_428_481,
    "mn04_as": 4_066_513,
    "mn10_as": 19_708_753,
    "audiosep": 1_264_844_076,
    "audiosep-hive": 1_264_846_755,
    "clap-music-speech-audioset": 2_352_471_003,
    "flowsep-hive": 5_963_371_062,
    "flan-t5-large-tokenizer": 2_424_064,
    "clip-vit-base-patch32": 605_247_071,
    "roberta-base-vocab": 898_823,
    "roberta-base-merges": 456_318,
    "bert-base-uncased-vocab": 231_508,
    "clip-vit-base-patch32-vocab": 862_328,
    "clip-vit-base-patch32-merges": 524_657,
}


@pytest.fixture(params=sorted(PUBLISHED))
def file(request: pytest.FixtureRequest) -> PublishedFile:
    return PUBLISHED[request.param]


def test_every_published_file_has_its_name() -> None:
    assert set(PUBLISHED) == NAMES
    assert all(name == file.name for name, file in PUBLISHED.items())
    assert {n for n in NAMES if PUBLISHED[n].kind == "separator"} == {
        "uss-at-soft-full",
        "uss-embedding-balanced",
        "audiosep",
        "audiosep-hive",
        "lass-net",
        "clipsep-nit",
        "flowsep",
        "flowsep-hive",
        "bimodal",
    }


def test_what_a_file_needs_is_published_too(file: PublishedFile) -> None:
    needed = [PUBLISHED[name] for name in file.needs]
    assert {each.kind for each in needed} <= {"tokenizer", "text encoder"}
    # Words are of no use without what cuts them up.
    assert all(set(each.needs) <= set(file.needs) for each in needed)
    assert bool(needed) == (file.kind == "text encoder" or file.name in ASKED_IN_WORDS)


def test_names_in_the_cache_are_safe_and_differ(file: PublishedFile) -> None:
    assert re.fullmatch(r"[a-z0-9_-]+\.(ckpt|pth|pt|tar|bin|json|txt)", file.file_name)
    assert Path(file.file_name).stem == file.name
    assert Path(file.file_name).suffix == Path(file.published_name).suffix
    assert len({other.file_name for other in PUBLISHED.values()}) == len(PUBLISHED)


def test_addresses_are_urls_that_end_in_the_published_name(file: PublishedFile) -> None:
    page = urlsplit(file.source)
    assert page.scheme == "https" and page.hostname
    if file.url is None:
        assert file.name in BY_HAND
        return
    address = urlsplit(file.url)
    assert address.scheme == "https" and address.hostname == page.hostname
    assert re.fullmatch(r"[A-Za-z0-9/._%-]+", address.path)
    assert unquote(address.path).rsplit("/", 1)[1] == file.published_name


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (
            "uss-embedding-balanced",
            "https://huggingface.co/RSNuts/Universal_Source_Separation/resolve/main/uss_material/"
            "ss_model%3Dresunet30%2Cquerynet%3Demb%2Cdata%3Dbalanced%2Cdevices%3D1%2C"
            "steps%3D1000000.ckpt",
        ),
        (
            "audiosep",
            "https://huggingface.co/spaces/Audio-AGI/AudioSep/resolve/main/checkpoint/"
            "audiosep_base_4M_steps.ckpt",
        ),
        ("cnn14", "https://zenodo.org/record/3987831/files/Cnn14_mAP%3D0.431.pth?download=1"),
        (
            "mn10_as",
            "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn10_as_mAP_471.pt",
        ),
    ],
)
def test_addresses_in_full(name: str, url: str) -> None:
    assert PUBLISHED[name].url == url


def test_sizes_and_hashes_are_those_known(file: PublishedFile) -> None:
    assert file.size_bytes == SIZES.get(file.name)
    assert file.checksum is None or re.fullmatch(
        r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", file.checksum
    )


def test_size_and_hash_of_mn04_are_those_of_the_file(mn04_path: Path) -> None:
    file = PUBLISHED["mn04_as"]
    content = mn04_path.read_bytes()
    assert (file.published_name, file.size_bytes) == (mn04_path.name, len(content))
    assert file.checksum == f"sha256:{hashlib.sha256(content).hexdigest()}"
