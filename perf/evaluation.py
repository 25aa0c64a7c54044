"""How long an evaluation takes, apart from compiling the world: 5,000 users of interest_evolution, three times.

    python perf/evaluation.py [--users 5000] [--agents lin_ucb dqn]

Agents are trained with 20,000 user-steps before.
"""

from __future__ import annotations

import argparse
import time

from benchmark.evaluation import evaluate
from benchmark.run import Run
from benchmark.single import find_agent
from recsim_env.streams import Purpose

REPEATS = 3


def main() -> None:
    """Print a row an agent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=5000)
    parser.add_argument("--agents", nargs="+", default=["lin_ucb", "dqn"])
    asked = parser.parse_args()
    print("| agent | engagement | steps a session | seconds |\n|---|---|---|---|")
    for name in asked.agents:
        run = Run("interest_evolution", {}, name, {}, 0, 20_000, asked.users)
        agent, scenario, seconds = find_agent(run, ""), run.world(), []
        for _ in range(REPEATS):
            began = time.perf_counter()
            found = evaluate(agent, scenario, users=asked.users, seed=0, purpose=Purpose.TEST).summary
            seconds.append(time.perf_counter() - began)
        times = ", ".join(f"{one:.1f}" for one in sorted(seconds))
        print(f"| {name} | {found['engagement']:.1f} | {found['length']:.1f} | {times} |", flush=True)


if __name__ == "__main__":
    main()
