"""How long a process takes until the first step: with an empty cache of machine code, with a filled one, and of help.

python perf/start.py [--worlds interest_evolution,boredom:slate] [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

FIRST_STEP = """
import json, sys, time
began = time.perf_counter()
import recsim_env
imported = time.perf_counter()
env = recsim_env.make_env(sys.argv[1])
env.reset(seed=0)
env.step(env.action_space.sample())
print(json.dumps([imported - began, time.perf_counter() - imported]))
"""


def first_step(world: str, cache: str) -> list[float]:
    """Seconds of the import, and from there to the end of the first step, in a process of its own."""
    environment = {**os.environ, "RECSIM_ENV_CACHE": cache}
    done = subprocess.run([sys.executable, "-c", FIRST_STEP, world], capture_output=True, env=environment, check=True)
    return [float(seconds) for seconds in json.loads(done.stdout)]


def help_page() -> float:
    """Seconds of `recsim-env --help`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "benchmark.cli", "--help"], capture_output=True, check=True)
    return time.perf_counter() - began


def told(numbers: list[float]) -> str:
    return f"{statistics.median(numbers):.2f} ({min(numbers):.2f} to {max(numbers):.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default="interest_evolution,boredom:slate")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print("| | import | first step, compiled | first step, from the cache |\n|---|---|---|---|")
    for world in arguments.worlds.split(","):
        empty, filled = [], []
        for _ in range(arguments.repeats):
            with tempfile.TemporaryDirectory() as folder:
                empty.append(first_step(world, folder))
                filled.append(first_step(world, folder))
        imports = [imported for imported, _ in empty + filled]
        compiled, loaded = ([step for _, step in found] for found in (empty, filled))
        print(f"| {world} | {told(imports)} | {told(compiled)} | {told(loaded)} |", flush=True)
    print(f"\n`recsim-env --help`: {told([help_page() for _ in range(arguments.repeats)])}")


if __name__ == "__main__":
    main()
