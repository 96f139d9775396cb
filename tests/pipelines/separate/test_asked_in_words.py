"""uss-separate with published separators that are asked in words."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from ontology import OntologyError, load_ontology
from pipelines.separate.command import main
from tests.http_server import FakeSite
from tests.pipelines.conftest import tiny_tagger
from tests.text_models import (
    State,
    as_laion,
    filled,
    filled_clap,
    noise,
    published_file,
    write_tokenizers,
)
from uss.checkpoints.bundle import Bundle, load_bundle
from uss.checkpoints.loading import load_model, save_tagger
from uss.checkpoints.published import PUBLISHED
from uss.conditions.clap import Clap
from uss.conditions.class_words import ClassWords
from uss.core.errors import InputError
from uss.core.initialisation import without_random_numbers
from uss.core.runtime import Runtime
from uss.models import CLIPSep, LASSNet, ResUNet30
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES

transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.usefixtures("quick_pictures")]

RUNTIME = Runtime(torch.device("cpu"), torch.float32)
RATE = 32_000


class Lengths:
    """A text's vector is the same number 512 times, one for each of its letters."""

    def __init__(self, space: str, size: int = 512) -> None:
        self.space = space
        self.size = size

    def encode(self, texts: Sequence[str]) -> Any:
        return np.array([[len(text)] * self.size for text in texts], np.float32)


@pytest.fixture(scope="module")
def tagger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tagger") / "tagger.safetensors"
    tagger = tiny_tagger(heard=("Dog", "Rain"))
    save_tagger(path, tagger, licence="CC0-1.0", provenance={})
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """One of AudioSep's segments."""
    path = tmp_path / "scene.wav"
    soundfile.write(path, noise(3, (5 * RATE, 2), 0.1).numpy(), RATE, subtype="FLOAT")
    return path


def stems_of(folder: Path) -> dict[str, Any]:
    return {path.stem: soundfile.read(path, dtype="float32")[0] for path in folder.glob("*.wav")}


def assert_adds_up(folder: Path, scene: Path) -> None:
    total = np.sum(list(stems_of(folder).values()), axis=0)
    np.testing.assert_allclose(total, soundfile.read(scene, dtype="float32")[0], atol=1e-6)


@pytest.fixture(scope="module")
def clap_state(shared: Path) -> State:
    return filled_clap(shared)


