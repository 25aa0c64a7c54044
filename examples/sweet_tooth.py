"""An agent in one file: it learns how sweet to serve by trying each of a few levels for a share of its budget.

python examples/sweet_tooth.py
"""

from pathlib import Path

import numpy as np

from agents.experience import interact
from benchmark.evaluation import evaluate
from recsim_env import Purpose, find_world, make_vector_env
from recsim_env.agent import Agent, AgentConfig, NoLog, WorldSpec, top_slates
from recsim_env.wrappers import InteractionBudget

LEVELS = np.linspace(0.0, 1.0, 6)


class SweetTooth(Agent):
    """Shows what is nearest to the sweetness under which sessions brought most."""

    learns = True
    best = 1.0  # the greedy choice, until it knows better

    def train(self, envs, steps, log):
        """Serve each level for an equal share of the steps, and keep the one with the best sessions."""
        returns = {level: self.serve(envs, steps // len(LEVELS), level) for level in LEVELS}
        self.best = max(returns, key=returns.get)
        log.scalar("train/best_sweetness", self.best)

    def serve(self, envs, steps, level):
        """The mean engagement of the sessions that end while `level` is served."""
        ended = []
        for t in interact(envs, lambda observation: self.nearest(observation, level), steps):
            self.played += envs.num_envs
            if "_session" in t.info:
                ended.extend(t.info["session"]["engagement"][t.info["_session"]])
        return float(np.mean(ended)) if ended else 0.0

    def nearest(self, observation, level):
        """(n, S): the candidates whose sweetness is nearest to `level`."""
        return top_slates(-abs(observation["candidates"][:, :, 0] - level), observation, self.spec.slate_size)

    def act(self, observation, rng):
        return self.nearest(observation, self.best)

    def arrays(self):
        return {"best": np.array(self.best)}

    def restore(self, arrays):
        self.best = float(arrays["best"])


def main():
    """Train it in the coffee shop and compare it with serving the sweetest."""
    world = find_world(f"{Path(__file__).parent / 'coffee_shop.py'}:CoffeeShop").make()
    envs = make_vector_env(world, num_envs=64)
    agent = SweetTooth(AgentConfig(), WorldSpec.of(envs))
    for name in ("always the sweetest", "after training"):
        if name == "after training":
            agent.train(InteractionBudget(envs, 60_000), 60_000, NoLog())
        result = evaluate(agent, world, users=1000, seed=0, purpose=Purpose.TEST)
        print(f"{name}: sweetness {agent.best:.1f}, engagement {result.summary['engagement']:.1f} a session")


if __name__ == "__main__":
    main()
