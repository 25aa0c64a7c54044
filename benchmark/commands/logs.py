"""Commands that write logs, or learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.commands.options import (
    Address,
    AgentOption,
    ExecutorOption,
    Scenario,
    Settings,
    split_settings,
    whole_number,
)

OFFLINE_AGENTS = "popular,item_knn,als,ease,ncf"

app = typer.Typer()


@app.command()
def collect(
    scenario: Scenario,
    out: Annotated[
        Path, typer.Option(help="A file, NAME.parquet, or a folder: it gets a file for each 2,000 users. Resumes.")
    ],
    agent: Annotated[
        str, typer.Option(help="Whose slates: an agent's name, or the folder of a trained one.")
    ] = "random",
    sessions: Annotated[
        int, typer.Option(help="Log the first sessions of so many users, each whole.", parser=whole_number, metavar="N")
    ] = 0,
    steps: Annotated[
        int, typer.Option(help="Or log so many user-steps, of --users side by side.", parser=whole_number, metavar="N")
    ] = 0,
    users: Annotated[int, typer.Option(help="Users, with --steps.", parser=whole_number, metavar="N")] = 1000,
    seed: Annotated[int, typer.Option(help="Which users and slates.", parser=whole_number, metavar="N")] = 0,
    executor: ExecutorOption = "local",
    address: Address = "",
    seen_by: Annotated[
        str, typer.Option(help="Log also what this agent sees of users: a name, or the folder of a trained one.")
    ] = "",
    set_: Settings = None,
) -> None:
    """Log what an agent shows and how users answer, with propensities, to Parquet."""
    from benchmark.behaviour import Collection
    from benchmark.collect import run_collect
    from benchmark.executors.choice import executor_named
    from benchmark.single import name_and_folder

    name, _ = name_and_folder(agent)
    parameters, settings = split_settings(set_, [name])
    chosen, own = executor_named(executor, 0, address), settings.get(name, {})
    what = Collection(scenario, parameters, agent, own, seed, seen_by)
    run_collect(what, sessions, steps, users, out, chosen)


@app.command()
def ope(
    logs: Annotated[Path, typer.Argument(help="Logged interactions with propensities: a file or folder of collect.")],
    scenario: Annotated[str, typer.Option(help="The world: a name, name:preset, file.yaml, or file.py:Class.")],
    agent: AgentOption,
    greedy: Annotated[
        float, typer.Option(help="The share of steps at which its slates are shown; at the others random ones are.")
    ] = 1.0,
    horizon: Annotated[int, typer.Option(help="Steps of a session.", parser=whole_number, metavar="N")] = 10,
    truth: Annotated[
        int, typer.Option(help="Simulate so many users to know the truth; 0: do not.", parser=whole_number, metavar="N")
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="Of bootstraps and of those users.", parser=whole_number, metavar="N")] = 0,
    set_: Settings = None,
) -> None:
    """Tell from logs of one policy what another would earn, and how wrong each estimate is."""
    from benchmark.ope.command import run_ope

    run_ope(logs, scenario, split_settings(set_, [])[0], agent, greedy, horizon, truth, seed)


@app.command()
def fit(
    logs: Annotated[Path, typer.Argument(help="Logged interactions: a file or folder of collect.")],
    scenario: Annotated[str, typer.Option(help="The world: a name, name:preset, file.yaml, or file.py:Class.")],
    parameters: Annotated[
        str,
        typer.Option(
            help="What to estimate, separated by commas: names that the scenario marks (default: all of them), or "
            "NAME=LOW:HIGH for any number."
        ),
    ] = "",
    agent: Annotated[
        str | None, typer.Option(help="Who showed the slates: a name or RUN/agent. Default: they are random.")
    ] = None,
    set_: Settings = None,
    out: Annotated[Path | None, typer.Option(help="The preset to write, a .yaml file.")] = None,
    seed: Annotated[int, typer.Option(help="Of the search.", parser=whole_number, metavar="N")] = 0,
    held_out: Annotated[float, typer.Option(help="The share of sessions that only the check sees.")] = 0.2,
    draws: Annotated[
        int, typer.Option(help="Simulated logs that the check compares with.", parser=whole_number, metavar="N")
    ] = 40,
) -> None:
    """Estimate a scenario's parameters from logs, and check what they predict."""
    from benchmark.fit import run_fit

    chosen = [name.strip() for name in parameters.split(",") if name.strip()]
    run_fit(logs, scenario, split_settings(set_, [])[0], chosen, agent, out, seed, held_out, draws)


@app.command()
def offline(
    ratings: Annotated[Path, typer.Argument(help="Your MovieLens folder or zip: ratings.csv with times, movies.csv.")],
    agents: Annotated[str, typer.Option(help="Agents that learn from logs, separated by commas.")] = OFFLINE_AGENTS,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting agent.key=value. Repeatable.")] = None,
    splits: Annotated[
        str, typer.Option(help="leave-last: each user's last rating; time:K: K cuts in time; or both, with a comma.")
    ] = "leave-last",
    seeds: Annotated[int, typer.Option(help="How often, with seeds 0, 1, …", parser=whole_number, metavar="N")] = 1,
    on: Annotated[
        str, typer.Option(help="What is asked for; settings are to be chosen on validation.", metavar="test|validation")
    ] = "test",
    out: Annotated[Path, typer.Option(help="The folder of the results.")] = Path("runs/offline"),
) -> None:
    """Rank what real people rated next, among all films they had not rated. Run it again to resume."""
    from benchmark.offline.report import run_offline
    from recsim_env.errors import InvalidParameter

    names, chosen = ([part.strip() for part in text.split(",") if part.strip()] for text in (agents, splits))
    parameters, settings = split_settings(set_, names)
    if parameters:
        raise InvalidParameter(f"--set takes agent.key=value here, not {next(iter(parameters))}=…: there is no world")
    run_offline(ratings, names, settings, chosen, seeds, on, out)
