"""item_knn: similarities as numpy computes them, the nearest only, summed over what was liked."""

from __future__ import annotations

import numpy as np
import pytest

from agents import item_knn
from tests.agents.blocks import ITEMS, PEOPLE, block_matrix, fitted, scores, separated

LIKED = block_matrix()


def cosines(columns: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(columns, axis=0)
    return columns.T @ columns / np.outer(lengths, lengths)


def test_cosine_similarities_are_numpys() -> None:
    agent = fitted("item_knn", LIKED, similarity="cosine", neighbours=ITEMS)
    assert np.allclose(agent.neighbours.toarray(), cosines(LIKED), atol=1e-5)


def test_tfidf_lets_who_likes_much_count_less() -> None:
    agent = fitted("item_knn", LIKED, similarity="tfidf", neighbours=ITEMS)
    weights = np.log(ITEMS) - np.log1p(LIKED.sum(axis=1, keepdims=True))
    assert np.allclose(agent.neighbours.toarray(), cosines(LIKED * weights), atol=1e-5)


def test_bm25_is_the_published_weight() -> None:
    agent = fitted("item_knn", LIKED, similarity="bm25", neighbours=ITEMS, k1=2.0, b=0.5)
    length = 0.5 + 0.5 * LIKED.sum(axis=0) / LIKED.sum(axis=0).mean()
    rarity = np.log(ITEMS) - np.log1p(LIKED.sum(axis=1, keepdims=True))
    weighted = LIKED * 3.0 / (2.0 * length + LIKED) * rarity
    assert np.allclose(agent.neighbours.toarray(), weighted.T @ weighted, rtol=1e-4)


def test_only_the_nearest_count() -> None:
    agent = fitted("item_knn", LIKED, similarity="cosine", neighbours=4)
    kept = agent.neighbours.toarray()
    assert ((kept > 0).sum(axis=1) == 4).all()
    assert np.allclose(np.sort(kept, axis=1)[:, -4:], np.sort(cosines(LIKED), axis=1)[:, -4:], atol=1e-5)


def test_scores_are_sums_over_what_was_liked() -> None:
    agent = fitted("item_knn", LIKED, similarity="cosine", neighbours=ITEMS)
    assert np.allclose(scores(agent, 3), LIKED[3] @ cosines(LIKED), atol=1e-4)
    assert np.allclose(scores(agent, PEOPLE, [7]), cosines(LIKED)[7], atol=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_finds_planted_blocks(similarity: str) -> None:
    assert separated(fitted("item_knn", LIKED, similarity=similarity, neighbours=ITEMS), LIKED) == 1.0


def test_similarities_without_normalisation_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: dot products, under which what everybody likes is similar to all."""
    monkeypatch.setattr(item_knn, "normalize", lambda x: x)
    agent = fitted("item_knn", LIKED, similarity="cosine", neighbours=ITEMS)
    assert not np.allclose(agent.neighbours.toarray(), cosines(LIKED), atol=1e-5)
