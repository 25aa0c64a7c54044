"""Logged interactions: what was on offer, shown and answered, and how likely the behaviour policy was to show it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from recsim_env.array_files import check_memory, read_arrays, stack, write_arrays
from recsim_env.env import Observation
from recsim_env.errors import DataError

OBSERVED, ANSWERED = "observed_", "response_"


class BehaviourPolicy(Protocol):
    """A policy that knows its own probabilities."""

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        """(n, S) candidate positions."""

    def propensities(self, observation: Observation, slates: np.ndarray) -> np.ndarray:
        """(n, S): the probability of each place's candidate, given those above it."""


@dataclass(frozen=True)
class Interactions:
    """T user-steps as arrays.

    Attributes:
        user, session, step: (T,) whose step it was.
        observations: key -> (T, ...), what was seen before the slate was shown, the candidates on offer among it.
        slates: (T, S) candidate positions, as shown.
        place_propensities: (T, S) the probability of each place's candidate given those above it.
        responses: column -> (T, S).
        rewards: (T,).
        terminated, truncated: (T,) whether the session ended here.
    """

    user: np.ndarray
    session: np.ndarray
    step: np.ndarray
    observations: Mapping[str, np.ndarray]
    slates: np.ndarray
    place_propensities: np.ndarray
    responses: Mapping[str, np.ndarray]
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def propensities(self) -> np.ndarray:
        """(T,): the probability of the whole ordered slate."""
        return np.prod(self.place_propensities, axis=1)

    def columns(self) -> dict[str, np.ndarray]:
        """Every column by the name it has in a frame and in Parquet."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("observations", "responses")}
        return {
            **plain,
            "propensity": self.propensities,
            **{OBSERVED + name: values for name, values in self.observations.items()},
            **{ANSWERED + name: values for name, values in self.responses.items()},
        }

    def frame(self) -> pd.DataFrame:
        """A row a user-step; what has several numbers a step is one column of lists."""
        columns = self.columns()
        return pd.DataFrame({name: values if values.ndim == 1 else values.tolist() for name, values in columns.items()})

    @classmethod
    def of_columns(cls, columns: Mapping[str, np.ndarray]) -> Interactions:
        """The log of such columns.

        Raises:
            KeyError: one is missing.
        """
        return cls(
            observations={n.removeprefix(OBSERVED): v for n, v in columns.items() if n.startswith(OBSERVED)},
            responses={n.removeprefix(ANSWERED): v for n, v in columns.items() if n.startswith(ANSWERED)},
            **{f.name: columns[f.name] for f in fields(cls) if f.name not in ("observations", "responses")},
        )

    def to_parquet(self, path: Path) -> None:
        """Write all of it; the file is whole or absent."""
        write_logs(path, [self])

    @classmethod
    def from_parquet(cls, path: Path) -> Interactions:
        """What `to_parquet` or `write_logs` wrote; of a folder all its files, in the order of their names.

        Raises:
            DataError: a file is missing, damaged or something else, or there is more than memory holds.
        """
        files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not files:
            raise DataError(f"{path} holds no logged interactions: there is no Parquet file in this folder")
        with readable(path):
            check_memory(path, files)
        return joined_logs([read_log(file) for file in files])


def read_log(file: Path) -> Interactions:
    with readable(file):
        return Interactions.of_columns(read_arrays(file))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say of a file that is no log of ours that it is none.

    Raises:
        DataError: it is missing, damaged or something else.
    """
    try:
        yield
    except (OSError, pa.ArrowException, KeyError, ValueError, AttributeError, TypeError) as error:
        why = "there is no such file" if not path.exists() else "it is no Parquet file of `recsim-env collect`"
        raise DataError(f"{path} holds no logged interactions: {why}") from error


def write_logs(path: Path, logs: Iterable[Interactions]) -> int:
    """Write logs one after another into one Parquet file, as they come; it is whole or absent.

    Returns:
        The rows written.
    """
    return write_arrays(path, (log.columns() for log in logs))


def joined_logs(logs: Sequence[Interactions]) -> Interactions:
    """Logs one after another."""
    parts = [vars(log) for log in logs]
    return Interactions(**{name: stack([part[name] for part in parts]) for name in parts[0]})


def collect(
    envs: Any, policy: BehaviourPolicy, steps: int, rng: np.random.Generator, observation: Observation | None = None
) -> Interactions:
    """Log at most `steps` user-steps of `policy` in a vector environment.

    Args:
        envs: a `RecVectorEnv`, wrapped or not; it is reset (next session) unless `observation` is given.
        policy: what chooses the slates.
        steps: user-steps at most; whole steps of all users are played.
        rng: the policy's random numbers.
        observation: where to go on from.

    Raises:
        DataError: `steps` is less than one step of all users, or the policy shows slates that need repair.
    """
    check_rounds(steps, envs.num_envs)
    if observation is None:
        observation, _ = envs.reset()
    return joined_logs(list(log_steps(envs, policy, steps // envs.num_envs, rng, observation)))


def check_rounds(steps: int, users: int) -> None:
    """Refuse to log less than one step of all users.

    Raises:
        DataError: so few were asked for.
    """
    if steps < users:
        raise DataError(f"cannot log {steps} user-steps of {users} users: ask for at least one step of all")


def log_steps(
    envs: Any, policy: BehaviourPolicy, rounds: int | None, rng: np.random.Generator, observation: Observation
) -> Iterator[Interactions]:
    """`rounds` steps of all users, one after another; without end where that is None.

    Raises:
        DataError: the policy shows slates that need repair.
    """
    for _ in range(rounds) if rounds is not None else count():
        log, observation = log_step(envs, policy, observation, rng)
        yield log


def log_step(
    envs: Any, policy: BehaviourPolicy, observation: Observation, rng: np.random.Generator
) -> tuple[Interactions, Observation]:
    """One step of all users, and what was seen after it."""
    simulator = envs.unwrapped.simulator
    lives = simulator.state.lives.copy()
    slates = policy.act(observation, rng)
    after, rewards, terminated, truncated, info = envs.step(slates)
    if info["repaired"].any():
        raise DataError("the behaviour policy repeated or masked a position: what it says it showed was not shown")
    return Interactions(
        user=simulator.options.first_user + np.arange(envs.num_envs),
        session=lives["session"],
        step=lives["step"],
        observations=observation,
        slates=slates,
        place_propensities=policy.propensities(observation, slates),
        responses={name: info[name] for name in simulator.scenario.response_dtype.names},
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
    ), after
