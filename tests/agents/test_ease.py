"""ease: B is the optimum of the published problem, by its gradient; both ways to it give the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from agents import ease
from agents.ease import inverse_gram, regression
from tests.agents.blocks import ITEMS, PEOPLE, block_matrix, fitted, scores, separated

LIKED = block_matrix()
PENALTY = 3.0


def steepest(weights: np.ndarray, x: np.ndarray, penalty: float) -> float:
    """The largest derivative of |X - X B|^2 + penalty |B|^2 by an entry of B off its diagonal; 0 at the optimum."""
    gradient = x.T @ (x @ weights - x) + penalty * weights
    np.fill_diagonal(gradient, 0.0)
    return float(np.abs(gradient).max())


@pytest.mark.parametrize("people", [PEOPLE, ITEMS // 2])
def test_it_is_the_optimum(people: int) -> None:
    """With more people than items, and with fewer."""
    x = block_matrix(people=people)
    weights = regression(csr_matrix(x), PENALTY)
    assert not np.diag(weights).any()
    assert steepest(weights, x, PENALTY) < 1e-3


def test_a_division_by_rows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the diagonal of the inverse taken by rows, not columns."""
    monkeypatch.setattr(ease, "inverse_gram", lambda x, penalty: inverse_gram(x, penalty) * scale(x, penalty))

    def scale(x: csr_matrix, penalty: float) -> np.ndarray:
        diagonal = np.diag(inverse_gram(x, penalty))
        return diagonal / diagonal[:, None]  # so that P_ij / P_jj becomes P_ij / P_ii

    assert steepest(regression(csr_matrix(LIKED), PENALTY), LIKED, PENALTY) > 0.1


def test_both_ways_to_the_inverse_agree() -> None:
    x = block_matrix(people=ITEMS // 2)
    direct = np.linalg.inv(x.T @ x + PENALTY * np.eye(ITEMS))
    assert np.allclose(inverse_gram(csr_matrix(x), PENALTY), direct, atol=1e-5)
    assert np.allclose(
        inverse_gram(csr_matrix(np.r_[x, x, x]), PENALTY),
        np.linalg.inv(3 * x.T @ x + PENALTY * np.eye(ITEMS)),
        atol=1e-5,
    )


def test_finds_planted_blocks() -> None:
    assert separated(fitted("ease", LIKED, penalty=100.0), LIKED) == 1.0


def test_scores_are_what_the_others_predict() -> None:
    agent = fitted("ease", LIKED, penalty=PENALTY)
    assert np.allclose(scores(agent, 4), LIKED[4] @ agent.weights, atol=1e-4)
    assert scores(agent, PEOPLE, [6])[6] == 0.0


def test_rare_items_are_left_out() -> None:
    liked = LIKED.copy()
    liked[:, 9] = 0.0
    liked[1, 9] = 1.0
    agent = fitted("ease", liked, penalty=PENALTY, fewest=2)
    assert 9 not in agent.items
    assert scores(agent, 1)[9] == 0.0
    assert np.allclose(scores(agent, 3)[agent.items], liked[3][agent.items] @ agent.weights, atol=1e-4)
