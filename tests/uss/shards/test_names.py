import numpy as np

from uss.shards.names import Names, Numbering


def test_names_come_back_as_they_were() -> None:
    given = ["Größe/ß", "", "a,b", "\udc80"]
    names = Names.of(given)
    assert list(names) == given and names[2] == "a,b" and len(names) == 4
    assert names.of_rows(np.array([2, 0, 2])).tolist() == ["a,b", "Größe/ß", "a,b"]
    assert list(Names.of([])) == []


def test_equal_names_get_one_number_in_order_of_appearance() -> None:
    numbering = Numbering()
    assert numbering(["b", "a", "b"]).tolist() == [0, 1, 0]
    assert numbering(["c", "a"]).tolist() == [2, 1]
    assert list(numbering.names()) == ["b", "a", "c"]
