"""als: the factors solve the published problem, and find planted blocks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from agents.als import ALS
from tests.agents.blocks import ITEMS, PEOPLE, block_matrix, fitted, scores, separated

SETTINGS = {"factors": 2, "regularisation": 0.1}
LIKED = block_matrix()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_planted_blocks(seed: int) -> None:
    assert separated(fitted("als", LIKED, seed=seed, **SETTINGS), LIKED) == 1.0


def test_one_factor_cannot_hold_two_blocks() -> None:
    assert separated(fitted("als", LIKED, factors=1, regularisation=0.1), LIKED) < 0.8


def test_factors_that_forget_who_is_served_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: everybody gets the mean user's factors."""
    agent = fitted("als", LIKED, **SETTINGS)
    liking = ALS.liking
    monkeypatch.setattr(
        ALS, "liking", lambda self, rows: liking(self, csr_matrix(np.tile(self.mean_row, (rows.shape[0], 1))))
    )
    assert separated(agent, LIKED) < 0.8


def test_a_served_users_factors_solve_the_published_equation() -> None:
    """x = (Y'CY + regularisation)^-1 Y'Cp, with confidence alpha r where something was liked and 1 elsewhere."""
    agent = fitted("als", LIKED, factors=3, regularisation=0.7, alpha=4.0)
    y = agent.model.item_factors.astype(float)
    confidence = np.where(LIKED[5] > 0, 4.0 * LIKED[5], 1.0)
    left = (y.T * confidence) @ y + 0.7 * np.eye(3)
    expected = y @ np.linalg.solve(left, (y.T * confidence) @ (LIKED[5] > 0))
    assert np.allclose(scores(agent, 5), expected, atol=1e-4)


def test_somebody_new_is_served_by_the_session() -> None:
    agent = fitted("als", LIKED, **SETTINGS)
    values = scores(agent, PEOPLE, [1, 3])
    odd = np.arange(ITEMS) % 2 == 1
    assert values[odd].min() > values[~odd].max()


def test_who_liked_nothing_yet_gets_the_mean_user() -> None:
    skewed = LIKED * (np.arange(PEOPLE)[:, None] % 4 != 1)  # half of the odd people are silent
    values = scores(fitted("als", skewed, **SETTINGS), PEOPLE)
    assert values[::2].mean() > values[1::2].mean() > 0.0


def test_labels_weigh() -> None:
    """What was liked three times as much counts more than the other kind, though that is liked by as many items."""
    agent = fitted(
        "als", np.where(np.arange(ITEMS) % 2 == 0, 3.0, 1.0).astype(np.float32) * block_matrix(1), **SETTINGS
    )
    both = scores(agent, PEOPLE, [0, 1])
    agent.rows = csr_matrix((PEOPLE + 1, ITEMS), dtype=np.float32)
    rows = np.zeros((1, ITEMS), np.float32)
    rows[0, :2] = 1.0, 4.0
    weighted = agent.liking(csr_matrix(rows))[0]
    assert weighted[1::2].mean() - weighted[::2].mean() > both[1::2].mean() - both[::2].mean()


def test_a_log_without_a_positive_label_teaches_nothing() -> None:
    agent = fitted("als", LIKED, **SETTINGS)
    before = agent.arrays()
    untaught = fitted("als", np.zeros_like(LIKED) - 1.0, **SETTINGS)
    assert not untaught.arrays()["item_factors"].any()
    assert before["item_factors"].any()
