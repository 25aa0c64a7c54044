"""How often a ranking splits agents that are the same, and finds one that is better: a table of docs/statistics.md.

    python perf/ranks.py

A simulated experiment has some seeds. In each a user block's luck is the same for all agents, and each agent has a
training's luck of its own, as large; both are normal. The ranks are those that `bench` prints.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.statistics import rank_agents

AGENTS, SEEDS, EXPERIMENTS = (6, 10, 40), (3, 5, 10), 200
LEADS = (0, 5, 20)  # of the better agent, in standard deviations of a training's luck


def experiment(rng: np.random.Generator, agents: int, seeds: int, lead: float) -> pd.DataFrame:
    """A table as evaluations give it, a row a seed and agent; the first agent is better by `lead`."""
    engagement = rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, agents))
    engagement[:, 0] += lead
    seed, agent = np.indices(engagement.shape).reshape(2, -1)
    same = {"user": 0, "length": 10, "clicks": 5.0, "cut": False}
    return pd.DataFrame(
        {"agent": [f"agent {i:02}" for i in agent], "seed": seed, "engagement": engagement.ravel(), **same}
    )


def shares(rng: np.random.Generator, agents: int, seeds: int, lead: float) -> tuple[float, float]:
    """How often some agent is surely above another, and how often there is more than one rank.

    With a lead: how often the better agent is surely above each other one, and how often it is alone at rank 1.
    """
    rankings = [rank_agents(experiment(rng, agents, seeds, lead)) for _ in range(EXPERIMENTS)]
    apart = [ranking["above"].max() >= (agents - 1 if lead else 1) for ranking in rankings]
    split = [(ranking["rank"] == 1).sum() == 1 if lead else ranking["rank"].max() > 1 for ranking in rankings]
    return float(np.mean(apart)), float(np.mean(split))


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    heads = "".join(f" one better by {lead}: surely above all | alone at rank 1 |" for lead in LEADS[1:])
    print(f"| agents | seeds | all the same: two told apart | split |{heads}\n|{'---|' * (2 + 2 * len(LEADS))}")
    for agents in AGENTS:
        for seeds in SEEDS:
            found = (share for lead in LEADS for share in shares(rng, agents, seeds, lead))
            print(f"| {agents} | {seeds} | " + " | ".join(f"{100 * share:.1f} %" for share in found) + " |", flush=True)


if __name__ == "__main__":
    main()
