from pathlib import Path
from typing import Any

import pytest
import torch

from uss.hearing.feature_maps import FEATURE_MAPS, TaggerMaps, build_feature_maps
from uss.hearing.patch_encoder import PatchEncoder
from uss.hearing.wave_convolutions import WaveConvolutions
from uss.taggers import EfficientAT

SMALL: dict[str, dict[str, Any]] = {
    "tagger": {"width": 0.1},
    "masked-autoencoder": {"width": 12, "depth": 2, "num_heads": 3, "max_frames": 64},
    "wav2vec2": {"width": 8},
}


def test_every_kind_has_small_options() -> None:
    assert SMALL.keys() == FEATURE_MAPS.keys()


@pytest.mark.parametrize("kind", FEATURE_MAPS)
@pytest.mark.parametrize("seconds", [0.001, 0.5, 2.0])
def test_maps_have_the_rows_and_columns_that_they_say(kind: str, seconds: float) -> None:
    maps = build_feature_maps({"kind": kind, **SMALL[kind]})
    num_samples = round(seconds * maps.sample_rate)
    heard = maps(0.1 * torch.randn(2, num_samples, generator=torch.manual_seed(0)))
    assert heard.shape[:3] == (2, maps.channels, maps.num_rows)
    assert abs(heard.shape[3] * maps.column_seconds - seconds) <= 0.17
    assert heard.isfinite().all()


@pytest.mark.parametrize("kind", FEATURE_MAPS)
def test_what_was_taught_elsewhere_is_not_trained(kind: str) -> None:
    maps = build_feature_maps({"kind": kind, **SMALL[kind]})
    assert not any(parameter.requires_grad for parameter in maps.parameters())


