"""What is made of the measured runs of a world: a ranking, and agents beside their twins that look no step ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.results.plan import ResultsWorld, is_supervised
from benchmark.statistics import compare, interval
from recsim_env.files import whole

# A row a run; length and clicks are a session's means, immediate that of one step's reward, seconds of one core.
COLUMNS = ["agent", "seed", "engagement", "length", "clicks", "diversity", "immediate", "updates", "seconds"]
BUDGET = ["steps", "users"]  # of training, and to evaluate on


@dataclass(frozen=True)
class WorldResults:
    """What was measured in one world: a row a run, of `COLUMNS` and `BUDGET`."""

    world: ResultsWorld
    runs: pd.DataFrame

    @property
    def twins(self) -> dict[str, str]:
        """Those of the world's agents and twins that were measured, both of them."""
        known = set(self.runs["agent"])
        return {one: twin for one, twin in self.world.twins().items() if {one, twin} <= known}

    def difference(self, column: str, one: str, other: str) -> tuple[float, float, float]:
        """Mean of one agent less another, over the seeds that both have, with its 95 % interval."""
        ours, theirs = (self.runs[self.runs["agent"] == agent] for agent in (one, other))
        found = compare(ours, theirs, column)
        return found.mean, found.low, found.high

    def beside(self, measured: pd.DataFrame) -> pd.DataFrame:
        """The runs of agents that are still of the plan and not among those measured."""
        old = self.runs[~self.runs["agent"].isin(measured["agent"])]
        return old[old["agent"].isin(self.world.agents(quick=False))]

    def with_new(self, measured: WorldResults) -> WorldResults:
        """These figures, with those of the agents measured in place of theirs, of agents that are still of the plan."""
        old = self.beside(measured.runs)
        return WorldResults(self.world, pd.concat([old, measured.runs[old.columns]], ignore_index=True))

    def write(self, path: Path) -> None:
        """Keep the runs as CSV, to six digits after the point."""
        with whole(path) as part:
            self.runs[[*COLUMNS, *BUDGET]].round(6).to_csv(part, index=False)

    @classmethod
    def read(cls, world: ResultsWorld, path: Path) -> WorldResults:
        """What `write` kept."""
        return cls(world, pd.read_csv(path))


def ranking(results: WorldResults) -> pd.DataFrame:
    """A row an agent, best first: engagement with its interval over seeds, score (0 random, 1 patient_oracle), …"""
    table = pd.DataFrame(describe(results)).sort_values("engagement", ascending=False, ignore_index=True)
    means = table.set_index("agent")["engagement"]
    table["score"] = (table["engagement"] - means["random"]) / (means["patient_oracle"] - means["random"])
    return table


def describe(results: WorldResults) -> Iterator[dict[str, object]]:
    for agent, runs in results.runs.groupby("agent"):
        low, high = interval(runs["engagement"].to_numpy())
        means = runs.drop(columns="agent").mean()
        own = {"agent": str(agent), "low": low, "high": high, "seeds": len(runs)}
        yield {**means, **own, "click_rate": means["clicks"] / means["length"]}


def best_supervised(runs: pd.DataFrame) -> str:
    """The label of the supervised recommender that engages most; runs: agent, engagement."""
    means = runs.groupby("agent")["engagement"].mean()
    return str(means[[name for name in means.index if is_supervised(name)]].idxmax())


def now_and_in_the_end(results: WorldResults) -> pd.DataFrame:
    """A row an agent that looks ahead, of paired differences.

    now, end: immediate reward and engagement of the twin with gamma 0 less the agent's.
    over_oracle, over_supervised: the agent's engagement less myopic_oracle's, and less that of the supervised
    recommender to which the difference's lower end is lowest.
    shown: the twin is surely not worse now, and surely worse in the end than an agent that surely beats all of those.
    """
    supervised = [name for name in results.runs["agent"].unique() if is_supervised(name)]
    rows = []
    for agent, twin in results.twins.items():
        row: dict[str, object] = {"agent": agent}
        of_twin = {name: results.difference(column, twin, agent) for name, column in TWIN_COLUMNS.items()}
        hardest = min((results.difference("engagement", agent, name) for name in supervised), key=lambda d: d[1])
        over = {"over_oracle": results.difference("engagement", agent, "myopic_oracle"), "over_supervised": hardest}
        for name, (mean, low, high) in {**of_twin, **over}.items():
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
        beats = of_twin["end"][2] < 0 and all(low > 0 for _, low, _ in over.values())
        rows.append(row | {"shown": bool(of_twin["now"][1] >= 0 and beats)})
    return pd.DataFrame(rows)


TWIN_COLUMNS = {"now": "immediate", "end": "engagement"}
