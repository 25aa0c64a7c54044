"""MovieLens under its Gymnasium id, on a small made-up set: both environment checkers, and training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

import recsim_env
from recsim_env.wrappers import FlatObservation
from tests.made_up import write_movielens

ID = "recsim_env/MovieLens-v0"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    assert recsim_env  # registers the id
    return {"data": str(write_movielens(Path(tmp_path_factory.mktemp("movielens")))), "factors": 4, "not_again": 10}


@pytest.mark.parametrize("options", [{}, {"slate_size": 1}, {"history": 2, "totals": True}])
def test_both_checkers_pass_without_a_warning(world: dict[str, Any], options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(ID, render_mode="rgb_array", **world, **options).unwrapped)
        check_env_of_sb3(FlatObservation(gymnasium.make(ID, **world, **options)))


@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_stable_baselines3_trains(world: dict[str, Any], algorithm: Any) -> None:
    torch.set_num_threads(1)
    env = FlatObservation(gymnasium.make(ID, slate_size=1, **world))
    model = algorithm("MlpPolicy", env, seed=0, device="cpu").learn(2000)
    assert model.num_timesteps >= 2000
