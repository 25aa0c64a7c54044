"""The command `recsim-env`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsim_env.errors import InvalidParameter, RecSimError

if TYPE_CHECKING:
    from benchmark.experiment import Experiment

BENCH_AGENTS = "dqn,ncf,tabular_q,popular,myopic_oracle,random"  # the longest first
INTERRUPTED = 130

app = typer.Typer(
    help="Simulated users, and agents compared on their long-term engagement. Add --debug for tracebacks.",
    no_args_is_help=True,
    add_completion=False,
)


def whole_number(text: str) -> int:
    """An option's value, with the value in the message where it is not a whole number."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"must be a whole number, not {text!r}") from None


Scenario = Annotated[str, typer.Argument(help="A name, name:preset, file.yaml, or file.py:Class.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A scenario's parameter key=value, or an agent's setting agent.key=value. Repeatable."),
]


def split_settings(texts: list[str] | None, agents: list[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Parameters of the scenario, and settings by agent, from key=value and agent.key=value."""
    parameters: dict[str, Any] = {}
    settings: dict[str, dict[str, Any]] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidParameter(f"--set takes key=value or agent.key=value, not {text!r}")
        agent, dot, name = key.rpartition(".")
        if not dot:
            parameters[key] = value
        elif agent in agents:
            settings.setdefault(agent, {})[name] = value
        else:
            raise InvalidParameter(f"--set {text}: {agent!r} is not among the agents ({', '.join(agents)})")
    return parameters, settings


@app.command()
def bench(
    scenario: Scenario = "interest_evolution",
    agents: Annotated[str, typer.Option(help="Agents, separated by commas.")] = BENCH_AGENTS,
    seeds: Annotated[
        int, typer.Option(help="How often each agent is trained, from seeds 0, 1, …", parser=whole_number, metavar="N")
    ] = 3,
    steps: Annotated[
        int, typer.Option(help="The budget of user-steps of every agent.", parser=whole_number, metavar="N")
    ] = 200_000,
    users: Annotated[int, typer.Option(help="Users a seed to evaluate on.", parser=whole_number, metavar="N")] = 1000,
    set_: Settings = None,
    out: Annotated[Path | None, typer.Option(help="The folder of the runs. Default: runs/SCENARIO.")] = None,
    workers: Annotated[int, typer.Option(help="Processes. 0: one a core.", parser=whole_number, metavar="N")] = 0,
) -> None:
    """Train agents, evaluate them on users nobody trained on, and rank them. Run it again to resume."""
    from benchmark.bench import run_bench
    from benchmark.experiment import Experiment

    names = [name.strip() for name in agents.split(",") if name.strip()]
    parameters, settings = split_settings(set_, names)
    experiment: Experiment = Experiment(scenario, parameters, names, settings, seeds, steps, users)
    run_bench(experiment, out or Path("runs") / Path(scenario.replace(":", "-")).stem, workers)


@app.command()
def evaluate(
    scenario: Scenario,
    agent: Annotated[str, typer.Option(help="An agent's name, or the folder of a trained one (RUN/agent).")],
    users: Annotated[int, typer.Option(help="Users to evaluate on.", parser=whole_number, metavar="N")] = 1000,
    seed: Annotated[
        int,
        typer.Option(
            help="Which users and, where the agent is trained first, its seed.", parser=whole_number, metavar="N"
        ),
    ] = 0,
    steps: Annotated[
        int, typer.Option(help="Train first, with a budget of so many user-steps.", parser=whole_number, metavar="N")
    ] = 0,
    set_: Settings = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate one agent on users nobody trained on."""
    from benchmark.single import evaluate_one

    name = agent if not Path(agent).is_dir() else Path(agent).resolve().parent.parent.name
    parameters, settings = split_settings(set_, [name])
    evaluate_one(scenario, agent, parameters, settings.get(name, {}), users, seed, steps, as_json=json)


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
def tensorboard(
    runs: Annotated[Path, typer.Argument(help="A folder of runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(help="The port on this machine.", parser=whole_number, metavar="N")] = 6006,
) -> None:
    """Show the curves of runs in TensorBoard, on this machine only."""
    from benchmark.curves import serve

    serve(runs, port)


def main() -> None:
    """Run the command; a user's error is one line and exit code 2, and its traceback comes with --debug."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        sys.exit(app(standalone_mode=False))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        usage = getattr(error, "format_message", None)  # a mistake in the command line itself
        if debug or not (usage or isinstance(error, RecSimError)):
            raise
        print(f"error: {usage() if usage else error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
