"""How fast the simulation is on a GPU, beside the processor of the same machine: prepared random slates.

    python perf/cuda_speed.py [--worlds interest_evolution,boredom:slate] [--repeats 5] [--out FILE.json]

Prints a table: the median of the repeats, lowest and highest. On the processor all its cores work. Observations are
written on the device that simulates, and read by nobody.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from recsim_env.cuda_simulator import CudaSimulator
from recsim_env.registration import find_world
from recsim_env.resources import usable_cores
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options, Simulator

USERS = (1024, 16_384, 262_144, 1_048_576)
PREPARED, SECONDS = 4, 0.5  # slates to take turns; about how long a repeat takes


def prepared(world: Scenario, users: int) -> list[np.ndarray]:
    """Slates (users, S); what repeats is repaired."""
    rng = np.random.default_rng(0)
    return [rng.integers(world.num_candidates, size=(users, world.slate_size)) for _ in range(PREPARED)]


def on_the_gpu(world: Scenario, users: int) -> Callable[[int], None]:
    simulator = CudaSimulator(world, users)
    simulator.reset(0)
    slates = [torch.as_tensor(each, device="cuda") for each in prepared(world, users)]

    def play(steps: int) -> None:
        for k in range(steps):
            simulator.step(slates[k % PREPARED])
        torch.cuda.synchronize()

    return play


def on_the_processor(world: Scenario, users: int) -> Callable[[int], None]:
    simulator = Simulator(world, users, Options(), autoreset=True)
    simulator.reset(0)
    slates = prepared(world, users)

    def play(steps: int) -> None:
        for k in range(steps):
            simulator.step(slates[k % PREPARED])

    return play


def rates(play: Callable[[int], None], users: int, repeats: int) -> list[float]:
    """User-steps a second, of each repeat."""
    play(3)
    began = time.perf_counter()
    play(3)
    steps = max(3, int(3 * SECONDS / (time.perf_counter() - began)))
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        play(steps)
        found.append(users * steps / (time.perf_counter() - began))
    return found


def row(name: str, users: int, repeats: int) -> dict[str, Any]:
    """The two devices on one world."""
    world = find_world(name).make()
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    play = on_the_gpu(world, users)
    play(1)
    first = time.perf_counter() - began
    gpu = rates(play, users, repeats)
    memory = torch.cuda.max_memory_allocated() / users
    del play
    torch.cuda.empty_cache()
    processor = rates(on_the_processor(world, users), users, repeats)
    return {"world": name, "users": users, "gpu": gpu, "processor": processor, "bytes": memory, "first": first}


def told(numbers: list[float]) -> str:
    million = [number / 1e6 for number in numbers]
    return f"{statistics.median(million):,.2f} ({min(million):,.2f} to {max(million):,.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default="interest_evolution,boredom:slate")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers")
    arguments = parser.parse_args()
    device, cores = torch.cuda.get_device_name(), usable_cores()
    title = f"million user-steps a second: {device}, {cores} cores, median of {arguments.repeats} (lowest to highest)"
    table = Table("world", "users", "on the GPU", "on the processor", "ratio", "bytes a user", title=title)
    found = []
    for name in arguments.worlds.split(","):
        for users in USERS:
            found.append(row(name, users, arguments.repeats))
            gpu, processor = found[-1]["gpu"], found[-1]["processor"]
            ratio = f"{statistics.median(gpu) / statistics.median(processor):.1f}"
            table.add_row(name, f"{users:,}", told(gpu), told(processor), ratio, f"{found[-1]['bytes']:,.0f}")
            if arguments.out:
                arguments.out.write_text(json.dumps({"device": device, "cores": cores, "rows": found}, indent=2))
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
