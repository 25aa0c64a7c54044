"""A scenario under check, and what several checks look at."""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from recsim_env.compiler import play_plainly
from recsim_env.crowd import STEPS, Crowd, people_of
from recsim_env.errors import RecSimError, ScenarioError
from recsim_env.link import CHECKED_JIT, link
from recsim_env.playback import Playback, play, random_slates
from recsim_env.rehearsal import guarded, one_line
from recsim_env.scenario import Scenario, Verbs
from recsim_env.simulator import Options, Simulator
from recsim_env.source import place, plain_verb

WATCHED: dict[str, Any] = {"observe": "full", "totals": True}


@dataclass(frozen=True)
class Trial:
    """A scenario under check.

    Attributes:
        notes: what is allowed, and may still surprise its author.
    """

    scenario: Scenario
    users: int
    steps: int
    seed: int
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return type(self.scenario).__name__

    def play(self, verbs: Verbs | None, *, slates: np.ndarray | None = None, seed: int = 0, **options: Any) -> Playback:
        """Play the trial's slates: with `verbs` in a plain loop, or without as the compiled whole."""
        slates = self.slates if slates is None else slates
        watched = Options(jit=verbs is None, **WATCHED, **options)
        simulator = Simulator(self.scenario, slates.shape[1], watched, autoreset=True)
        if verbs is not None:
            simulator.loop = play_plainly(verbs, simulator.layout.form, simulator.given)
        return play(simulator, slates, self.seed + seed)

    @cached_property
    def slates(self) -> np.ndarray:
        return random_slates(self.scenario, self.steps, self.users, self.seed)

    @cached_property
    def tables(self) -> dict[str, np.ndarray]:
        """Copies of the tables, from before a verb saw them."""
        return {name: np.array(table) for name, table in ask(self.scenario, "tables").items()}

    @cached_property
    def checked_verbs(self) -> Verbs:
        """The verbs compiled one by one, with each index checked."""
        return Verbs(*(link(verb, CHECKED_JIT) for verb in type(self.scenario).verbs()))

    @cached_property
    def plain(self) -> Playback:
        return self.play(guarded(self.scenario))

    @cached_property
    def compiled(self) -> Playback:
        return self.play(None, threads=1)

    @cached_property
    def crowd(self) -> Crowd:
        return Crowd(self, people_of(self.scenario)).play(STEPS)

    def refuse(self, message: str) -> NoReturn:
        raise ScenarioError(f"{self.name}: {message}")

    def refuse_verb(self, verb: str, message: str, inner: types.FunctionType | None = None, line: int = 0) -> NoReturn:
        """Refuse with a verb's place, or that of a line in a function that it calls."""
        function = inner or plain_verb(type(self.scenario), verb)
        where = place(type(self.scenario), verb, function, line or function.__code__.co_firstlineno)
        raise ScenarioError(f"{where}: {message}")


def ask(scenario: Scenario, method: str) -> Any:
    """What one of the scenario's declarations returns; what it raises becomes a `ScenarioError`."""
    try:
        return getattr(scenario, method)()
    except RecSimError:
        raise
    except Exception as error:
        message = f"{type(scenario).__name__}.{method}() raises {type(error).__name__}: {one_line(error)}"
        raise ScenarioError(message) from error
