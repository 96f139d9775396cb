"""How the files of stems are called."""

import re

import numpy as np
import pytest

from ontology import Ontology
from uss.audio.writing import MAX_NAME_BYTES
from uss.conditions.queries import AudioQuery, NodeQuery, Query, UnionQuery
from uss.results.naming import check_template
from uss.results.stem_names import StemNames, check_stem_template


def node(ontology: Ontology, name: str) -> NodeQuery:
    return NodeQuery.of(ontology.find(name), ontology)


def example(name: str) -> Query:
    return AudioQuery(name, "a-1", np.zeros(1, np.float32), np.zeros(527, np.float32))


@pytest.mark.parametrize(
    ("template", "stem", "residual"),
    [
        (None, "Dog", "residual"),
        ("{stem}_{class}", "street_Dog", "street_residual"),
        ("{stem} {group} {track} {class} ({catid})", "street level3 2 Dog (ANMLDog)", None),
        ("ucs", "ANMLDog_Dog_USS_street", "AMBMisc_residual_USS_street"),
    ],
)
def test_files_are_called_by_a_template(
    ontology: Ontology, template: str | None, stem: str, residual: str | None
) -> None:
    names = StemNames(template, "street", track=2)
    taken: set[str] = set()
    rest = names.of_residual("level3", taken)
    assert names.of_stem(node(ontology, "Dog"), "level3", taken) == stem
    assert residual is None or rest == residual


def test_names_of_ucs_have_four_parts(ontology: Ontology) -> None:
    """Underscores divide them, so nothing before the last part may hold one."""
    names = StemNames("ucs", "take_01_final")
    for query in (node(ontology, "Male speech, man speaking"), example("my_bell: 2/3")):
        made = names.of_stem(query, "queries", set())
        category, name, creator, source = made.split("_", 3)
        assert re.fullmatch(r"[A-Za-z]+", category) and name and creator == "USS"
        assert source == "take_01_final"
    assert names.of_stem(example("bell"), "queries", set()).startswith("OBJMisc_bell_")


def test_what_several_nodes_are_has_the_category_of_the_first(ontology: Ontology) -> None:
    both = [ontology.find(name) for name in ("Speech", "Singing")]
    query = UnionQuery("Dialogue", tuple(each.mid for each in both), (0, 27))
    assert StemNames("ucs", "a").of_stem(query, "film", set()) == "VOXMisc_Dialogue_USS_a"


def test_no_two_files_of_a_folder_have_one_name(ontology: Ontology) -> None:
    names, taken = StemNames("{class}"), set[str]()
    assert names.of_residual("level3", taken) == "residual"
    assert names.of_stem(node(ontology, "Dog"), "level3", taken) == "Dog"
    assert names.of_stem(node(ontology, "Dog"), "level3", taken) == "Dog (_m_0bt9lr)"
    assert names.of_stem(example("dog"), "queries", taken) == "dog (2)"
    assert names.of_stem(example("Residual"), "queries", taken) == "Residual (2)"


@pytest.mark.parametrize(
    "recording", ["x" * 200, "🐕" * 200, 'tab\tand "quotes"', "50%", "{class}"]
)
def test_names_of_any_length_and_letters_tell_stems_apart(
    ontology: Ontology, recording: str
) -> None:
    for template in ("{stem}_{class}", "ucs", "{class}-{stem}-{stem}"):
        names, taken = StemNames(template, recording), set[str]()
        made = [names.of_residual("level2", taken)]
        made += [names.of_stem(node(ontology, each), "level2", taken) for each in ("Dog", "Cat")]
        assert len(set(made)) == 3 and "Dog" in made[1] and "Cat" in made[2]
        assert all(len(each.encode()) <= MAX_NAME_BYTES for each in made)
        assert not any(letter in name for name in made for letter in '\t"/\\:*?<>|')


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("take", "all stems would have one name; put {class} into it"),
        ("{stem}", "all stems would have one name"),
        ("{class", "expected '}'"),
        ("{classe}", "there is no {classe}"),
        ("{parent} {class}", "{parent} is of --name, which names the result's folder"),
        ("{stem}/{class}", "a slash makes a folder, and --name (without s)"),
        ("{class}:{stem}", "':' cannot be in a file name everywhere"),
        ("{class:>9}", "class cannot be formatted so"),
        ("{class!r}", "class cannot be formatted so"),
        ("UCS", "write ucs, or text with {class}, {stem}"),
    ],
)
def test_what_is_no_template_is_refused(template: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        check_stem_template(template)
    assert "\n" not in str(caught.value)


def test_the_fields_of_one_option_are_told_from_those_of_the_other() -> None:
    with pytest.raises(ValueError, match=r"\{class\} is of --names, which names the stems"):
        check_template("{stem}/{class}")
