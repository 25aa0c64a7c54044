"""The command `collect`: log what an agent shows and how users answer, in memory that does not grow with the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agents.torch_tools import one_thread
from benchmark.behaviour import Collection, Logged
from benchmark.executors.cluster import Ray
from benchmark.executors.local import Local
from benchmark.first_sessions import blocks_of, sessions_from
from benchmark.log_folder import write_folder
from benchmark.progress import counted
from recsim_env.env import RecVectorEnv
from recsim_env.errors import InvalidParameter, RunFolderError
from recsim_env.files import check_place
from recsim_env.layout import build_layout
from recsim_env.logs import Interactions, check_rounds, log_steps, write_logs
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options

FILE, BEGINNING = ".parquet", b"PAR1"  # of Parquet files
MOST_NUMBERS = 1_000_000_000  # of the observations of a step: 4 GB
TOLD = 20  # times that the progress of one file is told


def run_collect(what: Collection, sessions: int, steps: int, users: int, out: Path, executor: Local | Ray) -> None:
    """Log whole first sessions, or so many steps of users side by side, and write them.

    A file is whole or absent. A folder gets a file for each `BLOCK` users, and is gone on with where it was stopped.

    Raises:
        RecSimError: of any kind, before anything is written.
    """
    if (sessions > 0) == (steps > 0) or min(sessions, steps) < 0:
        raise InvalidParameter(f"give --sessions N or --steps N, one of them 1 or more, not {sessions} and {steps}")
    for option, value, low in (("users", users, 1), ("seed", what.seed, 0)):
        if value < low:
            raise InvalidParameter(f"--{option} must be {low} or more, not {value}")
    check_out(out, steps, executor)
    world, policy = what.world(), what.policy()
    options = what.options(policy)
    with one_thread():
        if steps:
            rows = write_steps(world, policy, options, steps, users, what.seed, out)
        elif out.suffix == FILE:
            rows = write_sessions(world, policy, options, sessions, what.seed, out)
        else:
            rows = write_folder(what, policy, options, sessions, out, executor)
    print(f"{out}: {rows:,} user-steps of {sessions or users:,} users, slates by {policy.name}")


def write_steps(
    world: Scenario, policy: Logged, options: dict[str, Any], steps: int, users: int, seed: int, out: Path
) -> int:
    """Rows of a file: so many steps of users side by side."""
    check_rounds(steps, users)
    check_users(world, users)
    envs = RecVectorEnv(world, users, Options(**options))
    observation, _ = envs.reset(seed=seed)
    logs = log_steps(envs, policy, steps // users, np.random.default_rng(seed), observation)
    return write_logs(out, told(logs, steps // users))


def check_users(world: Scenario, users: int) -> None:
    """Refuse users whose observations cannot be held, those of one step.

    Raises:
        InvalidParameter: there are too many.
    """
    width = build_layout(world, observe="partial", history=0, totals=False).width
    if users * width > MOST_NUMBERS:
        raise InvalidParameter(
            f"--users {users:,}, whose observations are {width:,} numbers each, are too many side by side; log fewer, "
            "or --sessions"
        )


def told(logs: Iterator[Interactions], count: int) -> Iterator[Interactions]:
    """The same logs; a twentieth of them is told each time."""
    with counted() as tell:
        for done, log in enumerate(logs, 1):
            yield log
            if done % max(1, count // TOLD) == 0 or done == count:
                tell("steps of all users", done, count)


def write_sessions(
    world: Scenario, policy: Logged, options: dict[str, Any], sessions: int, seed: int, out: Path
) -> int:
    """Rows of a file: first sessions."""

    def logs() -> Iterator[Interactions]:
        with counted() as tell:
            for first, count in blocks_of(sessions):
                yield from sessions_from(world, policy, options, first, count, seed)
                tell("sessions", first + count, sessions)

    return write_logs(out, logs())


def check_out(out: Path, steps: int, executor: Local | Ray) -> None:
    """Refuse to write where nothing can be, or where something else than an earlier log is.

    Raises:
        RunFolderError: so it is; nothing is touched. InvalidParameter: a folder, or a file, cannot hold this log.
    """
    if out.suffix != FILE:
        if out.is_file():
            raise RunFolderError(f"{out} is a file; name one that ends in {FILE}, or a folder")
        if steps:
            raise InvalidParameter(f"--steps writes one file: --out {out}{FILE}, not {out}")
        return
    if isinstance(executor, Ray):
        raise InvalidParameter(f"--executor ray writes a folder of files: --out {out.with_suffix('')}, not {out}")
    check_place(out)
    if out.exists() and not is_parquet(out):
        raise RunFolderError(f"{out} exists and is no Parquet file; choose another --out, or remove it")


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does; an empty one holds nothing to lose and counts as such."""
    with path.open("rb") as file:
        return file.read(len(BEGINNING)) in (BEGINNING, b"")
