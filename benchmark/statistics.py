"""Intervals and rankings. Seeds are the replicates: each has its own training and its own evaluation users."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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


@dataclass(frozen=True)
class Comparison:
    """One agent's engagement, or another figure, less another agent's.

    Attributes:
        mean, low, high: the mean difference and its 95 % interval, paired: the same seeds' same users.
        paired_error, unpaired_error: standard errors of that mean, and of what it would be with users of its own for
            each agent. Near policies meet much the same luck, and pairing takes it out; NaN for a single replicate.
    """

    mean: float
    low: float
    high: float
    paired_error: float
    unpaired_error: float


def compare(table: pd.DataFrame, other: pd.DataFrame, column: str = "engagement") -> Comparison:
    """An agent against another, over the replicates that both have; rows of users, or of runs, with seed and column."""
    one, two = replicates(table, column), replicates(other, column)
    difference = (one - two).dropna()
    paired, unpaired = standard_error(difference), np.hypot(standard_error(one), standard_error(two))
    return Comparison(float(difference.mean()), *interval(difference.to_numpy()), paired, float(unpaired))


def standard_error(values: pd.Series) -> float:
    """Of the mean of independent values; NaN for a single one."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


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
        if name != leader and compare(agents[leader], own).low > 0:
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
    """The comparison with `random`, where it is in the table: gain, gain_low, …"""
    if random is None:
        return {}
    told = asdict(compare(own, random))
    return {"gain": told.pop("mean")} | {f"gain_{name}": value for name, value in told.items()}
