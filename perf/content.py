"""How well readers tell a film's main genre from its description or its poster: the table of docs/agents.

    python perf/content.py --films runs/films [--seeds 5]

A tenth of the films is held out, another tenth for each seed. The majority is the share of the commonest main genre.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from agents.content import ContentRecommender
from agents.content_image import ContentImage, ContentImageConfig
from agents.content_text import Body, ContentText, ContentTextConfig
from agents.torch_tools import one_thread
from recsim_env.agent import NoLog, WorldSpec
from recsim_env.env import RecVectorEnv
from recsim_env.simulator import Options
from scenarios.movieharbor import MovieHarbor


def agent_of(name: str, seed: int, spec: WorldSpec) -> ContentRecommender:
    """A recommender by content, fresh."""
    if name == "content_image":
        return ContentImage(ContentImageConfig(seed=seed), spec)
    return ContentText(ContentTextConfig(seed=seed, body=Body.LSTM if name.endswith("lstm") else Body.CNN), spec)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", default="runs/films", help="folder of the catalogue")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    spec = WorldSpec.of(RecVectorEnv(MovieHarbor(films=given.films), 1, Options(history=20)))
    content = spec.content()
    assert content is not None
    kinds = content.main_kinds
    majority = np.bincount(kinds[kinds >= 0]).max() / (kinds >= 0).sum()
    print(
        "| reader | main genre told | lowest and highest seed | majority | processor |\n|---|---|---|---|---|",
        flush=True,
    )
    for name in ("content_image", "content_text, cnn", "content_text, lstm"):
        told, began = [], time.process_time()
        for seed in range(given.seeds):
            agent = agent_of(name, seed, spec)
            with one_thread():
                agent.read(NoLog())
            told.append(100 * agent.kind_accuracy)
        seconds = (time.process_time() - began) / given.seeds
        ends = f"{min(told):.1f} to {max(told):.1f} %"
        print(f"| {name} | {np.mean(told):.1f} % | {ends} | {100 * majority:.1f} % | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
