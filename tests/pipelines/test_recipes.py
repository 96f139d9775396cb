from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from pipelines.mine_anchors import mine_anchors_parser
from pipelines.recipes import (
    MiningRecipe,
    find_recipe,
    read_mining,
    read_recipe,
    shipped_recipes,
)
from uss.mining.miner import MiningSettings

ROWS = {2: 6, 3: 2, 4: 6, 5: 5, 6: 7, 7: 3, 8: 3, 9: 3, 10: 3}
DOCUMENT = Path(__file__).parents[2] / "docs" / "recipes.md"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_every_row_of_every_table_has_a_recipe() -> None:
    for table, rows in ROWS.items():
        names = [name for name in shipped_recipes() if name.startswith(f"table{table:02d}_")]
        assert len(names) == rows, names


def test_every_recipe_stands_in_the_document() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    for name in shipped_recipes():
        if name.startswith("table"):
            row = [line for line in lines if f"`{name}`" in line and line.startswith("|")]
            assert len(row) == 1, name
            assert row[0].count("|") == 18, "14 figures of the paper beside the three names"
        elif name != "default":
            assert any(f"`{name}`" in line or f"[`{name}`]" in line for line in lines), name


def test_a_recipe_shows_only_what_differs() -> None:
    paper = read_recipe("paper")
    for name, path in shipped_recipes().items():
        if not name.startswith("table"):
            continue
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert recipe.pop("base") == "paper.yaml"
        for section, values in recipe.items():
            for key, value in values.items():
                if (section, key) != ("model", "model"):
                    assert value != paper[section].get(key), f"{name}: {section}.{key}"


def test_recipes_of_different_rows_differ_from_each_other() -> None:
    """Except those of rows that are the system itself."""
    itself = read_recipe("paper")
    itself["trainer"].pop("default_root_dir")
    seen: dict[str, str] = {}
    for name in shipped_recipes():
        if name.startswith("table"):
            recipe = read_recipe(name)
            recipe["trainer"].pop("default_root_dir")
            if recipe != itself:
                text = yaml.safe_dump(recipe)
                # The data set is the command's, not the recipe's.
                assert text not in seen, (name, seen[text])
                seen[text] = name


@pytest.mark.parametrize("name", [n for n in shipped_recipes() if read_recipe(n).get("mining")])
def test_what_a_recipe_says_of_mining_can_be_mined(name: str) -> None:
    said = read_mining(name)
    own = {field.name for field in fields(MiningSettings)}
    MiningSettings(**{key: value for key, value in said.items() if key in own})
    seconds = str(said.get("segment_seconds", 2.0))
    (action,) = [each for each in mine_anchors_parser()._actions if each.dest == "segment_seconds"]
    assert callable(action.type) and action.type(seconds) == float(seconds)


def test_keys_replace_and_mappings_merge(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "a: 1\nb: {c: 2, d: [1, 2]}\n")
    recipe = write(tmp_path / "recipe.yaml", "base: base.yaml\nb: {d: [3], e: 4}\nf: 5\n")
    assert read_recipe(recipe) == {"a": 1, "b": {"c": 2, "d": [3], "e": 4}, "f": 5}


def test_another_class_takes_no_arguments_of_the_first(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "m: {class_path: A, init_args: {x: 1, y: 2}}\n")
    other = write(
        tmp_path / "other.yaml", "base: base.yaml\nm: {class_path: B, init_args: {z: 3}}\n"
    )
    assert read_recipe(other) == {"m": {"class_path": "B", "init_args": {"z": 3}}}
    same = write(tmp_path / "same.yaml", "base: base.yaml\nm: {class_path: A, init_args: {x: 9}}\n")
    assert read_recipe(same) == {"m": {"class_path": "A", "init_args": {"x": 9, "y": 2}}}


