"""Scenarios from files: a YAML file with parameters, or a class in a Python file."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from recsim_env.errors import ScenarioError, unknown
from recsim_env.scenario import Scenario


class ScenarioFile(BaseModel):
    """What a scenario's YAML file holds."""

    model_config = ConfigDict(extra="forbid")

    scenario: str
    description: str = ""
    parameters: dict[str, Any] = {}


def read_scenario_file(path: Path) -> ScenarioFile:
    """The content of a YAML file.

    Raises:
        ScenarioError: it cannot be read, is not YAML, or has other keys; with the line or the key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot read the scenario file {path}: {getattr(error, 'strerror', error)}") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ScenarioError(f"{path} must hold 'scenario:' and 'parameters:', not {type(content).__name__}")
    try:
        return ScenarioFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ScenarioError(f"{path}: {where}: {first['msg']}; keys: scenario, description, parameters") from None


def class_in_file(path: Path, name: str) -> type[Scenario]:
    """The Scenario class `name` of a Python file.

    Raises:
        ScenarioError: the file cannot be imported. UnknownName: it has no such scenario.
    """
    if not path.is_file():
        raise ScenarioError(f"there is no scenario file {path}")
    module_name = f"recsim_env_user_{path.stem}_{hashlib.sha256(bytes(path.resolve())).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec and spec.loader  # a .py file always has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ScenarioError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, Scenario)) or found is Scenario:
        own = [
            k for k, v in vars(module).items() if isinstance(v, type) and issubclass(v, Scenario) and v is not Scenario
        ]
        raise unknown(f"scenario class in {path}", name, own)
    return found
