"""The contract of an agent, as checks that anyone can run."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recsim_env.agent import Agent, AgentConfig, NoLog, WorldSpec
from recsim_env.env import Observation
from recsim_env.errors import AgentError, BudgetSpent
from recsim_env.registration import make_vector_env
from recsim_env.scenario import Scenario
from recsim_env.wrappers import InteractionBudget

Factory = type[Agent] | Callable[[Any, WorldSpec], Agent]

CANDIDATES = ("candidates", "candidate_ids", "mask", "hidden_candidates", "appeal")
TIES = 0.05  # share of users whose slate may depend on the batch: float32 rounds otherwise, and ties turn


@dataclass(frozen=True)
class AgentTrial:
    """An agent under check, and what several checks look at."""

    factory: Factory
    scenario: str | Scenario
    config: Any
    options: dict[str, Any]
    users: int
    steps: int
    seed: int

    @property
    def name(self) -> str:
        return getattr(self.factory, "__name__", repr(self.factory))

    def refuse(self, message: str) -> None:
        raise AgentError(f"{self.name}: {message}")

    def envs(self, users: int) -> Any:
        return make_vector_env(self.scenario, num_envs=users, **self.options)

    @cached_property
    def agent(self) -> Agent:
        """The agent, trained."""
        envs = InteractionBudget(self.envs(self.config.users), self.steps)
        agent = self.factory(self.config, WorldSpec.of(envs))
        with self.global_random_state_kept("train"):
            try:
                envs.reset(seed=self.seed)
                agent.train(envs, self.steps, NoLog())
            except BudgetSpent as error:
                raise AgentError(f"{self.name}.train spends more than its {self.steps} user-steps: {error}") from error
        if agent.learns and agent.played != envs.spent:
            self.refuse(f"train played {envs.spent} user-steps, but played says {agent.played}; train must add to it")
        return agent

    @cached_property
    def observations(self) -> list[Observation]:
        """A session's first steps under random slates, other users than those of the training."""
        envs, rng = self.envs(self.users), np.random.default_rng(self.seed)
        observation, _ = envs.reset(seed=self.seed + 1)
        seen = [observation]
        for _ in range(4):
            shape = (self.users, envs.scenario.num_candidates)
            seen.append(envs.step(rng.random(shape).argsort(axis=1)[:, : envs.scenario.slate_size])[0])
        return seen

    def act(self, observation: Observation, agent: Agent | None = None, seed: int = 0) -> np.ndarray:
        """The slates, drawn with a stream of `seed`; the agent gets arrays of its own."""
        own = {name: values.copy() for name, values in observation.items()}
        return np.asarray((agent or self.agent).act(own, np.random.default_rng(seed)))

    @cached_property
    def slates(self) -> list[np.ndarray]:
        return [self.act(observation) for observation in self.observations]

    @cached_property
    def deterministic(self) -> bool:
        """Whether other random streams change nothing."""
        others = [self.act(observation, seed=1) for observation in self.observations]
        return all(map(np.array_equal, self.slates, others))

    @contextmanager
    def global_random_state_kept(self, method: str) -> Iterator[None]:
        """Raise `AgentError` where the block draws from, or seeds, a global generator."""
        before = global_random_state()
        yield
        for name, state in global_random_state().items():
            if state != before[name]:
                self.refuse(f"{method} uses the global random state of {name}; draw from rng or a generator of its own")


def global_random_state() -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - to see that nobody used it
    return {"numpy": (kind, np.asarray(keys).tobytes(), *rest), "random": random.getstate()}


def check_agent(
    factory: Factory,
    scenario: str | Scenario,
    *,
    config: AgentConfig | None = None,
    options: Mapping[str, Any] | None = None,
    users: int = 32,
    steps: int = 4096,
    seed: int = 0,
) -> None:
    """Train an agent for a moment and check its contract.

    Args:
        factory: an Agent class, or a function of a config and a `WorldSpec` that makes one.
        scenario: a world it fits.
        config: its settings; by default those of its `Config`.
        options: more keywords of the environment (a function has no `options` of its own).
        users: how many users it acts for at once.
        steps: user-steps that it may train with.
        seed: of the users.

    Raises:
        AgentError: the first broken rule.
    """
    config = config or getattr(factory, "Config", AgentConfig)()
    own = factory.options(config) if isinstance(factory, type) and issubclass(factory, Agent) else {}
    trial = AgentTrial(factory, scenario, config, {**own, **(options or {})}, users, steps, seed)
    for check in AGENT_CHECKS:
        check(trial)


def trains_within_budget(trial: AgentTrial) -> None:
    """`train` keeps within its user-steps and off the global generators; raises in `AgentTrial.agent`."""
    if not isinstance(trial.agent, Agent):
        trial.refuse(f"it must make an Agent, not {trial.agent!r}")


