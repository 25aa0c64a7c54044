"""Users played slate by slate, and what is kept of them: counts and quantiles, not everybody's every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agents.torch_tools import one_thread
from benchmark.evaluation import BLOCK, options_of
from benchmark.preview.items import Tally, tallies_of
from recsim_env.agent import Agent
from recsim_env.env import RecVectorEnv
from recsim_env.fields import Field
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options
from recsim_env.streams import Purpose

MOST = 500  # slates of which quantiles are kept
LEVELS = (0.1, 0.5, 0.9)
FEW = 4  # a list of so many numbers is followed number by number, a longer one by its largest, mean and smallest
EXAMPLES = 4  # users who are followed one by one


def names_of(field: Field) -> list[str]:
    """The curves by which a user field is followed."""
    if field.categories and not field.shape:
        return [str(k) for k in range(field.categories)]
    if field.shape <= 1:
        return [field.name]
    return [f"{field.name}[{k}]" for k in range(field.shape)] if field.shape <= FEW else ["largest", "mean", "smallest"]


def curves_of(field: Field, records: np.ndarray) -> np.ndarray:
    """(n, curves): each user's numbers, as `names_of` names them; of a category 1 where the user is in it."""
    values = records[field.name]
    if field.categories and not field.shape:
        return (values[:, None] == np.arange(field.categories)).astype(float)
    if field.shape <= FEW:
        return values.reshape(len(values), -1).astype(float)
    return np.stack([values.max(1), values.mean(1), values.min(1)], axis=1)


@dataclass
class Followed:
    """A user field over the session.

    Attributes:
        quantiles: a (3, curves) array after 0, 1, 2, … slates, over the users still in session; of a category
            each level is the share of them who are in it.
        examples: (EXAMPLES, curves) after 0, 1, 2, … slates, with NaN after a user's last one.
        moves: whether it changed for anybody while in session.
    """

    field: Field
    quantiles: list[np.ndarray]
    examples: list[np.ndarray]
    moves: bool = False

    @property
    def spread(self) -> bool:
        """Whether it ever told users apart."""
        if self.is_shares:
            return any(((q > 0) & (q < 1)).any() for q in self.quantiles)
        return any(np.ptp(q, axis=0).any() for q in self.quantiles)

    @property
    def is_shares(self) -> bool:
        return bool(self.field.categories) and not self.field.shape


class Block:
    """Up to 1,000 users in their first sessions; places whose first session is over are not looked at."""

    def __init__(self, agent: Agent, scenario: Scenario, first: int, n: int, seed: int, observe: str) -> None:
        options = Options(purpose=Purpose.TEST, first_user=first, **options_of(type(agent), agent.config, observe))
        self.agent, self.envs, self.first = agent, RecVectorEnv(scenario, n, options), first
        self.rng = np.random.default_rng([seed, first])
        self.playing, self.cut = np.ones(n, bool), np.zeros(n, bool)
        self.engagement, self.length, self.clicks = np.zeros(n), np.zeros(n, np.int64), np.zeros(n)
        self.observation, _ = self.envs.reset(seed=seed)
        self.users = self.envs.simulator.state.users.copy()  # as they are now, or were when their session ended
        self.rewards, self.clicked = np.zeros(n), np.zeros((n, scenario.slate_size))

    def step(self, tallies: Sequence[Tally]) -> None:
        """Show everybody a slate, and count what those in their first session were offered, shown and clicked."""
        state, slates = self.envs.simulator.state, self.agent.act(self.observation, self.rng)
        here = self.playing.copy()
        offered = state.items[here]  # a copy: by the end of the step the next ones are on offer
        self.observation, self.rewards, terminated, _, info = self.envs.step(slates)
        self.clicked = np.asarray(info["clicked"], float)
        ended = info.get("_session", np.zeros(len(here), bool)) & here
        shown = np.where(ended[:, None], np.reshape(slates, state.slates.shape), state.slates)
        for tally in tallies:
            tally.count(offered, shown[here], self.clicked[here])
        users = state.users.copy()
        users[self.envs.simulator.ended] = self.envs.simulator.ended_users
        self.users[here] = users[here]
        self.playing &= ~ended
        if ended.any():
            self._end(ended, terminated, info["session"])

    def _end(self, ended: np.ndarray, terminated: np.ndarray, session: dict[str, np.ndarray]) -> None:
        self.engagement[ended], self.length[ended] = session["engagement"][ended], session["length"][ended]
        self.clicks[ended] = (session["click_rate"] * session["length"])[ended]
        self.cut[ended] = ~terminated[ended]

    def table(self) -> pd.DataFrame:
        """A row a user, as an evaluation has it."""
        told = {"engagement": self.engagement, "length": self.length, "clicks": self.clicks, "cut": self.cut}
        measures = self.envs.scenario.measures(self.users)
        return pd.DataFrame({"user": self.first + np.arange(len(self.cut)), **told, **measures})


