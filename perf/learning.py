"""How far dqn gets on interest_evolution: 10 candidates, a slate of 1, multinomial logit, 300,000 user-steps.

    python perf/learning.py [--seeds 3] [--steps 300000]

Random slates reach 135.5, a perfect myopic agent 158, a rule that knows the qualities 291. Each seed's engagement is
measured on 2,000 test users.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmark.evaluation import evaluate
from benchmark.run import Run, train
from recsim_env.streams import Purpose


def main() -> None:
    """Train and print a line a seed, and the lowest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300_000)
    arguments = parser.parse_args()
    ends = []
    for seed in range(arguments.seeds):
        run = Run("interest_evolution", {"slate_size": 1, "num_candidates": 10}, "dqn", {}, seed, arguments.steps, 2000)
        began = time.monotonic()
        agent = train(run, run.world(), lambda scalars, step: None, lambda step, scalars: None, 0)
        took = time.monotonic() - began
        table = evaluate(agent, run.world(), users=run.users, seed=seed, purpose=Purpose.TEST).table
        mean, error = table["engagement"].mean(), table["engagement"].std() / np.sqrt(len(table))
        print(f"dqn seed {seed}: engagement {mean:.1f} ± {error:.1f}, {took:.0f} s with its evaluations", flush=True)
        ends.append(mean)
    print(f"lowest of {len(ends)} seeds: {min(ends):.1f}")


if __name__ == "__main__":
    main()
