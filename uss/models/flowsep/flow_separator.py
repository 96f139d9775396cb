"""FlowSep (Yuan et al. 2024): a stem is generated, from the mixture's latent and a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from uss.core.initialisation import without_random_numbers
from uss.core.memory import check_memory
from uss.core.state_dicts import load_entries
from uss.models.flowsep.flow_entries import (
    OF_TRAINING,
    RELEASED_SPACE,
    released_sizes,
    released_weights,
)
from uss.models.flowsep.latent_separator import LatentSeparator
from uss.models.flowsep.rectified_flow import follow

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_STEPS = 10
"""Of the paper's table; the released code takes 20 where nobody says."""


class FlowSep(LatentSeparator):
    """The U-Net gives velocities of straight ways; see ``LatentSeparator`` for its arguments.

    The averaged weights (``model_ema``) of released files are those that separate.

    Attributes:
        constants: see ``uss.core.state_dicts.load_entries``.
    """

    constants = OF_TRAINING
    default_steps = DEFAULT_STEPS

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], source: str) -> Self:
        """Load released weights strictly, the averaged ones; sizes are those of the entries.

        Args:
            state: entry name -> tensor, as in the checkpoint.
            source: what an error calls the file.

        Raises:
            ValueError: if a part is missing, or entries are missing, unknown or misshapen; it
                names them.
        """
        own = released_weights(state, source)
        check_memory(sum(4 * value.numel() for value in own.values()), source)
        with without_random_numbers():
            model = cls(RELEASED_SPACE, **released_sizes(own, source))
        load_entries(model, own, source, cls.constants)
        return model.eval()

    def draw(self, mixture: Tensor, condition: Tensor, noise: Tensor, num_steps: int) -> Tensor:
        """Follow the velocities; see ``GenerativeModel``."""
        return follow(lambda x, t: self.predict(x, t, mixture, condition), noise, num_steps)
