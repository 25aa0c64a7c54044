"""Commands that train agents and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.commands.options import (
    Address,
    AgentOption,
    ExecutorOption,
    Observe,
    Scenario,
    Settings,
    TrainingSeed,
    TrainingSteps,
    split_settings,
    whole_number,
)

BENCH_AGENTS = "dqn,ncf,tabular_q,popular,myopic_oracle,random"  # the longest first

app = typer.Typer()


@app.command()
def bench(
    context: typer.Context,
    scenario: Annotated[
        str, typer.Argument(help="A name, name:preset, file.yaml, or file.py:Class; or the file of an experiment.")
    ] = "interest_evolution",
    agents: Annotated[
        str, typer.Option(help="Agents, separated by commas; NAME@setting=value for one with other settings.")
    ] = BENCH_AGENTS,
    seeds: Annotated[
        int, typer.Option(help="How often each agent is trained, from seeds 0, 1, …", parser=whole_number, metavar="N")
    ] = 3,
    steps: Annotated[
        int, typer.Option(help="The budget of user-steps of every agent.", parser=whole_number, metavar="N")
    ] = 200_000,
    users: Annotated[int, typer.Option(help="Users a seed to evaluate on.", parser=whole_number, metavar="N")] = 1000,
    set_: Settings = None,
    out: Annotated[Path | None, typer.Option(help="The folder of the runs. Default: runs/SCENARIO.")] = None,
    observe: Observe = "partial",
    workers: Annotated[int, typer.Option(help="Processes. 0: one a core.", parser=whole_number, metavar="N")] = 0,
    executor: ExecutorOption = "local",
    address: Address = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, and estimate the time from a probe.")] = False,
) -> None:
    """Train agents, evaluate them on users nobody trained on, and rank them. Run it again to resume."""
    from benchmark.bench import run_bench
    from benchmark.executors.choice import executor_named
    from benchmark.experiment import Experiment
    from benchmark.experiment_files import is_experiment, read_experiment
    from benchmark.probe import print_estimate
    from recsim_env.errors import InvalidParameter

    chosen = executor_named(executor, workers, address)
    if is_experiment(scenario):
        refuse_with_file(context, scenario)
        experiment = read_experiment(Path(scenario))
    else:
        names = [name.strip() for name in agents.split(",") if name.strip()]
        if len(set(names)) < len(names):
            raise InvalidParameter(f"--agents names an agent twice: {', '.join(names)}")
        parameters, settings = split_settings(set_, names)
        told = {name: settings.get(name, {}) for name in names}
        experiment = Experiment({scenario: parameters}, told, seeds, steps, users, observe)
    if dry_run:
        print_estimate(experiment, workers)
    else:
        run_bench(experiment, out or Path("runs") / Path(scenario.replace(":", "-")).stem, chosen)


def refuse_with_file(context: typer.Context, scenario: str) -> None:
    """Raise `InvalidParameter` where an option is given that the experiment's file tells."""
    from recsim_env.errors import InvalidParameter

    for name in ("agents", "seeds", "steps", "users", "set_", "observe"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.strip("_")
            raise InvalidParameter(f"{option} does not go with an experiment's file; write it into {scenario}")


@app.command()
def evaluate(
    scenario: Scenario,
    agent: AgentOption,
    users: Annotated[int, typer.Option(help="Users to evaluate on.", parser=whole_number, metavar="N")] = 1000,
    seed: TrainingSeed = 0,
    steps: TrainingSteps = 0,
    set_: Settings = None,
    observe: Observe = "partial",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    executor: ExecutorOption = "local",
    address: Address = "",
) -> None:
    """Evaluate one agent on users nobody trained on."""
    from benchmark.executors.choice import executor_named
    from benchmark.single import evaluate_one, name_and_folder

    chosen = executor_named(executor, 0, address)

    name, _ = name_and_folder(agent)
    parameters, settings = split_settings(set_, [name])
    own = settings.get(name, {})
    evaluate_one(scenario, agent, parameters, own, users, seed, steps, observe, chosen, as_json=json)


@app.command()
def sweep(
    scenario: Scenario,
    agent: Annotated[str, typer.Option(help="The agent whose settings are searched.")],
    space: Annotated[
        list[str] | None, typer.Option(help="name=low:high, name=low:high:log or name=a,b,c. Repeatable.")
    ] = None,
    trials: Annotated[int, typer.Option(help="Trials in all.", parser=whole_number, metavar="N")] = 20,
    steps: Annotated[int, typer.Option(help="User-steps of a training.", parser=whole_number, metavar="N")] = 100_000,
    seeds: Annotated[int, typer.Option(help="Trainings of a trial.", parser=whole_number, metavar="N")] = 1,
    users: Annotated[int, typer.Option(help="Validation users of a trial.", parser=whole_number, metavar="N")] = 500,
    seed: Annotated[int, typer.Option(help="Of the search.", parser=whole_number, metavar="N")] = 0,
    set_: Settings = None,
    out: Annotated[Path | None, typer.Option(help="The folder of the study. Default: runs/sweep-AGENT.")] = None,
) -> None:
    """Search an agent's settings on validation users. Run it again, or beside itself, to go on."""
    from benchmark.sweep import run_sweep, search_of

    parameters, settings = split_settings(set_, [agent])
    own = settings.get(agent, {})
    search = search_of(scenario, parameters, agent, own, space or [], steps, seeds, users, seed)
    run_sweep(search, trials, out or Path("runs") / f"sweep-{agent.replace(':', '-')}")


@app.command()
def report(
    runs: Annotated[Path, typer.Argument(help="The folder of a finished bench.")],
    out: Annotated[Path | None, typer.Option(help="Where to write. Default: RUNS/report.")] = None,
    lives: Annotated[int, typer.Option(help="Users of each world to replay.", parser=whole_number, metavar="N")] = 3,
    images: Annotated[bool, typer.Option("--images", help="Figures as PNG and SVG too; needs a Chrome.")] = False,
) -> None:
    """Write what came of an experiment as one page that works offline, and its tables as CSV and LaTeX."""
    from benchmark.report.command import run_report

    run_report(runs, out, lives, images)


@app.command()
def results(
    worlds: Annotated[str, typer.Option(help="Worlds of the page, separated by commas. Default: all.")] = "",
    agents: Annotated[str, typer.Option(help="Measure these of its agents only, beside figures kept, if any.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="2 seeds and a smaller budget: an hour in all.")] = False,
    data: Annotated[str, typer.Option(help="Your MovieLens folder or zip; without it, movielens is left out.")] = "",
    out: Annotated[Path, typer.Option(help="The folder of the runs.")] = Path("runs/results"),
    report: Annotated[Path, typer.Option(help="The page to write; its picture lies beside it.")] = Path("results.md"),
    workers: Annotated[int, typer.Option(help="Processes. 0: one a core.", parser=whole_number, metavar="N")] = 0,
) -> None:
    """Train every agent in four worlds and write the page of results. Run it again to resume."""
    from benchmark.results.measure import run_results

    run_results(worlds, quick, data, out, report, workers, agents)


@app.command()
def tensorboard(
    runs: Annotated[Path, typer.Argument(help="A folder of runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(help="The port on this machine.", parser=whole_number, metavar="N")] = 6006,
) -> None:
    """Show the curves of runs in TensorBoard, on this machine only."""
    from benchmark.curves import serve

    serve(runs, port)
