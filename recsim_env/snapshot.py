"""Users as they are at one moment, to go on from: exactly, or into futures that a planner imagines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsim_env.errors import InvalidParameter
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options, Simulator
from recsim_env.state import LIFE
from recsim_env.streams import imagined_keys

KEPT = ("users", "items", "responses", "slates", "memory", "lives", "pending")  # of State; the words are views of them
FIXED = "items"  # where the offer is fixed these are the scenario's own, and not kept
WATCHING = ("observe", "history", "totals")  # the options that the memory and the rows depend on


@dataclass(frozen=True)
class Snapshot:
    """Copies of the state of n users and of what was seen of them last.

    Attributes:
        scenario, options: of the environment that it was taken of.
        rows: (n, width) float32, the last observations.
        state: the arrays of `State` that a life goes on from, n rows each.
    """

    scenario: Scenario
    options: Options
    rows: np.ndarray
    state: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Any) -> Snapshot:
        """The users at `indices`, positions or a mask; a user may be taken several times."""
        chosen = np.asarray(indices)
        state = {name: array[chosen] for name, array in self.state.items()}
        return Snapshot(self.scenario, self.options, self.rows[chosen], state)

    def put(self, indices: Any, users: Snapshot) -> None:
        """Write `users`, of the same world and options, over those at `indices`."""
        refuse_other(users, self.scenario, self.options)
        self.rows[indices] = users.rows
        for name, array in self.state.items():
            array[indices] = users.state[name]


def snapshot_of(simulator: Simulator, rows: np.ndarray) -> Snapshot:
    """The simulator's users now; `rows` (n, width) is what was seen of them last."""
    kept = [name for name in KEPT if not (name == FIXED and simulator.scenario.offer_is_fixed)]
    state = {name: getattr(simulator.state, name).copy() for name in kept}
    return Snapshot(simulator.scenario, simulator.options, rows.copy(), state)


def refuse_other(snapshot: Snapshot, scenario: Scenario, options: Options) -> None:
    """Raise `InvalidParameter` where a snapshot is of another world, or watched in another way."""
    if snapshot.scenario != scenario:
        raise InvalidParameter(f"the snapshot is of {snapshot.scenario}, and this environment of {scenario}")
    for name in WATCHING:
        there, here = getattr(snapshot.options, name), getattr(options, name)
        if there != here:
            rule = "a snapshot goes on where its users are watched in the same way"
            raise InvalidParameter(f"{rule}: it was taken with {name}={there!r}, and this environment has {here!r}")


def restore(simulator: Simulator, snapshot: Snapshot, luck: Any) -> None:
    """Let the simulator's users go on from a snapshot of as many users.

    Args:
        simulator: of the same scenario and the same options of watching.
        snapshot: of as many users as the simulator has.
        luck: None: what comes is what would have come. A whole number, or one for each user (n,): what comes is
            drawn anew, the same for the same number and another for each other one, and never the real future, so
            that who plans with it does not peek. The candidates on offer stay.

    Raises:
        InvalidParameter: another scenario, another way to watch, or another number of users.
    """
    refuse_other(snapshot, simulator.scenario, simulator.options)
    if len(snapshot) != simulator.n:
        raise InvalidParameter(f"the snapshot holds {len(snapshot)} users, and this environment {simulator.n}")
    for name, array in snapshot.state.items():
        getattr(simulator.state, name)[...] = array
    if luck is not None:
        change_luck(simulator.state.lives, luck)


def change_luck(lives: np.ndarray, luck: Any) -> None:
    """Give lives (n,) the keys of an imagined future, in this session and in those after it."""
    wanted = np.asarray(luck)
    if wanted.dtype.kind not in "iu" or wanted.shape not in ((), lives.shape) or (wanted < 0).any():
        rule = f"luck must be None, a whole number from 0, or one for each of {len(lives)} users"
        raise InvalidParameter(f"{rule}, not {luck!r}")
    for name in ("root", "key"):
        lives[name] = imagined_keys(lives[name], np.broadcast_to(wanted, lives.shape))


def imagined(scenario: Scenario, options: Options, users: np.ndarray, items: np.ndarray, steps: np.ndarray) -> Snapshot:
    """A snapshot of users (n,) and of what is on offer to them (n, C), put together from records.

    They have played `steps` (n,) of their session. Of their luck, their last slate and what was seen nothing is
    known: the keys are all alike, to be restored with a luck for each, and the rows and the rest are zeros.
    """
    simulator = Simulator(scenario, len(users), options, autoreset=False)
    lives = np.zeros(len(users), LIFE)
    lives["step"] = steps
    given = {"users": users, "lives": lives} | ({} if scenario.offer_is_fixed else {"items": items})
    for name, values in given.items():
        getattr(simulator.state, name)[...] = values
    return snapshot_of(simulator, np.zeros((len(users), simulator.layout.width), np.float32))
