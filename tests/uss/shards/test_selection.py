import numpy as np
import pytest

from uss.core.errors import InputError
from uss.shards.selection import Selection

CLASSES = np.array([4, 4, 2, 4, 2, 9])
PURITY = np.array([0.5, 0.9, 0.1, 0.5, 0.3, 0.0], np.float32)


@pytest.mark.parametrize(
    ("selection", "kept"),
    [
        (Selection(), [0, 1, 2, 3, 4, 5]),
        (Selection(0.3), [0, 1, 3, 4]),
        (Selection(keep_top=1), [1, 4, 5]),
        # Of the two equally pure ones the first.
        (Selection(keep_top=2), [0, 1, 2, 4, 5]),
        (Selection(0.4, 2), [0, 1]),
        (Selection(1.0), []),
    ],
)
def test_what_is_kept(selection: Selection, kept: list[int]) -> None:
    assert np.flatnonzero(selection.kept(CLASSES, PURITY)).tolist() == kept


def test_no_anchors() -> None:
    assert Selection(0.5, 2).kept(np.zeros(0, int), np.zeros(0, np.float32)).shape == (0,)


def test_changes_leave_the_rest_as_it_was() -> None:
    given = Selection(0.2, 5)
    assert given.changed(None, None) == given
    assert given.changed(0.4, None) == Selection(0.4, 5)
    assert given.changed(None, 0) == Selection(0.2)
    assert given.changed(0.0, 0) == Selection() and not Selection()


@pytest.mark.parametrize(
    ("values", "message"), [((1.5, None), "1.5; choose 0 to 1"), ((0.0, -1), "-1 purest")]
)
def test_senseless_values(values: tuple[float, int | None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Selection(*values)
