"""The command `results`: every agent in four worlds, with what its slates are worth at once, as one page."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pandas as pd

from benchmark.bench import Bars
from benchmark.evaluation import peoples
from benchmark.experiment import Experiment, claim, evaluations, locked, run_all
from benchmark.immediate import immediate_rewards
from benchmark.results_page import write_page
from benchmark.results_plan import WORLDS
from benchmark.results_tables import WorldResults
from benchmark.run import Run, training_envs
from recsim_env.agent import Agent, WorldSpec, agent_class
from recsim_env.errors import InvalidParameter, unknown
from recsim_env.files import whole
from recsim_env.scenario import Scenario


def worlds_named(names: str) -> list[str]:
    """The page's worlds by name, separated by commas; all where nothing is named.

    Raises:
        UnknownName: a world is not on the page.
    """
    chosen = [name.strip() for name in names.split(",") if name.strip()] or list(WORLDS)
    for name in chosen:
        if name not in WORLDS:
            raise unknown("world of the results", name, WORLDS)
    return chosen


def measure(name: str, quick: bool, data: str, out: Path, workers: int) -> WorldResults:
    """Run what is missing in one world and read what is there.

    Raises:
        RecSimError: of any kind, before anything starts; `InvalidParameter` where movielens has no data.
    """
    world = WORLDS[name]
    if world.scenario == "movielens" and not data:
        raise InvalidParameter("the results of movielens need --data, the folder or zip of your ratings")
    experiment, folder = world.experiment(quick, data), out / name
    scenario = experiment.check()
    with locked(folder):
        claim(experiment, folder)
        with Bars(experiment) as bars:
            run_all(experiment, folder, workers or os.cpu_count() or 1, bars)
        immediate = immediate_of(experiment, scenario, folder, states=1000 if quick else 10_000)
    users = evaluations(experiment, folder)
    users = users[users["people"] == users["people"].iloc[0]]
    spent = [json.loads((run.folder(folder) / "run.json").read_text(encoding="utf-8")) for run in experiment.runs()]
    runs = pd.DataFrame({name: [run[name] for run in spent] for name in ("agent", "seed", "updates", "seconds")})
    return WorldResults(world, experiment, users, runs.merge(immediate, on=["agent", "seed"]))


def immediate_of(experiment: Experiment, scenario: Scenario, folder: Path, states: int) -> pd.DataFrame:
    """A row a run: its agent's mean immediate reward; measured once, kept in `immediate.csv`."""
    path = folder / "immediate.csv"
    if not path.exists():
        agents = {f"{run.agent} {run.seed}": load(run, scenario, folder) for run in experiment.runs()}
        means = immediate_rewards(agents, peoples(scenario)[0][1], states=states).mean()
        rows = [(run.agent, run.seed, means[f"{run.agent} {run.seed}"]) for run in experiment.runs()]
        with whole(path) as part:
            pd.DataFrame(rows, columns=["agent", "seed", "immediate"]).to_csv(part, index=False)
    return pd.read_csv(path)


def load(run: Run, scenario: Scenario, folder: Path) -> Agent:
    """A run's trained agent."""
    kind, config = agent_class(run.agent), run.config()
    spec = WorldSpec.of(training_envs(kind, config, scenario, 0, 1, run.observe))
    return kind.load(run.folder(folder) / "agent", spec)


def run_results(worlds: str, quick: bool, data: str, out: Path, report: Path, workers: int) -> None:
    """Measure the worlds named, and write the page with all that has been measured in `out`.

    Raises:
        RecSimError: of any kind, before anything of a world starts.
    """
    names, measured = worlds_named(worlds), {}
    for name in names:
        if name == "movielens" and not data and not worlds:
            print("movielens is left out: give --data, the folder or zip of your ratings", file=sys.stderr)
            continue
        print(f"{name}: {WORLDS[name].question}", flush=True)
        measured[name] = measure(name, quick, data, out, workers)
    write_page(measured, quick, report)
    print(f"\nThe page: {report}. Runs: {out}. Curves: recsim-env tensorboard {out}")
