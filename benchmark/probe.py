"""How long an experiment will take, from a short probe of each agent in each world."""

from __future__ import annotations

import dataclasses
import time

from benchmark.evaluation import evaluate
from benchmark.experiment import Experiment
from benchmark.listing import table, terminal
from benchmark.progress import counted
from benchmark.run import Run, train
from recsim_env.agent import agent_class
from recsim_env.resources import usable_cores
from recsim_env.scenario import Scenario
from recsim_env.streams import Purpose

SHARE, FEWEST = 0.02, 20  # of the budget, and steps of each of the users that an agent trains with
USERS = 50


def seconds_of(run: Run, scenario: Scenario) -> float:
    """An estimate of one run: the second of two probes, since the first one compiles, and takes the world's start."""
    config = run.config()
    steps = min(run.steps, max(int(SHARE * run.steps), FEWEST * getattr(config, "users", 1)))
    probe = dataclasses.replace(run, steps=steps)
    took = 0.0
    for _ in range(2):
        began = time.perf_counter()
        agent = train(probe, scenario, lambda scalars, step: None, lambda step, scalars: None, 1)
        trained = time.perf_counter()
        evaluate(agent, scenario, users=USERS, seed=run.seed, purpose=Purpose.VALIDATE, threads=1, observe=run.observe)
        evaluated = time.perf_counter()
        learning = (trained - began) * run.steps / steps if agent_class(run.agent).learns else 0.0
        took = learning + (evaluated - trained) * run.users / USERS
    return took


def print_estimate(experiment: Experiment, workers: int) -> None:
    """Check the experiment, probe, and print how long its runs would take.

    Raises:
        RecSimError: what a run would meet.
    """
    worlds, cores = experiment.check(), workers or usable_cores()
    made = table("", "world", "agent", "runs", "minutes a run", flowing=2)
    total, probed = 0.0, experiment.runs()[: len(worlds) * len(experiment.agents)]
    with counted() as tell:
        for done, run in enumerate(probed):
            tell(f"probing {run.agent} in {run.scenario}", done, len(probed))
            count = experiment.seeds_of.get(run.agent, experiment.seeds)
            seconds = seconds_of(run, worlds[run.scenario])
            total += count * seconds
            made.add_row(run.scenario, run.agent, str(count), f"{seconds / 60:.1f}")
    terminal().print(made)
    print(f"About {total / cores / 60:.0f} minutes with {cores} runs side by side; nothing was kept.")
