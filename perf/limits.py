"""How far a user-step is from the least time that it could take on this machine.

    python perf/limits.py [--worlds interest_evolution,boredom:slate,…] [--users 16384] [--repeats 5] [--out FILE.json]

A user-step cannot do without its random numbers, and without reading and writing the user's records, the observation
and what is told of the step. Both are counted: the hashes that the plain form of the world computes, and the bytes of
every array that a step reads or writes, once for each. What a hash and a byte cost at least is measured here, on all
cores, in loops that do nothing else. The least time is their sum; the ratio is how many times as long a step of
`make_vector_env` takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from recsim_env import RecVectorEnv, find_world, make_vector_env, streams
from recsim_env.compile_cache import compiled
from recsim_env.playback import random_slates
from recsim_env.resources import usable_cores
from recsim_env.simulator import Options
from recsim_env.state import RESULT
from recsim_env.streams import U_GOLDEN, mix_bits

WORLDS = "interest_evolution,boredom:slate,long_term_satisfaction:hard,organic_bandit,retention"
HASHES, BYTES, COUNTED_USERS, COUNTED_STEPS = 30_000_000, 1 << 27, 20, 10
HEAD = (
    "| world | hashes | bytes | least nanoseconds: hashes | bytes | both | measured (lowest to highest) | ratio |\n"
    "|---|---|---|---|---|---|---|---|"
)
mix_compiled: Any = compiled(mix_bits)


@compiled
def hash_many(count: int) -> Any:
    """The sum of so many numbers of one stream, so that none is left out."""
    state, total = np.uint64(1), np.uint64(0)
    for _ in range(count):
        state += U_GOLDEN
        total += mix_compiled(state)
    return total


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """The least of several times."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def ceilings(repeats: int) -> tuple[float, float]:
    """Nanoseconds of a hash and of a byte read or written, on all cores."""
    cores = usable_cores()
    source, target = (np.ones((cores, BYTES // 8)) for _ in range(2))
    with ThreadPoolExecutor(cores) as pool:
        hashing = seconds(lambda: list(pool.map(hash_many, [HASHES] * cores)), repeats)
        copying = seconds(lambda: list(pool.map(np.copyto, target, source)), repeats)
    return 1e9 * hashing / (HASHES * cores), 1e9 * copying / (2 * BYTES * cores)


def slates_of(envs: Any, users: int) -> np.ndarray:
    """Random slates (users, places) without repeats, those of a thousand users again and again."""
    return np.resize(random_slates(envs.scenario, 1, min(users, 1000), 0)[0], (users, envs.scenario.slate_size))


def hashes_of(world: str) -> float:
    """How many a user-step computes, sessions that begin anew among them."""
    envs = RecVectorEnv(find_world(world).make(), COUNTED_USERS, Options(jit=False))
    envs.reset(seed=0)
    slates = slates_of(envs, COUNTED_USERS)
    with patch.object(streams, "mix", wraps=streams.mix) as counted:
        for _ in range(COUNTED_STEPS):
            envs.step(slates)
    return counted.call_count / (COUNTED_USERS * COUNTED_STEPS)


def bytes_of(envs: Any) -> float:
    """Bytes that a user-step reads or writes: the state both, items too where they are offered anew."""
    simulator, state = envs.simulator, envs.simulator.state
    twice = [state.users, state.responses, state.slates, state.memory, state.lives, state.pending]
    if not envs.scenario.offer_is_fixed:
        twice.append(state.items)
    told = 4 * simulator.layout.width + state.responses[0].nbytes + RESULT.itemsize  # observation, info, result
    return 2 * sum(array[0].nbytes for array in twice) + told + state.slates[0].nbytes


def measured(world: str, users: int, repeats: int) -> tuple[list[float], float]:
    """Nanoseconds of a user-step, of each repeat, and its bytes."""
    envs = make_vector_env(world, users)
    slates, held = slates_of(envs, users), [envs.reset(seed=0)[0]]
    steps = max(10, 2_000_000 // users)

    def play() -> None:
        for _ in range(steps):
            held[0] = envs.step(slates)[0]

    play()
    return [1e9 * seconds(play, 1) / (steps * users) for _ in range(repeats)], bytes_of(envs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default=WORLDS)
    parser.add_argument("--users", type=int, default=16_384)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers")
    arguments = parser.parse_args()
    hash_many(1)
    a_hash, a_byte = ceilings(arguments.repeats)
    print(
        f"{usable_cores()} cores: {a_hash:.2f} nanoseconds a hash, {1.0 / a_byte:.1f} GB a second\n\n{HEAD}", flush=True
    )
    rows: list[dict[str, Any]] = []
    for world in arguments.worlds.split(","):
        times, size = measured(world, arguments.users, arguments.repeats)
        hashes, middle = hashes_of(world), statistics.median(times)
        least = a_hash * hashes, a_byte * size
        rows.append({"world": world, "hashes": hashes, "bytes": size, "least": least, "nanoseconds": times})
        print(
            f"| {world} | {hashes:.1f} | {size:,.0f} | {least[0]:.0f} | {least[1]:.0f} | {sum(least):.0f} | "
            f"{middle:.0f} ({min(times):.0f} to {max(times):.0f}) | {middle / sum(least):.1f} |",
            flush=True,
        )
    if arguments.out:
        ceiling = {"nanoseconds_a_hash": a_hash, "nanoseconds_a_byte": a_byte}
        arguments.out.write_text(json.dumps({**ceiling, "worlds": rows}, indent=2))


if __name__ == "__main__":
    main()
