"""Tables of scenarios, agents and their parameters on a terminal."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from recsim_env.agent import agent_class, registered_agents
from recsim_env.errors import RecSimError
from recsim_env.parameters import convert, hints
from recsim_env.registration import find_world, gymnasium_id, load_class, preset_files, registered
from recsim_env.scenario_files import read_scenario_file


def first_line(thing: Any) -> str:
    return (thing.__doc__ or "").strip().split("\n")[0]


def terminal(width: int = 110) -> Console:
    """Where tables are printed: names are printed as they are, and a file gets lines of this width."""
    return Console(width=None if sys.stdout.isatty() else width, emoji=False, markup=False)


def table(title: str, *columns: str, flowing: int = 1) -> Table:
    """An empty table; so many of its last columns may take several lines, and labels of agents, which may be long.

    What may not is cut where the lines are too short.
    """
    made = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for k, column in enumerate(columns):
        made.add_column(column, no_wrap=column != "agent" and k < len(columns) - flowing, overflow="fold")
    return made


def list_scenarios() -> None:
    """Every installed scenario."""
    made = table("Scenarios", "name", "Gymnasium id", "presets", "what it is", flowing=2)
    for name, point in registered().items():
        scenario = load_class(name)
        made.add_row(name, gymnasium_id(point), ", ".join(preset_files(scenario)), first_line(scenario))
    terminal().print(made)


def list_agents() -> None:
    """Every installed agent."""
    made = table("Agents", "name", "learns", "sees", "what it is")
    for name in registered_agents():
        kind = agent_class(name)
        variants = ", ".join(f"{name}:{variant}" for variant in getattr(kind, "variants", ()))
        about = f"{first_line(kind)} Also {variants}." if variants else first_line(kind)
        made.add_row(name, "yes" if kind.learns else "no", kind.observe, about)
    terminal().print(made)


def show_fields(title: str, owner: Any, values: dict[str, Any]) -> None:
    """The fields of a dataclass with their defaults, ranges and meanings."""
    made = table(title, "name", "default", "type", "range", "meaning", flowing=3)
    for field in dataclasses.fields(owner):
        default = values.get(field.name, field.default)
        default = default.name.lower() if isinstance(default, IntEnum) else repr(default)
        made.add_row(
            field.name,
            default,
            kind_of(hints(owner)[field.name]),
            range_of(field.metadata),
            field.metadata.get("about", ""),
        )
    terminal().print(made)


def kind_of(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        return " | ".join(member.name.lower() for member in kind)
    return getattr(kind, "__name__", str(kind))


def range_of(metadata: Any) -> str:
    low, high = metadata.get("low", float("-inf")), metadata.get("high", float("inf"))
    return "" if low == -float("inf") and high == float("inf") else f"{low:g} to {high:g}"


def with_parameters(name: str, parameters: Mapping[str, Any]) -> str:
    """A world's name, and in brackets the parameters that differ from its own; all where it cannot be had any more.

    Paths are left out: they say where data lie, and are among the settings.
    """
    told = dict(parameters)
    try:
        world = find_world(name)
        own = {field.name: field.default for field in dataclasses.fields(world.scenario)} | dict(world.parameters)
        kinds = hints(world.scenario)  # type: ignore[arg-type]  # a class is hashable
        told = {key: convert(value, kinds[key], key) for key, value in told.items()}
        told = {key: value for key, value in told.items() if value != convert(own[key], kinds[key], key)}
        told = {key: value for key, value in told.items() if not isinstance(value, str)}
    except (RecSimError, KeyError):
        pass
    shown = (f"{key}={value.name.lower() if isinstance(value, IntEnum) else value}" for key, value in told.items())
    return f"{name} ({', '.join(shown)})" if told else name


def show_scenario(name: str) -> None:
    """One scenario's parameters, as its preset sets them."""
    world = find_world(name)
    show_fields(f"{name}: {first_line(world.scenario)}", world.scenario, dict(world.parameters))
    presets = {preset: read_scenario_file(path).content for preset, path in preset_files(world.scenario).items()}
    if presets:
        made = table("Presets", "preset", "what it is")
        for preset, content in presets.items():
            made.add_row(preset, content.description)
        terminal().print(made)


def show_agent(name: str) -> None:
    """One agent's settings."""
    kind = agent_class(name)
    show_fields(f"{name}: {first_line(kind)}", kind.Config, {})
