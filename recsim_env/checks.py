"""The contract of a scenario, as checks that anyone can run; `check_agent` is the one of an agent.

`CHECKS` lists them from cheap to dear: the first steps need no compiler, and say most.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recsim_env.agent_checks import check_agent
from recsim_env.compiler import loop_of_verbs
from recsim_env.errors import RecSimError, ScenarioError
from recsim_env.fields import Field
from recsim_env.layout import build_layout
from recsim_env.link import CHECKED_JIT, link
from recsim_env.playback import Playback, as_bytes, play, random_slates
from recsim_env.rehearsal import guarded, one_line, rehearse, rehearse_once
from recsim_env.scenario import VERBS, Scenario, Verbs
from recsim_env.simulator import Options, Simulator
from recsim_env.source import check_source

__all__ = ["check_agent", "check_scenario"]

WATCHED: dict[str, Any] = {"observe": "full", "totals": True}
FEW_STEPS = 10  # of a second plain run, which is slow
ALLOCATION = re.compile(r"NRT_MemInfo_(alloc|new|varsize)")  # arrays and texts, lists, growing lists and dicts
OUTSIDE = "verbs keep nothing outside the user's own records, and scratch holds what another user left"


@dataclass(frozen=True)
class Trial:
    """A scenario under check, and what several checks look at."""

    scenario: Scenario
    users: int
    steps: int
    seed: int

    @property
    def name(self) -> str:
        return type(self.scenario).__name__

    def play(self, verbs: Verbs | None, *, slates: np.ndarray | None = None, seed: int = 0, **options: Any) -> Playback:
        """Play the trial's slates: with `verbs` in a plain loop, or without as the compiled whole."""
        slates = self.slates if slates is None else slates
        watched = Options(jit=verbs is None, **WATCHED, **options)
        simulator = Simulator(self.scenario, slates.shape[1], watched, autoreset=True)
        if verbs is not None:
            simulator.loop = loop_of_verbs(verbs, None)
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

    def refuse(self, message: str) -> None:
        raise ScenarioError(f"{self.name}: {message}")


def check_scenario(scenario: Scenario, *, users: int = 20, steps: int = 100, seed: int = 0) -> None:
    """Check a scenario's contract with random slates; compiles it, which takes some ten seconds.

    Meant for a world of the size that its author works with: it keeps every step's state of every user.

    Raises:
        ScenarioError: the first broken rule, with the verb and the line where there is one.
    """
    trial = Trial(scenario, users, steps, seed)
    for check in CHECKS:
        check(trial)


def ask(scenario: Scenario, method: str) -> Any:
    """What one of the scenario's declarations returns; what it raises becomes a `ScenarioError`."""
    try:
        return getattr(scenario, method)()
    except RecSimError:
        raise
    except Exception as error:
        message = f"{type(scenario).__name__}.{method}() raises {type(error).__name__}: {one_line(error)}"
        raise ScenarioError(message) from error


def fields_are_declared(trial: Trial) -> None:
    """The fields make records, and something is seen."""
    scenario = trial.scenario
    for method in ("user_fields", "item_fields", "response_fields"):
        wrong = [field for field in ask(scenario, method) if not isinstance(field, Field)]
        if wrong:
            trial.refuse(f"{method}() must return a list of Field, and holds {wrong[0]!r}")
    for dtype in ("user_dtype", "item_dtype", "response_dtype"):
        getattr(scenario, dtype)  # raises what a field does wrong
    build_layout(scenario, observe="partial", history=0, totals=False)
    if scenario.first_slate not in ("none", "random"):
        trial.refuse(f"first_slate must be 'none' or 'random', not {scenario.first_slate!r}")


def tables_are_numbers(trial: Trial) -> None:
    """Tables are arrays of numbers, the same at each call; with the parameters they make a verb's `self`."""
    again = ask(trial.scenario, "tables")
    for name, table in trial.tables.items():
        if table.dtype.hasobject or table.dtype.kind not in "biufV":
            trial.refuse(f"tables()[{name!r}] must be an array of numbers, not of {table.dtype}")
        if not same_bytes(table, np.asarray(again[name])):
            trial.refuse(f"tables()[{name!r}] differs at a second call; draw from np.random.default_rng(a parameter)")
    try:
        _ = trial.scenario.compiled_self
    except (TypeError, ValueError) as error:
        raise ScenarioError(f"{trial.name}: its parameters and tables cannot be read by verbs: {error}") from error