@pytest.fixture(scope="module")
def audiosep_file(
    shared: Path,
    clap_state: State,
    published: Callable[[str], State],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """AudioSep's checkpoint: a Lightning file with separator, CLAP and optimiser."""
    entries = {f"ss_model.{n}": value for n, value in published("resunet30_audiosep").items()}
    laion = as_laion(shared, clap_state)
    entries |= {f"query_encoder.model.{name}": value for name, value in laion.items()}
    path = tmp_path_factory.mktemp("audiosep") / "audiosep_base_4M_steps.ckpt"
    torch.save({"state_dict": entries, "global_step": 1, "optimizer_states": []}, path)
    yield path
    path.unlink()


@pytest.mark.slow
def test_audiosep_separates_what_it_finds_by_the_names_of_classes(
    audiosep_file: Path,
    clap_state: State,
    published: Callable[[str], State],
    tagger_file: Path,
    scene: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """End to end against transformers' own CLAP and the published separator, one by one."""
    write_tokenizers(tmp_path / "cache", monkeypatch)
    out = tmp_path / "out"
    options = ["--model", audiosep_file, "--tagger", tagger_file, "-o", out, "--level", "3"]
    paper = ["--overlap", "0", "--precision", "fp32", "--subtype", "FLOAT", "--device", "cpu"]
    assert main([str(word) for word in (scene, *options, *paper)]) == 0
    folder = out / "scene" / "level3"
    stems = stems_of(folder)
    assert {"Dog", "Rain", "residual"} <= stems.keys()
    assert_adds_up(folder, scene)

    config = transformers.ClapConfig(
        text_config={"layer_norm_eps": 1e-5},
        audio_config={
            "depths": [2, 2, 12, 2],
            "patch_embeds_hidden_size": 128,
            "hidden_size": 1024,
        },
        projection_dim=512,
    )
    with without_random_numbers():
        clap = transformers.ClapModel(config).eval()
    missing, unknown = clap.load_state_dict(clap_state, strict=False)
    assert unknown == [] and all("position" in n or "token_type" in n for n in missing)
    separator = Separator(load_model(audiosep_file), load_bundle(tagger_file).tagger, None, RUNTIME)
    assert isinstance(separator.text_encoder, Clap)
    assert isinstance(separator.class_queries, ClassWords)
    ids = separator.text_encoder.tokenize(["Dog"]).ids
    with torch.inference_mode():
        text = clap.text_model(input_ids=ids).pooler_output
        vector = torch.nn.functional.normalize(clap.text_projection(text), dim=-1)
    network = ResUNet30.from_state_dict(published("resunet30_audiosep"), "x")
    mixture = torch.from_numpy(soundfile.read(scene, dtype="float32")[0].T.copy())[None]
    with torch.inference_mode():
        expected = network(mixture, vector)[0].T.numpy()
    dog = load_ontology().find("Dog")
    heard = np.zeros((1, NUM_CLASSES), np.float32)
    heard[0, dog.class_index] = 1.0
    asked = separator.conditioning.class_conditions([dog.class_index], heard)
    np.testing.assert_allclose(asked, vector, atol=2e-6)
    # The node holds other classes, which are not heard: 2e-9 each, by the tagger's last layer.
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(stems["Dog"], expected, atol=1e-4)


@pytest.mark.slow
def test_audiosep_takes_examples_through_claps_audio_branch(
    audiosep_file: Path,
    clap_state: State,
    tagger_file: Path,
    scene: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "empty"))
    example = tmp_path / "bell.wav"
    waveform = noise(5, (3 * 48_000,), 0.1).numpy()
    soundfile.write(example, waveform, 48_000, subtype="FLOAT")
    separator = Separator(load_model(audiosep_file), load_bundle(tagger_file).tagger, None, RUNTIME)
    from uss.audio import AudioFile

    query = separator.audio_query("bell", [AudioFile(example, track=None)])
    again = separator.audio_query("bell", [AudioFile(example, track=None)])
    assert np.array_equal(query.vector, again.vector)
    clap = separator.text_encoder
    assert isinstance(clap, Clap)
    with torch.inference_mode():
        expected = clap.ears.embed(torch.from_numpy(waveform)[None])[0]
    # Brought to 32 kHz and back, it lacks what lies above 16 kHz.
    assert float(torch.from_numpy(query.vector) @ expected) > 0.999
    out = tmp_path / "out"
    command = [scene, "--model", audiosep_file, "--tagger", tagger_file, "-o", out]
    words = [*command, "--query", example, "--device", "cpu"]
    # No word is read, so no tokenizer is missed.
    assert main([str(word) for word in words]) == 0
    assert_adds_up(out / "scene" / "queries", scene)
    assert not (tmp_path / "empty").exists()


def test_without_a_tagger_the_default_one_finds_the_classes(
    shared: Path, tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = filled(shared, "clipsep")
    path = tmp_path / "best_model.pt"
    torch.save(state, path)
    monkeypatch.setattr("uss.separation.pretrained.load_text_encoder", lambda *_, **__: words)
    words = Lengths("clip-512")
    separator = Separator.from_pretrained(path, text_encoder="any", device="cpu", precision="fp32")
    default = load_model()
    assert separator.tagger.name == default.tagger.name  # type: ignore[union-attr]
    assert default.thresholds is not None
    assert np.array_equal(separator.detector.thresholds(None), default.thresholds)
    assert separator.names.text_encoder == "any"
    # In the words it was trained with.
    assert isinstance(separator.class_queries, ClassWords)
    assert separator.class_queries.words[load_ontology().find("Dog").class_index or 0] == (
        "a photo of dog"
    )


def test_the_classes_of_a_node_are_weighted_by_what_is_heard() -> None:
    separator = Separator(
        Bundle(
            tiny_tagger(),
            ResUNet30("clap-512", 512, channels=(2,), n_fft=64, hop_length=32),
            text_encoder=Lengths("clap-512"),
        ),
        runtime=RUNTIME,
    )
    ontology = load_ontology()
    pets = ontology.find("Domestic animals, pets")
    heard = np.zeros((1, NUM_CLASSES), np.float32)
    for name, probability in (("Dog", 0.6), ("Bark", 0.2), ("Speech", 0.9)):
        heard[0, ontology.find(name).class_index] = probability
    asked = separator.conditioning.class_conditions(ontology.class_indexes(pets), heard)
    assert asked.shape == (1, 512)
    # Three letters with three quarters of the weight, four with a quarter.
    np.testing.assert_allclose(asked, 0.75 * 3 + 0.25 * 4, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "rate", "space", "size"),
    [
        (
            lambda: CLIPSep(
                "clip-512",
                512,
                width=4,
                depth=3,
                num_rows=32,
                n_fft=64,
                hop_length=16,
                segment_seconds=0.5,
            ),
            48_000,
            "clip-512",
            512,
        ),
        (
            lambda: CLIPSep(
                "clip-512",
                512,
                width=4,
                depth=3,
                num_rows=32,
                n_fft=64,
                hop_length=16,
                binary=True,
            ),
            44_100,
            "clip-512",
            512,
        ),
        (
            lambda: LASSNet(
                "lass-net-256",
                256,
                channels=(4, 6),
                n_fft=64,
                hop_length=32,
                segment_seconds=0.7,
            ),
            22_050,
            "lass-net-256",
            256,
        ),
    ],
    ids=["clipsep", "clipsep-binary", "lass-net"],
)
@pytest.mark.parametrize("seconds", [0.05, 3.3])
def test_any_length_and_rate_goes_through_the_engine(
    make: Callable[[], Any], rate: int, space: str, size: int, seconds: float
) -> None:
    """Also where the separator's rate is half that of the tagger, and cuts its segments oddly."""
    torch.manual_seed(0)
    separator = Separator(
        Bundle(tiny_tagger(), make().eval(), text_encoder=Lengths(space, size)), runtime=RUNTIME
    )
    waveform = noise(1, (2, round(seconds * rate)), 0.1).numpy()
    stems = separator.separate(waveform, rate, classes=["Dog", "Speech"], threshold=0.0)
    assert list(stems) == ["Dog", "Speech"] or set(stems) == {"Dog", "Speech"}
    segmentation = stems.analysis.segmentation
    model = separator.model
    assert segmentation.segment_samples == round(model.segment_seconds * model.sample_rate)
    assert segmentation.num_samples == pytest.approx(seconds * model.sample_rate, abs=2)
    for stem in stems.values():
        assert stem.shape == waveform.shape
        assert np.isfinite(stem).all() and np.abs(stem).max() > 1e-4
    total = stems["Dog"] + stems["Speech"] + stems.residual
    np.testing.assert_allclose(total, waveform, atol=1e-6)


def test_a_text_encoder_of_another_space_is_refused() -> None:
    bundle = Bundle(
        tiny_tagger(),
        ResUNet30("clap-512", 512, channels=(2,), n_fft=64, hop_length=32),
        text_encoder=Lengths("clip-512"),
    )
    with pytest.raises(ValueError, match="makes conditions of 'clip-512', the separator takes 'cl"):
        Separator(bundle, runtime=RUNTIME)


def test_a_missing_tokenizer_is_told_before_the_work(
    shared: Path,
    tmp_path: Path,
    scene: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "LASSNet.pt"
    torch.save({"model": filled(shared, "lassnet")}, path)
    cache = tmp_path / "cache"
    monkeypatch.setenv("USS_CACHE", str(cache))
    monkeypatch.setenv("NO_PROXY", "*")
    vocab = PUBLISHED["bert-base-uncased-vocab"]
    nobody = vars(vocab) | {"url": "http://127.0.0.1:9/vocab.txt"}
    monkeypatch.setitem(PUBLISHED, vocab.name, type(vocab)(**nobody))  # type: ignore[arg-type]
    assert main([str(scene), "--model", str(path), "-o", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"put it at {cache / 'bert-base-uncased-vocab.txt'}" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_lass_net_separates_by_class_names_as_released(
    shared: Path,
    tmp_path: Path,
    scene: Path,
    tagger_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "LASSNet.pt"
    torch.save({"model": filled(shared, "lassnet")}, path)
    write_tokenizers(tmp_path / "cache", monkeypatch)
    out = tmp_path / "out"
    command = [scene, "--model", path, "--tagger", tagger_file, "-o", out, "--class", "Dog"]
    assert main([str(word) for word in (*command, "--precision", "fp32")]) == 0
    assert_adds_up(out / "scene" / "queries", scene)
    report = json.loads((out / "scene" / "detections.json").read_text())
    assert [stem["name"] for stem in report["stems"] if stem["file"]] == ["Dog"]


def test_examples_for_a_separator_of_words_alone_are_refused() -> None:
    model = CLIPSep("clip-512", 512, width=4, depth=3, num_rows=32, n_fft=64, hop_length=16)
    separator = Separator(
        Bundle(tiny_tagger(), model, text_encoder=Lengths("clip-512")), runtime=RUNTIME
    )
    with pytest.raises(ValueError, match=r"is asked in words \(clip-512\), and nothing here makes"):
        separator.audio_query("bell", [])


def test_a_download_brings_the_tokenizer_along(
    site: FakeSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.content = b"what every file holds here"
    monkeypatch.setenv("USS_CACHE", str(tmp_path))
    names = ("audiosep-hive", "roberta-base-vocab", "roberta-base-merges")
    for name in names:
        served = published_file(name, site.content, url=site.url)
        monkeypatch.setitem(PUBLISHED, name, served)  # type: ignore[arg-type]
    assert main(["--download", "audiosep-hive"]) == 0
    paths = [tmp_path / PUBLISHED[name].file_name for name in names]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in paths]
    assert all(path.read_bytes() == site.content for path in paths)
    assert main(["--download", "audiosep-hive", "--download", "audiosep-hive"]) == 0
    assert site.ranges == [None] * 3


def test_clip_is_taken_from_the_cache_where_it_lies(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best_model.pt"
    torch.save(filled(shared, "clipsep_nit"), path)
    cache = tmp_path / "cache"
    write_tokenizers(cache, monkeypatch)
    with pytest.raises(ValueError, match=r"text queries are needed.*clip-vit-base-patch32"):
        Separator.from_pretrained(path, device="cpu", precision="fp32")
    config = transformers.CLIPTextConfig(projection_dim=512, num_hidden_layers=12)
    state = transformers.CLIPTextModelWithProjection(config).state_dict()
    weights = PUBLISHED["clip-vit-base-patch32"]
    torch.save(state, cache / weights.file_name)
    size = (cache / weights.file_name).stat().st_size
    there = type(weights)(**vars(weights) | {"size_bytes": size})
    monkeypatch.setitem(PUBLISHED, weights.name, there)  # type: ignore[arg-type]
    separator = Separator.from_pretrained(path, device="cpu", precision="fp32")
    assert isinstance(separator.class_queries, ClassWords)
    dog = load_ontology().find("Dog").class_index
    heard = np.zeros((1, NUM_CLASSES), np.float32)
    asked = separator.conditioning.class_conditions([dog], heard)  # type: ignore[list-item]
    assert separator.text_encoder is not None
    np.testing.assert_allclose(asked, separator.text_encoder.encode(["a photo of dog"]), atol=1e-5)


def test_words_that_no_class_stands_for_are_separated_without_a_probability() -> None:
    separator = Separator(
        Bundle(
            tiny_tagger(),
            ResUNet30("clap-512", 512, channels=(2,), n_fft=64, hop_length=32),
            text_encoder=Lengths("clap-512"),
        ),
        runtime=RUNTIME,
    )
    waveform = noise(1, (1, RATE), 0.1).numpy()
    stems = separator.separate(waveform, RATE, texts=["xyzzy plugh", "a dog"], threshold=0.0)
    strange, dog = stems.detections["xyzzy plugh"], stems.detections["a dog"]
    assert strange.probability is None and strange.active.all()
    assert dog.probability is not None
    # What is known comes first.
    assert list(stems) == ["a dog", "xyzzy plugh"] and "xyzzy plugh" in repr(stems)
    for text in ("the of and", "without"):
        with pytest.raises(InputError, match="names no sound"):
            separator.separate(waveform, RATE, texts=text)
    for unknown in ("qwzzt", "qwzzt plugh"):
        with pytest.raises(OntologyError, match="unknown class"):
            separator.separate(waveform, RATE, texts="a dog", without=unknown)
