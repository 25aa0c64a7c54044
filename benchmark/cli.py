"""The command `recsim-env`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from movieharbor.cli import app as movieharbor
from recsim_env.errors import InvalidParameter, RecSimError

BENCH_AGENTS = "dqn,ncf,tabular_q,popular,myopic_oracle,random"  # the longest first
OFFLINE_AGENTS = "popular,item_knn,als,ease,ncf"
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


AgentOption = Annotated[str, typer.Option(help="An agent's name, or the folder of a trained one (RUN/agent).")]
TrainingSeed = Annotated[
    int,
    typer.Option(help="Which users and, where the agent is trained first, its seed.", parser=whole_number, metavar="N"),
]
TrainingSteps = Annotated[
    int, typer.Option(help="Train first, with a budget of so many user-steps.", parser=whole_number, metavar="N")
]
Observe = Annotated[
    str,
    typer.Option(
        help="What agents see of users: partial, responses (nothing but those), or full; oracles always see all.",
        metavar="partial|responses|full",
    ),
]


ExecutorOption = Annotated[
    str, typer.Option(help="Who runs it: this machine's processes, or Ray.", metavar="local|ray")
]
Address = Annotated[
    str, typer.Option(help="With ray: a running cluster, host:port or auto. Default: one is started here.")
]


def split_settings(texts: list[str] | None, agents: list[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Parameters of the scenario, and settings by agent, from key=value and agent.key=value, each given once."""
    given: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    settings: dict[str, dict[str, Any]] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidParameter(f"--set takes key=value or agent.key=value, not {text!r}")
        if key in given:
            raise InvalidParameter(f"--set gives {key} twice, as {given[key]!r} and {value!r}; keep one of them")
        given[key] = value
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
    context: typer.Context,
    scenario: Annotated[
        str, typer.Argument(help="A name, name:preset, file.yaml, or file.py:Class; or the file of an experiment.")
    ] = "interest_evolution",
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


new = typer.Typer(help="Write a file to start from, and its test.", no_args_is_help=True)
app.add_typer(new, name="new")
app.add_typer(movieharbor, name="movieharbor")
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
def collect(
    scenario: Scenario,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
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
    from benchmark.collect import run_collect
    from benchmark.executors.choice import executor_named
    from benchmark.single import name_and_folder

    name, _ = name_and_folder(agent)
    parameters, settings = split_settings(set_, [name])
    chosen, own = executor_named(executor, 0, address), settings.get(name, {})
    run_collect(scenario, parameters, agent, own, sessions, steps, users, seed, out, chosen, seen_by)


@app.command()
def ope(
    logs: Annotated[Path, typer.Argument(help="Logged interactions with propensities: Parquet, as collect writes it.")],
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
    logs: Annotated[Path, typer.Argument(help="Logged interactions: Parquet, as collect writes it.")],
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

    names, chosen = ([part.strip() for part in text.split(",") if part.strip()] for text in (agents, splits))
    parameters, settings = split_settings(set_, names)
    if parameters:
        raise InvalidParameter(f"--set takes agent.key=value here, not {next(iter(parameters))}=…: there is no world")
    run_offline(ratings, names, settings, chosen, seeds, on, out)


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
    agents: Annotated[str, typer.Option(help="Measure these of its agents only, among the figures kept.")] = "",
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
def fidelity(
    items: Annotated[
        Path | None, typer.Option(help="The folder of SARDINE's item vectors; without it, its figures are left out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A Markdown file to write the table into.")] = None,
) -> None:
    """Measure the published figures of the worlds, and show them beside the originals'."""
    from benchmark.fidelity import write_fidelity

    write_fidelity(out, items)


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


def main() -> None:
    """Run the command; a user's error is one line and exit code 2, and its traceback comes with --debug."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # how a command tells that Ctrl-C stopped it
            raise KeyboardInterrupt
        sys.exit(code)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        usage = getattr(error, "format_message", None)  # a mistake in the command line itself
        if debug or not (usage or isinstance(error, RecSimError)):
            raise
        message = usage() if usage else str(error)
        if message:  # where only the help was asked for, it has been shown
            print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
