"""Scenarios from YAML files: a world's name and its parameters, and the line of what is wrong."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from recsim_env.errors import InvalidParameter, ScenarioError, UnknownName, unknown
from recsim_env.parameters import check_range, convert, hints
from recsim_env.scenario import Scenario

FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")
HOLDS = "must hold 'scenario:' and 'parameters:'"
MEANINGS = {
    "missing": "is missing; give a name, name:preset, file.yaml or file.py:Class",
    "string_type": "must be text",
    "dict_type": "must hold one 'name: value' a line, indented",
}

Lines = Mapping[tuple[str, ...], int]


class ScenarioFile(BaseModel):
    """A world for recsim-env: a scenario, and the parameters in which it differs from what it is built on."""

    model_config = ConfigDict(extra="forbid")

    scenario: str = pydantic.Field(
        description="A name, name:preset, file.yaml or file.py:Class; a file's path starts at this file's folder."
    )
    description: str = pydantic.Field("", description="What this world is for, in a sentence.")
    parameters: dict[str, Any] = pydantic.Field({}, description="The scenario's parameters, by name.")


@dataclass(frozen=True)
class Marked:
    """A file's content, and the lines on which its keys stand."""

    path: Path
    content: ScenarioFile
    lines: Lines

    def at(self, *keys: str) -> str:
        """File and line of a key."""
        return place(self.path, self.lines, keys)


def place(path: Path, lines: Lines, keys: tuple[str, ...]) -> str:
    """File and line of a key, or of what it should stand under."""
    line = next((lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in lines), 1)
    return f"{path}, line {line}"


class Loader(yaml.SafeLoader):
    """YAML 1.1 in which 1e-3 is a number, as it is in YAML 1.2 and for editors."""


Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


# -- reading -------------------------------------------------------------------------------------------


def read_scenario_file(path: Path) -> Marked:
    """The content of a YAML file.

    Raises:
        ScenarioError: it cannot be read, is not YAML, is empty, holds a key twice or a key's value is of the
            wrong type. UnknownName: it holds another key. Each with the line.
    """
    try:
        content, lines = parse(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot read the scenario file {path}: {getattr(error, 'strerror', error)}") from None
    if content is None:
        raise ScenarioError(f"{path} is empty; it {HOLDS}")
    if not isinstance(content, dict):
        raise ScenarioError(f"{path} {HOLDS}, not {type(content).__name__}")
    try:
        return Marked(path, ScenarioFile.model_validate(content), lines)
    except ValidationError as error:
        raise explained(path, lines, error) from None


def parse(path: Path, text: str) -> tuple[Any, Lines]:
    """A YAML text as plain values, and the lines of its keys and of those below `parameters`."""
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        lines = lines_of(path, node)
        return (None if node is None else loader.construct_document(node)), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        advice = "; indent with spaces, since YAML takes no tabs" if "'\\t'" in str(error.problem) else ""
        words = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise ScenarioError(f"{where} is not YAML: {words}{advice}") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    finally:
        loader.dispose()


def lines_of(path: Path, node: yaml.Node | None, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    """The line of each key, two levels deep; refuses a key that stands twice, of which YAML keeps the last."""
    found: dict[tuple[str, ...], int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        keys, line = (*above, str(key.value)), key.start_mark.line + 1
        if keys in found:
            raise ScenarioError(f"{path}, line {line}: {keys[-1]!r} stands in line {found[keys]} too; keep one of them")
        found[keys] = line
        if not above:
            found |= lines_of(path, value, keys)
    return found


def explained(path: Path, lines: Lines, error: ValidationError) -> ScenarioError | UnknownName:
    """The first thing that is wrong with the structure, in one line."""
    found = error.errors()
    first = next(
        (e for e in found if e["type"] == "extra_forbidden"), found[0]
    )  # a misspelt key explains a missing one
    keys = tuple(str(part) for part in first["loc"])
    where, key = place(path, lines, keys), keys[0]
    if first["type"] == "extra_forbidden":
        return UnknownName(f"{where}: {unknown('key', key, ScenarioFile.model_fields)}")
    if len(keys) > 1:
        return ScenarioError(f"{where}: the name of a parameter must be text, not {keys[1]}")
    given = "" if first["type"] == "missing" else f", not {first['input']!r}"
    return ScenarioError(f"{where}: {key} {MEANINGS.get(first['type'], first['msg'])}{given}")


# -- parameters ----------------------------------------------------------------------------------------


def check_parameters(file: Marked, world: str, scenario: type[Scenario]) -> None:
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
