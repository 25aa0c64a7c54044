"""The command `collect`: log what an agent shows and how users answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.torch_tools import one_thread
from benchmark.evaluation import options_of
from benchmark.executors.cluster import LoadAgent, Ray
from benchmark.executors.local import Local
from benchmark.run import Run
from benchmark.single import find_agent, name_and_folder
from recsim_env.agent import Agent, agent_class
from recsim_env.env import Observation, RecVectorEnv
from recsim_env.errors import AgentError, DataError, InvalidParameter, RunFolderError
from recsim_env.files import check_place
from recsim_env.fitting.sessions import take
from recsim_env.layout import build_layout
from recsim_env.logs import BehaviourPolicy, Interactions, collect, log_step, stack
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options

BLOCK = 2000  # users side by side
PARQUET = b"PAR1"  # how such files begin
MOST_NUMBERS = 1_000_000_000  # of all observations of a log: 4 GB


@dataclass(frozen=True)
class Logged:
    """An agent as a behaviour policy: one that says nothing of its propensities must be sure of what it shows."""

    agent: Agent
    name: str

    def act(self, observation: Observation, rng: np.random.Generator) -> np.ndarray:
        return self.agent.act(observation, rng)

    def propensities(self, observation: Observation, slates: np.ndarray) -> np.ndarray:
        """(n, S) of each place, given those above.

        Raises:
            AgentError: the agent's slates are random, and it does not say how likely each is.
        """
        if hasattr(self.agent, "propensities"):
            told: np.ndarray = self.agent.propensities(observation, slates)
            return told
        again = self.agent.act(observation, np.random.default_rng(len(slates)))
        if not np.array_equal(again, slates):
            raise AgentError(f"{self.name} shows random slates and has no propensities(); log another agent")
        return np.ones(slates.shape)


def ready_agent(scenario: str, parameters: dict[str, Any], agent: str, settings: dict[str, Any], seed: int) -> Logged:
    """The agent of a folder, or one by name that needs no training.

    Raises:
        InvalidParameter: it learns, and no folder of a trained one is given.
    """
    name, folder = name_and_folder(agent)
    if not folder and agent_class(name).learns:
        raise InvalidParameter(f"{name} learns: give the folder of a trained one, --agent RUN/agent")
    observe = (
        json.loads((Path(folder).parent / "run.json").read_text()).get("observe", "partial") if folder else "partial"
    )
    return Logged(find_agent(Run(scenario, parameters, name, settings, seed, 0, 1, observe), folder), name)


def first_sessions_of(
    world: Scenario, policy: BehaviourPolicy, options: dict[str, Any], sessions: int, seed: int, most: int = 0
) -> Interactions:
    """The first sessions of so many users, each whole, or its first `most` steps."""
    blocks = range(0, sessions, BLOCK)
    return joined_logs([sessions_from(world, policy, options, k, min(BLOCK, sessions - k), seed, most) for k in blocks])


def sessions_from(
    world: Scenario, policy: BehaviourPolicy, options: dict[str, Any], first: int, count: int, seed: int, most: int
) -> Interactions:
    """Those of users `first` to `first + count`; who logs a block changes nothing."""
    envs, parts = RecVectorEnv(world, count, Options(first_user=first, **options)), []
    rng, playing = np.random.default_rng([seed, first]), np.ones(envs.num_envs, bool)
    observation, _ = envs.reset(seed=seed)
    while playing.any():
        row, observation = log_step(envs, policy, observation, rng)
        rows = Interactions(**row)
        parts.append(take(rows, np.flatnonzero(playing)))
        playing &= ~(rows.terminated | rows.truncated)
        playing &= (most == 0) | (rows.step + 1 < most)
    return joined_logs(parts)


def joined_logs(logs: Sequence[Interactions]) -> Interactions:
    """Logs one after another."""
    parts = [vars(log) for log in logs]
    return Interactions(**{name: stack([part[name] for part in parts]) for name in parts[0]})


def run_collect(
    scenario: str, parameters: dict[str, Any], agent: str, settings: dict[str, Any], sessions: int, steps: int,
    users: int, seed: int, out: Path, executor: Local | Ray, seen_by: str = "",
) -> None:  # fmt: skip
    """Log whole first sessions, or so many steps of users side by side, and write them.

    Raises:
        RecSimError: of any kind, before anything is written.
    """
    if (sessions > 0) == (steps > 0) or min(sessions, steps) < 0:
        raise InvalidParameter(f"give --sessions N or --steps N, one of them 1 or more, not {sessions} and {steps}")
    for option, value, low in (("users", users, 1), ("seed", seed, 0)):
        if value < low:
            raise InvalidParameter(f"--{option} must be {low} or more, not {value}")
    check_log_place(out)
    world = find_world(scenario).make(**parameters)
    if steps and isinstance(executor, Ray):
        raise InvalidParameter("--executor ray logs --sessions, whose users can be dealt out, not --steps")
    check_size(world, sessions or steps)
    policy = ready_agent(scenario, parameters, agent, settings, seed)
    options = options_of(type(policy.agent), policy.agent.config, "partial")
    if seen_by:
        options = joined(options, options_of_agent(scenario, parameters, seen_by), policy.name, seen_by)
    with one_thread():
        if isinstance(executor, Ray):
            run = Run(scenario, parameters, policy.name, settings, seed, 0, 1)
            blocks = [(k, min(BLOCK, sessions - k)) for k in range(0, sessions, BLOCK)]
            tasks = [(run, options, first, count) for first, count in blocks]
            log = joined_logs(executor.with_agent(policy.agent, log_elsewhere, tasks))
        elif sessions:
            log = first_sessions_of(world, policy, options, sessions, seed)
        else:
            envs = RecVectorEnv(world, users, Options(**options))
            observation, _ = envs.reset(seed=seed)
            log = collect(envs, policy, steps, np.random.default_rng(seed), observation)
    log.to_parquet(out)
    people = len(np.unique(log.user))
    print(f"{out}: {len(log):,} user-steps of {people:,} users, slates by {policy.name}")


def log_elsewhere(get: LoadAgent, run: Run, options: dict[str, Any], first: int, count: int) -> Interactions:
    """A block of sessions, in a worker of a cluster."""
    with one_thread():
        return sessions_from(run.world(), Logged(get(run), run.agent), options, first, count, run.seed, 0)


def options_of_agent(scenario: str, parameters: dict[str, Any], agent: str) -> dict[str, Any]:
    """What an agent sees, by its name or the folder of a trained one."""
    made = ready_agent(scenario, parameters, agent, {}, 0).agent
    return options_of(type(made), made.config, "partial")


def joined(options: dict[str, Any], more: dict[str, Any], name: str, other: str) -> dict[str, Any]:
    """What two agents see together.

    Raises:
        InvalidParameter: they must see something in different ways.
    """
    for key in options.keys() & more.keys():
        if options[key] != more[key]:
            raise InvalidParameter(
                f"--seen-by {other} needs {key}={more[key]}, but {name}, whose slates are logged, {key}={options[key]}"
            )
    return {**options, **more}


def check_log_place(out: Path) -> None:
    """Refuse to write where a log cannot be, or where something else than an earlier log is.

    Raises:
        RunFolderError: so it is; nothing is touched.
    """
    check_place(out)
    if out.exists() and not is_parquet(out):
        raise RunFolderError(f"{out} exists and is no Parquet file; choose another --out, or remove it")


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does; an empty one holds nothing to lose and counts as such."""
    with path.open("rb") as file:
        return file.read(len(PARQUET)) in (PARQUET, b"")


def check_size(world: Scenario, rows: int) -> None:
    """Refuse a log that cannot be held, from the rows that it has at least."""
    width = build_layout(world, observe="partial", history=0, totals=False).width
    if rows * width > MOST_NUMBERS:
        raise DataError(f"a log of {rows:,} steps of {width:,} numbers each is too large; log fewer")
