import pytest

from uss.core.errors import InputError
from uss.data.sharing import ALONE, Place


def test_shares_are_of_one_size_and_together_the_whole_batch() -> None:
    batch = list(range(12))
    shares = [batch[Place(rank, 4).share(12)] for rank in range(4)]
    assert shares == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert batch[ALONE.share(12)] == batch


@pytest.mark.parametrize(("batch_size", "world_size"), [(4, 3), (2, 4), (0, 1)])
def test_a_batch_that_cannot_be_shared_evenly_is_refused(batch_size: int, world_size: int) -> None:
    with pytest.raises(InputError, match=rf"data\.batch_size to a multiple of {world_size}"):
        Place(0, world_size).share(batch_size)
