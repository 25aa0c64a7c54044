"""What is made of the measured runs of a world: a ranking, and agents beside their twins that look no step ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from benchmark.experiment import Experiment
from benchmark.results_plan import ResultsWorld
from benchmark.statistics import interval


@dataclass(frozen=True)
class WorldResults:
    """What was measured in one world.

    Attributes:
        world, experiment: what was run.
        users: a row a run and evaluation user, as `evaluate` gives, with `agent`.
        runs: a row a run: agent, seed, immediate (mean reward of one step), updates, seconds.
    """

    world: ResultsWorld
    experiment: Experiment
    users: pd.DataFrame
    runs: pd.DataFrame

    def of_seeds(self, column: str) -> pd.DataFrame:
        """(seeds, agents): means of each run."""
        if column in self.runs:
            return self.runs.pivot_table(index="seed", columns="agent", values=column)
        return self.users.pivot_table(index="seed", columns="agent", values=column)

    def difference(self, column: str, one: str, other: str) -> tuple[float, float, float]:
        """Mean of one agent less another, over the seeds that both have, with its 95 % interval."""
        table = self.of_seeds(column)
        paired = (table[one] - table[other]).dropna().to_numpy()
        return float(paired.mean()), *interval(paired)


def ranking(results: WorldResults) -> pd.DataFrame:
    """A row an agent, best first: engagement with its interval over seeds, score (0 random, 1 patient_oracle), …"""
    table = pd.DataFrame(describe(results)).sort_values("engagement", ascending=False, ignore_index=True)
    means = table.set_index("agent")["engagement"]
    table["score"] = (table["engagement"] - means["random"]) / (means["patient_oracle"] - means["random"])
    return table


def describe(results: WorldResults) -> Iterator[dict[str, object]]:
    for agent, users in results.users.groupby("agent"):
        seeds = users.groupby("seed")["engagement"].mean().to_numpy()
        low, high = interval(seeds)
        runs = results.runs[results.runs["agent"] == agent]
        yield {
            "agent": str(agent), "engagement": float(seeds.mean()), "low": low, "high": high, "seeds": len(seeds),
            "length": users["length"].mean(), "click_rate": users["clicks"].sum() / users["length"].sum(),
            "immediate": runs["immediate"].mean(), "diversity": users["diversity"].mean(),
            "updates": runs["updates"].mean(), "seconds": runs["seconds"].mean(),
        }  # fmt: skip


def now_and_in_the_end(results: WorldResults) -> pd.DataFrame:
    """A row a pair: the twin with gamma 0 less the agent that looks ahead, in immediate reward and in engagement."""
    rows = []
    for agent, twin in results.world.twins().items():
        now, end = (results.difference(column, twin, agent) for column in ("immediate", "engagement"))
        rows.append((agent, *now, *end))
    return pd.DataFrame(rows, columns=["agent", "now", "now_low", "now_high", "end", "end_low", "end_high"])
