"""What a user-step costs in each world, in steps of the Python interpreter: a count, and so the same on every machine.

    python perf/instructions.py [--check] [--write]

The loop and the verbs are the same text compiled and plain; here the plain one runs, and its bytecode instructions are
counted, which says how much work a step asks for, whatever the machine. `--check` compares with the counts on record in
instructions.json, kept by version of Python, and fails where a world needs a tenth more; `--write` records them.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from recsim_env.errors import RecSimError
from recsim_env.registration import find_world, preset_files, registered
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options, Simulator

RECORD = Path(__file__).with_name("instructions.json")
USERS, STEPS, SEED = 4, 6, 0
MOST = 1.1  # of what is on record


def worlds() -> Iterator[tuple[str, Scenario]]:
    """Every installed world and preset that needs no data."""
    for name in registered():
        for preset in ("", *preset_files(find_world(name).scenario)):
            label = f"{name}:{preset}" if preset else name
            world = find_world(label).make()
            try:
                _ = world.compiled_self
            except RecSimError:
                continue
            yield label, world


class Counter:
    """Counts the instructions that run within the block."""

    def __init__(self) -> None:
        self.count = 0

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.count += event == "opcode"
        return self._trace

    def __enter__(self) -> Counter:
        self.before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: Any) -> None:
        sys.settrace(self.before)


def count(world: Scenario) -> int:
    """Instructions of a user-step of random slates, sessions that begin anew among them."""
    simulator = Simulator(world, USERS, Options(jit=False), autoreset=True)
    simulator.reset(SEED)
    rng = np.random.default_rng(SEED)
    shape = (USERS, world.num_candidates)
    slates = [np.ascontiguousarray(rng.random(shape).argsort(axis=1)[:, : world.slate_size]) for _ in range(STEPS)]
    with Counter() as counter:
        for shown in slates:
            simulator.step(shown)
    return round(counter.count / (USERS * STEPS))


def main() -> None:
    """Count, print, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where a world needs a tenth more than on record")
    parser.add_argument("--write", action="store_true", help="record the counts")
    arguments = parser.parse_args()
    version = ".".join(platform.python_version_tuple()[:2])
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    before, now = record.get(version, {}), {}
    print(f"Instructions of a user-step, Python {version}\n\n| world | now | on record | ratio |\n|---|---|---|---|")
    for name, world in worlds():
        now[name] = count(world)
        known = f"{before[name]:,} | {now[name] / before[name]:.2f}" if name in before else "– | –"
        print(f"| {name} | {now[name]:,} | {known} |", flush=True)
    if arguments.write:
        RECORD.write_text(json.dumps({**record, version: now}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if arguments.check:
        check(now, before, version)


def check(now: dict[str, int], before: dict[str, int], version: str) -> None:
    """Exit with 1 where a world needs more than it may; say so where nothing is on record for this Python."""
    if not before:
        print(f"\nNothing was compared: no counts are on record for Python {version}; --write records them")
        return
    slower = {name: now[name] / old for name, old in before.items() if name in now and now[name] > MOST * old}
    missing = sorted(set(now) ^ set(before))
    if slower or missing:
        told = [f"{name} needs {ratio:.2f} times what is on record" for name, ratio in slower.items()]
        told += [f"{name} is {'not on record' if name in now else 'gone'}" for name in missing]
        sys.exit("; ".join(told) + ". Mend it, or record it with --write and say why")


if __name__ == "__main__":
    main()
