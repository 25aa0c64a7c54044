"""YAML files of a declared structure: what is wrong in them is told with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from recsim_env.errors import ScenarioError, UnknownName, unknown

FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")
MEANINGS = {
    "missing": "is missing; give a name, name:preset, file.yaml or file.py:Class",
    "string_type": "must be text",
    "dict_type": "must hold one 'name: value' a line, indented",
    "int_type": "must be a whole number",
}

Lines = Mapping[tuple[str, ...], int]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Marked(Generic[Model]):
    """A file's content, and the lines on which its keys stand."""

    path: Path
    content: Model
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


def read_marked(path: Path, model: type[Model], what: str, holds: str) -> Marked[Model]:
    """The content of a YAML file.

    Args:
        path: the file.
        model: its structure.
        what: the kind of file, for messages.
        holds: what it must hold, for messages.

    Raises:
        ScenarioError: it cannot be read, is not YAML, is empty, holds a key twice or a key's value is of the
            wrong type. UnknownName: it holds another key. Each with the line.
    """
    try:
        content, lines = parse(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot read the {what} file {path}: {getattr(error, 'strerror', error)}") from None
    if content is None:
        raise ScenarioError(f"{path} is empty; it {holds}")
    if not isinstance(content, dict):
        raise ScenarioError(f"{path} {holds}, not {type(content).__name__}")
    try:
        return Marked(path, model.model_validate(content), lines)
    except ValidationError as error:
        raise explained(path, lines, error, model) from None


def parse(path: Path, text: str) -> tuple[Any, Lines]:
    """A YAML text as plain values, and the lines of its keys, two levels deep."""
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


def explained(path: Path, lines: Lines, error: ValidationError, model: type[BaseModel]) -> ScenarioError | UnknownName:
    """The first thing that is wrong with the structure, in one line."""
    found = error.errors()
    first = next(
        (e for e in found if e["type"] == "extra_forbidden"), found[0]
    )  # a misspelt key explains a missing one
    keys = tuple(str(part) for part in first["loc"])
    where, key = place(path, lines, keys), keys[0]
    if first["type"] == "extra_forbidden":
        return UnknownName(f"{where}: {unknown('key', key, model.model_fields)}")
    if keys[-1] == "[key]":  # how pydantic marks that the key itself is wrong
        return ScenarioError(f"{where}: the name of a parameter must be text, not {keys[1]}")
    given = "" if first["type"] == "missing" else f", not {first['input']!r}"
    named = keys[-1] if len(keys) > 1 else key
    return ScenarioError(f"{where}: {named} {MEANINGS.get(first['type'], first['msg'])}{given}")
