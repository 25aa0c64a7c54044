"""Everything that happened while slates were shown, to compare one way of running a world with another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recsim_env.scenario import Scenario
from recsim_env.simulator import Simulator

STATE = ("users", "items", "responses", "slates", "memory", "lives")


def random_slates(scenario: Scenario, steps: int, users: int, seed: int) -> np.ndarray:
    """(steps, users, S) slates without repeats."""
    rng, shape = np.random.default_rng(seed), (users, scenario.num_candidates)
    places = scenario.slate_size
    return np.stack([rng.random(shape).argsort(axis=1)[:, :places].astype(np.int64) for _ in range(steps)])


@dataclass(frozen=True)
class Playback:
    """n users over some steps.

    Attributes:
        arrays: by name what was after each step (steps + 1 with the start, n, …): the state, `rows` of
            observations, `final` ones, `results` and `answers`.
        first_user: the number of the first one.
    """

    arrays: dict[str, np.ndarray]
    first_user: int = 0

    @property
    def rows(self) -> np.ndarray:
        """(steps + 1, n, width) observations."""
        return self.arrays["rows"]

    @property
    def results(self) -> np.ndarray:
        return self.arrays["results"]

    @property
    def answers(self) -> np.ndarray:
        return self.arrays["answers"]

    def of_user(self, user: int) -> Playback:
        """The same for one user."""
        return Playback({name: array[:, user : user + 1] for name, array in self.arrays.items()}, user)

    def difference(self, other: Playback, labels: tuple[str, str]) -> str:
        """Where the two first differ in a bit, in words; "" where nowhere."""
        found = [(*first_difference(a, other.arrays[name]), name) for name, a in self.arrays.items()]
        found = [place for place in found if place[0] >= 0]
        if not found:
            return ""
        step, user, byte, name = min(found, key=lambda place: place[0])
        here, there = (value_at(run.arrays[name][step, user], byte) for run in (self, other))
        where = f"at step {step}, user {self.first_user + user}: {name}{here[0]}"
        return f"{where} is {here[1]!r} {labels[0]} and {there[1]!r} {labels[1]}"


def as_bytes(array: np.ndarray) -> np.ndarray:
    """(steps, n, bytes)."""
    steps, users = array.shape[:2]
    return np.frombuffer(array.tobytes(), np.uint8).reshape(steps, users, -1)


def first_difference(a: np.ndarray, b: np.ndarray) -> tuple[int, int, int]:
    """(step, user, byte) of the first differing byte, or -1s."""
    places = np.argwhere(as_bytes(a) != as_bytes(b))
    return (int(places[0, 0]), int(places[0, 1]), int(places[0, 2])) if len(places) else (-1, -1, -1)


def value_at(record: Any, byte: int) -> tuple[str, Any]:
    """The name and the value of what stands at a byte of one user's part of an array."""
    part = np.asarray(record)
    place, within = divmod(byte, part.dtype.itemsize)
    value, name = part.reshape(-1)[place], f"[{place}]" if part.ndim else ""
    for field, (dtype, offset, *_) in (part.dtype.fields or {}).items():
        if offset <= within < offset + dtype.itemsize:
            return f"{name}.{field}", value[field].tolist()
    return name, value.item()


def play(simulator: Simulator, slates: np.ndarray, seed: int) -> Playback:
    """Start the seed's users and show them slates (steps, n, S)."""
    frames: dict[str, list[np.ndarray]] = {}

    def keep(**seen: np.ndarray) -> None:
        state = {name: getattr(simulator.state, name) for name in STATE}
        final = np.zeros_like(seen["rows"])
        final[simulator.ended] = simulator.final
        for name, array in {**state, "final": final, **seen}.items():
            frames.setdefault(name, []).append(array.copy())

    keep(rows=simulator.reset(seed))
    for shown in slates:
        rows, results, answers = simulator.step(shown)
        keep(rows=rows, results=results, answers=answers)
    return Playback({name: np.stack(kept) for name, kept in frames.items()})
