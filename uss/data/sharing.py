"""How the processes of a training share each batch."""

from __future__ import annotations

from dataclasses import dataclass

from uss.core.errors import InputError


@dataclass(frozen=True)
class Place:
    """One process among those that train together.

    Attributes:
        rank: its number, from 0.
        world_size: how many there are.
    """

    rank: int = 0
    world_size: int = 1

    def share(self, batch_size: int) -> slice:
        """Say which mixtures of a batch are this process's.

        All shares have one size, so that the mean of the processes' gradients is that of the batch.

        Raises:
            ValueError: if the batch cannot be shared evenly.
        """
        size = batch_size // self.world_size
        if size * self.world_size != batch_size or size == 0:
            raise InputError(
                f"a batch of {batch_size} mixtures cannot be shared evenly by {self.world_size} "
                f"processes; set data.batch_size to a multiple of {self.world_size}"
            )
        return slice(self.rank * size, (self.rank + 1) * size)


ALONE = Place()
