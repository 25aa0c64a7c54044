"""The Gaussian posterior of a linear model with an intercept an item: what LinUCB and Thompson sampling share.

y = x'beta + theta[item] + noise of variance 1, with the prior N(0, 1 / ridge) for each number of beta and theta:
the hybrid model of Li et al. (2010, algorithm 2), whose disjoint part is one number an item. With A the precision
of beta, D of theta and B what ties them, beta alone has the precision S = A - B'D^-1 B (its Schur complement), so
that nothing as large as the items is ever inverted. The answers are exact: those of one ridge regression.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.linalg import cholesky
from scipy.linalg.lapack import dtrtri
from scipy.sparse import csr_array

AT_ONCE = 2048  # rows that are summed in one product of matrices


class LinearPosterior:
    """Takes in rows, and says what beta and theta are and how sure that is.

    Attributes:
        count: rows taken in.
        mean: (k,) of beta. offsets: (N,) the mean of theta, 0 for items never shown.
        root: (k, k) with root.T @ root the covariance of beta.
        slopes: (N, k) what beta takes from theta: theta = c / D - slopes @ beta, and noise of variance 1 / D.
    """

    def __init__(self, width: int, num_items: int, ridge: float) -> None:
        self.count = 0
        self.precision, self.moment = ridge * np.eye(width), np.zeros(width)
        self.item_precision, self.item_moment = np.full(num_items, float(ridge)), np.zeros(num_items)
        self.item_cross = np.zeros((num_items, width))
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.solve()

    def add(self, rows: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> None:
        """Take in rows (m, k), their labels (m,) and items (m,), which count for nothing where items have no ids."""
        self.count += len(rows)
        self._waiting.append((rows, labels, ids))
        if sum(len(labels) for _, labels, _ in self._waiting) >= AT_ONCE:
            self._sum()

    def _sum(self) -> None:
        if not self._waiting:
            return
        rows, labels, ids = map(np.concatenate, zip(*self._waiting, strict=True))
        self._waiting.clear()
        self.precision += rows.T @ rows
        self.moment += labels @ rows
        if items := len(self.item_precision):
            self.item_precision += np.bincount(ids, minlength=items)
            self.item_moment += np.bincount(ids, labels, minlength=items)
            self.item_cross += csr_array((np.ones(len(ids)), (ids, np.arange(len(ids)))), (items, len(ids))) @ rows

    def solve(self) -> None:
        """Bring mean, offsets, root and slopes up to date with the rows."""
        self._sum()
        self.slopes = self.item_cross / self.item_precision[:, None]
        alone = self.precision - self.item_cross.T @ self.slopes
        self.root, _ = dtrtri(cholesky(alone, lower=True), lower=1)
        self.mean = self.root.T @ (self.root @ (self.moment - self.item_moment @ self.slopes))
        self.offsets = self.item_moment / self.item_precision - self.slopes @ self.mean

    def arrays(self) -> dict[str, np.ndarray]:
        """All that was taken in."""
        self._sum()
        return {
            "count": np.array(self.count), "precision": self.precision, "moment": self.moment,
            "item_precision": self.item_precision, "item_moment": self.item_moment, "item_cross": self.item_cross,
        }  # fmt: skip

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        self.count = int(arrays["count"])
        self.precision, self.moment = arrays["precision"], arrays["moment"]
        self.item_precision, self.item_moment = arrays["item_precision"], arrays["item_moment"]
        self.item_cross = arrays["item_cross"]
        self.solve()
