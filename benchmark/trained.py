"""Whether a trained agent fits the world that it is to act in: what it learnt is numbers, which do not say of what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from recsim_env.agent import Agent
from recsim_env.errors import AgentError, RecSimError, UntrustedCode
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario
from recsim_env.trust import told_by


def check_origin(kind: type[Agent], scenario: Scenario, folder: Path) -> None:
    """Compare the world in which a run trained its agent with this one: the names and shapes of their fields.

    Nothing is said where no run tells its world beside the folder, or the world cannot be had any more.

    Raises:
        AgentError: users, items or answers are described by other fields.
        UntrustedCode: to know it, Python would be imported that the command line did not name.
    """
    if not kind.learns:
        return
    path = folder.parent / "run.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        with told_by(path):
            before = find_world(told["scenario"]).make(**told["parameters"])
    except UntrustedCode:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecSimError):
        return
    for what, other, own in zip(("user", "item", "response"), shapes_of(before), shapes_of(scenario), strict=True):
        if other != own:
            raise AgentError(
                f"{folder} was trained in {told['scenario']}, whose {what} fields are {listed(other)}; here they are "
                f"{listed(own)}: give an agent that was trained in this world"
            )


def shapes_of(scenario: Scenario) -> list[dict[str, int]]:
    """The shape of each field by name: of users, items and responses."""
    groups = (scenario.user_fields(), scenario.item_fields(), scenario.response_fields())
    return [{field.name: field.shape for field in fields} for fields in groups]


def listed(shapes: dict[str, int]) -> str:
    return ", ".join(f"{name} ({shape} numbers)" if shape else name for name, shape in shapes.items())


def check_slates(agent: Agent, envs: Any, folder: Path) -> None:
    """Let the agent answer once.

    Raises:
        AgentError: it fails on what users of this world look like.
    """
    observation, _ = envs.reset(seed=0)
    try:
        agent.act(observation, np.random.default_rng(0))
    except (ValueError, IndexError, KeyError, RuntimeError) as error:
        why = str(error).strip().splitlines()
        raise AgentError(
            f"{folder} holds no agent for this world: it fails on its users ({why[0] if why else type(error).__name__})"
        ) from error
