"""What was liked before as one vector, by which strangers are known (Koren, 2008; Covington et al., 2016)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from agents.embeddings import Embedding
from agents.items import History


class Liked(nn.Module):
    """Histories of n users to (n, width): the mean vector of what was liked, weighted by label; zeros without any.

    Args:
        ids: how many numbers items have.
        features: how many numbers are known of an item.
        width: of the vectors.
    """

    def __init__(self, ids: int, features: int, width: int) -> None:
        super().__init__()
        self.vectors = Embedding(ids, features, width)

    def forward(self, history: History, items: Tensor, features: Tensor) -> Tensor:
        """`items` (ids,) and `features` (ids, F) are those of every item."""
        owners, steps, places = np.nonzero((history.items >= 0) & (history.labels > 0))
        n, worth = len(history.items), history.labels[owners, steps, places]
        shares = worth / np.bincount(owners, worth, n).astype(np.float32)[owners]
        bags = history.items[owners, steps, places], np.searchsorted(owners, np.arange(n))
        liked, starts, weights = (torch.as_tensor(part, device=items.device) for part in (*bags, shares))
        vectors = self.vectors(items, features)
        return nn.functional.embedding_bag(liked, vectors, starts, mode="sum", per_sample_weights=weights)
