"""Options that several commands take, and how they are read."""

from __future__ import annotations

from typing import Annotated, Any

import typer


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
    from recsim_env.errors import InvalidParameter

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
