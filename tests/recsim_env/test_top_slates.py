"""Slates from scores: the highest first, ties to the lower position, masked candidates last."""

from __future__ import annotations

import numpy as np
import pytest

from recsim_env.agent import MANY, top_slates
from recsim_env.errors import AgentError


@pytest.mark.parametrize("candidates", [MANY - 1, MANY, 1000])
def test_the_highest_are_shown_best_first_and_ties_go_to_the_lower_position(candidates: int) -> None:
    rng = np.random.default_rng(candidates)
    for scores in (rng.random((50, candidates)), rng.integers(0, 4, (50, candidates)).astype(np.float32)):
        mask = rng.random(scores.shape) < np.linspace(0, 1, 50)[:, None]
        allowed = [sorted(np.flatnonzero(row), key=lambda i: (-s[i], i)) for s, row in zip(scores, mask, strict=True)]
        slates = top_slates(scores, {"mask": mask}, 7)
        masked = [list(np.flatnonzero(~row)) for row in mask]
        assert slates.tolist() == [(a + m)[:7] for a, m in zip(allowed, masked, strict=True)]
        assert top_slates(scores, {}, 7).tolist() == [
            sorted(range(candidates), key=lambda i: (-s[i], i))[:7] for s in scores
        ]


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(AgentError, match="NaN"):
        top_slates(np.array([[0.0, np.nan]]), {}, 1)