def test_bases_may_have_bases(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "x: 1\ny: 1\nz: 1\n")
    write(tmp_path / "b.yaml", "base: a.yaml\ny: 2\nz: 2\n")
    recipe = write(tmp_path / "c.yaml", "base: b.yaml\nz: 3\n")
    assert read_recipe(recipe) == {"x": 1, "y": 2, "z": 3}


def test_a_file_comes_before_a_shipped_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe("paper") == shipped_recipes()["paper"]
    write(tmp_path / "paper", "a: 1\n")
    assert read_recipe("paper") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("base: recipe.yaml\n", ValueError, "based on itself"),
        ("base: nowhere.yaml\n", FileNotFoundError, "nowhere.yaml"),
        ("- 1\n", ValueError, "not a mapping"),
        ("a: [1\n", ValueError, "not YAML"),
    ],
    ids=["circle", "missing", "list", "broken"],
)
def test_a_broken_recipe_is_one_line(
    tmp_path: Path, text: str, error: type[Exception], said: str
) -> None:
    recipe = write(tmp_path / "recipe.yaml", text)
    with pytest.raises(error, match=said) as refusal:
        read_recipe(recipe)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("base", ["paper", "paper.yaml"])
def test_a_recipe_of_ones_own_may_be_based_on_a_shipped_one(tmp_path: Path, base: str) -> None:
    recipe = write(tmp_path / "mine.yaml", f"base: {base}\ndata: {{batch_size: 8}}\n")
    expected = read_recipe("paper")
    expected["data"]["batch_size"] = 8
    assert read_recipe(recipe) == expected


@pytest.mark.parametrize(
    "text",
    [
        "segment_seconds: [1]",
        "segment_seconds: true",
        "encoder: [5]",
        "encoder: cnn14",
        "anchors_per_clip: 1.5",
        "strategy: null",
        "tagger: 3",
    ],
)
def test_a_mistyped_mining_value_is_named(tmp_path: Path, text: str) -> None:
    recipe = write(tmp_path / "mine.yaml", f"mining: {{{text}}}\n")
    with pytest.raises(ValueError, match=rf"mining\.{text.split(':')[0]}"):
        read_mining(recipe)


def test_other_taggers_than_the_recipes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    recipe = MiningRecipe(tagger="cnn14-decision-level-max", anchor_tagger="cnn14")
    mined = {"tagger": "cnn14-decision-level-max", "anchor_tagger": "cnn14"}
    recipe.check(mined, "shards")
    assert not caplog.messages
    recipe.check({**mined, "tagger": "cnn10"}, "shards")
    (message,) = caplog.messages
    assert "cnn10" in message and "cnn14-decision-level-max" in message


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(FileNotFoundError, match="table05_unet"):
        read_recipe("table99_nothing")


def test_an_empty_recipe_is_empty(tmp_path: Path) -> None:
    assert read_recipe(write(tmp_path / "recipe.yaml", "# nothing\n")) == {}


def test_the_mining_section_is_read(tmp_path: Path) -> None:
    assert read_mining("table06_4s")["segment_seconds"] == 4.0
    assert read_mining("table07_in_clip_random")["strategy"] == "in-clip-random"
    assert MiningRecipe(**read_mining("paper")).encoder == ["cnn14"]
    with pytest.raises(ValueError, match="does not say"):
        read_mining(write(tmp_path / "a.yaml", "data: {}\n"))
    with pytest.raises(ValueError, match=r"mining\.stratgy"):
        read_mining(write(tmp_path / "b.yaml", "mining: {stratgy: sed}\n"))


def test_shards_that_were_mined_otherwise_are_refused() -> None:
    recipe = MiningRecipe(strategy="sed", segment_seconds=2.0)
    recipe.check({"strategy": "sed", "segment_seconds": 2.0, "labels": "all"}, "shards")
    with pytest.raises(ValueError, match=r"segment_seconds 2\.0.* of 4\.0"):
        recipe.check({"strategy": "sed", "segment_seconds": 4.0}, "shards")
    recipe.check({"anchors_per_clip": 7}, "shards")