def slates_are_positions(trial: AgentTrial) -> None:
    """Whole numbers (n, S), in range, without repeats, allowed ones."""
    with trial.global_random_state_kept("act"):
        slates = trial.slates
    for observation, slate in zip(trial.observations, slates, strict=True):
        check_slates(trial, observation, slate)


def check_slates(trial: AgentTrial, observation: Observation, slates: np.ndarray) -> None:
    spec = trial.agent.spec
    shape, count = (trial.users, spec.slate_size), spec.num_candidates
    if slates.shape != shape or slates.dtype.kind not in "iu":
        trial.refuse(f"act must give whole numbers of the shape {shape}, not {slates.dtype} {slates.shape}")
    if slates.min() < 0 or slates.max() >= count:
        wrong = slates[(slates < 0) | (slates >= count)][0]
        trial.refuse(f"act shows candidate {wrong}, but there are {count} (0 to {count - 1})")
    ordered = np.sort(slates, axis=1)
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        row = slates[np.argmax((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))]
        trial.refuse(f"act shows a candidate twice in the slate {row.tolist()}; top_slates() ranks without repeats")
    if "mask" in observation:
        enough = (observation["mask"] > 0).sum(axis=1) >= spec.slate_size
        refused = np.take_along_axis(observation["mask"], slates, axis=1) == 0
        if (refused & enough[:, None]).any():
            trial.refuse("act shows a candidate that observation['mask'] does not allow")


def keeps_the_observation(trial: AgentTrial) -> None:
    """What the agent is given stays as it was: it is the caller's."""
    for observation in trial.observations:
        given = {name: values.copy() for name, values in observation.items()}
        trial.agent.act(given, np.random.default_rng(0))
        if given.keys() != observation.keys():
            trial.refuse("act adds or removes keys of the observation; work on a copy")
        for name, values in observation.items():
            if not np.array_equal(given[name], values):
                trial.refuse(f"act changes observation[{name!r}]; work on a copy")


def keeps_no_secret(trial: AgentTrial) -> None:
    """The same observation and the same stream give the same slates: what counts is seen."""
    for observation, slates in zip(trial.observations, trial.slates, strict=True):
        if not all(np.array_equal(trial.act(observation), slates) for _ in range(2)):
            trial.refuse("act gives other slates for the same observation and rng; it keeps or draws something else")


def looks(observation: Observation, slates: np.ndarray) -> np.ndarray:
    """(n, S, …): all that is seen of the candidates shown, since two that look alike are worth the same."""
    seen = [observation[name] for name in CANDIDATES if name in observation]
    parts = [part.reshape(*part.shape[:2], -1) for part in seen] or [np.arange(slates.max() + 1)[None, :, None]]
    return np.take_along_axis(np.concatenate(parts, axis=-1), slates[..., None], axis=1)


def one_equals_many(trial: AgentTrial) -> None:
    """A user gets the slate alone that they get in a batch, where the policy is deterministic."""
    if not trial.deterministic:
        return
    differing = 0
    for observation, slates in zip(trial.observations, trial.slates, strict=True):
        for i in range(trial.users):
            one = {name: values[i : i + 1] for name, values in observation.items()}
            differing += not np.array_equal(looks(one, trial.act(one)), looks(one, slates[i : i + 1]))
    total = trial.users * len(trial.slates)
    if differing > TIES * total:
        trial.refuse(f"act gives {differing} of {total} users another slate alone than in a batch; users must not mix")


def save_keeps_it(trial: AgentTrial) -> None:
    """The loaded agent shows what the saved one shows."""
    with tempfile.TemporaryDirectory() as folder:
        trial.agent.save(Path(folder))
        loaded = type(trial.agent).load(Path(folder), trial.agent.spec)
    for observation, slates in zip(trial.observations, trial.slates, strict=True):
        if not np.array_equal(trial.act(observation, loaded), slates):
            trial.refuse("after save and load it shows other slates; arrays() must hold all that it learnt")


def load_goes_on(trial: AgentTrial) -> None:
    """The loaded agent, trained further, learns what the saved one does, bit for bit; the last check: it trains."""
    if not type(trial.agent).learns:
        return
    with tempfile.TemporaryDirectory() as folder:
        trial.agent.save(Path(folder))
        loaded = type(trial.agent).load(Path(folder), trial.agent.spec)
    learnt = []
    for agent in (trial.agent, loaded):
        envs = InteractionBudget(trial.envs(trial.config.users), trial.steps)
        envs.reset(seed=trial.seed + 2)
        agent.train(envs, trial.steps, NoLog())
        learnt.append(agent.arrays())
    for name, values in learnt[0].items():
        if not np.array_equal(values, learnt[1][name]):
            trial.refuse(f"trained further after load, {name} differs from the saved one's; arrays() must hold all")


AGENT_CHECKS: tuple[Callable[[AgentTrial], None], ...] = (
    trains_within_budget,
    slates_are_positions,
    keeps_the_observation,
    keeps_no_secret,
    one_equals_many,
    save_keeps_it,
    load_goes_on,
)
