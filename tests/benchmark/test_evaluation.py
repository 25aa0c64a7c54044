"""Each evaluation user plays exactly their first session."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from agents.random_slates import RandomSlates
from benchmark import evaluation
from benchmark.evaluation import evaluate
from recsim_env.agent import Agent, AgentConfig, WorldSpec
from recsim_env.env import Observation, RecVectorEnv
from recsim_env.simulator import Options
from recsim_env.streams import Purpose
from tests.worlds import SNACK, TinyWorld, tiny_policy_value

WORLD = TinyWorld()


class Always(Agent):
    """Shows one position."""

    position: ClassVar[int] = SNACK

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return np.full((len(observation["user"]), 1), self.position)


def agent(kind: type[Agent]) -> Agent:
    return kind(AgentConfig(), WorldSpec.of(RecVectorEnv(WORLD, 1, Options())))


def test_mean_is_the_exact_value_of_the_policy() -> None:
    table = evaluate(agent(Always), WORLD, users=5000, seed=3, purpose=Purpose.TEST).table
    error = table["engagement"].std() / np.sqrt(len(table))
    assert abs(table["engagement"].mean() - tiny_policy_value(WORLD, [SNACK] * 5)) < 3 * error


def test_each_user_once_and_equal_to_that_user_alone() -> None:
    table = evaluate(agent(Always), WORLD, users=1003, seed=3, purpose=Purpose.TEST).table
    assert table["user"].tolist() == list(range(1003))
    for user in (0, 999, 1000, 1002):
        envs = RecVectorEnv(WORLD, 1, Options(purpose=Purpose.TEST, first_user=user))
        alone = evaluation.play(agent(Always), envs, 3).table
        pd.testing.assert_frame_equal(alone, table[alone.columns].iloc[[user]].reset_index(drop=True))


def test_blocks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(threads: int) -> bytes:
        table = evaluate(agent(Always), WORLD, users=700, seed=3, purpose=Purpose.TEST, threads=threads).table
        return table.drop(columns="people").to_numpy(float).tobytes()

    whole = run(1)
    assert run(2) == whole
    monkeypatch.setattr(evaluation, "BLOCK", 99)
    assert run(1) == whole


def test_purposes_are_other_people() -> None:
    tables = [evaluate(agent(RandomSlates), WORLD, users=200, seed=0, purpose=p).table["engagement"] for p in Purpose]
    assert not tables[0].equals(tables[1])
    assert not tables[1].equals(tables[2])


def test_sessions_cut_by_the_horizon_are_counted() -> None:
    cut = evaluate(agent(Always), TinyWorld(horizon=2), users=500, seed=0, purpose=Purpose.TEST)
    assert 0.5 < cut.summary["cut"] < 1.0
    assert cut.table["length"].max() == 2
