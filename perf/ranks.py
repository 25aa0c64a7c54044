"""How often a ranking splits agents that are the same, and finds one that is better: a table of docs/statistics.md.

    python perf/ranks.py

A simulated experiment has some seeds. In each the users' luck is the same for all agents, and each agent has a luck of
training of its own, as large; both are normal. The ranks are made as those that `bench` prints.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.statistics import shared_ranks, told_apart

AGENTS, SEEDS, EXPERIMENTS = (6, 10, 40), (3, 5, 10), 200
LEADS = (5, 20)  # of the better agent, in standard deviations of the luck of training


def experiment(rng: np.random.Generator, agents: int, seeds: int, lead: float) -> pd.DataFrame:
    """(seeds, agents) engagement, best mean first; one agent is better by `lead`, and the others are the same."""
    engagement = rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, agents))
    engagement[:, 0] += lead
    return pd.DataFrame(engagement[:, np.argsort(-engagement.mean(axis=0))])


def split(apart: np.ndarray) -> bool:
    """Whether there is more than one rank."""
    return max(shared_ranks(apart)) > 1


def alone(apart: np.ndarray) -> bool:
    """Whether one agent has rank 1 for itself."""
    return shared_ranks(apart).count(1) == 1


def row(rng: np.random.Generator, agents: int, seeds: int) -> list[float]:
    """Shares of experiments: two of the same are told apart; they are split; the better one is alone, by its lead."""
    same = [told_apart(experiment(rng, agents, seeds, 0)) for _ in range(EXPERIMENTS)]
    shares = [np.mean([apart.any() for apart in same]), np.mean([split(apart) for apart in same])]
    for lead in LEADS:
        shares.append(np.mean([alone(told_apart(experiment(rng, agents, seeds, lead))) for _ in range(EXPERIMENTS)]))
    return [float(share) for share in shares]


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    heads = "".join(f" one is better by {lead}: alone at rank 1 |" for lead in LEADS)
    print(f"| agents | seeds | all the same: two told apart | all the same: split |{heads}")
    print(f"|{'---|' * (4 + len(LEADS))}")
    for agents in AGENTS:
        for seeds in SEEDS:
            cells = " | ".join(f"{100 * share:.1f} %" for share in row(rng, agents, seeds))
            print(f"| {agents} | {seeds} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
