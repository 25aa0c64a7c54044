"""Intervals and rankings. Seeds are the replicates: each has its own training and its own evaluation users."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95


def interval(values: np.ndarray) -> tuple[float, float]:
    """Student's t interval of the mean of independent values; unbounded for a single one."""
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return -np.inf, np.inf
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean - half, mean + half


def replicates(table: pd.DataFrame, column: str) -> pd.Series:
    """An agent's independent values: the means of its seeds; the users' own where there is one seed."""
    if table["seed"].nunique() > 1:
        return table.groupby("seed")[column].mean()
    return table.set_index("user")[column]


def paired_difference(table: pd.DataFrame, other: pd.DataFrame) -> tuple[float, float, float]:
    """Mean difference in engagement and its interval, over the same seeds' same users."""
    difference = replicates(table, "engagement") - replicates(other, "engagement")
    return float(difference.mean()), *interval(difference.to_numpy())


def rank_agents(table: pd.DataFrame) -> pd.DataFrame:
    """A row an agent, best mean first; table: agent, seed, user, engagement, length, clicks, cut.

    Agents share a rank with the best of them as long as the paired difference to it has an interval that holds 0.
    """
    agents = {str(name): group for name, group in table.groupby("agent")}
    means = {name: float(replicates(own, "engagement").mean()) for name, own in agents.items()}
    ordered = sorted(agents, key=lambda name: -means[name])
    rows, rank, leader = [], 1, ordered[0]
    for place, name in enumerate(ordered, start=1):
        own = agents[name]
        if name != leader and paired_difference(agents[leader], own)[1] > 0:
            rank, leader = place, name
        rows.append({"rank": rank, **describe_agent(name, own), **gain_over_random(own, agents.get("random"))})
    return pd.DataFrame(rows)


def describe_agent(name: str, own: pd.DataFrame) -> dict[str, object]:
    """An agent's own figures: means over seeds, the clicks a step pooled over users."""
    values = replicates(own, "engagement")
    low, high = interval(values.to_numpy())
    return {
        "agent": name, "engagement": float(values.mean()), "low": low, "high": high, "length": own["length"].mean(),
        "click_rate": own["clicks"].sum() / own["length"].sum(), "cut": own["cut"].mean(),
        "seeds": own["seed"].nunique(), "users": len(own),
    }  # fmt: skip


def gain_over_random(own: pd.DataFrame, random: pd.DataFrame | None) -> dict[str, float]:
    """The paired difference to `random` and its interval, where it is in the table."""
    if random is None:
        return {}
    return dict(zip(("gain", "gain_low", "gain_high"), paired_difference(own, random), strict=True))
