"""What each of dqn's options brings on interest_evolution: 10 candidates, a slate of 1, multinomial logit.

    python perf/dqn_ablation.py [--seeds 3] [--steps 200000] [--users 2000]

Prints a table (Markdown): mean engagement of test users over seeds with its 95 % interval (Student's t), the paired
difference to plain DQN, and a core's seconds of training. Plain is without double targets, which are on by default.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from scipy import stats

from benchmark.evaluation import evaluate
from benchmark.run import Run, training_envs
from recsim_env.agent import NoLog, WorldSpec, agent_class
from recsim_env.streams import Purpose
from recsim_env.wrappers import InteractionBudget

PLAIN: dict[str, Any] = {"double": False, "dueling": False, "n_step": 1, "prioritized": 0.0}
EACH: dict[str, dict[str, Any]] = {
    "double": {"double": True},
    "dueling": {"dueling": True},
    "n_step=3": {"n_step": 3},
    "prioritized=0.6": {"prioritized": 0.6},
}
VARIANTS = {
    "plain": PLAIN,
    **{f"+ {name}": PLAIN | setting for name, setting in EACH.items()},
    "all": {name: value for setting in EACH.values() for name, value in setting.items()},
}


def measure(settings: dict[str, Any], seed: int, steps: int, users: int) -> tuple[float, float]:
    """Engagement of test users after training, and the seconds of a core that training took."""
    run = Run("interest_evolution", {"slate_size": 1, "num_candidates": 10}, "dqn", settings, seed, steps, users)
    kind, config, world = agent_class(run.agent), run.config(), run.world()
    envs = training_envs(kind, config, world, seed, 0)
    agent, began = kind(config, WorldSpec.of(envs)), time.process_time()
    agent.train(InteractionBudget(envs, steps), steps, NoLog())
    took = time.process_time() - began
    return evaluate(agent, world, users=users, seed=seed, purpose=Purpose.TEST).summary["engagement"], took


def interval(values: np.ndarray) -> str:
    """The mean and its 95 % interval; the mean alone of one value."""
    if len(values) < 2:
        return f"{values.mean():.1f}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.1f} ± {half:.1f}"


def main() -> None:
    """Train every variant with every seed and print a line a variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--users", type=int, default=2000, help="to evaluate on")
    arguments = parser.parse_args()
    print("| dqn | engagement | more than plain | seconds |\n|---|---|---|---|", flush=True)
    plain = np.zeros(0)
    for name, settings in VARIANTS.items():
        ends = [measure(settings, seed, arguments.steps, arguments.users) for seed in range(arguments.seeds)]
        engagement, seconds = np.array(ends).T
        plain = engagement if name == "plain" else plain
        gain = "" if name == "plain" else interval(engagement - plain)
        print(f"| {name} | {interval(engagement)} | {gain} | {seconds.mean():.0f} |", flush=True)


if __name__ == "__main__":
    main()
