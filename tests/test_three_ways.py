"""By keyword, on the command line, by a YAML file and by a Python file: the same world, the same lives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.commands.options import split_settings
from recsim_env import find_world, make_vector_env
from recsim_env.env import RecVectorEnv

STEPS, USERS, SEED = 15, 20, 11


@dataclass(frozen=True)
class Definition:
    """The same world thrice: parameters as Python values, as a YAML file's lines, and as a Python class."""

    world: str
    parameters: dict[str, Any]
    yaml: str
    python: str


DEFINITIONS = [
    Definition(
        "interest_evolution",
        {"num_topics": 6, "minutes": 25.5, "choice": "proportional"},
        "  num_topics: 6\n  minutes: 25.5\n  choice: proportional\n",
        "from recsim_env.choice import Choice\n"
        "from scenarios.interest_evolution import InterestEvolution\n\n"
        "@dataclass(frozen=True)\n"
        "class Mine(InterestEvolution):\n"
        "    num_topics: int = 6\n"
        "    minutes: float = 25.5\n"
        "    choice: Choice = Choice.PROPORTIONAL\n",
    ),
    Definition(
        "boredom:rerank_bored",
        {"threshold": 2, "omega": 0.8, "influence": "as_described"},
        "  threshold: 2\n  omega: 0.8\n  influence: as_described\n",
        "from scenarios.bored_user import Influence\n"
        "from scenarios.boredom import Boredom\n\n"
        "@dataclass(frozen=True)\n"
        "class Mine(Boredom):\n"
        "    num_items: int = 10\n"
        "    num_candidates: int = 10\n"
        "    slate_size: int = 10\n"
        "    session_steps: int = 10\n"
        "    offset: float = 0.3\n"
        "    slope: float = 5\n"
        "    gamma: float = 0.7\n"
        "    threshold: int = 2\n"
        "    omega: float = 0.8\n"
        "    influence: Influence = Influence.AS_DESCRIBED\n",
    ),
]


def lives(envs: RecVectorEnv) -> list[np.ndarray]:
    """All that is observed and earned."""
    observation, _ = envs.reset(seed=SEED)
    told = [*observation.values()]
    slate = np.arange(envs.scenario.slate_size)
    for step in range(STEPS):
        slates = np.tile((slate + step) % envs.scenario.num_candidates, (USERS, 1))
        observation, reward, terminated, truncated, info = envs.step(slates)
        told += [*observation.values(), reward, terminated, truncated, info["clicked"]]
    return told


def same(one: RecVectorEnv, other: RecVectorEnv) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(lives(one), lives(other), strict=True))


@pytest.mark.parametrize("definition", DEFINITIONS, ids=[d.world for d in DEFINITIONS])
def test_every_definition_gives_the_same_world(definition: Definition, tmp_path: Path) -> None:
    world, parameters = definition.world, definition.parameters
    by_keyword = make_vector_env(world, num_envs=USERS, **parameters)

    settings, _ = split_settings([f"{key}={value}" for key, value in parameters.items()], [])
    on_command_line = RecVectorEnv(find_world(world).make(**settings), USERS)

    yaml = tmp_path / "mine.yaml"
    yaml.write_text(f"scenario: {world}\ndescription: mine\nparameters:\n{definition.yaml}", encoding="utf-8")

    python = tmp_path / "mine.py"
    python.write_text(f"from dataclasses import dataclass\n\n{definition.python}", encoding="utf-8")

    ways = {
        "command line": on_command_line,
        "YAML": make_vector_env(str(yaml), num_envs=USERS),
        "Python": make_vector_env(f"{python}:Mine", num_envs=USERS),
    }
    for way, other in ways.items():
        assert same(by_keyword, other), way
    assert not same(by_keyword, make_vector_env(world, num_envs=USERS))  # the parameters do something
