"""The JSON Schema (draft 2020-12) of scenario files, for editors: the same rules as when a file is read."""

from __future__ import annotations

import dataclasses
import re
from enum import IntEnum
from pathlib import Path
from typing import Any

from recsim_env.class_files import names_a_file
from recsim_env.registration import YAML, World, find_world, load_class, preset_files, registered
from recsim_env.scenario import Scenario
from recsim_env.scenario_files import ScenarioFile, rule

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ANY_FILE = r"[.](ya?ml|py(:[A-Za-z_][A-Za-z0-9_]*)?)$"  # what is in it is not known here

Schema = dict[str, Any]


def file_schema(text: str | None = None) -> Schema:
    """The schema of a scenario file: of all that is installed and any file, or of those built on one world.

    Raises:
        RecSimError: `text` names no world (see `find_world`).
    """
    if text is None:
        return schema_of_all()
    world = find_world(text)
    schema = outer({**described(), **names_of(text, world)})
    schema["properties"]["parameters"] = parameters_schema(world.scenario, world)
    return schema


def outer(scenario: Schema) -> Schema:
    """The file without what depends on the world."""
    schema = ScenarioFile.model_json_schema()
    schema["properties"]["scenario"] = scenario
    return {"$schema": DIALECT, **schema}


def described() -> Schema:
    return {"type": "string", "description": ScenarioFile.model_fields["scenario"].description}


def texts_of(name: str) -> list[str]:
    """A registered scenario's name, and it with each preset."""
    return [name, *(f"{name}:{preset}" for preset in preset_files(load_class(name)))]


def names_of(text: str, world: World) -> Schema:
    """How a file may name one world."""
    if not (text.endswith(YAML) or names_a_file(text)):
        return {"enum": texts_of(text.partition(":")[0])}
    path, _, _ = text.rpartition(":") if ".py:" in text else (text, "", "")
    end = "" if text.endswith(YAML) else f"(:{world.name})?"
    name = re.escape(Path(path).name).replace(r"\-", "-")  # which JavaScript's patterns do not know
    return {"pattern": f"(^|/){name}{end}$"}


def schema_of_all() -> Schema:
    """Each name with its own parameters; files with any."""
    texts = {name: texts_of(name) for name in registered()}
    every = [text for group in texts.values() for text in group]
    schema = outer({**described(), "anyOf": [{"enum": every}, {"pattern": ANY_FILE}]})
    schema["$defs"] = {name: parameters_schema(load_class(name)) for name in texts}
    schema["allOf"] = [
        {
            "if": {"properties": {"scenario": {"enum": group}}, "required": ["scenario"]},
            "then": {"properties": {"parameters": {"$ref": f"#/$defs/{name}"}}},
        }
        for name, group in texts.items()
    ]
    return schema


def parameters_schema(scenario: type[Scenario], world: World | None = None) -> Schema:
    """A scenario's parameters with types, ranges, defaults (the world's) and meanings."""
    given = world.parameters if world else {}
    properties = {}
    for field in dataclasses.fields(scenario):
        default = given.get(field.name, field.default)
        plain = default.name.lower() if isinstance(default, IntEnum) else default
        own = {} if default is dataclasses.MISSING else {"default": plain}
        own_rule = rule(scenario, field.name)  # type: ignore[arg-type]  # a class is hashable
        properties[field.name] = {**own_rule.json_schema(), **own}
    return {
        "type": "object",
        "description": (scenario.__doc__ or "").strip().split("\n")[0],
        "properties": properties,
        "additionalProperties": False,
    }
