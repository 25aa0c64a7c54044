"""Who shows the slates of a log: an agent as a behaviour policy, and what it sees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.evaluation import options_of
from benchmark.run import Run
from benchmark.single import find_agent, name_and_folder
from recsim_env.agent import Agent, agent_class
from recsim_env.env import Observation
from recsim_env.errors import AgentError, InvalidParameter
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario


@dataclass(frozen=True)
class Logged:
    """An agent as a behaviour policy: one that says nothing of its propensities must be sure of what it shows."""

    agent: Agent
    name: str

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return self.agent.act(observation, rng)

    def propensities(self, observation: Observation, slates: np.ndarray) -> np.ndarray:
        """(n, S) of each place, given those above.

        Raises:
            AgentError: the agent's slates are random, and it does not say how likely each is.
        """
        if hasattr(self.agent, "propensities"):
            told: np.ndarray = self.agent.propensities(observation, slates)
            return told
        again = self.agent.act(observation, np.random.default_rng(len(slates)))
        if not np.array_equal(again, slates):
            raise AgentError(f"{self.name} shows random slates and has no propensities(); log another agent")
        return np.ones(slates.shape)


def ready_agent(scenario: str, parameters: dict[str, Any], agent: str, settings: dict[str, Any], seed: int) -> Logged:
    """The agent of a folder, or one by name that needs no training.

    Raises:
        InvalidParameter: it learns, and no folder of a trained one is given.
    """
    name, folder = name_and_folder(agent)
    if not folder and agent_class(name).learns:
        raise InvalidParameter(f"{name} learns: give the folder of a trained one, --agent RUN/agent")
    observe = (
        json.loads((Path(folder).parent / "run.json").read_text(encoding="utf-8")).get("observe", "partial")
        if folder
        else "partial"
    )
    return Logged(find_agent(Run(scenario, parameters, name, settings, seed, 0, 1, observe), folder), name)


def options_of_agent(scenario: str, parameters: dict[str, Any], agent: str) -> dict[str, Any]:
    """What an agent sees, by its name or the folder of a trained one."""
    made = ready_agent(scenario, parameters, agent, {}, 0).agent
    return options_of(type(made), made.config, "partial")


def joined(options: dict[str, Any], more: dict[str, Any], name: str, other: str) -> dict[str, Any]:
    """What two agents see together.

    Raises:
        InvalidParameter: they must see something in different ways.
    """
    for key in options.keys() & more.keys():
        if options[key] != more[key]:
            raise InvalidParameter(
                f"--seen-by {other} needs {key}={more[key]}, but {name}, whose slates are logged, {key}={options[key]}"
            )
    return {**options, **more}


@dataclass(frozen=True)
class Collection:
    """Whose slates are logged, in which world, and who else must see what is seen."""

    scenario: str
    parameters: dict[str, Any]
    agent: str
    settings: dict[str, Any]
    seed: int
    seen_by: str = ""

    def world(self) -> Scenario:
        return find_world(self.scenario).make(**self.parameters)

    def policy(self) -> Logged:
        return ready_agent(self.scenario, self.parameters, self.agent, self.settings, self.seed)

    def options(self, policy: Logged) -> dict[str, Any]:
        """The environment's."""
        own = options_of(type(policy.agent), policy.agent.config, "partial")
        if not self.seen_by:
            return own
        return joined(own, options_of_agent(self.scenario, self.parameters, self.seen_by), policy.name, self.seen_by)