def same_bytes(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def source_is_sound(trial: Trial) -> None:
    check_source(trial.scenario)


def verbs_run_plain(trial: Trial) -> None:
    """Each verb runs as plain Python, leaves numbers where they belong, and returns what it should."""
    rehearse_once(trial.scenario)
    _ = trial.plain


def observations_lie_in_bounds(trial: Trial) -> None:
    for key in build_layout(trial.scenario, **WATCHED, history=0).keys:
        values = trial.plain.rows[:, :, key.start : key.start + key.size]
        low, high = key.low.ravel(), key.high.ravel()
        outside = ~((values >= low) & (values <= high))  # also where it is NaN
        if outside.any():
            step, user, column = np.argwhere(outside)[0]
            where = f"observation {key.name!r} of user {user} at step {step}"
            bounds = f"[{low[column]:g}, {high[column]:g}]"
            trial.refuse(f"{where} holds {values[step, user, column]:g}, which lies outside {bounds}")


def sessions_end(trial: Trial) -> None:
    """No session outlives the horizon, and each one lasts a step at least."""
    lengths, horizon = trial.plain.results["length"], trial.scenario.horizon
    if lengths.min() < 1 or lengths.max() > horizon:
        trial.refuse(f"a session must last 1 to {horizon} steps (its horizon), not {lengths.min()} to {lengths.max()}")


def somebody_clicks(trial: Trial) -> None:
    for name in dict.fromkeys(("clicked", trial.scenario.label)):
        if not np.any(trial.plain.answers[name]):
            shown = f"{trial.users} users and {trial.steps} steps of random slates"
            trial.refuse(f"the response field {name!r} stays 0 over {shown}; respond must set it")


def offers_are_as_declared(trial: Trial) -> None:
    """Other slates bring other candidates only where the scenario says so (`offer_reads_user`)."""
    if trial.scenario.offer_reads_user:
        return
    steps = min(trial.steps, FEW_STEPS)
    slates = random_slates(trial.scenario, steps, trial.users, trial.seed + 1)
    one, other = trial.plain.arrays, trial.play(guarded(trial.scenario), slates=slates).arrays
    same_time = (one["lives"]["session"][: steps + 1] == 0) & (other["lives"]["session"] == 0)
    differ = (as_bytes(one["items"][: steps + 1]) != as_bytes(other["items"])).any(axis=2)
    if (same_time & differ).any():
        step, user = np.argwhere(same_time & differ)[0]
        what = f"user {user} is offered other candidates at step {step} after other slates"
        trial.refuse(f"{what}; where offer depends on what a slate changes, offer_reads_user must return True")


def verbs_compile(trial: Trial) -> None:
    """Each verb compiles; with indices checked, other users of the same world stay inside every array."""
    verbs = guarded(trial.scenario, trial.checked_verbs)
    rehearse(trial.scenario, verbs)
    trial.play(verbs, seed=1)


def verbs_allocate_nothing(trial: Trial) -> None:
    for verb, compiled in zip(VERBS, trial.checked_verbs, strict=True):
        if any(ALLOCATION.search(code) for code in compiled.inspect_llvm().values()):  # type: ignore[attr-defined]
            made = "an array, list, dict or text is made in it or in what it calls"
            trial.refuse(f"{verb} allocates memory: {made}; use scalars, fields and scratch")


def compiled_equals_plain(trial: Trial) -> None:
    """Both modes live the same lives, bit for bit."""
    found = trial.compiled.difference(trial.plain, ("compiled", "plain"))
    if found:
        trial.refuse(f"compiled and plain Python part: {found}; in verbs use float64, `math` and loops")


def one_equals_many(trial: Trial) -> None:
    """A user alone lives the life that the same user lives among many."""
    for user in dict.fromkeys((trial.users - 1, 0)):
        alone = trial.play(None, slates=trial.slates[:, user : user + 1], first_user=user)
        found = trial.compiled.of_user(user).difference(alone, ("among others", "alone"))
        if found:
            trial.refuse(f"a user lives another life alone than among others: {found}; {OUTSIDE}")


def threads_change_nothing(trial: Trial) -> None:
    found = trial.play(None, threads=2).difference(trial.compiled, ("on two threads", "on one"))
    if found:
        trial.refuse(f"two threads change the lives: {found}; {OUTSIDE}")


def tables_stay(trial: Trial) -> None:
    for name, before in trial.tables.items():
        if not same_bytes(before, np.asarray(getattr(trial.scenario.compiled_self, name))):
            trial.refuse(f"a verb writes into tables()[{name!r}]; verbs only read tables")


CHECKS: tuple[Callable[[Trial], None], ...] = (
    fields_are_declared,
    tables_are_numbers,
    source_is_sound,
    verbs_run_plain,
    tables_stay,
    observations_lie_in_bounds,
    sessions_end,
    somebody_clicks,
    offers_are_as_declared,
    verbs_compile,
    verbs_allocate_nothing,
    tables_stay,
    compiled_equals_plain,
    one_equals_many,
    threads_change_nothing,
    tables_stay,
)
