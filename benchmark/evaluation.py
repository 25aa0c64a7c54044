"""Each evaluation user plays exactly their first session, to its end, whatever the agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from agents.torch_tools import one_thread
from benchmark.variety import Variety, spread
from recsim_env.agent import Agent
from recsim_env.env import RecVectorEnv
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.streams import Purpose

BLOCK = 1000  # users side by side; a float32 network's rows change with the batch, so it is the same everywhere
# And then what the world measures.
COLUMNS = ["seed", "people", "user", "engagement", "length", "clicks", "cut", "diversity", "slate_diversity", "entropy"]


@dataclass(frozen=True)
class Evaluation:
    """First sessions of users nobody trained on.

    Attributes:
        table: a row a user: seed, people, user, engagement, length, clicks, cut (by the horizon), diversity (one
            less the mean cosine of two items shown in the session; NaN where items have one feature or none),
            slate_diversity (the same within each slate, mean over slates), entropy (in bits, of the kinds of what was
            clicked), and what the world measures of users at their session's end.
        items: a row an item, or a kind where items have no ids: people, item, shown, users, clicks.
    """

    table: pd.DataFrame
    items: pd.DataFrame

    @property
    def summary(self) -> dict[str, float]:
        """Mean engagement and length, clicks a step pooled over users, the share of sessions cut; see also `spread`."""
        t, items = self.table, self.items.groupby("item")[["shown", "users", "clicks"]].sum()
        return {
            "engagement": float(t["engagement"].mean()),
            "length": float(t["length"].mean()),
            "click_rate": float(t["clicks"].sum() / t["length"].sum()),
            "cut": float(t["cut"].mean()),
            **spread(items, len(t)),
        }


def peoples(scenario: Scenario) -> list[tuple[str, Scenario]]:
    """The groups to evaluate: everybody, or in a persistent population the known people and the new ones."""
    if not hasattr(scenario, "people"):
        return [("all", scenario)]
    return [(group, dataclasses.replace(scenario, people=group)) for group in ("known", "new")]  # type: ignore[call-arg]


def options_of(agent: type[Agent], config: Any, observe: str) -> dict[str, Any]:
    """An agent's options of the environment; `observe` is for those that do not need the hidden state."""
    options = agent.options(config)
    return options if agent.observe == "full" else {**options, "observe": observe}


def evaluate(
    agent: Agent,
    scenario: Scenario,
    *,
    users: int,
    seed: int,
    purpose: Purpose,
    threads: int = 0,
    observe: str = "partial",
) -> Evaluation:
    """Play `users` users' first sessions in each group of people, in blocks of 1,000.

    The same (scenario, users, seed, purpose) gives every agent the same people with the same luck.
    """
    parts = [play_block(agent, b, seed, purpose, threads, observe) for b in blocks_of(scenario, users)]
    return evaluation_of(parts, seed)


def evaluation_of(parts: Sequence[Evaluation], seed: int) -> Evaluation:
    """Blocks one after another; their counts of items are added up."""
    table = pd.concat([part.table for part in parts], ignore_index=True).assign(seed=seed)
    items = pd.concat([part.items for part in parts], ignore_index=True)
    items = items.groupby(["people", "item"], sort=False, as_index=False).sum()
    return Evaluation(table[[*COLUMNS, *table.columns.drop(COLUMNS)]], items)


@dataclass(frozen=True)
class Block:
    """Users `first` to `first + count` of a group of people."""

    people: str
    world: Scenario
    first: int
    count: int


def blocks_of(scenario: Scenario, users: int) -> list[Block]:
    """All users to evaluate on, in each group of people."""
    return [
        Block(people, world, first, min(BLOCK, users - first))
        for people, world in peoples(scenario)
        for first in range(0, users, BLOCK)
    ]


def play_block(agent: Agent, block: Block, seed: int, purpose: Purpose, threads: int, observe: str) -> Evaluation:
    """Some users; who plays them changes nothing."""
    watched = options_of(type(agent), agent.config, observe)
    options = Options(purpose=purpose, first_user=block.first, threads=threads, **watched)
    with one_thread():
        envs = RecVectorEnv(block.world, block.count, options)
        played = play(agent, envs, seed)
    return Evaluation(played.table.assign(people=block.people), played.items.assign(people=block.people))


def play(agent: Agent, envs: RecVectorEnv, seed: int) -> Evaluation:
    """One block: step until everybody's first session is over; who finishes first is not who is counted."""
    n, first = envs.num_envs, envs.options.first_user
    rng = np.random.default_rng([seed, first])
    engagement, length, clicks = np.zeros(n), np.zeros(n, np.int64), np.zeros(n)
    cut, playing = np.zeros(n, bool), np.ones(n, bool)
    last = np.zeros(n, envs.scenario.user_dtype)
    observation, _ = envs.reset(seed=seed)
    variety = Variety(envs)
    while playing.any():
        slates = agent.act(observation, rng)
        variety.show(observation, slates, playing)
        observation, _, terminated, _, info = envs.step(slates)
        variety.answer(info["clicked"], playing)
        if "_session" not in info:
            continue
        ended, session = info["_session"] & playing, info["session"]
        engagement[ended], length[ended] = session["engagement"][ended], session["length"][ended]
        clicks[ended] = (session["click_rate"] * session["length"])[ended]
        cut[ended] = ~terminated[ended]
        counted = playing[envs.simulator.ended]
        last[envs.simulator.ended[counted]] = envs.simulator.ended_users[counted]
        playing &= ~ended
    told = {"engagement": engagement, "length": length, "clicks": clicks, "cut": cut, **variety.of_users()}
    users = pd.DataFrame({"user": np.arange(first, first + n), **told, **envs.scenario.measures(last)})
    return Evaluation(users, variety.of_items().rename_axis("item").reset_index())
