"""How often 95 % intervals hold the truth: the table of docs/statistics.md.

    python perf/coverage.py

A simulated experiment has some seeds, each with users of its own: 20 first sessions of interest_evolution.
The truth is the mean over all of them. The interquartile mean is over seeds and three worlds with normal scores.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmark.aggregates import bootstrap_interval, interquartile_mean
from benchmark.evaluation import evaluate
from benchmark.run import training_envs
from benchmark.statistics import interval
from recsim_env.agent import WorldSpec, agent_class
from recsim_env.registration import find_world
from recsim_env.streams import Purpose

SEEDS, EXPERIMENTS, USERS = (3, 5, 10, 20), 1000, 20
DRAWS = 500  # of the bootstrap
MEANS, SPREAD = np.array([0.3, 0.6, 0.9]), 0.1  # of the scores in three worlds
Interval = Callable[[np.ndarray], tuple[float, float]]


def seeds_of(agent: str, count: int) -> np.ndarray:
    """(count,) mean engagement of seeds with users of their own."""
    kind, world = agent_class(agent), find_world("interest_evolution").make(num_candidates=10, slate_size=3)
    config = kind.Config()
    made = kind(config, WorldSpec.of(training_envs(kind, config, world, 0, 1)))
    table = evaluate(made, world, users=count * USERS, seed=0, purpose=Purpose.TEST).table
    return np.asarray(table["engagement"].to_numpy().reshape(count, USERS).mean(axis=1))


def covered(experiments: np.ndarray, truth: float, made: Interval) -> float:
    """The share of experiments (n, …) whose interval holds the truth."""
    spans = (made(one) for one in experiments)
    return float(np.mean([low <= truth <= high for low, high in spans]))


def percentile(rng: np.random.Generator) -> Interval:
    """The bootstrap of a mean over seeds."""
    return lambda seeds: bootstrap_interval(lambda s: float(s.mean()), [seeds[:, None]], rng, DRAWS)


def trimmed(rng: np.random.Generator) -> Interval:
    """The stratified bootstrap of an interquartile mean over seeds and worlds."""
    return lambda scores: bootstrap_interval(interquartile_mean, [scores], rng, DRAWS)


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    count = EXPERIMENTS * max(SEEDS)
    random = seeds_of("random", count)
    gain = seeds_of("myopic_oracle", count) - random
    many = rng.normal(MEANS, SPREAD, (1_000_000, len(MEANS)))
    print("| seeds | t, mean | t, paired difference | bootstrap, mean | stratified bootstrap, interquartile mean |")
    print("|---|---|---|---|---|")
    for n in SEEDS:
        of_mean, of_gain = (values[: EXPERIMENTS * n].reshape(EXPERIMENTS, n) for values in (random, gain))
        scores = rng.normal(MEANS, SPREAD, (EXPERIMENTS, n, len(MEANS)))
        shares = (
            covered(of_mean, random.mean(), interval),
            covered(of_gain, gain.mean(), interval),
            covered(of_mean, random.mean(), percentile(rng)),
            covered(scores, interquartile_mean(many), trimmed(rng)),
        )
        print(f"| {n} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
