import numpy as np
import pytest

from uss.shards.class_lists import ClassLists, rows_of_classes

DENSE = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], bool)


def test_lists_hold_what_the_booleans_did() -> None:
    lists = ClassLists.of(DENSE)
    assert [lists[row].tolist() for row in range(4)] == [[1, 2], [], [0], [1]]
    assert lists.counts.tolist() == [2, 0, 1, 1] and lists.rows.tolist() == [0, 0, 2, 3]
    assert lists.present() == [0, 1, 2]
    np.testing.assert_array_equal(lists.dense(), DENSE)


def test_no_anchors_and_no_classes() -> None:
    nothing = ClassLists.of(np.zeros((0, 4), bool))
    assert len(nothing) == 0 and nothing.dense().shape == (0, 4)
    assert nothing.present() == [] and nothing.rows_of_classes() == {}
    assert ClassLists.of(np.zeros((3, 4), bool)).dense().sum() == 0


@pytest.mark.parametrize("rows", [[], [3], [3, 0, 1], [0, 0, 2]])
def test_taking_rows_is_indexing(rows: list[int]) -> None:
    taken = ClassLists.of(DENSE).taken(np.array(rows, np.int64))
    np.testing.assert_array_equal(taken.dense(), DENSE[rows].reshape(-1, 4))


def test_joining_is_concatenating_and_uniting_is_or() -> None:
    lists, other = ClassLists.of(DENSE), ClassLists.of(DENSE[::-1].copy())
    joined = ClassLists.joined([lists, other])
    np.testing.assert_array_equal(joined.dense(), np.concatenate([DENSE, DENSE[::-1]]))
    np.testing.assert_array_equal(lists.united(other).dense(), DENSE | DENSE[::-1])


def test_rows_of_each_class_are_ascending() -> None:
    found = ClassLists.of(DENSE).rows_of_classes()
    assert {index: rows.tolist() for index, rows in found.items()} == {0: [2], 1: [0, 3], 2: [0]}
    by_class = rows_of_classes(np.array([7, 3, 7, 3, 5]))
    assert {index: rows.tolist() for index, rows in by_class.items()} == {
        3: [1, 3],
        5: [4],
        7: [0, 2],
    }
