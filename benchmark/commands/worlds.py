"""Commands about worlds, and what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.commands.options import (
    AgentOption,
    Observe,
    Scenario,
    Settings,
    TrainingSeed,
    TrainingSteps,
    split_settings,
    whole_number,
)

app = typer.Typer()


@app.command()
def scenarios(name: Annotated[str | None, typer.Argument(help="One scenario, to see its parameters.")] = None) -> None:
    """The scenarios, or one scenario's presets and parameters."""
    from benchmark.listing import list_scenarios, show_scenario

    show_scenario(name) if name else list_scenarios()


@app.command()
def agents(name: Annotated[str | None, typer.Argument(help="One agent, to see its settings.")] = None) -> None:
    """The agents, or one agent's settings."""
    from benchmark.listing import list_agents, show_agent

    show_agent(name) if name else list_agents()


@app.command()
def schema(scenario: Annotated[str | None, typer.Argument(help="One scenario; else all.")] = None) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from json import dumps

    from recsim_env.schema import file_schema

    print(dumps(file_schema(scenario), indent=2))


@app.command()
def check(
    scenario: Scenario,
    set_: Settings = None,
    users: Annotated[
        int, typer.Option(help="Users whose every step is compared.", parser=whole_number, metavar="N")
    ] = 20,
    steps: Annotated[int, typer.Option(help="Steps of each of them.", parser=whole_number, metavar="N")] = 100,
    seed: Annotated[int, typer.Option(help="Which users and slates.", parser=whole_number, metavar="N")] = 0,
    compile_: Annotated[bool, typer.Option("--compile/--no-compile", help="Also what needs the compiler.")] = True,
) -> None:
    """Check a scenario's contract, and say what is wrong, with verb and line."""
    from benchmark.checking import run_checks

    run_checks(scenario, split_settings(set_, [])[0], users, steps, seed, compile_)


@app.command()
def preview(
    scenario: Scenario,
    agent: AgentOption,
    users: Annotated[int, typer.Option(help="Users to play.", parser=whole_number, metavar="N")] = 1000,
    seed: TrainingSeed = 0,
    steps: TrainingSteps = 0,
    set_: Settings = None,
    observe: Observe = "partial",
    out: Annotated[
        Path | None, typer.Option(help="The folder of the picture. Default: previews/SCENARIO-AGENT.")
    ] = None,
) -> None:
    """Draw what users go through with an agent: their state, how long they stay, what they are shown and click."""
    from benchmark.preview.command import preview_one
    from benchmark.single import name_and_folder

    name, _ = name_and_folder(agent)
    parameters, settings = split_settings(set_, [name])
    preview_one(scenario, agent, parameters, settings.get(name, {}), users, seed, steps, observe, out)


@app.command()
def fidelity(
    items: Annotated[
        Path | None, typer.Option(help="The folder of SARDINE's item vectors; without it, its figures are left out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A Markdown file to write the table into.")] = None,
) -> None:
    """Measure the reference figures of the worlds, and show them beside the originals'."""
    from benchmark.fidelity import write_fidelity

    write_fidelity(out, items)


new = typer.Typer(help="Write a file to start from, and its test.", no_args_is_help=True)
app.add_typer(new, name="new")

Name = Annotated[str, typer.Argument(help="Small letters, digits and _, as in coffee_shop.")]
Folder = Annotated[Path, typer.Option(help="Where to write.")]


@new.command("scenario")
def new_scenario(name: Name, folder: Folder = Path()) -> None:
    """A scenario in one file, which works as it is."""
    from benchmark.new import write_new

    write_new("scenario", name, folder)


@new.command("agent")
def new_agent(name: Name, folder: Folder = Path()) -> None:
    """An agent in one file, which learns as it is."""
    from benchmark.new import write_new

    write_new("agent", name, folder)
