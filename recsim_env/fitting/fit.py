"""From logged interactions to a world's parameters, their uncertainty, and a check of what they predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsim_env.errors import InvalidParameter
from recsim_env.fitting.checking import UNFITTED, Line, compare
from recsim_env.fitting.choice import fit_choice
from recsim_env.fitting.estimable import Plan, plan_of
from recsim_env.fitting.estimates import Estimate, choice_estimates, moment_estimates, value_covariance
from recsim_env.fitting.moments import Recipe, names, tally_log
from recsim_env.fitting.search import Found, Search, Tell
from recsim_env.fitting.sessions import Sessions, first_sessions
from recsim_env.fitting.simulate import RANDOM, Behaviour, simulate
from recsim_env.fitting.target import Target
from recsim_env.logs import Interactions
from recsim_env.scenario import Scenario
from recsim_env.streams import Purpose


@dataclass(frozen=True)
class Fit:
    """The estimates and what they predict.

    Attributes:
        scenario: the world with the estimates in it.
        estimates: a parameter each.
        covariance: (P, P) of their values, in their order.
        lines: of the posterior-predictive check.
        sessions, held_out: how many the estimates and the check rest on.
        distance, freedom: the weighted squares of moments' differences left, which are about `freedom` in a right
            world; 0 and 0 where no moments were fitted.
    """

    scenario: Scenario
    estimates: tuple[Estimate, ...]
    covariance: np.ndarray
    lines: tuple[Line, ...]
    sessions: int
    held_out: int
    distance: float
    freedom: int


def silent(what: str, share: float) -> None:
    """Tell nobody."""


def fit(
    scenario: Scenario,
    log: Interactions,
    *,
    parameters: Sequence[str] = (),
    behaviour: Behaviour = RANDOM,
    seed: int = 0,
    held_out: float = 0.2,
    draws: int = 40,
    multiple: float = 2.0,
    tell: Tell = silent,
) -> Fit:
    """Estimate parameters of `scenario` from the users' first sessions in `log`.

    Choice weights come first, by maximum likelihood; then, with these as known, the rest by simulated moments.

    Args:
        scenario: the world; what is not estimated stays as it has it.
        log: the interactions.
        parameters: see `plan_of`.
        behaviour: how the log's slates were chosen.
        seed: of the split, of the search, and of the simulated people; no log's people are among these.
        held_out: the share of sessions for the check, from 0.05 to 0.9.
        draws: simulated logs of the check, at least 10.
        multiple: simulated sessions at the search's end, for each one of the log.
        tell: gets what is being done, and the share of all that is done.

    Raises:
        RecSimError: see `first_sessions`, `plan_of` and `fit_choice`; or a setting out of its range.
    """
    settings = {"seed": (seed, 0, np.inf), "held_out": (held_out, 0.05, 0.9), "draws": (draws, 10, 10_000)}
    for name, (value, low, high) in {**settings, "multiple": (multiple, 0.1, 100)}.items():
        if not low <= value <= high:
            raise InvalidParameter(f"{name} must lie in [{low:g}, {high:g}], not {value:g}")
    plan = plan_of(scenario, parameters)
    sessions, held = first_sessions(log, scenario).split(held_out, seed)
    world, estimates, covariance = scenario, [], np.zeros((len(plan.names), len(plan.names)))
    if plan.choice:
        tell("likelihood of the choices", 0.0)
        weights = fit_choice(scenario, sessions, plan.choice)
        estimates = choice_estimates(scenario, plan.choice, weights)
        world, chosen = with_values(world, estimates), len(plan.choice)
        covariance[:chosen, :chosen] = weights.covariance
    recipe, found = Recipe.of(sessions, scenario), Found(np.zeros(0), 0.0)
    if plan.axes:
        search = make_search(world, sessions, recipe, plan, behaviour, seed, tell)
        found = search.run(
            {axis.name: getattr(scenario, axis.name) for axis in plan.axes}, int(multiple * len(sessions))
        )
        estimates = estimates + moment_estimates(scenario, plan.axes, found)
        world, first = with_values(world, estimates), len(plan.choice)
        covariance[first:, first:] = value_covariance(plan.axes, found)
    lines = check(world, held, recipe, estimates, covariance, behaviour, seed, draws, tell)
    return Fit(
        world, tuple(estimates), covariance, tuple(lines), len(sessions), len(held), found.distance, found.freedom
    )


def with_values(scenario: Scenario, estimates: Sequence[Estimate]) -> Scenario:
    """The world with the estimates in it."""
    return with_parameters(scenario, {e.name: e.value for e in estimates})


def with_parameters(scenario: Scenario, values: Mapping[str, float]) -> Scenario:
    """The world with these values; a whole number may come as a float."""
    kinds = {name: type(getattr(scenario, name)) for name in values}
    typed: dict[str, Any] = {n: round(v) if kinds[n] is int else v for n, v in values.items()}
    return dataclasses.replace(scenario, **typed)


def make_search(
    world: Scenario, sessions: Sessions, recipe: Recipe, plan: Plan, behaviour: Behaviour, seed: int, tell: Tell
) -> Search:
    """The search of the plan's axes for the statistics of these sessions."""
    tell("statistics of the log", 0.0)
    rows = tally_log(sessions, recipe)
    compared = np.array([name not in UNFITTED for name in names(recipe)])

    def simulated(values: dict[str, float], count: int, luck: int) -> np.ndarray:
        return simulate(with_parameters(world, values), recipe, count, luck, behaviour)

    return Search(plan.axes, Target.of(rows, compared), simulated, seed, tell)


# -- what they predict ---------------------------------------------------------------------------------


def check(
    world: Scenario, held: Sessions, recipe: Recipe, estimates: Sequence[Estimate], covariance: np.ndarray,
    behaviour: Behaviour, seed: int, draws: int, tell: Tell,
) -> list[Line]:  # fmt: skip
    """Hold the held-out sessions against simulated ones, each time with parameters drawn from the estimates' normal."""
    rng, simulated = np.random.default_rng([seed, 1]), []
    for k in range(draws):
        drawn = draw(world, estimates, covariance, rng)
        sessions = simulate(drawn, recipe, len(held), seed + k, behaviour, Purpose.TEST)
        simulated.append(sessions.mean(axis=0))
        tell("posterior-predictive check", 0.92 + 0.08 * (k + 1) / draws)
    return compare(recipe, tally_log(held, recipe).mean(axis=0), simulated)


def draw(world: Scenario, estimates: Sequence[Estimate], covariance: np.ndarray, rng: np.random.Generator) -> Scenario:
    """The world with parameters from the estimates' normal, inside what the world allows."""
    fields = {f.name: f.metadata for f in dataclasses.fields(world)}
    low, high = np.array([[fields[e.name]["low"], fields[e.name]["high"]] for e in estimates], float).T
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = np.clip([e.value for e in estimates] + root @ rng.standard_normal(len(estimates)), low, high)
    try:
        return with_parameters(world, {e.name: v for e, v in zip(estimates, drawn.tolist(), strict=True)})
    except InvalidParameter:  # two parameters that do not go together
        return world
