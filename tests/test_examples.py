"""The examples do what their pages say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmark.evaluation import evaluate
from examples.sweet_tooth import SweetTooth
from recsim_env import Purpose, find_world, make_vector_env
from recsim_env.agent import AgentConfig, NoLog, WorldSpec
from recsim_env.checks import check_agent, check_scenario
from recsim_env.wrappers import InteractionBudget

EXAMPLES = Path(__file__).parents[1] / "examples"
WORLD = find_world(f"{EXAMPLES / 'coffee_shop.py'}:CoffeeShop").make()


def test_the_scenario_is_one_file_under_40_lines_and_keeps_the_contract() -> None:
    assert len((EXAMPLES / "coffee_shop.py").read_text().splitlines()) < 40
    check_scenario(WORLD)


def test_the_agent_keeps_the_contract() -> None:
    check_agent(SweetTooth, WORLD)


def test_the_agent_learns_that_the_sweetest_is_not_the_best() -> None:
    envs = make_vector_env(WORLD, num_envs=64)
    envs.reset(seed=0)
    agent = SweetTooth(AgentConfig(), WorldSpec.of(envs))
    before = evaluate(agent, WORLD, users=1000, seed=0, purpose=Purpose.TEST).summary["engagement"]
    agent.train(InteractionBudget(envs, 60_000), 60_000, NoLog())
    after = evaluate(agent, WORLD, users=1000, seed=0, purpose=Purpose.TEST).summary["engagement"]
    assert agent.best < 0.5
    assert after > 2 * before


def test_the_example_runs_as_its_page_says() -> None:
    command = [sys.executable, "examples/sweet_tooth.py"]
    done = subprocess.run(command, cwd=EXAMPLES.parent, capture_output=True, text=True, check=True, timeout=120)
    assert "after training" in done.stdout
