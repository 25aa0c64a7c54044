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


def unit_of(*tables: pd.DataFrame) -> str:
    """What is independent in tables that are compared: "seed"; "user" where none of them has more than one seed."""
    return "seed" if any(table["seed"].nunique() > 1 for table in tables) else "user"


def replicates(table: pd.DataFrame, column: str, unit: str) -> pd.Series:
    """An agent's independent values: the means of its seeds, or the users' own; see `unit_of`."""
    return table.groupby("seed")[column].mean() if unit == "seed" else table.set_index("user")[column]


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
    unit = unit_of(table, other)
    one, two = replicates(table, column, unit), replicates(other, column, unit)
    difference = (one - two).dropna()
    paired, unpaired = standard_error(difference), np.hypot(standard_error(one), standard_error(two))
    return Comparison(float(difference.mean()), *interval(difference.to_numpy()), paired, float(unpaired))


def standard_error(values: pd.Series) -> float:
    """Of the mean of independent values; NaN for a single one."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def rank_agents(table: pd.DataFrame) -> pd.DataFrame:
    """A row an agent, best mean first; table: agent, seed, user, engagement, length, clicks, cut.

    rank: see `shared_ranks`. above, below: how many agents it is told apart from that have a lower, a higher mean.
    """
    agents = {str(name): group for name, group in table.groupby("agent")}
    values = values_of(table)
    values = values[values.mean().sort_values(ascending=False, kind="stable").index]
    apart = told_apart(values)
    names, ranks = list(map(str, values)), shared_ranks(apart)
    above, below = np.triu(apart).sum(axis=1), np.tril(apart).sum(axis=1)
    rows = []
    for name, rank, over, under in zip(names, ranks, above.tolist(), below.tolist(), strict=True):
        row = {"rank": rank, **describe_agent(name, agents[name], values[name]), "above": over, "below": under}
        rows.append(row | gain_over_random(agents[name], agents.get("random")))
    return pd.DataFrame(rows)


def values_of(table: pd.DataFrame) -> pd.DataFrame:
    """(replicates, agents) engagement, NaN where an agent has none; table: agent, seed, user, engagement."""
    unit = unit_of(*(own for _, own in table.groupby("agent")))
    return pd.DataFrame({str(name): replicates(own, "engagement", unit) for name, own in table.groupby("agent")})


def told_apart(values: pd.DataFrame) -> np.ndarray:
    """(agents, agents) whether two agents' means differ; values (replicates, agents), NaN where an agent has none.

    Student's t of each pair's differences, over the replicates that both have. The level is that of all pairs
    together: if no two agents differ, some are told apart in 5 % of experiments at most (Holm, 1979).
    """
    one, two = np.triu_indices(values.shape[1], 1)
    found = values.to_numpy(float)
    apart = np.zeros((values.shape[1],) * 2, bool)
    apart[one, two] = holm(chances_of(found[:, one] - found[:, two])) <= 1 - CONFIDENCE
    return apart | apart.T


def chances_of(differences: np.ndarray) -> np.ndarray:
    """(pairs,) p-values of Student's t of paired differences (replicates, pairs), NaN where one is missing.

    1 where they say nothing: fewer than two, or all 0.
    """
    known = ~np.isnan(differences)
    count, some = known.sum(axis=0), np.where(known, differences, 0.0)
    chances, told = np.ones(differences.shape[1]), (count > 1) & some.any(axis=0)
    some, known, count = some[:, told], known[:, told], count[told]
    mean = some.sum(axis=0) / count
    error = np.sqrt((np.square(some - mean) * known).sum(axis=0) / (count * (count - 1)))
    with np.errstate(divide="ignore"):  # a difference that is always the same is surely one
        chances[told] = 2 * stats.t.sf(np.abs(mean) / error, count - 1)
    return chances


def holm(chances: np.ndarray) -> np.ndarray:
    """P-values adjusted for their number (Holm, 1979): those up to a level are rejected at it, all together."""
    order = np.argsort(chances, kind="stable")
    steps = chances[order] * np.arange(len(chances), 0, -1)
    adjusted = np.empty(len(chances))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def shared_ranks(apart: np.ndarray) -> list[int]:
    """Ranks, 1 the best, of agents in the order of their means; apart (agents, agents): who is told apart.

    A new rank begins where everybody before is told apart from everybody after, so that two agents who cannot be told
    apart have the same rank. The converse does not hold: two who are told apart share a rank where others link them.
    """
    ranks: list[int] = []
    for place in range(len(apart)):
        begins = apart[:place, place:].all()
        ranks.append(place + 1 if begins else ranks[-1])
    return ranks


def describe_agent(name: str, own: pd.DataFrame, values: pd.Series) -> dict[str, object]:
    """An agent's own figures: the mean of its replicates' values, the clicks a step pooled over users."""
    low, high = interval(values.dropna().to_numpy())
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
