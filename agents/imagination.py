"""Futures that a planner imagines: copies of users in the simulator, with luck of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from recsim_env.env import Observation
from recsim_env.layout import build_layout
from recsim_env.records import items_in, users_in
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options, Simulator
from recsim_env.snapshot import Snapshot, imagined, restore, snapshot_of

OPTIONS = Options(observe="full")
Policy = Callable[[Observation, np.ndarray], np.ndarray]  # observations of n copies and their places (n,) -> (n, S)
HALF = 0.5
FEW = 100  # copies for which a smaller simulator brings nothing


class Imagination:
    """Plays policies in a world as its planner knows it: nothing is blurred, and rewards come when they are earned."""

    def __init__(self, scenario: Scenario) -> None:
        clear = scenario.noise == 0.0 and scenario.reward_delay == 0
        self.scenario = scenario if clear else dataclasses.replace(scenario, noise=0.0, reward_delay=0)

    def strangers(self, users: int, seed: int) -> Snapshot:
        """New people at the beginning of their sessions."""
        simulator = Simulator(self.scenario, users, OPTIONS, autoreset=False)
        return snapshot_of(simulator, simulator.reset(seed))

    def seen(self, copies: Snapshot) -> Observation:
        """What was seen of them last; nothing of users put together by `copies`."""
        return build_layout(self.scenario, observe="full", history=0, totals=False).split(copies.rows)

    def copies(self, observation: Observation) -> Snapshot:
        """The users of a full observation with the session's totals, as far as it shows them."""
        first = int(self.scenario.first_slate == "random")  # the totals count it, the session's steps do not
        steps = np.rint(observation["totals"][:, 0]).astype(np.int64) - first
        users, items = users_in(self.scenario, observation), items_in(self.scenario, observation)
        return imagined(self.scenario, OPTIONS, users, items, steps)

    def play(
        self, copies: Snapshot, luck: np.ndarray | None, first: np.ndarray | None, policy: Policy, steps: int
    ) -> np.ndarray:
        """(n,) the rewards of so many steps, or fewer where sessions end.

        Args:
            copies: n users.
            luck: (n,) of each copy; None: what comes of the copies' own.
            first: (n, S) the first slates; None: the policy's, where the copies were seen.
            policy: what shows the other ones.
            steps: at most.
        """
        return self._play(copies, luck, first, policy, steps, np.arange(len(copies)))

    def _play(
        self, copies: Snapshot, luck: Any, first: np.ndarray | None, policy: Policy, steps: int, places: np.ndarray
    ) -> np.ndarray:
        """As `play`, of the copies at `places` (n,); who is left when half are gone goes on in a smaller simulator."""
        simulator, rows = Simulator(self.scenario, len(copies), OPTIONS, autoreset=False), copies.rows
        restore(simulator, copies, luck)
        total, ended = np.zeros(len(copies)), np.zeros(len(copies), bool)
        for step in range(steps):
            slates = policy(simulator.layout.split(rows), places) if step or first is None else first
            rows, results, _ = simulator.step(np.ascontiguousarray(slates, np.int64))
            total += np.where(ended, 0.0, results["reward"])
            ended |= results["terminated"] | results["truncated"]
            if ended.all():
                break
            if ended.mean() > HALF and len(copies) > FEW:
                left = snapshot_of(simulator, rows).take(~ended)
                total[~ended] += self._play(left, None, None, policy, steps - step - 1, places[~ended])
                break
        return total
