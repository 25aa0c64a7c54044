"""An id and features as one vector; ids that were never fitted count as unknown."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Embedding(nn.Module):
    """Ids (…,) and features (…, F) to vectors (…, width); an id of -1, or one never fitted, has the unknown's vector.

    Args:
        ids: how many there are; 0: none.
        features: F; 0: none.
        width: of the vectors.
    """

    known: Tensor

    def __init__(self, ids: int, features: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.ids = nn.Embedding(ids + 1, width) if ids else None
        self.features = nn.Linear(features, width) if features else None
        self.register_buffer("known", torch.zeros(ids + 1, dtype=torch.bool))

    def draw_ids(self, deviation: float, generator: torch.Generator) -> None:
        """Draw the ids' first vectors from a normal of this deviation."""
        if self.ids is not None:
            with torch.no_grad():
                self.ids.weight.normal_(0.0, deviation, generator=generator)

    def learn(self, ids: np.ndarray) -> None:
        """These ids will be fitted; -1 is passed over, and all are where ids are not embedded."""
        if self.ids is not None:
            self.known[torch.as_tensor(np.unique(ids[ids >= 0]) + 1, device=self.known.device)] = True

    def forward(self, ids: Tensor, features: Tensor) -> Tensor:
        embedded = torch.zeros((*ids.shape, self.width), device=ids.device)
        if self.features is not None:
            embedded = embedded + self.features(features)
        if self.ids is not None:
            places = ids + 1
            embedded = embedded + self.ids(torch.where(self.known[places], places, 0))
        return embedded


def hidden(ids: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Ids, a share of them -1, so that what is known of the unknown is learnt too."""
    chance = torch.rand(ids.shape, generator=generator, device=ids.device)
    return torch.where(chance < rate, -1, ids)
