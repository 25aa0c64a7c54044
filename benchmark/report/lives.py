"""A few users' sessions, step by step, under each agent with the same luck: what the report replays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.evaluation import BLOCK, peoples
from benchmark.preview.play import Block
from benchmark.report.data import Results
from benchmark.results.plan import REFERENCES
from benchmark.run import load
from recsim_env.errors import RunFailed
from recsim_env.fields import Field
from recsim_env.render import number
from recsim_env.scenario import Scenario

MOST_AGENTS = 12  # that can be replayed: the best
MOST_STEPS = 500  # of a session that are kept
DIGITS = 4  # of a number of the user's state
SEED = 0  # whose agents and users are replayed


class Witness:
    """A tally that keeps what some users of a block were shown and clicked, of the last slate (see `Block.step`)."""

    title = "shown"

    def __init__(self, block: Block, users: Sequence[int]) -> None:
        self.block, self.users = block, users
        self.counts = np.zeros(0)
        self.slates: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def count(self, offered: np.ndarray, slates: np.ndarray, clicked: np.ndarray) -> None:
        """Keep the rows of these users, among those who still are in session."""
        rows = self.block.playing.cumsum() - 1
        for user in self.users:
            if self.block.playing[user]:
                row = rows[user]
                self.slates[user] = offered[row][slates[row]], clicked[row]


@dataclass(frozen=True)
class Teller:
    """A world's items and users in the words and numbers that a page can show."""

    scenario: Scenario

    def fields(self) -> list[dict[str, Any]]:
        """Name, unit, bounds and meaning of each user field but the id."""
        return [
            {"name": f.name, "unit": f.unit, "about": f.about, "low": bound(f.low), "high": bound(f.high)}
            for f in self.user_fields()
        ]

    def user_fields(self) -> list[Field]:
        return [f for f in self.scenario.user_fields() if f.name != "id"]

    def state(self, user: np.void) -> list[Any]:
        """A number, or a list of them, for each of `fields`."""
        return [rounded(user[f.name]) for f in self.user_fields()]

    def item(self, item: np.void) -> str:
        """An item in a line: its name or number, and each of its features."""
        return ", ".join(self._feature(f, item[f.name]) for f in self.scenario.item_fields() if f.name != "allowed")

    def _feature(self, field: Field, value: Any) -> str:
        if field.name == "id":
            names = self.scenario.item_names()
            return names[int(value)] if names else f"item {int(value)}"
        if field.shape > 1:
            return f"{field.name} {int(np.argmax(value))}"
        return f"{field.name} {number(rounded(np.ravel(value)[0]))}"


def bound(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def rounded(value: Any) -> Any:
    """Plain numbers with few digits; NaN becomes None, which JSON knows."""
    if np.ndim(value):
        return [rounded(one) for one in value]
    plain = value.item()
    if isinstance(plain, float):
        return float(f"{plain:.{DIGITS}g}") if np.isfinite(plain) else None
    return plain


def lives_of(block: Block, teller: Teller, users: Sequence[int]) -> list[dict[str, Any]]:
    """The first sessions of some users of a block, which is played as in an evaluation until they are over.

    Each is the state `first`, the `steps` (of each the items shown, with 1 where they were clicked, the reward, and
    the state after it), and whether a horizon `cut` it.
    """
    witness = Witness(block, users)
    lives: list[dict[str, Any]] = [{"first": teller.state(block.users[user]), "steps": []} for user in users]
    here = block.playing[list(users)].copy()
    while here.any():
        block.step([witness])
        for story, user, plays in zip(lives, users, here, strict=True):
            if plays and len(story["steps"]) < MOST_STEPS:
                items, clicked = witness.slates[user]
                shown = [[teller.item(item), int(click > 0)] for item, click in zip(items, clicked, strict=True)]
                story["steps"].append([shown, rounded(block.rewards[user]), teller.state(block.users[user])])
        here = block.playing[list(users)].copy()
    for story, user in zip(lives, users, strict=True):
        story |= {"cut": bool(block.cut[user]), "engagement": rounded(block.engagement[user])}
        story["length"] = int(block.length[user])
    return lives


def pair_of(ranking: pd.DataFrame) -> tuple[str, str]:
    """Who stand side by side at first: the best agent that has to learn, and myopic_oracle or the next one."""
    names = [str(name) for name in ranking["agent"]]
    best = next((name for name in names if name not in REFERENCES), names[0])
    others = [name for name in ("myopic_oracle", *names) if name in names and name != best]
    return best, others[0] if others else best


def users_of(results: Results, world: str, pair: tuple[str, str], count: int) -> list[int]:
    """Users of the first block in whom the pair's difference lies evenly spread: of three a low, the middle, a high."""
    table = results.users
    own = table[(table["scenario"] == world) & (table["seed"] == SEED) & (table["user"] < BLOCK)]
    ends = own.pivot_table(index="user", columns="agent", values="engagement")
    order = (ends[pair[0]] - ends[pair[1]]).sort_values(kind="stable").index.to_numpy()
    places = ((np.arange(count) + 0.5) / count * len(order)).astype(int)
    return list(dict.fromkeys(int(user) for user in order[places]))


def replayed(
    results: Results, world: str, scenario: Scenario, count: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """What the page replays of a world: users, their fields, and each agent's lives.

    Args:
        count: how many users.
        tell: takes each agent's name before it plays.
    """
    ranking, experiment = results.rankings[world], results.experiment
    here = [run.agent for run in results.whole_runs if run.seed == SEED and run.scenario == world]
    if not here:
        raise RunFailed(f"each run with seed {SEED} failed")
    pair, (_, people) = pair_of(ranking[ranking["agent"].isin(here)]), peoples(scenario)[0]
    users, teller = users_of(results, world, pair, count), Teller(people)
    agents = list(dict.fromkeys([*pair, *ranking["agent"][:MOST_AGENTS]]))
    runs = {run.agent: run for run in results.whole_runs if run.seed == SEED and run.scenario == world}
    lives = {}
    for name in filter(runs.__contains__, agents):
        tell(name)
        agent = load(runs[name], scenario, runs[name].folder(results.folder) / "agent")
        block = Block(agent, people, 0, min(BLOCK, experiment.users), SEED, experiment.observe)
        lives[name] = lives_of(block, teller, users)
    return {"users": users, "fields": teller.fields(), "pair": list(pair), "lives": lives}
