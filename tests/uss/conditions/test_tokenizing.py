import json
from pathlib import Path
from typing import Any

import pytest

from tests.text_models import byte_pairs
from uss.conditions.tokenizing import bert_tokenizer, clip_tokenizer, roberta_tokenizer

TEXTS = ["dog", "the dog barks", "Rain, café\n2 dogs'll it's 🐕", "", "  a   photo of  music "]

pytest.importorskip("tokenizers")


def write_pairs(folder: Path, clip: bool = False) -> tuple[Path, Path]:
    paths = folder / "vocab.json", folder / "merges.txt"
    for path, text in zip(paths, byte_pairs(clip), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def unpadded(tokens: Any) -> list[list[int]]:
    return [row[mask.bool()].tolist() for row, mask in zip(tokens.ids, tokens.mask, strict=True)]


def test_roberta_begins_and_ends_texts_and_merges_bytes(tmp_path: Path) -> None:
    vocab, merges = write_pairs(tmp_path)
    ids = json.loads(vocab.read_text())
    # The first word has no space before it, and no merge of letters alone is known.
    first, second = unpadded(roberta_tokenizer(vocab, merges)(["dog", "dog rain"]))
    assert first == [ids[token] for token in ("<s>", "d", "o", "g", "</s>")]
    assert second == [*first[:-1], ids["Ġrain"], ids["</s>"]]


def test_rows_are_padded_with_the_padding_token(tmp_path: Path) -> None:
    tokens = roberta_tokenizer(*write_pairs(tmp_path))(["dog", "", "the dog barks"])
    assert tokens.ids.shape == tokens.mask.shape
    assert tokens.mask.sum(dim=1).tolist()[1] == 2
    assert set(tokens.ids[1, 2:].tolist()) == {1}


def test_long_texts_are_cut_and_still_end(tmp_path: Path) -> None:
    tokens = roberta_tokenizer(*write_pairs(tmp_path))(["dog " * 5000])
    assert tokens.ids.shape == (1, 512)
    assert (tokens.ids[0, 0], tokens.ids[0, -1]) == (0, 2)
    clip = tmp_path / "clip"
    clip.mkdir()
    vocab, merges = write_pairs(clip, clip=True)
    end = json.loads(vocab.read_text())["<|endoftext|>"]
    cut = clip_tokenizer(vocab, merges)(["dog " * 500])
    assert cut.ids.shape == (1, 77)
    assert cut.ids[0, -1] == end


def test_roberta_gives_what_transformers_gives(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    vocab, merges = write_pairs(tmp_path)
    reference = transformers.RobertaTokenizerFast.from_pretrained(tmp_path)
    expected = [reference(text)["input_ids"] for text in TEXTS]
    assert unpadded(roberta_tokenizer(vocab, merges)(TEXTS)) == expected


def test_clip_gives_what_transformers_gives(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    vocab, merges = write_pairs(tmp_path, clip=True)
    reference = transformers.CLIPTokenizerFast.from_pretrained(tmp_path)
    expected = [reference(text)["input_ids"] for text in TEXTS]
    assert unpadded(clip_tokenizer(vocab, merges)(TEXTS)) == expected


def test_clip_reads_lower_case_words(tmp_path: Path) -> None:
    vocab, merges = write_pairs(tmp_path, clip=True)
    ids = json.loads(vocab.read_text())
    (found,) = unpadded(clip_tokenizer(vocab, merges)(["A Photo\tof  DOG"]))
    words = ("a</w>", "photo</w>", "of</w>", "dog</w>")
    assert found == [ids[t] for t in ("<|startoftext|>", *words, "<|endoftext|>")]


def test_bert_begins_with_its_class_token_and_does_not_end(tmp_path: Path) -> None:
    vocab = tmp_path / "vocab.txt"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "dog", "##s", "bark", "."]
    vocab.write_text("\n".join(pieces) + "\n")
    found = unpadded(bert_tokenizer(vocab)(["Dogs BARK.", "", "cat"]))
    assert found == [[2, 4, 5, 6, 7], [2], [2, 1]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("vocab.json", "{", "is no vocabulary"),
        ("vocab.json", "[]", "is no vocabulary"),
        ("vocab.json", "{}", "lacks the token '<s>'"),
        ("merges.txt", "", "is no list of merges"),
        ("merges.txt", "a b c\n", "is no list of merges"),
        ("merges.txt", "not there\n", "does not fit its vocabulary"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    paths = write_pairs(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=said):
        roberta_tokenizer(*paths)
