"""The contract of an agent, and agents by name."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from gymnasium import spaces

from recsim_env.class_files import class_in_file, names_a_file
from recsim_env.env import Observation
from recsim_env.errors import AgentError, unknown
from recsim_env.fields import Field
from recsim_env.parameters import build, param, validate

GROUP = "recsim_env.agents"


class Log(Protocol):
    """Where an agent tells what it measures; the environment counts the user-steps."""

    def scalar(self, name: str, value: float) -> None:
        """One point of a curve, such as `train/loss`, at the present user-step."""


class NoLog:
    """A log that keeps nothing."""

    def scalar(self, name: str, value: float) -> None:
        """Forget it."""


@dataclass(frozen=True)
class WorldSpec:
    """What an agent knows of a world before it sees it: the shapes, never the state."""

    observation_space: spaces.Dict
    num_candidates: int
    slate_size: int
    catalogue: np.ndarray | None  # (num_items, F) float32
    label: str  # the response column that a myopic recommender predicts
    responses: tuple[Field, ...]
    horizon: int  # sessions are cut after so many steps

    @classmethod
    def of(cls, envs: Any) -> WorldSpec:
        """The spec of a `RecVectorEnv` or `RecEnv`, wrapped or not."""
        env = envs.unwrapped
        space = getattr(env, "single_observation_space", None) or env.observation_space
        scenario = env.scenario
        return cls(
            observation_space=space,
            num_candidates=scenario.num_candidates,
            slate_size=scenario.slate_size,
            catalogue=env.catalogue,
            label=scenario.label,
            responses=tuple(scenario.response_fields()),
            horizon=scenario.horizon,
        )


@dataclass(frozen=True)
class AgentConfig:
    """Settings that every agent has."""

    seed: int = param(0, "the agent's own randomness: initial weights, exploration", low=0)
    users: int = param(64, "how many users it trains with side by side", low=1)

    def __post_init__(self) -> None:
        validate(self)


class Agent(ABC):
    """Anything that maps observations of many users to slates, and may learn.

    A subclass has a `Config` dataclass, `train` where it learns, `act`, and `arrays` / `restore` where it
    keeps what it learnt in arrays.
    """

    Config: ClassVar[type[AgentConfig]] = AgentConfig
    observe: ClassVar[str] = "partial"  # "full": it needs the hidden state
    learns: ClassVar[bool] = False

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        self.config, self.spec = config, spec

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        """The environment options that its observations need, such as `totals=True`."""
        return {"observe": cls.observe}

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Learn from at most `steps` user-steps of `envs`, a vector environment that enforces them."""

    @abstractmethod
    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """(n, S) candidate positions for n observations; `rng` is for stochastic policies."""

    def arrays(self) -> dict[str, np.ndarray]:
        """All that was learnt."""
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `arrays` gave."""

    def save(self, folder: Path) -> None:
        """Write the settings and what was learnt into a folder; no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = dataclasses.asdict(self.config)
        (folder / "settings.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        np.savez(folder / "learnt.npz", **self.arrays())  # type: ignore[arg-type]

    @classmethod
    def load(cls, folder: Path, spec: WorldSpec) -> Self:
        """The agent that `save` wrote, for a world of the same shapes.

        Raises:
            AgentError: the folder does not hold such an agent.
        """
        try:
            settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
            agent = cls(build(cls.Config, settings, cls.__name__), spec)
            with np.load(folder / "learnt.npz", allow_pickle=False) as arrays:
                agent.restore(dict(arrays))
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise AgentError(f"{folder} holds no {cls.__name__} for this world: {error}") from error
        return agent


def top_slates(scores: np.ndarray, observation: Observation, slate_size: int) -> np.ndarray:
    """(n, S): the positions of the highest scores (n, C), best first; masked ones last, ties to the lower position."""
    if "mask" in observation:
        scores = np.where(observation["mask"] > 0, scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :slate_size]


def softened(scores: np.ndarray, epsilon: float, rng: np.random.Generator) -> np.ndarray:
    """Scores under which each user, with probability epsilon, gets a random slate."""
    explore = rng.random(len(scores)) < epsilon
    return np.where(explore[:, None], rng.random(scores.shape), scores)


@cache
def registered_agents() -> dict[str, EntryPoint]:
    """The installed agents: name -> entry point, loaded when one is made."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def agent_class(name: str) -> type[Agent]:
    """The class of an installed agent, or of `file.py:Class`.

    Raises:
        UnknownName: there is none; with the nearest name. AgentError: it is no agent, or the file fails.
    """
    if names_a_file(name):
        return class_in_file(name, Agent, AgentError)  # type: ignore[type-abstract]  # it is only compared with
    if name not in registered_agents():
        raise unknown("agent", name, registered_agents())
    found = registered_agents()[name].load()
    if not (isinstance(found, type) and issubclass(found, Agent)):
        raise AgentError(f"the entry point {name!r} gives {found!r}, which is not an Agent class")
    return found
