"""How fast the simulation is: interest_evolution, 10 candidates, a slate of 3, prepared random slates.

    python perf/speed.py [--seconds 2] [--repeats 5]

Prints a table: the median of the repeats, and their spread. Absolute times do not transfer between machines.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

import recsim_env

ID = "recsim_env/InterestEvolution-v0"
USERS = (1, 64, 1024, 16_384, 262_144)
PREPARED = 8


def random_slates(rng: np.random.Generator, users: int) -> list[np.ndarray]:
    """Slates (users, 3) without repeats, several so that steps differ."""
    return [np.ascontiguousarray(rng.random((users, 10)).argsort(axis=1)[:, :3]) for _ in range(PREPARED)]


def single() -> Callable[[int], None]:
    """One user through `gymnasium.make`; the session is begun anew when it ends."""
    env = gymnasium.make(ID, num_candidates=10, slate_size=3)
    env.reset(seed=0)
    slates = [slate[0] for slate in random_slates(np.random.default_rng(0), 1)]

    def play(steps: int) -> None:
        for k in range(steps):
            _, _, terminated, truncated, _ = env.step(slates[k % PREPARED])
            if terminated or truncated:
                env.reset()

    return play


def batch(users: int) -> Callable[[int], None]:
    """Many users through `gymnasium.make_vec`."""
    envs = gymnasium.make_vec(ID, num_envs=users, num_candidates=10, slate_size=3)
    envs.reset(seed=0)
    slates = random_slates(np.random.default_rng(0), users)

    def play(steps: int) -> None:
        for k in range(steps):
            envs.step(slates[k % PREPARED])

    return play


def seconds_a_step(play: Callable[[int], None], seconds: float, repeats: int) -> list[float]:
    """Time a step, measured `repeats` times over about `seconds` each."""
    play(10)
    began = time.perf_counter()
    play(10)
    steps = max(5, int(10 * seconds / (time.perf_counter() - began)))
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        play(steps)
        times.append((time.perf_counter() - began) / steps)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long a repeat takes")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    title = f"recsim-env {ID}, {os.cpu_count()} cores, median of {arguments.repeats} (min to max)"
    table = Table(
        "through", "users", "microseconds a step", "nanoseconds a user-step", "million user-steps/s", title=title
    )
    for name, users in (("make", 1), *(("make_vec", users) for users in USERS)):
        times = seconds_a_step(single() if name == "make" else batch(users), arguments.seconds, arguments.repeats)
        middle = statistics.median(times)
        rates = sorted(users / t / 1e6 for t in times)
        table.add_row(
            name, f"{users:,}", f"{middle * 1e6:,.1f}", f"{middle / users * 1e9:,.0f}",
            f"{users / middle / 1e6:.3f} ({rates[0]:.3f} to {rates[-1]:.3f})",
        )  # fmt: skip
    Console(width=110).print(table)


if __name__ == "__main__":
    assert recsim_env  # registers the ids
    main()
