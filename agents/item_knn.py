"""Item neighbours (Sarwar et al., 2001; Deshpande and Karypis, 2004), by the library `implicit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn, bm25_weight, normalize, tfidf_weight
from scipy.sparse import csr_matrix

from agents.matrix import MatrixConfig, MatrixRecommender, sparse_arrays, sparse_of
from recsim_env.agent import Log, WorldSpec
from recsim_env.parameters import param


class Similarity(IntEnum):
    """How alike two items' columns of the matrix are."""

    COSINE = 0
    TFIDF = 1
    BM25 = 2


@dataclass(frozen=True)
class ItemKNNConfig(MatrixConfig):
    """Settings of `item_knn`."""

    once: bool = param(
        True,
        "whether every row is scaled to length 1 first, so that who stays longer, and is logged more, weighs no more",
    )
    similarity: Similarity = param(
        Similarity.COSINE, "of columns as they are, or after who likes much was made to count less (tfidf, bm25)"
    )
    neighbours: int = param(100, "most similar items of each item that count, itself among them", low=1)
    k1: float = param(1.2, "of bm25: how soon more of the same label counts no more", low=0)
    b: float = param(0.75, "of bm25: how much a popular item's labels count less", low=0, high=1)


class ItemKNN(MatrixRecommender):
    """Ranks items by how similar they are to what the user liked.

    Attributes:
        neighbours: (items, items) similarities, the largest of each row.
    """

    Config = ItemKNNConfig

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        super().__init__(config, spec)
        self.neighbours = csr_matrix((self.index.size, self.index.size), dtype=np.float32)

    def learn(self, matrix: csr_matrix, rng: np.random.Generator, log: Log) -> None:
        weighted = self._weighted(matrix.T.astype(np.float64)).T.tocsr()
        found = all_pairs_knn(weighted, self.config.neighbours, show_progress=False, num_threads=1)
        self.neighbours = found.tocsr().astype(np.float32)

    def _weighted(self, columns: csr_matrix) -> Any:
        """Items' columns (items, users) so that their products are similarities."""
        if self.config.similarity == Similarity.BM25:
            return bm25_weight(columns, self.config.k1, self.config.b)
        return normalize(tfidf_weight(columns) if self.config.similarity == Similarity.TFIDF else columns)

    def liking(self, rows: csr_matrix) -> np.ndarray:
        return (rows @ self.neighbours).toarray()

    def arrays(self) -> dict[str, np.ndarray]:
        return {**super().arrays(), **sparse_arrays("neighbours", self.neighbours)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        self.neighbours = sparse_of("neighbours", arrays)