class Journey:
    """What users went through.

    Attributes:
        left: [t] how many users are still in session after t slates.
        rewards, clicks: [t] mean reward and clicks of slate t + 1, over those who got it.
        place_clicks: (S,) share of slates with a click on each place.
        followed: user fields, by name, for the first `MOST` slates.
        tallies: what was on offer, shown and clicked.
        table: a row a user: user, engagement, length, clicks, cut, and what the world measures.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.followed = {f.name: Followed(f, [], []) for f in scenario.user_fields() if f.name != "id"}
        self.tallies = tallies_of(scenario)
        self.left: list[int] = []
        self.rewards: list[float] = []
        self.clicks: list[float] = []
        self.place_clicks = np.zeros(scenario.slate_size)
        self.table = pd.DataFrame()

    def note_users(self, users: np.ndarray, playing: np.ndarray, got: np.ndarray, before: np.ndarray) -> None:
        """After a slate: `users` (n,) as they are, who is still in session, who `got` the slate, and as they were."""
        self.left.append(int(playing.sum()))
        if len(self.left) > MOST + 1:
            return
        for name, trace in self.followed.items():
            values = curves_of(trace.field, users)
            trace.examples.append(np.where(got[:EXAMPLES, None], values[:EXAMPLES], np.nan))
            trace.moves |= bool(np.any(users[name][playing] != before[name][playing]))
            if playing.any():
                here = values[playing]
                levels = np.tile(here.mean(0), (3, 1)) if trace.is_shares else np.quantile(here, LEVELS, axis=0)
                trace.quantiles.append(levels)

    def note_slates(self, rewards: np.ndarray, clicked: np.ndarray) -> None:
        """The rewards (m,) and clicks (m, S) of those who got a slate."""
        self.rewards.append(float(rewards.mean()))
        self.clicks.append(float(clicked.sum(axis=1).mean()))
        self.place_clicks += clicked.sum(axis=0)


def watch(
    agent: Agent, scenario: Scenario, *, users: int, seed: int, observe: str, tell: Callable[[int, int], None]
) -> Journey:
    """Play the first sessions of the users that an evaluation with this seed plays, and as it plays them.

    Args:
        tell: takes the slates shown so far and how many users are still in session.
    """
    journey = Journey(scenario)
    with one_thread():
        firsts = range(0, users, BLOCK)
        blocks = [Block(agent, scenario, first, min(BLOCK, users - first), seed, observe) for first in firsts]
        playing = together(blocks, "playing")
        journey.note_users(together(blocks, "users"), playing, playing, together(blocks, "users"))
        while playing.any():
            before = together(blocks, "users")
            for block in blocks:
                if block.playing.any():
                    block.step(journey.tallies)
            journey.note_slates(together(blocks, "rewards")[playing], together(blocks, "clicked")[playing])
            still = together(blocks, "playing")
            journey.note_users(together(blocks, "users"), still, playing, before)
            playing = still
            tell(len(journey.left) - 1, journey.left[-1])
    journey.table = pd.concat([block.table() for block in blocks], ignore_index=True)
    journey.place_clicks /= journey.table["length"].sum()
    return journey


def together(blocks: Sequence[Block], name: str) -> np.ndarray:
    """An array of all blocks, a copy."""
    return np.concatenate([getattr(block, name) for block in blocks])
