"""Scenarios by name, by file, and as Gymnasium ids."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import gymnasium

from recsim_env.class_files import class_in_file, names_a_file
from recsim_env.env import RecEnv, RecVectorEnv
from recsim_env.errors import InvalidParameter, RecSimError, ScenarioError, UnknownKeyword, unknown
from recsim_env.parameters import build
from recsim_env.scenario import Scenario
from recsim_env.scenario_files import check_parameters, read_scenario_file
from recsim_env.simulator import Options

GROUP = "recsim_env.scenarios"
YAML = (".yaml", ".yml")
OPTION_NAMES = tuple(field.name for field in dataclasses.fields(Options))


@cache
def registered() -> dict[str, EntryPoint]:
    """The installed scenarios: name -> entry point, loaded when a world is made."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def gymnasium_id(point: EntryPoint) -> str:
    return f"recsim_env/{point.attr}-v0"


def register_all() -> None:
    """Give every installed scenario a Gymnasium id."""
    for name, point in registered().items():
        gymnasium.register(
            gymnasium_id(point),
            entry_point="recsim_env.registration:make_env",
            vector_entry_point="recsim_env.registration:make_vector_env",
            kwargs={"scenario": name},
        )


@dataclass(frozen=True)
class World:
    """A scenario class with the parameters that a name, preset or file gave it."""

    name: str
    scenario: type[Scenario]
    parameters: Mapping[str, Any]

    def make(self, **values: Any) -> Scenario:
        """The scenario with `values` on top; raises `UnknownName` or `InvalidParameter`."""
        return build(self.scenario, {**self.parameters, **values}, self.name)


def load_class(name: str) -> type[Scenario]:
    if name not in registered():
        raise unknown("scenario", name, registered())
    found = registered()[name].load()
    if not (isinstance(found, type) and issubclass(found, Scenario)):
        raise ScenarioError(f"the entry point {name!r} gives {found!r}, which is not a Scenario class")
    return found


def preset_files(scenario: type[Scenario]) -> dict[str, Path]:
    """The presets beside a scenario's file: presets/MODULE-PRESET.yaml."""
    path = Path(inspect.getfile(scenario))
    return {
        p.stem.removeprefix(f"{path.stem}-"): p for p in sorted((path.parent / "presets").glob(f"{path.stem}-*.yaml"))
    }


def find_world(text: str, above: tuple[Path, ...] = ()) -> World:
    """A world by `name`, `name:preset`, `file.yaml` or `file.py:Class`; `above` are the files that named it.

    `file.py` alone is enough where it defines one scenario only. A YAML file is checked when it is read.

    Raises:
        UnknownName: no such scenario, preset, class, or key or parameter of a YAML file; with the nearest name.
        InvalidParameter: a YAML file's value of the wrong type or out of its range.
        ScenarioError: a file that is not a scenario.
    """
    if text.endswith(YAML):
        return world_of_file(Path(text), above)
    if names_a_file(text):
        found = class_in_file(text, Scenario, ScenarioError)
        return World(found.__name__, found, {})
    name, _, preset = text.partition(":")
    scenario = load_class(name)
    if not preset:
        return World(name, scenario, {})
    presets = preset_files(scenario)
    if preset not in presets:
        raise unknown(f"preset of {name}", preset, presets)
    return dataclasses.replace(world_of_file(presets[preset], above), name=text)


def world_of_file(path: Path, above: tuple[Path, ...] = ()) -> World:
    """The world of a YAML file; the path of a file that it names starts at its own folder."""
    if path.resolve() in above:
        raise ScenarioError(f"{path} is built on itself")
    file = read_scenario_file(path)
    name = file.content.scenario
    named = str(path.parent / name) if name.endswith(YAML) or names_a_file(name) else name
    try:
        base = find_world(named, (*above, path.resolve()))
    except RecSimError as error:
        raise type(error)(f"{file.at('scenario')}: {error}") from error
    check_parameters(file, base.name, base.scenario)
    return World(path.stem, base.scenario, {**base.parameters, **file.content.parameters})


def parts(scenario: str | Scenario, preset: str | None, values: dict[str, Any]) -> tuple[Scenario, Options]:
    """A scenario and the options of its environment from keywords; each keyword belongs to one of the two.

    Raises:
        UnknownKeyword: it belongs to neither. UnknownName, InvalidParameter: no such world, or a value that it refuses.
    """
    options = build(Options, {name: values.pop(name) for name in OPTION_NAMES if name in values}, "the environment")
    if isinstance(scenario, Scenario):
        if preset is not None:
            raise InvalidParameter(f"preset {preset!r} belongs to a scenario's name, not to a scenario with parameters")
        check_names(type(scenario).__name__, type(scenario), values)
        return dataclasses.replace(scenario, **values) if values else scenario, options
    if not isinstance(scenario, str):
        raise InvalidParameter(
            f"scenario must be a name, a file or a Scenario, not {scenario!r} (an EnvSpec in JSON keeps no Scenario: "
            "name it there by file.py:Class)"
        )
    world = find_world(f"{scenario}:{preset}" if preset else scenario)
    check_names(world.name, world.scenario, values)
    return world.make(**values), options


def check_names(world: str, scenario: type[Scenario], values: Mapping[str, Any]) -> None:
    """Refuse a keyword that is no parameter, as Python words it, and with the nearest parameter or option."""
    known = [field.name for field in dataclasses.fields(scenario)]
    for name in values:
        if name not in known:
            advice = unknown(f"parameter of {world}", name, [*known, *OPTION_NAMES])
            raise UnknownKeyword(f"got an unexpected keyword argument {name!r}: {advice}")


def make_env(
    scenario: str | Scenario, preset: str | None = None, render_mode: str | None = None, **values: Any
) -> RecEnv:
    """One user of a scenario; `values` are the scenario's parameters and the environment's `Options`."""
    return RecEnv(*parts(scenario, preset, values), render_mode=render_mode)


def make_vector_env(
    scenario: str | Scenario,
    num_envs: int = 1,
    preset: str | None = None,
    render_mode: str | None = None,
    **values: Any,
) -> RecVectorEnv:
    """`num_envs` users of a scenario; `values` are the scenario's parameters and the environment's `Options`."""
    made, options = parts(scenario, preset, values)
    return RecVectorEnv(made, num_envs, options, render_mode=render_mode)


# gymnasium.make reads there which pictures an entry point can make, and wraps it for "human" and "rgb_array_list".
vars(make_env)["metadata"] = RecEnv.metadata
