"""EASE (Steck, 2019): every item is predicted from all others by ridge regression, in closed form.

It minimises |X - X B|^2 + penalty |B|^2 over matrices B whose diagonal is zero, X being the matrix of who liked what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from agents.matrix import MatrixConfig, MatrixRecommender
from recsim_env.agent import Log, WorldSpec
from recsim_env.parameters import param


@dataclass(frozen=True)
class EASEConfig(MatrixConfig):
    """Settings of `ease`."""

    penalty: float = param(100.0, "on the squares of B; half of what a very popular item's row would hold", low=1e-3)
    fewest: int = param(1, "users or sessions that must have liked an item; others are left out, with value 0", low=1)


class EASE(MatrixRecommender):
    """Ranks items by what others predict that the user liked, with weights of a regression.

    Attributes:
        items: (M,) the numbers of items that are not left out.
        weights: (M, M) float32, B.
    """

    Config = EASEConfig

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.items = np.zeros(0, np.int64)
        self.weights = np.zeros((0, 0), np.float32)

    def learn(self, matrix: csr_matrix, rng: np.random.Generator, log: Log) -> None:
        self.items = np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]) >= self.config.fewest)
        with threadpool_limits(1):
            self.weights = regression(matrix[:, self.items].astype(np.float32), self.config.penalty)

    def liking(self, rows: csr_matrix) -> np.ndarray:
        values = np.zeros(rows.shape, np.float32)
        values[:, self.items] = rows[:, self.items] @ self.weights
        return values

    def arrays(self) -> dict[str, np.ndarray]:
        return {**super().arrays(), "items": self.items, "weights": self.weights}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        self.items, self.weights = arrays["items"].copy(), arrays["weights"].copy()


def regression(x: csr_matrix, penalty: float) -> np.ndarray:
    """(M, M): B of X (rows, M), equation 8: -P_ij / P_jj, and 0 on the diagonal, P being `inverse_gram`."""
    inverse = inverse_gram(x, penalty)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


def inverse_gram(x: csr_matrix, penalty: float) -> np.ndarray:
    """(M, M) the inverse of X'X + penalty; through XX' (Woodbury) where there are fewer rows than items."""
    rows, items = x.shape
    if items <= rows:
        return np.linalg.inv((x.T @ x).toarray() + np.float32(penalty) * np.eye(items, dtype=np.float32))
    gram = (x @ x.T).toarray() + np.float32(penalty) * np.eye(rows, dtype=np.float32)
    inverse = x.T @ -np.linalg.solve(gram, x.toarray())
    inverse[np.diag_indices(items)] += 1.0
    return inverse / np.float32(penalty)
