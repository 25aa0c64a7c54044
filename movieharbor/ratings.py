"""Ratings that believe few votes little."""

from __future__ import annotations

import pandas as pd

QUANTILE, MIDDLE = 0.95, 5.0


def weighted_ratings(
    ratings: pd.Series, votes: pd.Series, least: float | None = None, middle: float | None = MIDDLE
) -> pd.Series:
    """v / (v + m) R + m / (v + m) C of ratings R with v votes.

    Args:
        ratings, votes: a number a film.
        least: m, the votes that weigh as much as C; None is the 0.95 quantile of the votes.
        middle: C, what a film without votes is rated; None is the mean of the ratings.
    """
    m = float(votes.quantile(QUANTILE)) if least is None else least
    c = float(ratings.mean()) if middle is None else middle
    if m == 0:
        return ratings.where(votes > 0, c)
    return votes / (votes + m) * ratings + m / (votes + m) * c
