"""Clusters of rows, by k-means: how tabular agents turn features into a few states."""

from __future__ import annotations

import numpy as np
from scipy.cluster.vq import kmeans2

from recsim_env.compile_cache import compiled

FITTED_ROWS = 20_000


@compiled
def nearest(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(n,) the nearest centre of each row; loops, since a matrix product starts threads that hinder each other."""
    found = np.zeros(len(rows), np.int64)
    for i in range(len(rows)):
        best = np.inf
        for k in range(len(centres)):
            distance = 0.0
            for j in range(rows.shape[1]):
                distance += (rows[i, j] - centres[k, j]) ** 2
            if distance < best:
                best = distance
                found[i] = k
    return found


class Clusters:
    """Assigns rows (n, width) to at most `most` clusters; rows of few distinct values get one cluster each."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.mean = np.zeros(0, np.float32)
        self.scale = np.ones(0, np.float32)
        self.centres = np.zeros((1, 0), np.float32)

    def fit(self, rows: np.ndarray, rng: np.random.Generator) -> None:
        """Place the centres by k-means++ on (a sample of) the rows."""
        if len(rows) > FITTED_ROWS:
            rows = rows[rng.choice(len(rows), FITTED_ROWS, replace=False)]
        deviation = rows.std(axis=0)
        self.mean = rows.mean(axis=0)
        self.scale = np.where(deviation > 1e-6, deviation, 1.0)
        scaled = (rows - self.mean) / self.scale
        distinct = np.unique(scaled, axis=0)
        if len(distinct) <= self.most:
            self.centres = distinct
        else:
            self.centres, _ = kmeans2(scaled.astype(np.float64), self.most, minit="++", rng=rng, missing="warn")

    def __len__(self) -> int:
        return len(self.centres)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(…,) int64: the nearest centre of each row (…, width)."""
        if not self.centres.shape[1]:
            return np.zeros(rows.shape[:-1], np.int64)
        scaled = (rows.reshape(-1, rows.shape[-1]) - self.mean) / self.scale
        found: np.ndarray = nearest(scaled.astype(np.float64), self.centres.astype(np.float64))
        return found.reshape(rows.shape[:-1])

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """What was fitted, by names that start with `name`."""
        return {f"{name}_mean": self.mean, f"{name}_scale": self.scale, f"{name}_centres": self.centres}

    def restore(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""
        self.mean, self.scale = arrays[f"{name}_mean"], arrays[f"{name}_scale"]
        self.centres = arrays[f"{name}_centres"]
