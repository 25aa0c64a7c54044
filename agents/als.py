"""Matrix factorisation for implicit feedback (Hu, Koren and Volinsky, 2008), by the library `implicit`.

Alternating least squares minimise sum of c_ui (p_ui - x_u . y_i)^2 + regularisation (|x|^2 + |y|^2) over all users and
items: p is 1 with confidence c = alpha r where the matrix holds r, else p is 0 with confidence 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from agents.matrix import MatrixConfig, MatrixRecommender
from recsim_env.agent import Log, WorldSpec
from recsim_env.parameters import param


@dataclass(frozen=True)
class ALSConfig(MatrixConfig):
    """Settings of `als`."""

    factors: int = param(16, "numbers of each user and item", low=1)
    regularisation: float = param(1.0, "on the squares of all factors", low=0)
    alpha: float = param(1.0, "confidence in a label of average size; in what was not liked it is 1", low=0)
    iterations: int = param(15, "of solving for users, then for items", low=1)


class ALS(MatrixRecommender):
    """Ranks items by the product of factors; a user's are solved for from their row when they are served.

    Attributes:
        model: implicit's; only its item factors are kept.
    """

    Config = ALSConfig

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.model = self._model(np.zeros((self.index.size, config.factors), np.float32))

    def _model(self, item_factors: np.ndarray | None = None, rng: np.random.Generator | None = None) -> Any:
        c = self.config
        with threadpool_limits(1, "blas"):  # implicit warns of more
            model = AlternatingLeastSquares(
                factors=c.factors, regularization=c.regularisation, alpha=c.alpha, iterations=c.iterations,
                calculate_training_loss=rng is not None, num_threads=1, random_state=rng,
            )  # fmt: skip
        model.item_factors = item_factors
        return model

    def learn(self, matrix: csr_matrix, rng: np.random.Generator, log: Log) -> None:
        """Fit, and tell the loss of each iteration, the mean over all pairs, as `train/loss`."""
        model = self._model(rng=rng)
        with threadpool_limits(1, "blas"):
            model.fit(matrix, show_progress=False, callback=lambda _, __, loss: log.scalar("train/loss", float(loss)))
        self.model = self._model(model.item_factors)

    def liking(self, rows: csr_matrix) -> np.ndarray:
        users = self.model.recalculate_user(np.arange(rows.shape[0]), rows)
        return users @ self.model.item_factors.T

    def arrays(self) -> dict[str, np.ndarray]:
        return {**super().arrays(), "item_factors": self.model.item_factors}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        self.model = self._model(arrays["item_factors"].copy())
