"""An experiment: agents in worlds, planned and checked before anything starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmark.listing import with_parameters
from benchmark.run import Run, training_envs
from recsim_env.agent import WorldSpec, agent_class
from recsim_env.errors import InvalidParameter
from recsim_env.registration import find_world
from recsim_env.scenario import Scenario


@dataclass(frozen=True)
class Experiment:
    """Agents in worlds, each with several seeds and the same budget.

    Attributes:
        worlds: scenarios by name, and the parameters of each.
        agents: labels, and the settings of each.
        seeds, steps, users: how often each is trained, the user-steps of each training, and whom to evaluate on.
        observe: what agents see of users.
        seeds_of: agents that have another number of seeds.
    """

    worlds: Mapping[str, Mapping[str, Any]]
    agents: Mapping[str, Mapping[str, Any]]
    seeds: int
    steps: int
    users: int
    observe: str = "partial"
    seeds_of: Mapping[str, int] = field(default_factory=dict)

    def runs(self) -> list[Run]:
        """Every run, seed by seed."""
        return [
            Run(world, dict(parameters), agent, dict(settings), seed, self.steps, self.users, self.observe)
            for seed in range(max([self.seeds, *self.seeds_of.values()]))
            for world, parameters in self.worlds.items()
            for agent, settings in self.agents.items()
            if seed < self.seeds_of.get(agent, self.seeds)
        ]

    def check(self) -> dict[str, Scenario]:
        """The worlds, or the error that a run would meet: unknown names, parameters, budgets, data."""
        for name, value in (("seeds", self.seeds), ("steps", self.steps), ("users", self.users)):
            if value < 1:
                raise InvalidParameter(f"--{name} must be 1 or more, not {value}")
        for what, names in (("scenarios", self.worlds), ("agents", self.agents)):
            if not names:
                raise InvalidParameter(f"an experiment needs {what}, and there are none")
        self.check_folders()
        made = {name: find_world(name).make(**parameters) for name, parameters in self.worlds.items()}
        for run in self.runs()[: len(self.worlds) * len(self.agents)]:
            self.check_run(run, made[run.scenario])
        return made

    def check_folders(self) -> None:
        """Refuse names that end alike, whose runs would lie in the same folder."""
        folders: dict[Path, Run] = {}
        for run in self.runs():
            other = folders.setdefault(run.folder(Path()), run)
            if other.agent != run.agent:
                raise InvalidParameter(f"--agents names an agent twice: {', '.join(self.agents)}")
            if other.scenario != run.scenario:
                raise InvalidParameter(f"{other.scenario} and {run.scenario} would share a folder; rename one of them")

    def check_run(self, run: Run, scenario: Scenario) -> None:
        """Make an agent as a run would."""
        kind, config = agent_class(run.agent), run.config()
        if kind.learns and self.steps < 20 * config.users:
            raise InvalidParameter(
                f"--steps must be at least 20 for each of the {config.users} users that {run.agent} trains with "
                f"({20 * config.users}), not {self.steps}"
            )
        kind(config, WorldSpec.of(training_envs(kind, config, scenario, 0, 1, self.observe)))

    def title(self, world: str) -> str:
        """A world's name with the parameters that are not what the name alone means, and what agents see."""
        title = with_parameters(world, self.worlds[world])
        return title if self.observe == "partial" else f"{title}, observe={self.observe}"

    def plain(self) -> dict[str, Any]:
        """It all in plain values, as they are kept beside the results."""
        return dict(json.loads(json.dumps(asdict(self))))

    @property
    def hash(self) -> str:
        """Twelve letters that tell this experiment from others."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()[:12]