def test_the_last_blocks_may_learn_along() -> None:
    maps = PatchEncoder(12, 3, 3, 64, trained_blocks=1)
    learning = {name.rpartition(".")[0] for name, p in maps.named_parameters() if p.requires_grad}
    assert {
        name.partition(".norm")[0].partition(".attn")[0].partition(".mlp")[0] for name in learning
    } == {
        "blocks.2",
        "norm",
    }


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"kind": "ears"}, "tagger, masked-autoencoder, wav2vec2"),
        ({}, "kind None"),
        ({"kind": "wav2vec2", "depth": 3}, "depth"),
        ({"kind": "masked-autoencoder", "width": 10, "num_heads": 3}, "num_heads 3"),
        ({"kind": "masked-autoencoder", "trained_blocks": 13}, "choose 0 to 12"),
        ({"kind": "masked-autoencoder", "num_heads": 0}, "num_heads 0"),
        ({"kind": "masked-autoencoder", "width": 12, "num_heads": -3}, "num_heads -3"),
        ({"kind": "wav2vec2", "width": 0}, "the width 0 of features"),
        ({"kind": "tagger", "width": 0}, "the width 0 of a tagger"),
        ({"kind": "tagger", "width": "x"}, "width 'x' is no number"),
    ],
)
def test_what_is_no_ear_is_refused(described: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_feature_maps(described)


def test_a_taggers_maps_are_those_of_the_tagger() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tagger = EfficientAT(0.1, "tiny").eval()
    maps = TaggerMaps(0.1)
    maps.features.load_state_dict(tagger.features[:13].state_dict())
    waveform = 0.1 * torch.randn(1, 32_000, generator=torch.manual_seed(0))
    with torch.inference_mode():
        expected = tagger.features[:13](tagger.logmel(waveform)[:, None])
        assert torch.equal(maps.train()(waveform), expected)


def vit_mae(**options: int) -> Any:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTMAEConfig(
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=48,
        image_size=128,
        patch_size=16,
        num_channels=1,
        mask_ratio=0.0,
        layer_norm_eps=1e-6,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.ViTMAEModel(config).eval()


def test_its_patches_are_embedded_as_transformers_does(tmp_path: Path) -> None:
    """A square image, as that library's positions want: 8 rows of 8 patches."""
    theirs = vit_mae()
    ours = PatchEncoder(12, 2, 3, 128)
    ours.load(theirs.state_dict(), "theirs")
    image = torch.randn(2, 128, 128, generator=torch.manual_seed(1))
    with torch.inference_mode():
        # Ascending noise leaves the patches in order.
        order = torch.arange(64.0)[None].expand(2, -1)
        tokens = theirs(image.transpose(1, 2)[:, None], noise=order).last_hidden_state[:, 1:]
        embedded = ours.embed(image)
    expected = tokens.transpose(1, 2).unflatten(2, (8, 8)).transpose(2, 3)
    torch.testing.assert_close(embedded, expected, atol=1e-5, rtol=1e-5)


def test_it_loads_old_and_new_names_and_those_of_audio_mae() -> None:
    ours = PatchEncoder(12, 2, 3, 128)
    state = {name: torch.randn_like(value) for name, value in ours.state_dict().items()}
    old: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        for ours_, theirs in (
            ("blocks.", "vit.encoder.layer."),
            ("norm1", "layernorm_before"),
            ("norm2", "layernorm_after"),
            ("attn.proj", "attention.output.dense"),
            ("mlp.fc1", "intermediate.dense"),
            ("mlp.fc2", "output.dense"),
            ("patch_embed.proj", "vit.embeddings.patch_embeddings.projection"),
        ):
            name = name.replace(ours_, theirs)
        name = {"cls_token": "vit.embeddings.cls_token"}.get(name, name)
        name = {"pos_embed": "vit.embeddings.position_embeddings"}.get(name, name)
        name = f"vit.layernorm.{name[5:]}" if name.startswith("norm.") else name
        if "attn.qkv" in name:
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                old[name.replace("attn.qkv", f"attention.attention.{part}")] = piece
        else:
            old[name] = value
    published = {**state, "decoder_pos_embed": torch.zeros(3), "mask_token": torch.zeros(1)}
    for given in (old, published):
        again = PatchEncoder(12, 2, 3, 128)
        again.load(given, "given")
        for name, value in again.state_dict().items():
            assert torch.equal(value, state[name]), name
    del published["blocks.1.attn.qkv.bias"]
    with pytest.raises(ValueError, match=r"it lacks blocks\.1\.attn\.qkv\.bias"):
        ours.load(published, "given")


def test_longer_input_than_there_are_positions_for_is_heard_in_pieces() -> None:
    maps = PatchEncoder(12, 2, 3, 64)
    torch.nn.init.normal_(maps.pos_embed, generator=torch.manual_seed(0))
    waveform = 0.1 * torch.randn(1, 160 * 127 + 400, generator=torch.manual_seed(1))
    heard = maps(waveform)
    assert heard.shape[3] == 8
    # Of the first piece, but for the mean of the whole.
    first = maps(waveform[:, : 160 * 63 + 400])
    torch.testing.assert_close(heard[..., :4], first, atol=5e-2, rtol=0.0)


def test_the_convolutions_are_those_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Wav2Vec2Config(
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = transformers.Wav2Vec2Model(config).eval()
    ours = WaveConvolutions(8)
    ours.load(theirs.state_dict(), "theirs")
    waveform = 0.1 * torch.randn(2, 8_000, generator=torch.manual_seed(1))
    centred = waveform - waveform.mean(dim=1, keepdim=True)
    with torch.inference_mode():
        scaled = centred / torch.sqrt(centred.square().mean(dim=1, keepdim=True) + 1e-7)
        convolved = theirs.feature_extractor(scaled).transpose(1, 2)
        expected = theirs.feature_projection(convolved)[1].transpose(1, 2)
        heard = ours(waveform)
    torch.testing.assert_close(heard[:, :, 0], expected, atol=1e-5, rtol=1e-5)
