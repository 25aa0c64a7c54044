"""Scenarios from YAML files: a world's name and its parameters, and the line of what is wrong."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from recsim_env.errors import InvalidParameter, UnknownName, unknown
from recsim_env.parameters import check_range, convert, hints
from recsim_env.scenario import Scenario
from recsim_env.yaml_files import Marked, read_marked

HOLDS = "must hold 'scenario:' and 'parameters:'"


class ScenarioFile(BaseModel):
    """A world for recsim-env: a scenario, and the parameters in which it differs from what it is built on."""

    model_config = ConfigDict(extra="forbid")

    scenario: str = pydantic.Field(
        description="A name, name:preset, file.yaml or file.py:Class; a file's path starts at this file's folder."
    )
    description: str = pydantic.Field("", description="What this world is for, in a sentence.")
    parameters: dict[str, Any] = pydantic.Field({}, description="The scenario's parameters, by name.")


def read_scenario_file(path: Path) -> Marked[ScenarioFile]:
    """The content of a YAML file; raises as `read_marked`."""
    return read_marked(path, ScenarioFile, "scenario", HOLDS)


def check_parameters(file: Marked[ScenarioFile], world: str, scenario: type[Scenario]) -> None:
    """Whether the scenario has the file's parameters, and takes their values.

    Raises:
        UnknownName: a parameter that it does not have. InvalidParameter: a value of the wrong type or out of its
            range. Each with the line.
    """
    fields = {field.name: field for field in dataclasses.fields(scenario)}
    kinds = hints(scenario)  # type: ignore[arg-type]  # a class is hashable
    for name, value in file.content.parameters.items():
        where = file.at("parameters", name)
        if name not in fields:
            raise UnknownName(f"{where}: {unknown(f'parameter of {world}', name, fields)}")
        check_range(convert(value, kinds[name], f"{where}: {name}"), fields[name].metadata, f"{where}: {name}")
        try:
            rule(scenario, name).validate_python(value)  # type: ignore[arg-type]  # a class is hashable
        except ValidationError as error:
            wanted = error.errors()[0]["msg"].removeprefix("Input should be ")
            quoted = "; leave the quotes away" if error.errors()[0]["type"] != "literal_error" else ""
            raise InvalidParameter(f"{where}: {name} must be {wanted}, not {value!r}{quoted}") from None


@cache
def rule(scenario: type[Scenario], name: str) -> TypeAdapter[Any]:
    """What a file may give for a parameter: numbers as numbers, names of an enum in small letters."""
    field = next(field for field in dataclasses.fields(scenario) if field.name == name)
    about = field.metadata.get("about") or None
    kind: Any = strict(hints(scenario)[name], field.metadata)  # type: ignore[arg-type]
    described: Any = Annotated[kind, pydantic.Field(description=about)]
    return TypeAdapter(described, config=ConfigDict(strict=True))


def strict(kind: Any, metadata: Mapping[str, Any]) -> Any:
    """A declared type, with its range, as pydantic's."""
    if isinstance(kind, types.UnionType):
        inner = next(k for k in typing.get_args(kind) if k is not type(None))
        return strict(inner, metadata) | None
    if issubclass(kind, IntEnum):
        return Literal[tuple(member.name.lower() for member in kind)]
    if kind not in (int, float):
        return kind
    ends = {"ge": metadata.get("low", -math.inf), "le": metadata.get("high", math.inf)}
    limits = pydantic.Field(**{name: kind(end) for name, end in ends.items() if math.isfinite(end)})
    if kind is int:
        return Annotated[int, limits, pydantic.BeforeValidator(whole)]  # so that the range is in the schema
    return Annotated[float, limits, pydantic.AllowInfNan(False)]


def whole(value: Any) -> Any:
    """2.0 counts as 2, as it does in JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
