"""The command `check`: a scenario's whole contract, with a line for each part of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recsim_env.checks import check_scenario
from recsim_env.errors import InvalidParameter
from recsim_env.registration import find_world


@contextmanager
def line(name: str) -> Iterator[None]:
    """What is checked now, and then how it went."""
    print(f"{name:<26} ", end="", flush=True)
    began = time.perf_counter()
    try:
        yield
    except BaseException:
        print("no", flush=True)
        raise
    print(f"ok {time.perf_counter() - began:6.1f} s", flush=True)


def run_checks(scenario: str, parameters: dict[str, Any], users: int, steps: int, seed: int, compiled: bool) -> None:
    """Check and print.

    Raises:
        RecSimError: the first broken rule, or a name or parameter that does not exist.
    """
    for option, value, low in (("users", users, 1), ("steps", steps, 1), ("seed", seed, 0)):
        if value < low:
            raise InvalidParameter(f"--{option} must be {low} or more, not {value}")
    world = find_world(scenario)
    made = world.make(**parameters)
    for note in check_scenario(made, users=users, steps=steps, seed=seed, compiled=compiled, during=line):
        print(f"note: {note}")
    print(f"{world.name} keeps the contract" + ("" if compiled else ", as far as plain Python shows it"))
