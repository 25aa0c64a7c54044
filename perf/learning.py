"""How far an agent gets on interest_evolution: 10 candidates, a slate of 1, multinomial logit, 300,000 user-steps.

    python perf/learning.py [--agent dqn] [--seeds 3] [--steps 300000] [--set key=value ...]

The long run of parallel Q(lambda), of 10 million user-steps, three minutes a seed:

    python perf/learning.py --agent pqn --seeds 5 --steps 10000000 --set users=512 epochs=1

Random slates reach 135.5, a perfect myopic agent 158, a rule that knows the qualities 291. Each seed's engagement is
measured on 2,000 test users; while it trains, ten times on 200 validation users.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmark.evaluation import evaluate
from benchmark.recorder import Scalars
from benchmark.run import Run, train
from recsim_env.streams import Purpose


def tell(scalars: Scalars, step: int) -> None:
    """A line at each evaluation on validation users."""
    if "eval/engagement" in scalars:
        print(f"  {step:>11,} user-steps: validation engagement {scalars['eval/engagement']:.1f}", flush=True)


def main() -> None:
    """Train and print a line a seed, and the lowest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="dqn")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300_000)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="the agent's settings")
    arguments = parser.parse_args()
    settings = dict(pair.split("=", 1) for pair in arguments.set)
    world = {"slate_size": 1, "num_candidates": 10}
    ends = []
    for seed in range(arguments.seeds):
        run = Run("interest_evolution", world, arguments.agent, settings, seed, arguments.steps, 2000)
        began, cpu = time.monotonic(), time.process_time()
        agent = train(run, run.world(), tell, lambda step, scalars: None, 0)
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        table = evaluate(agent, run.world(), users=run.users, seed=seed, purpose=Purpose.TEST).table
        mean, error = table["engagement"].mean(), table["engagement"].std() / np.sqrt(len(table))
        print(
            f"{arguments.agent} seed {seed}: engagement {mean:.1f} ± {error:.1f}; with its evaluations {took:.0f} s, "
            f"{cpu:.0f} s of one core, {arguments.steps / took:,.0f} user-steps/s",
            flush=True,
        )
        ends.append(mean)
    print(f"lowest of {len(ends)} seeds: {min(ends):.1f}")


if __name__ == "__main__":
    main()
