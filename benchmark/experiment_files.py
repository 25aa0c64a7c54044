"""Experiments from YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict

from benchmark.experiment import Experiment
from recsim_env.scenario_files import whole
from recsim_env.yaml_files import read_marked

HOLDS = "must hold 'scenarios:' and 'agents:'"
Whole = Annotated[int, pydantic.Strict(), pydantic.BeforeValidator(whole)]  # else true would be 1, and "2" be 2
Settings = dict[str, dict[str, Any] | None]


class ExperimentFile(BaseModel):
    """An experiment for recsim-env: agents in worlds, each with several seeds and the same budget."""

    model_config = ConfigDict(extra="forbid")

    scenarios: Settings = pydantic.Field(
        description="Names, name:preset, file.yaml or file.py:Class, each with its parameters or nothing; a path "
        "starts at this file's folder."
    )
    agents: Settings = pydantic.Field(description="Names or labels of agents, each with its settings or nothing.")
    seeds: Whole = pydantic.Field(3, description="How often each agent is trained in each world.")
    steps: Whole = pydantic.Field(200_000, description="The budget of user-steps of every training.")
    users: Whole = pydantic.Field(1000, description="Users a seed to evaluate on.")
    observe: str = pydantic.Field("partial", description="What agents see of users: partial, responses or full.")


def is_experiment(scenario: str) -> bool:
    """Whether a name is a YAML file that tells an experiment, and not a scenario."""
    path = Path(scenario)
    if path.suffix not in (".yaml", ".yml") or not path.exists():
        return False
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False  # whoever reads it as a scenario says what is wrong
    return isinstance(content, dict) and "scenario" not in content and bool({"scenarios", "agents"} & content.keys())


def read_experiment(path: Path) -> Experiment:
    """The experiment that a file tells.

    Raises:
        ScenarioError, UnknownName: the file is not one; with the line.
    """
    told = read_marked(path, ExperimentFile, "experiment", HOLDS).content
    worlds = {beside(path, name): parameters or {} for name, parameters in told.scenarios.items()}
    agents = {name: settings or {} for name, settings in told.agents.items()}
    return Experiment(worlds, agents, told.seeds, told.steps, told.users, told.observe)


def beside(path: Path, name: str) -> str:
    """A scenario's file, found from the experiment's folder; other names are as they are."""
    file = name.split(":")[0]
    return str(path.parent / name) if file.endswith((".yaml", ".yml", ".py")) else name
