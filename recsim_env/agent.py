"""The contract of an agent, and agents by name."""

from __future__ import annotations

import dataclasses
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from gymnasium import spaces

from recsim_env.class_files import class_in_file, names_a_file
from recsim_env.content import Content
from recsim_env.env import Observation
from recsim_env.errors import AgentError, Diverged, InvalidParameter, UnknownName, unknown
from recsim_env.fields import Field
from recsim_env.parameters import build, param, validate
from recsim_env.scenario import Scenario
from recsim_env.trust import told_by

GROUP = "recsim_env.agents"
ChoiceLogits = Callable[[Observation], np.ndarray]  # see `Scenario.choice_logits`
PLAYED = "played"
MANY = 100  # candidates from which on the highest are looked for before they are sorted


class Log(Protocol):
    """Where an agent tells what it measures; the environment counts the user-steps."""

    def scalar(self, name: str, value: float) -> None:
        """One point of a curve, such as `train/loss`, at the present user-step."""


def check_loss(name: str, value: float) -> None:
    """Every log looks at what it is told, so that no agent learns on from what is no number.

    Raises:
        Diverged: a loss is not finite.
    """
    if "loss" in name and not math.isfinite(value):
        raise Diverged(f"{name} is {value}")


class NoLog:
    """A log that keeps nothing, but looks at losses (see `check_loss`)."""

    def scalar(self, name: str, value: float) -> None:
        """Forget it."""
        check_loss(name, value)


@dataclass(frozen=True)
class WorldSpec:
    """What an agent knows of a world before it sees it: the shapes, never the state; a planner also its rules."""

    observation_space: spaces.Dict
    num_candidates: int
    slate_size: int
    catalogue: np.ndarray | None  # (num_items, F) float32
    label: str  # the response column that a myopic recommender predicts
    responses: tuple[Field, ...]
    horizon: int  # sessions are cut after so many steps
    choice_logits: ChoiceLogits | None = None  # the users' choice model, where the world tells it
    user_fields: tuple[Field, ...] = ()  # which numbers of `user` belong together
    content: Callable[[], Content | None] = lambda: (
        None
    )  # texts and pictures of the catalogue's items, where it has any
    scenario: Scenario | None = None  # for planners: the world itself, where the hidden state is observed

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
            choice_logits=scenario.choice_logits if scenario.overrides("choice_logits") else None,
            user_fields=tuple(scenario.user_fields()),
            content=scenario.item_content,
            scenario=scenario if env.options.observe == "full" else None,
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

    Attributes:
        played: user-steps that it was trained with, in all calls of `train`; 0: it starts from nothing.
    """

    Config: ClassVar[type[AgentConfig]] = AgentConfig
    observe: ClassVar[str] = "partial"  # "full": it needs the hidden state
    learns: ClassVar[bool] = False
    needs: ClassVar[str] = ""  # what not every world shows: "ids" of items, or "content", see `Scenario.item_content`

    def __init__(self, config: Any, spec: WorldSpec) -> None:
        self.config, self.spec = config, spec
        self.played = 0

    @classmethod
    def variant(cls, name: str) -> type[Agent]:
        """The class that `AGENT:name` means; few agents have variants.

        Raises:
            UnknownName: there is no such variant.
        """
        raise UnknownName(f"{cls.__name__} has no variants, so {name!r} after the colon names none")

    @classmethod
    def options(cls, config: Any) -> dict[str, Any]:
        """The environment options that its observations need, such as `totals=True`."""
        return {"observe": cls.observe}

    def train(self, envs: Any, steps: int, log: Log) -> None:
        """Learn from at most `steps` user-steps of `envs`, a vector environment that enforces them.

        Called again, it goes on from what was learnt; all that this takes (weights, an optimiser's moments; not a
        replay, which is played anew) is in `arrays`, so that a loaded agent goes on bit for bit as the saved one.
        Adds to `played`, and draws from streams of (`config.seed`, `played`), so that no call repeats another's luck.
        """

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
        np.savez(folder / "learnt.npz", **{PLAYED: np.array(self.played), **self.arrays()})  # type: ignore[arg-type]

    @classmethod
    def load(cls, folder: Path, spec: WorldSpec) -> Self:
        """The agent that `save` wrote, for a world of the same shapes.

        Raises:
            AgentError: the folder does not hold such an agent. UntrustedCode: see `recsim_env.trust`.
        """
        try:
            settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
            with told_by(folder / "settings.json"):
                agent = cls(build(cls.Config, settings, cls.__name__), spec)
            with np.load(folder / "learnt.npz", allow_pickle=False) as arrays:
                learnt = dict(arrays)
            agent.played = int(learnt.pop(PLAYED))
            agent.restore(learnt)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise AgentError(f"{folder} holds no {cls.__name__} for this world: {error}") from error
        return agent


class Ranker(Agent):
    """An agent that scores the candidates and shows those of the highest scores, best first."""

    @abstractmethod
    def scores(self, observation: Observation) -> np.ndarray:
        """(n, C): the higher, the better; masked candidates may get any."""

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return top_slates(self.scores(observation), observation, self.spec.slate_size)


def top_slates(scores: np.ndarray, observation: Observation, slate_size: int) -> np.ndarray:
    """(n, S): the positions of the highest scores (n, C), best first; masked ones last, ties to the lower position.

    Raises:
        Diverged: a score is not a number.
    """
    if np.isnan(scores).any():
        raise Diverged("a score is NaN, and slates are ordered by scores; look for a division by 0 or an overflow")
    if "mask" in observation:
        scores = np.where(observation["mask"] > 0, scores, -np.inf)
    if scores.shape[1] < MANY:
        return np.argsort(-scores, axis=1, kind="stable")[:, :slate_size]
    best = highest(scores, slate_size)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def highest(scores: np.ndarray, count: int) -> np.ndarray:
    """(n, count): the positions of each row's highest scores (n, C), in their order; ties to the lower position."""
    least = np.partition(scores, -count, axis=1)[:, -count, None]
    above, level = scores > least, scores == least
    level &= level.cumsum(axis=1) <= count - above.sum(axis=1, keepdims=True)
    return np.nonzero(above | level)[1].reshape(len(scores), count)


