"""The command `results`: every agent in four worlds, with what its slates are worth at once, as one page."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmark.bench import Bars, told_of
from benchmark.evaluation import peoples
from benchmark.executors.execution import run_all
from benchmark.executors.local import Local
from benchmark.experiment import Experiment
from benchmark.folder import claim, failures
from benchmark.immediate import immediate_rewards
from benchmark.results.page import write_page
from benchmark.results.plan import FIRST, MORE_SEEDS, WORLDS, is_supervised
from benchmark.results.tables import BUDGET, WorldResults, best_supervised
from benchmark.run import Run, load
from recsim_env.errors import InvalidParameter, unknown
from recsim_env.files import locked, whole
from recsim_env.registration import make_env
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


def measure(
    name: str,
    quick: bool,
    data: str,
    out: Path,
    workers: int,
    only: Sequence[str] = (),
    kept: WorldResults | None = None,
) -> WorldResults:
    """Run what is missing in one world and read what is there; only some of its agents, where they are named.

    The best supervised recommender, of these and those whose figures are kept, gets as many seeds as the agents that
    look ahead.

    Raises:
        RecSimError: of any kind, before anything starts; `InvalidParameter` where movielens has no data.
    """
    world = WORLDS[name]
    if world.scenario == "movielens" and not data:
        raise InvalidParameter("the results of movielens need --data, the folder or zip of your ratings")
    experiment, folder = world.experiment(quick, data, only), out / name
    scenario = experiment.check()[world.scenario]
    with locked(folder):
        claim(experiment, folder)
        go_on(experiment, folder, workers)
        if not quick:
            experiment = with_best_supervised(experiment, folder, kept)
            go_on(experiment, folder, workers)
        immediate = immediate_of(experiment, scenario, folder, states=1000 if quick else 10_000)
    return WorldResults(world, runs_of(experiment.runs(), folder).merge(immediate, on=["agent", "seed"]))


def with_best_supervised(experiment: Experiment, folder: Path, kept: WorldResults | None) -> Experiment:
    """The experiment, with more seeds of the best supervised recommender where it has too few."""
    runs = runs_of(experiment.runs(), folder)
    if kept is not None:
        runs = pd.concat([runs, kept.beside(runs)])
    best = best_supervised(runs)
    if (runs["agent"] == best).sum() >= MORE_SEEDS:
        return experiment
    return replace(
        experiment, agents={**experiment.agents, best: {}}, seeds_of={**experiment.seeds_of, best: MORE_SEEDS}
    )


def go_on(experiment: Experiment, folder: Path, workers: int) -> None:
    """Execute the runs that are missing, with their progress.

    Raises:
        RunFailed: a page is made of whole runs only.
    """
    with Bars(experiment) as bars:
        run_all(experiment, folder, Local(workers), bars)
    failed = failures(experiment, folder)
    if failed:
        raise told_of(failed, len(experiment.runs()), folder)


def runs_of(runs: Iterable[Run], folder: Path) -> pd.DataFrame:
    """A row a run: agent, seed, its budget, what its training took, and its evaluation users' means."""
    rows = []
    for run in runs:
        users = pd.read_parquet(run.folder(folder) / "evaluation.parquet")
        users = users[users["people"] == users["people"].iloc[0]]  # of a persistent population the known people
        told = json.loads((run.folder(folder) / "run.json").read_text(encoding="utf-8"))
        spent = {"seconds": told["cpu_seconds"], **{name: told[name] for name in ("updates", *BUDGET)}}
        means = users[["engagement", "length", "clicks", "diversity"]].mean()
        rows.append({"agent": run.agent, "seed": run.seed, **means, **spent})
    return pd.DataFrame(rows)


