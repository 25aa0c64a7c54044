"""Recommenders over the matrix of who liked what: `als`, `item_knn` and `ease` share how they get and use it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from agents.impressions import Context, Impressions, bag_of, split
from agents.ranking import ndcg, rows_to_rank
from agents.supervised import Supervised, SupervisedConfig
from recsim_env.agent import Log, WorldSpec
from recsim_env.parameters import param


@dataclass(frozen=True)
class MatrixConfig(SupervisedConfig):
    """Settings of every recommender over the matrix."""

    history: int = param(50, "steps of the session that are seen", low=1)
    validation: float = param(
        0.1, "share of users that a first fit leaves out, to tell how well it ranks; 0: there is none", low=0, high=0.5
    )
    once: bool = param(
        False, "whether every row is scaled to length 1, so that who stays longer, and is logged more, weighs no more"
    )


class MatrixRecommender(Supervised):
    """Fitted anew to each log; a subclass gives `learn` and `liking`.

    The matrix has a row for each user id, or for each session where users have none, and a column for each item (each
    kind, where items have no ids); it holds sums of positive labels, in units of their mean. Sums of long sessions are
    large: with `once` each row is scaled to length 1 first. Whoever is served is a row too: what the log holds of their
    id and what the session showed, of an item the larger of both. Who has liked nothing yet gets the mean row.

    Attributes:
        rows: (users, items) sums of positive labels, where users have ids; without ids they are not kept.
        mean_row: (items,) of the matrix, over users that liked something.
        unit: what counts as 1, the mean of what is above 0 in the matrix.
    """

    Config: ClassVar[type[MatrixConfig]] = MatrixConfig

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.rows = csr_matrix((self.encoder.num_users, self.index.size), dtype=np.float32)
        self.mean_row = np.zeros(self.index.size, np.float32)
        self.unit = 1.0

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        return {"history": config.history}

    @abstractmethod
    def learn(self, matrix: csr_matrix, rng: np.random.Generator, log: Log) -> None:
        """Fit a matrix (rows, items) that holds something."""

    @abstractmethod
    def liking(self, rows: csr_matrix) -> np.ndarray:
        """(n, items) how much users with such rows (n, items) would like each item."""

    def fit(self, impressions: Impressions, log: Log) -> None:
        """Fit all of the log; before, if asked to, all but some users, to tell how well their steps are ranked.

        A log without any positive label teaches nothing.
        """
        if self.config.validation:
            rng = np.random.default_rng([self.config.seed, self.played, 1])
            held = split(impressions, self.config.validation, rng, "user")
            labels = np.where(held[:, None], np.float32(0), impressions.labels)
            self._fit(replace(impressions, labels=labels), log)
            asked = rows_to_rank(impressions, held, self.index.size, rng)
            quality = ndcg(self.score, impressions, asked, self.index.size, self.index.steps)
            log.scalar("train/validation_ndcg", quality)
        self._fit(impressions, log)

    def _fit(self, impressions: Impressions, log: Log) -> None:
        matrix = self._matrix(impressions)
        if not matrix.nnz:
            return
        if self.encoder.num_users:
            self.rows = matrix
        liked = matrix[np.diff(matrix.indptr) > 0]
        if self.config.once:
            liked = of_length_1(liked)
        self.unit = float(liked.data.mean())
        liked = liked / np.float32(self.unit)
        self.mean_row = np.asarray(liked.mean(axis=0), np.float32).ravel()
        self.learn(liked, np.random.default_rng([self.config.seed, self.played, 2]), log)

    def _matrix(self, log: Impressions) -> csr_matrix:
        """(user ids or sessions, items) sums of positive labels."""
        if not self.encoder.num_users:
            return log.bags(self.index.size)
        worth = np.maximum(log.labels, np.float32(0)).ravel()
        places = (np.repeat(log.user_ids, log.items.shape[1]), log.items.ravel())
        matrix = csr_matrix((worth, places), shape=(self.encoder.num_users, self.index.size))
        matrix.eliminate_zeros()
        return matrix

    def score(self, context: Context, items: np.ndarray, features: np.ndarray) -> np.ndarray:
        rows = bag_of(context.history, self.index.size)
        if self.encoder.num_users:
            known = context.user_ids >= 0
            rows[known] = np.maximum(rows[known], self.rows[context.user_ids[known]].toarray())
        nothing = ~rows.any(axis=1)
        if self.config.once:
            rows = of_length_1(csr_matrix(rows)).toarray()
        rows = rows / np.float32(self.unit)
        rows[nothing] = self.mean_row
        return np.take_along_axis(self.liking(csr_matrix(rows)), items, axis=1)

    def arrays(self) -> dict[str, np.ndarray]:
        own = {"mean_row": self.mean_row, "unit": np.array(self.unit)}
        return {**super().arrays(), **own, **sparse_arrays("rows", self.rows)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        self.mean_row, self.unit = arrays["mean_row"].copy(), float(arrays["unit"])
        self.rows = sparse_of("rows", arrays)


def of_length_1(rows: csr_matrix) -> csr_matrix:
    """Rows (n, items) over their Euclidean lengths (Deshpande and Karypis, 2004); an empty one stays empty."""
    lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
    return csr_matrix(rows.multiply(1.0 / np.maximum(lengths, np.float32(1e-30))), dtype=np.float32)


def sparse_arrays(name: str, matrix: csr_matrix) -> dict[str, np.ndarray]:
    """A sparse matrix as arrays, by names that start with `name`."""
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": np.array(matrix.shape)}
    return {f"{name}_{part}": values for part, values in parts.items()}


def sparse_of(name: str, arrays: Mapping[str, np.ndarray]) -> csr_matrix:
    """The matrix that `sparse_arrays` took apart."""
    parts = tuple(arrays[f"{name}_{part}"].copy() for part in ("data", "indices", "indptr"))
    return csr_matrix(parts, shape=tuple(arrays[f"{name}_shape"]))
