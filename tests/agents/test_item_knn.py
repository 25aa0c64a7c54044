"""item_knn: similarities as numpy computes them, the nearest only, summed over what was liked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import item_knn
from tests.agents.blocks import ITEMS, PEOPLE, block_matrix, fitted, scores, separated

LIKED = block_matrix()


def cosines(columns: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(columns, axis=0)
    return columns.T @ columns / np.outer(lengths, lengths)


def test_cosine_similarities_are_numpys() -> None:
    agent = fitted("item_knn", LIKED, similarity="cosine", neighbours=ITEMS, once=False)
    assert np.allclose(agent.neighbours.toarray(), cosines(LIKED), atol=1e-5)


def test_tfidf_lets_who_likes_much_count_less() -> None:
    agent = fitted("item_knn", LIKED, once=False, similarity="tfidf", neighbours=ITEMS)
    weights = np.log(ITEMS) - np.log1p(LIKED.sum(axis=1, keepdims=True))
    assert np.allclose(agent.neighbours.toarray(), cosines(LIKED * weights), atol=1e-5)


def test_bm25_is_the_published_weight() -> None:
    agent = fitted("item_knn", LIKED, once=False, similarity="bm25", neighbours=ITEMS, k1=2.0, b=0.5)
    length = 0.5 + 0.5 * LIKED.sum(axis=0) / LIKED.sum(axis=0).mean()
    rarity = np.log(ITEMS) - np.log1p(LIKED.sum(axis=1, keepdims=True))
    weighted = LIKED * 3.0 / (2.0 * length + LIKED) * rarity
    assert np.allclose(agent.neighbours.toarray(), weighted.T @ weighted, rtol=1e-4)


def test_only_the_nearest_count() -> None:
    agent = fitted("item_knn", LIKED, similarity="cosine", neighbours=4, once=False)
    kept = agent.neighbours.toarray()
    assert ((kept > 0).sum(axis=1) == 4).all()
    assert np.allclose(np.sort(kept, axis=1)[:, -4:], np.sort(cosines(LIKED), axis=1)[:, -4:], atol=1e-5)


def test_scores_are_sums_over_what_was_liked() -> None:
    agent = fitted("item_knn", LIKED, similarity="cosine", neighbours=ITEMS, once=False)
    assert np.allclose(scores(agent, 3), LIKED[3] @ cosines(LIKED), atol=1e-4)
    assert np.allclose(scores(agent, PEOPLE, [7]), cosines(LIKED)[7], atol=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_finds_planted_blocks(similarity: str) -> None:
    assert separated(fitted("item_knn", LIKED, similarity=similarity, neighbours=ITEMS), LIKED) == 1.0


def test_similarities_without_normalisation_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: dot products, under which what everybody likes is similar to all."""
    monkeypatch.setattr(item_knn, "normalize", lambda x: x)
    agent = fitted("item_knn", LIKED, similarity="cosine", neighbours=ITEMS, once=False)
    assert not np.allclose(agent.neighbours.toarray(), cosines(LIKED), atol=1e-5)


MATRIX = [("item_knn", {"neighbours": ITEMS}), ("als", {"factors": 2, "once": True}), ("ease", {"once": True})]


@pytest.mark.parametrize(("name", "settings"), MATRIX)
def test_who_stays_longer_weighs_no_more(name: str, settings: dict[str, Any]) -> None:
    """Even people, who stay ten times as long as the others, like every tenth label of theirs as much."""
    longer = LIKED * np.where(np.arange(PEOPLE) % 2 == 0, 10.0, 1.0)[:, None].astype(np.float32)
    short, long = (fitted(name, liked, **settings) for liked in (LIKED, longer))
    for user in range(4):
        assert np.allclose(scores(long, user), scores(short, user), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "settings"), MATRIX)
def test_as_sums_who_stays_longer_weighs_more(name: str, settings: dict[str, Any]) -> None:
    """Somebody new, who liked an item of each kind, is shown the kind of those who stay: as `once=False` says."""
    longer = LIKED * np.where(np.arange(PEOPLE) % 2 == 0, 10.0, 1.0)[:, None].astype(np.float32)
    values = [scores(fitted(name, liked, **{**settings, "once": False}), PEOPLE) for liked in (LIKED, longer)]
    shares = [value[::2].mean() / value.mean() for value in values]
    assert shares[1] > shares[0] * 1.2


def test_a_planted_quality_that_makes_people_stay_is_not_taken_for_preference() -> None:
    """Half of all people like item 0, of whichever kind they are, and stay ten times as long as the others."""
    liked, stays = LIKED.copy(), np.arange(PEOPLE) < PEOPLE // 2
    liked[:, 0] = stays
    lengths = np.where(stays, 10.0, 1.0).astype(np.float32)[:, None]
    once, sums = (
        fitted("item_knn", liked * lengths, similarity="cosine", neighbours=ITEMS, once=once).neighbours.toarray()
        for once in (True, False)
    )
    assert once[1, 0] < 0.7 * sums[1, 0]
