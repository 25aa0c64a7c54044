"""Agents with networks learn on a GPU: replay, observations and weights live there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from recsim_env.agent import NoLog, WorldSpec, agent_class, registered_agents
from recsim_env.env import RecVectorEnv
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.wrappers import InteractionBudget
from scenarios.interest_evolution import InterestEvolution
from tests.content import ToldMovieLens
from tests.made_up import write_movielens

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
STEPS = 4096
ON_THE_GPU = [
    name
    for name in registered_agents()
    if "device" in agent_class(name).Config.__dataclass_fields__ and agent_class(name).learns
]


@pytest.mark.parametrize("name", ON_THE_GPU)
def test_learns_on_the_gpu(name: str, tmp_path: Path) -> None:
    kind = agent_class(name)
    config = kind.Config(device="cuda")
    world: Scenario = InterestEvolution(num_candidates=10, slate_size=1)
    if kind.needs:
        world = ToldMovieLens(data=str(write_movielens(tmp_path / "ratings")), factors=4, not_again=10)
    envs = RecVectorEnv(world, config.users, Options(**kind.options(config)))
    observation, _ = envs.reset(seed=0)
    agent = kind(config, WorldSpec.of(envs))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.max_memory_allocated()
    agent.train(InteractionBudget(envs, STEPS), STEPS, NoLog())
    assert torch.cuda.max_memory_allocated() > before
    assert all(np.isfinite(values).all() for values in agent.arrays().values())
    agent.save(tmp_path)
    loaded = kind.load(tmp_path, WorldSpec.of(envs))
    shown = [one.act(observation, np.random.default_rng(0)) for one in (agent, loaded)]
    assert np.array_equal(*shown)
