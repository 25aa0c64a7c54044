"""The contract of a scenario, as checks that anyone can run; `check_agent` is the one of an agent.

`CHECKS` lists them from cheap to dear: the first steps need no compiler, and say most.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from recsim_env.agent_checks import check_agent
from recsim_env.allocation import allocates, maker
from recsim_env.crowd import each_kind_clicks, everybody_can_click, many_users_keep_the_rules, somebody_leaves
from recsim_env.errors import ScenarioError
from recsim_env.fields import Field
from recsim_env.layout import build_layout
from recsim_env.playback import Playback, as_bytes, random_slates
from recsim_env.rehearsal import guarded, rehearse, rehearse_once
from recsim_env.scenario import VERBS, Scenario
from recsim_env.source import check_source, plain_verb
from recsim_env.streams import STREAM
from recsim_env.trial import WATCHED, Trial, ask

__all__ = ["check_agent", "check_scenario"]

FEW_STEPS = 10  # of a second plain run, which is slow
HELD = 1e6  # what scratch may hold before a verb writes it
OUTSIDE = "verbs keep nothing outside the user's own records"

Check = Callable[[Trial], None]


def check_scenario(
    scenario: Scenario,
    *,
    users: int = 20,
    steps: int = 100,
    seed: int = 0,
    compiled: bool = True,
    during: Callable[[str], AbstractContextManager[None]] = lambda name: nullcontext(),
) -> list[str]:
    """Check a scenario's contract with random slates; compiles it, which takes some ten seconds.

    Meant for a world of the size that its author works with: it keeps every step's state of every user.

    Args:
        users, steps, seed: of the runs that are compared state by state; a larger crowd is only watched.
        compiled: false: leave out what needs the compiler, as for worlds that do not compile.
        during: entered with each check's name while it runs, to show progress.

    Returns:
        Notes on what is allowed, and may still surprise.

    Raises:
        ScenarioError: the first broken rule, with the verb and the line where there is one.
    """
    trial = Trial(scenario, users, steps, seed)
    for check in CHECKS if compiled and scenario.compiles else PLAIN_CHECKS:
        with during(name_of(check)):
            check(trial)
    return trial.notes


def name_of(check: Check) -> str:
    """In plain words."""
    return check.__name__.replace("_", " ")


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
    """Verbs hold what can be compiled; where only plain Python plays them, they may hold anything."""
    if trial.scenario.compiles:
        check_source(trial.scenario)
    else:
        trial.notes.append("only plain Python plays it (compiles = False): what needs the compiler is not checked")


def verbs_run_plain(trial: Trial) -> None:
    """Each verb runs as plain Python, leaves numbers where they belong, and returns what it should."""
    rehearse_once(trial.scenario)
    _ = trial.plain


def observations_lie_in_bounds(trial: Trial) -> None:
    for key in build_layout(trial.scenario, **WATCHED, history=0).keys:
        rows = trial.plain.rows
        values = key.of(rows.reshape(-1, rows.shape[-1])).reshape(*rows.shape[:2], -1)
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


def scratch_is_written_first(trial: Trial) -> None:
    """`respond` reads of scratch only what it wrote: what stood there is another user's."""
    plain = guarded(trial.scenario)

    def respond(*arguments: Any) -> None:
        arguments[5][:] = HELD
        plain.respond(*arguments)

    try:
        held = trial.play(plain._replace(respond=respond), slates=trial.slates[:FEW_STEPS])
    except ScenarioError as error:
        found = str(error)
    else:
        as_long = {name: array[: len(held.arrays[name])] for name, array in trial.plain.arrays.items()}
        found = Playback(as_long).difference(held, ("as it was", "where scratch held something"))
    if found:
        what = "it reads scratch before it writes it, and scratch holds what another user left"
        trial.refuse_verb("respond", f"{what}; write each place first ({found})")


def offers_are_as_declared(trial: Trial) -> None:
    """Other slates bring other candidates only where the scenario says so (`offer_reads_user`, `offer_is_fixed`)."""
    if trial.scenario.offer_is_fixed:
        offer_is_always_the_same(trial)
    if trial.scenario.offer_reads_user or trial.scenario.offer_is_fixed:
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


def offer_is_always_the_same(trial: Trial) -> None:
    """Where the offer is fixed, `offer` gives the same to whoever is there, and whatever is drawn."""
    plain, fixed = guarded(trial.scenario), trial.scenario.fixed_items
    items, rng = np.zeros_like(fixed), np.zeros(1, STREAM)[0]
    for step, users in enumerate(trial.plain.arrays["users"][:: max(1, trial.steps // FEW_STEPS)]):
        for user, record in enumerate(users):
            rng.rekey(step, user)
            items[...] = np.zeros(1, items.dtype)
            plain.offer(trial.scenario.compiled_self, record.copy(), items[0], rng)
            if not same_bytes(items, fixed):
                what = f"user {user} is offered other candidates than everybody"
                rule = "where offer draws, or reads the user, offer_is_fixed must return False"
                trial.refuse_verb("offer", f"{what}; {rule}")


def verbs_compile(trial: Trial) -> None:
    """Each verb compiles; with indices checked, other users of the same world stay inside every array."""
    verbs = guarded(trial.scenario, trial.checked_verbs)
    rehearse(trial.scenario, verbs)
    trial.play(verbs, seed=1)


def verbs_allocate_nothing(trial: Trial) -> None:
    for verb, compiled in zip(VERBS, trial.checked_verbs, strict=True):
        if allocates(compiled):
            found = maker(plain_verb(type(trial.scenario), verb))
            made = "an array, list, dict or text is made " + ("here" if found else "in it or in what it calls")
            trial.refuse_verb(verb, f"it allocates memory: {made}; use scalars, fields and scratch", *(found or ()))


def compiled_equals_plain(trial: Trial) -> None:
    """Both modes live the same lives, bit for bit."""
    found = trial.compiled.difference(trial.plain, ("compiled", "plain"))
    if found:
        trial.refuse(
            f"compiled and plain Python part: {found}; in verbs use float64, `math` and loops, and x * x for x ** 2"
        )


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


PLAIN_CHECKS: tuple[Check, ...] = (
    fields_are_declared,
    tables_are_numbers,
    source_is_sound,
    verbs_run_plain,
    tables_stay,
    observations_lie_in_bounds,
    sessions_end,
    somebody_clicks,
    each_kind_clicks,
    scratch_is_written_first,
    offers_are_as_declared,
)
CHECKS: tuple[Check, ...] = (
    *PLAIN_CHECKS,
    verbs_compile,
    verbs_allocate_nothing,
    tables_stay,
    compiled_equals_plain,
    one_equals_many,
    threads_change_nothing,
    many_users_keep_the_rules,
    somebody_leaves,
    everybody_can_click,
    tables_stay,
)
