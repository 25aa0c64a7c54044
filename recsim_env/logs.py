"""Logged interactions: what was on offer, shown and answered, and how likely the behaviour policy was to show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsim_env.env import Observation
from recsim_env.errors import DataError
from recsim_env.files import whole

SHAPES = b"recsim_env.shapes"
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

    def to_parquet(self, path: Path) -> None:
        """Write all of it; the file is whole or absent."""
        columns = self.columns()
        shapes = {name: values.shape[1:] for name, values in columns.items()}
        table = pa.table({name: parquet_column(values) for name, values in columns.items()})
        with whole(path) as aside:
            table = table.replace_schema_metadata({SHAPES: json.dumps(shapes).encode()})
            pq.write_table(table, aside, write_page_checksum=True)

    @classmethod
    def from_parquet(cls, path: Path) -> Interactions:
        """What `to_parquet` wrote.

        Raises:
            DataError: the file is missing, damaged or something else.
        """
        try:
            table = pq.read_table(path, page_checksum_verification=True)
            shapes = json.loads((table.schema.metadata or {})[SHAPES])
            columns = {name: array_of(table[name], shape) for name, shape in shapes.items()}
            return cls(
                observations={n.removeprefix(OBSERVED): v for n, v in columns.items() if n.startswith(OBSERVED)},
                responses={n.removeprefix(ANSWERED): v for n, v in columns.items() if n.startswith(ANSWERED)},
                **{f.name: columns[f.name] for f in fields(cls) if f.name not in ("observations", "responses")},
            )
        except (OSError, pa.ArrowException, KeyError, ValueError, AttributeError, TypeError) as error:
            why = "there is no such file" if not path.exists() else "it is no Parquet file of `recsim-env collect`"
            raise DataError(f"{path} holds no logged interactions: {why}") from error


def parquet_column(values: np.ndarray) -> Any:
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))


def array_of(column: Any, shape: list[int]) -> np.ndarray:
    if not shape:
        return np.asarray(column.to_numpy())
    flat = column.combine_chunks().flatten().to_numpy()
    return np.asarray(flat).reshape(len(column), *shape)


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
    rounds = steps // envs.num_envs
    if rounds < 1:
        raise DataError(f"cannot log {steps} user-steps of {envs.num_envs} users: ask for at least one step of all")
    if observation is None:
        observation, _ = envs.reset()
    rows = []
    for _ in range(rounds):
        row, observation = log_step(envs, policy, observation, rng)
        rows.append(row)
    return Interactions(**{name: stack([row[name] for row in rows]) for name in rows[0]})


def log_step(
    envs: Any, policy: BehaviourPolicy, observation: Observation, rng: np.random.Generator
) -> tuple[dict[str, Any], Observation]:
    """One step of all users, and what was seen after it."""
    simulator = envs.unwrapped.simulator
    lives = simulator.state.lives.copy()
    slates = policy.act(observation, rng)
    after, rewards, terminated, truncated, info = envs.step(slates)
    if info["repaired"].any():
        raise DataError("the behaviour policy repeated or masked a position: what it says it showed was not shown")
    return {
        "user": simulator.options.first_user + np.arange(envs.num_envs),
        "session": lives["session"],
        "step": lives["step"],
        "observations": observation,
        "slates": slates,
        "place_propensities": policy.propensities(observation, slates),
        "responses": {name: info[name] for name in simulator.scenario.response_dtype.names},
        "rewards": rewards,
        "terminated": terminated,
        "truncated": truncated,
    }, after


def stack(parts: list[Any]) -> Any:
    """The parts one after another; of dictionaries, key by key."""
    if isinstance(parts[0], dict):
        return {key: stack([part[key] for part in parts]) for key in parts[0]}
    return np.concatenate(parts)