def softened(scores: np.ndarray, epsilon: float, rng: np.random.Generator) -> np.ndarray:
    """Scores under which each user, with probability epsilon, gets a random slate."""
    explore = rng.random(len(scores)) < epsilon
    return np.where(explore[:, None], rng.random(scores.shape), scores)


@cache
def registered_agents() -> dict[str, EntryPoint]:
    """The installed agents: name -> entry point, loaded when one is made."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def split_label(label: str) -> tuple[str, dict[str, str]]:
    """An agent's name and the settings that follow it: `dqn@gamma=0` is dqn with gamma 0.

    Raises:
        InvalidParameter: what follows an @ is not key=value.
    """
    name, *parts = label.split("@")
    settings = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise InvalidParameter(f"agent {label!r}: what follows an @ is key=value, as in dqn@gamma=0, not {part!r}")
        settings[key] = value
    return name, settings


def agent_class(label: str) -> type[Agent]:
    """The class of an installed agent, of one of its variants (`sb3:PPO`), or of `file.py:Class`.

    Settings that follow the name (see `split_label`) change nothing here.

    Raises:
        UnknownName: there is none; with the nearest name. AgentError: it is no agent, or the file fails.
    """
    name, _ = split_label(label)
    if names_a_file(name):
        return class_in_file(name, Agent, AgentError)  # type: ignore[type-abstract]  # it is only compared with
    family, colon, variant = name.partition(":")
    if family not in registered_agents():
        raise unknown("agent", name, registered_agents())
    found = registered_agents()[family].load()
    if not (isinstance(found, type) and issubclass(found, Agent)):
        raise AgentError(f"the entry point {family!r} gives {found!r}, which is not an Agent class")
    return found.variant(variant) if colon else found
