"""Stable-Baselines3's PPO on long_term_satisfaction:hard: 5 candidates, a slate of 1, 200,000 user-steps.

    python perf/sb3_ppo.py [--seeds 3]

Prints its engagement on fresh users beside that of random slates, with standard errors.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from recsim_env import make_vector_env
from recsim_env.sb3 import SB3VecEnv
from recsim_env.wrappers import flatten

WORLD: dict[str, Any] = {"scenario": "long_term_satisfaction", "preset": "hard", "num_candidates": 5, "slate_size": 1}
USERS = 16
TEST_USERS = 2000


def engagement(choose: Any, seed: int) -> np.ndarray:
    """(TEST_USERS,): the first sessions of test users, all 60 steps long."""
    envs = make_vector_env(num_envs=TEST_USERS, purpose="test", **WORLD)
    observation, _ = envs.reset(seed=seed)
    while True:
        observation, _, _, _, info = envs.step(choose(observation))
        if "_session" in info:
            return np.asarray(info["session"]["engagement"])


def train(seed: int) -> Any:
    """A policy of flat observations; rewards span decades, so they and the observations are normalised."""
    users = make_vector_env(num_envs=USERS, **WORLD)
    envs, space = VecNormalize(SB3VecEnv(users), gamma=0.99), users.single_observation_space
    model = PPO("MlpPolicy", envs, seed=seed, n_steps=120, batch_size=240, gamma=0.99, learning_rate=1e-3, device="cpu")
    model.learn(200_000)
    return lambda seen: model.predict(envs.normalize_obs(flatten(space, seen, 1)), deterministic=True)[0]


def main() -> None:
    """Train and print a line a seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(arguments.seeds):
        rng = np.random.default_rng(seed)
        ours = engagement(train(seed), seed)
        random = engagement(lambda seen: rng.integers(5, size=TEST_USERS), seed)  # noqa: B023
        gain, error = (ours - random).mean(), (ours - random).std() / np.sqrt(TEST_USERS)
        print(
            f"PPO seed {seed}: {ours.mean():.1f}, random {random.mean():.1f}, difference {gain:+.1f} ± {error:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
