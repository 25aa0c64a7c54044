"""What simulated statistics should come near to, and how a difference is weighed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsim_env.errors import DataError

SELDOM = 0.01  # a statistic to which fewer sessions than this share add anything is left out
IDENTITY = 1e-8  # directions of less variance hold by definition, such as the sum of all bins
RIDGE = 1e-3  # of a correlation; directions of less variance get no more weight


@dataclass(frozen=True)
class Target:
    """The logged means and the weight of differences from them.

    Attributes:
        n: sessions of the log.
        kept: (K,) which statistics are compared.
        mean: (k,) the logged means of these.
        whiten: (k, q) from differences of means to about independent ones, of one session's variance 1.
        covariance: (q, q) of one session's whitened statistics.
    """

    n: int
    kept: np.ndarray
    mean: np.ndarray
    whiten: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, compared: np.ndarray) -> Target:
        """The target of n sessions' statistics (n, K), of those that are to be compared (K,).

        Raises:
            DataError: no statistic varies over the sessions.
        """
        sd = rows.std(axis=0)
        often = (rows != 0).mean(axis=0) >= SELDOM
        kept = compared & often & (sd > 1e-9 * np.maximum(1.0, np.abs(rows).max(axis=0)))
        if not kept.any():
            raise DataError("all logged sessions are alike, so there is nothing to fit")
        centred = (rows[:, kept] - rows[:, kept].mean(axis=0)) / sd[kept]
        values, vectors = np.linalg.eigh(centred.T @ centred / len(rows))
        own = values > IDENTITY
        whiten = vectors[:, own] / np.sqrt(values[own] + RIDGE)
        covariance = np.diag(values[own] / (values[own] + RIDGE))
        return cls(len(rows), kept, rows[:, kept].mean(axis=0), whiten / sd[kept][:, None], covariance)

    def noise(self, simulated: int) -> float:
        """Variance of a whitened difference of means: of the log, and of so many simulated sessions."""
        return 1.0 / self.n + 1.0 / simulated

    def residuals(self, rows: np.ndarray) -> np.ndarray:
        """(q,) of simulated statistics (n, K): about standard normal under the true parameters."""
        difference = (rows[:, self.kept].mean(axis=0) - self.mean) @ self.whiten
        whitened: np.ndarray = difference / np.sqrt(self.noise(len(rows)))
        return whitened
