"""Normalised scores: 0 is `random`, 1 the world's reference, `patient_oracle`, and more is possible."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.statistics import interval, values_of
from recsim_env.errors import RecSimError

FLOOR, REFERENCE, NEAR = "random", "patient_oracle", "myopic_oracle"


class NoScore(RecSimError):
    """A world in which scores mean nothing, and why."""


def scale(means: pd.DataFrame) -> tuple[float, float]:
    """Mean engagement of `random` and of the reference, between which scores are measured.

    Raises:
        NoScore: one of `random`, `patient_oracle` and `myopic_oracle` is missing, or the reference's interval does not
            lie above those of the two others.
    """
    missing = [name for name in (FLOOR, REFERENCE, NEAR) if name not in means]
    if missing:
        raise NoScore(f"scores need {FLOOR}, {NEAR} and {REFERENCE} among the agents; missing: {', '.join(missing)}")
    spans = {name: interval(means[name].dropna().to_numpy()) for name in (FLOOR, REFERENCE, NEAR)}
    for name in (FLOOR, NEAR):
        if not spans[REFERENCE][0] > spans[name][1]:
            raise NoScore(
                f"no scores: the interval of {REFERENCE} ({spans[REFERENCE][0]:.1f} to {spans[REFERENCE][1]:.1f}) does "
                f"not lie above that of {name} ({spans[name][0]:.1f} to {spans[name][1]:.1f})"
            )
    return float(means[FLOOR].mean()), float(means[REFERENCE].mean())


def ratio(gain: np.ndarray, span: np.ndarray) -> tuple[float, float, float]:
    """mean(gain) / mean(span) of paired replicates, and its 95 % interval by the delta method.

    Student's t of (gain - R span) / mean(span), where R is the ratio, so that the errors of both enter it.
    """
    found = float(gain.mean() / span.mean())
    low, high = interval((gain - found * span) / span.mean())
    return found, found + low, found + high


def normalised(table: pd.DataFrame) -> pd.DataFrame:
    """A row an agent: score, score_low, score_high; the references' errors enter the interval.

    Raises:
        NoScore: see `scale`.
    """
    means = values_of(table)
    scale(means)
    rows = []
    for name in means:
        paired = means[[name]].assign(floor=means[FLOOR], top=means[REFERENCE]).dropna()
        gain, span = ((paired[column] - paired["floor"]).to_numpy() for column in (name, "top"))
        rows.append((name, *ratio(gain, span)))
    return pd.DataFrame(rows, columns=["agent", "score", "score_low", "score_high"])


def score_matrix(tables: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """Each agent's scores (seeds, worlds), of the seeds that all of its worlds have; tables: by world.

    Raises:
        NoScore: see `scale`, with the world's name.
    """
    columns: dict[str, list[np.ndarray]] = {}
    for world, table in tables.items():
        means = table.pivot_table(index="seed", columns="agent", values="engagement")
        try:
            floor, top = scale(means)
        except NoScore as error:
            raise NoScore(f"{world}: {error}") from None
        for name in means:
            columns.setdefault(str(name), []).append(((means[name] - floor) / (top - floor)).dropna().to_numpy())
    everywhere = {name: scores for name, scores in columns.items() if len(scores) == len(tables)}
    return {name: np.stack([s[: min(map(len, scores))] for s in scores], axis=1) for name, scores in everywhere.items()}
