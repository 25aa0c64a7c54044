"""How fast the simulation is in each world: random slates, prepared beforehand.

    python perf/speed.py [--worlds interest_evolution,boredom:slate] [--users 1,64,1024,16384,262144] [--seconds 1]
                         [--repeats 5] [--out FILE.json]

Prints a table: the median of the repeats, and their spread. Absolute times do not transfer between machines. Bytes a
user are what the process grew by (on Linux), from 100,000 users on, beside the two observations that are alive at a
time: the one that is held and the one that is written.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsim_env import make_env, make_vector_env
from recsim_env.resources import usable_cores

USERS = "1,64,1024,16384,262144"
WORLDS = "interest_evolution,boredom:slate,long_term_satisfaction:hard,organic_bandit,retention"
PREPARED, FEWEST_MEASURED = 4, 100_000
HEAD = (
    "| world | through | users | microseconds a step | nanoseconds a user-step | million user-steps a second "
    "| bytes of an observation | bytes a user beside two |\n|---|---|---|---|---|---|---|---|"
)
Play = Callable[[int], None]


@dataclass
class Row:
    """What was measured of so many users of a world; seconds a step, of each repeat."""

    world: str
    through: str
    users: int
    seconds: list[float]
    observation: int
    grown: float | None = None


def random_slates(candidates: int, places: int, users: int) -> list[np.ndarray]:
    """Slates (users, places), several so that steps differ; the loop repairs what repeats."""
    rng = np.random.default_rng(0)
    return [rng.integers(candidates, size=(users, places)) for _ in range(PREPARED)]


def single(world: str) -> tuple[Play, int]:
    """One user, with a session begun anew when it ends; and the bytes of an observation."""
    env = make_env(world)
    observation, _ = env.reset(seed=0)
    slates = [slate[0] for slate in random_slates(env.scenario.num_candidates, env.scenario.slate_size, 1)]

    def play(steps: int) -> None:
        for k in range(steps):
            _, _, terminated, truncated, _ = env.step(slates[k % PREPARED])
            if terminated or truncated:
                env.reset()

    return play, sum(part.nbytes for part in observation.values())


def batch(world: str, users: int) -> tuple[Play, int, float]:
    """Many users; the bytes of one's observation in memory, and of one's prepared slates."""
    envs = make_vector_env(world, users)
    slates = random_slates(envs.scenario.num_candidates, envs.scenario.slate_size, users)
    seen: dict[str, Any] = {"now": envs.reset(seed=0)[0]}

    def play(steps: int) -> None:
        for k in range(steps):
            seen["now"] = envs.step(slates[k % PREPARED])[0]  # held, as whoever looks at it would

    return play, 4 * envs.simulator.layout.width, sum(each.nbytes for each in slates) / users


def resident() -> int:
    """Bytes of memory that the process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def seconds_a_step(play: Play, seconds: float, repeats: int) -> list[float]:
    """Time a step, measured `repeats` times over about `seconds` each."""
    began = time.perf_counter()
    play(5)
    steps = max(5, int(5 * seconds / (time.perf_counter() - began)))
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        play(steps)
        times.append((time.perf_counter() - began) / steps)
    return times


def measure(world: str, users: Sequence[int], seconds: float, repeats: int) -> list[Row]:
    """One user through `make_env`, and each number of users through `make_vector_env`."""
    play, size = single(world)
    play(5)  # which compiles
    rows = [Row(world, "make_env", 1, seconds_a_step(play, seconds, repeats), size)]
    for count in users:
        before = resident()
        play, size, prepared = batch(world, count)
        play(10)
        grown = (resident() - before) / count - prepared if count >= FEWEST_MEASURED else None
        rows.append(Row(world, "make_vector_env", count, seconds_a_step(play, seconds, repeats), size, grown))
        del play
    return rows


def told(row: Row) -> str:
    """A row of the table."""
    middle = statistics.median(row.seconds)
    rates = sorted(row.users / t / 1e6 for t in row.seconds)
    rest = "" if row.grown is None else f"{row.grown - 2 * row.observation:,.0f}"
    return (
        f"| {row.world} | {row.through} | {row.users:,} | {middle * 1e6:,.1f} | {middle / row.users * 1e9:,.0f} | "
        f"{row.users / middle / 1e6:.3f} ({rates[0]:.3f} to {rates[-1]:.3f}) | {row.observation:,} | {rest} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default=WORLDS)
    parser.add_argument("--users", default=USERS, help="how many side by side, separated by commas")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a repeat takes")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers")
    arguments = parser.parse_args()
    print(f"{usable_cores()} cores, median of {arguments.repeats} (lowest to highest)\n\n{HEAD}", flush=True)
    rows: list[Row] = []
    users = [int(n) for n in arguments.users.split(",")]
    # A process a world: memory that another one gave back would not count.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as alone:
        for world in arguments.worlds.split(","):
            found = alone.submit(measure, world, users, arguments.seconds, arguments.repeats).result()
            rows += found
            for row in found:
                print(told(row), flush=True)
            if arguments.out:
                arguments.out.write_text(json.dumps([asdict(row) for row in rows], indent=2))


if __name__ == "__main__":
    main()
