import pytest
import torch

from uss.taggers.swin import (
    WINDOW,
    Stage,
    _join_windows,
    _relative_position_index,
    _shift_mask,
    _split_windows,
)


@pytest.mark.parametrize("grid", [8, 16, 32])
def test_windows_are_cut_row_by_row_and_joined_again(grid: int) -> None:
    tokens = torch.arange(2 * grid * grid * 3).reshape(2, grid, grid, 3)
    windows = _split_windows(tokens)
    assert windows.shape == (2, (grid // WINDOW) ** 2, WINDOW**2, 3)
    last = grid - WINDOW
    assert torch.equal(windows[1, -1, 9], tokens[1, last + 1, last + 1])
    assert torch.equal(_join_windows(windows, grid), tokens)


def test_tokens_at_the_same_offset_share_a_bias() -> None:
    index = _relative_position_index()
    place = {(row, column): 8 * row + column for row in range(8) for column in range(8)}
    assert index[place[3, 4], place[1, 1]] == index[place[7, 7], place[5, 4]]
    assert index[place[0, 0], place[7, 7]] == 0
    assert index[place[7, 7], place[0, 0]] == 224
    assert index[place[0, 1], place[0, 0]] == index[place[0, 0], place[0, 0]] + 1
    assert len(index.unique()) == 225


def test_rolled_tokens_see_only_their_neighbours_in_the_image() -> None:
    """Each token of the rolled grid knows where it came from; windows must not wrap around."""
    grid, shift = 16, 4
    rows, columns = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    origin = torch.roll(torch.stack([rows, columns], dim=-1), (-shift, -shift), dims=(0, 1))
    windows = _split_windows(origin[None])[0]
    distance = (windows[:, :, None] - windows[:, None, :]).abs().amax(dim=-1)
    assert torch.equal(_shift_mask(grid, shift) == 0.0, distance < WINDOW)


@pytest.mark.parametrize(("merge", "shape"), [(True, (2, 8, 8, 16)), (False, (2, 16, 16, 8))])
def test_a_stage_keeps_or_halves_the_grid(merge: bool, shape: tuple[int, ...]) -> None:
    stage = Stage(channels=8, depth=2, num_heads=2, grid=16, merge=merge)
    assert stage(torch.zeros(2, 16, 16, 8)).shape == shape


def test_only_shifted_windows_carry_information_across_their_borders() -> None:
    tokens = torch.randn(1, 16, 16, 8, generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[0, 7, 7] *= -1.0
    for depth, is_reached in [(1, False), (2, True)]:
        torch.manual_seed(0)
        stage = Stage(channels=8, depth=depth, num_heads=2, grid=16, merge=False).eval()
        with torch.inference_mode():
            difference = (stage(changed) - stage(tokens))[0].abs().amax(dim=-1)
        assert bool(difference[8, 8] > 0.0) is is_reached
        assert difference[15, 15] == 0.0
