"""How well p5 names the next film, by what is tuned: the tables of docs/agents/p5.md.

    python perf/p5.py --films runs/films [--data ml-latest-small.zip] [--steps 60000] [--tunings full lora prompt]

Random slates are logged; a tenth of the steps is held out, by users or sessions. A hit: what the user watched next is
among the ten films that the model names, of the whole catalogue but what the session liked before. Popularity names
those that were liked most in the steps that were fitted. Every tuning starts from the same pretrained weights.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from agents.fitting import Fit
from agents.impressions import Impressions
from agents.journal import Journal, Softened
from agents.p5 import P5, P5Config
from agents.p5_model import Tuning
from agents.p5_prompts import next_question
from agents.torch_tools import one_thread
from recsim_env.agent import NoLog, WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.simulator import Options
from scenarios.movieharbor import MovieHarbor

TOP, USERS = 10, 64


class Kept(NoLog):
    """Keeps the last value of each curve."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def scalar(self, name: str, value: float) -> None:
        self.last[name] = value


class Held:
    """Remembers which rows a fit held out."""

    def __init__(self, agent: P5) -> None:
        self.held, self.before_fit = np.zeros(0, bool), agent.before_fit

    def __call__(self, fit: Fit, first: bool) -> None:
        self.held = fit.held
        self.before_fit(fit, first)


def logged(agent: P5, envs: RecVectorEnv, steps: int, seed: int) -> Impressions:
    """Random slates, as every recommender starts with."""
    journal = Journal(envs, agent.spec, agent.encoder, agent.index, np.random.default_rng([seed, 2]))
    return journal.play(steps // USERS, Softened(agent.spec, agent.scores, 1.0, np.random.default_rng(seed)))


def hits(scores: np.ndarray, liked: list[list[int]], targets: np.ndarray) -> float:
    """The share of targets (n,) among the ten best of scores (n, items), without what was liked before."""
    for row, items in enumerate(liked):
        scores[row, items] = -np.inf
    best = np.argpartition(-scores, TOP, axis=1)[:, :TOP]
    return float((best == targets[:, None]).any(axis=1).mean())


def measured(world: MovieHarbor, tuning: Tuning, steps: int, seed: int) -> str:
    """A row of the table."""
    config, told = P5Config(tuning=tuning, seed=seed), Kept()
    envs = RecVectorEnv(world, USERS, Options(**P5.options(config)))
    envs.reset(seed=seed)
    agent = P5(config, WorldSpec.of(envs))
    log = logged(agent, envs, steps, seed)
    held = Held(agent)
    agent.before_fit = held  # type: ignore[method-assign]
    began = time.process_time()
    agent.fit(log, told)
    seconds = time.process_time() - began
    rows = np.flatnonzero(held.held & (log.labels > 0).any(axis=1))
    targets = log.items[rows, log.labels[rows].argmax(axis=1)]
    context = log.context(rows, agent.index.steps)
    liked = agent.liked(context)
    with torch.inference_mode(), one_thread():
        asked = [next_question(user, items) for user, items in zip(context.user_ids, liked, strict=True)]
        named = hits(agent.item_logits(asked).numpy(), liked, targets)
    fitted = log.items[~held.held][log.labels[~held.held] > 0]
    counts = np.bincount(fitted, minlength=agent.index.size).astype(float)
    popular = hits(np.tile(counts, (len(rows), 1)), liked, targets)
    trained, memory = told.last["train/parameters_trained"], told.last["train/memory_bytes"]
    return (
        f"| {tuning.name.lower()} | {100 * named:.2f} % | {100 * popular:.2f} % | {len(rows):,} | {trained:,.0f} | "
        f"{memory / 1e6:.1f} MB | {seconds:.0f} s |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", default="runs/films", help="folder of the catalogue")
    parser.add_argument("--data", default="", help="MovieLens folder or zip")
    parser.add_argument("--steps", type=int, default=60_000, help="user-steps that are logged")
    parser.add_argument("--tunings", nargs="+", default=["full", "lora", "prompt"], help="full, lora, prompt")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    world = MovieHarbor(films=str(Path(given.films)), data=given.data)
    print("| tuning | hits at 10 | popularity | held-out steps | numbers trained | memory | processor |", flush=True)
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in given.tunings:
        print(measured(world, Tuning[name.upper()], given.steps, given.seed), flush=True)


if __name__ == "__main__":
    main()