def immediate_of(experiment: Experiment, scenario: Scenario, folder: Path, states: int) -> pd.DataFrame:
    """A row a run: its agent's mean immediate reward, kept in `immediate.csv`; measured where a run is not there."""
    path, runs = folder / "immediate.csv", experiment.runs()
    if path.exists():
        kept = pd.read_csv(path)
        if {(run.agent, run.seed) for run in runs} <= set(zip(kept["agent"], kept["seed"], strict=True)):
            return kept
    agents = {f"{run.agent} {run.seed}": load(run, scenario, run.folder(folder) / "agent") for run in runs}
    means = immediate_rewards(agents, peoples(scenario)[0][1], states=states).mean()
    rows = [(run.agent, run.seed, means[f"{run.agent} {run.seed}"]) for run in runs]
    with whole(path) as part:
        pd.DataFrame(rows, columns=["agent", "seed", "immediate"]).to_csv(part, index=False)
    return pd.read_csv(path)


def run_results(worlds: str, quick: bool, data: str, out: Path, report: Path, workers: int, agents: str = "") -> None:
    """Measure the worlds named, keep their figures beside the page, and write the page of all that are kept there.

    agents: labels separated by commas; where there are any only they are measured, and replace their kept figures;
        and the supervised recommender that is best then, where it has too few seeds.
        A world of which nothing is kept begins with `FIRST` and a supervised recommender among them.

    Raises:
        RecSimError: of any kind, before anything of a world starts.
    """
    kept, only = report.with_suffix(""), [label.strip() for label in agents.split(",") if label.strip()]
    chosen = worlds_named(worlds)
    if data and "movielens" in chosen:
        make_env("movielens", data=data)  # a mistake in its name shows now, and not after the other worlds
    for name in chosen:
        if name == "movielens" and not data and not worlds:
            print("movielens is left out: give --data, the folder or zip of your ratings", file=sys.stderr)
            continue
        print(f"{name}: {WORLDS[name].question}", flush=True)
        before = kept_figures(name, kept, WORLDS[name].experiment(quick, data, only)) if only else None
        if only and before is None:
            check_beginning(name, only)
        measured = measure(name, quick, data, out, workers, only, before)
        measured = measured if before is None else before.with_new(measured)
        kept.mkdir(parents=True, exist_ok=True)
        measured.write(kept / f"{name}.csv")
        write_page(read_kept(kept), report)
    print(f"\nThe page: {report}; its figures: {kept}. Runs: {out}. Curves: recsim-env tensorboard {out}")


def check_beginning(name: str, only: Sequence[str]) -> None:
    """Whether a page can be made of these agents alone.

    Raises:
        InvalidParameter: what every score and every comparison is made with is not among them.
    """
    missing = [label for label in FIRST if label not in only]
    if missing or not any(is_supervised(label) for label in only):
        raise InvalidParameter(
            f"--agents: of {name} no figures are kept, so it begins with {', '.join(FIRST)} and a supervised "
            f"recommender, as ncf. Missing: {', '.join(missing) or 'a supervised recommender'}; name all of these, "
            f"or measure all agents"
        )


def kept_figures(name: str, kept: Path, experiment: Experiment) -> WorldResults | None:
    """A world's figures that agents measured alone are put among; None where there are none.

    Raises:
        InvalidParameter: they are of another budget.
    """
    path, budget = kept / f"{name}.csv", (experiment.steps, experiment.users)
    if not path.exists():
        return None
    before = WorldResults.read(WORLDS[name], path)
    if any(tuple(row) != budget for row in before.runs[BUDGET].to_numpy()):
        raise InvalidParameter(
            f"{path} holds figures of another budget than {budget[0]:,} user-steps and {budget[1]:,} users; "
            f"measure all agents, or keep them with another --report"
        )
    return before


def read_kept(folder: Path) -> dict[str, WorldResults]:
    """What was measured before, in the plan's order."""
    paths = {name: folder / f"{name}.csv" for name in WORLDS}
    return {name: WorldResults.read(WORLDS[name], path) for name, path in paths.items() if path.exists()}
