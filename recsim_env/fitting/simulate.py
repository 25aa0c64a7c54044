"""Simulated first sessions under a behaviour policy, as statistics; no table of their steps is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recsim_env.compile_cache import compiled
from recsim_env.compiled_streams import chain_compiled
from recsim_env.env import Observation
from recsim_env.errors import DataError
from recsim_env.fitting.moments import Recipe
from recsim_env.layout import build_layout
from recsim_env.scenario import Scenario
from recsim_env.simulator import Options, Simulator
from recsim_env.streams import Purpose, chain

NUMBERS_A_BLOCK = 4_000_000  # of an observation, of users side by side: 16 MB a step
SLATES = 6  # the stream of random slates, beside those of the verbs


@dataclass(frozen=True)
class Behaviour:
    """How slates are chosen.

    Attributes:
        name: of the agent, for messages.
        act: (n, S) candidate positions from observations; None: random slates without repeats.
        options: the environment options that its observations need.
    """

    name: str = "random"
    act: Callable[[Observation, np.random.Generator], np.ndarray] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


RANDOM = Behaviour()


@compiled
def fill_random_slates(slates: Any, mask: Any, key: Any, first_user: int, step: int) -> None:
    """Random slates (n, S) without repeats among the allowed candidates, the same for the same user and step.

    `mask` is (n, C), or has no rows: all are allowed.
    """
    candidates, masked = mask.shape[1], mask.shape[0] > 0
    order = np.arange(candidates)
    for i in range(slates.shape[0]):
        count = candidates
        if masked:
            count = 0
            for c in range(candidates):
                if mask[i, c] > 0.0:
                    order[count] = c
                    count += 1
        luck = chain_compiled(chain_compiled(key, first_user + i), step)
        for place in range(slates.shape[1]):
            luck = chain_compiled(luck, place)
            if place < count:
                other = place + np.int64(np.float64(luck >> np.uint64(11)) * 2.0**-53 * (count - place))
                order[place], order[other] = order[other], order[place]
            slates[i, place] = order[min(place, count - 1)]


def random_slates(
    observation: Observation, scenario: Scenario, seed: int, first_user: int, step: int, n: int
) -> np.ndarray:
    """(n, S) positions that depend on (seed, user, step) only."""
    slates = np.empty((n, scenario.slate_size), np.int64)
    mask = observation.get("mask", np.empty((0, scenario.num_candidates), np.float32))
    fill_random_slates(slates, mask, np.uint64(chain(chain(SLATES, seed), SLATES)), first_user, step)
    return slates


def simulate(
    scenario: Scenario, recipe: Recipe, n: int, seed: int, behaviour: Behaviour = RANDOM,
    purpose: Purpose = Purpose.VALIDATE,
) -> np.ndarray:  # fmt: skip
    """(n, K) the statistics of n users' first sessions.

    The same seed gives the same people and slates the same luck under any parameters. The purpose keeps them
    apart from the people of a log, whatever its seed.
    """
    options = {"purpose": purpose, **behaviour.options}
    given = Options(**options)
    width = build_layout(scenario, observe=given.observe, history=given.history, totals=given.totals).width
    block = max(1, min(n, NUMBERS_A_BLOCK // max(width, scenario.slate_size * recipe.lens.features)))
    parts = [
        simulate_block(scenario, recipe, min(block, n - first), seed, behaviour, Options(first_user=first, **options))
        for first in range(0, n, block)
    ]
    return np.concatenate(parts)


def simulate_block(
    scenario: Scenario, recipe: Recipe, n: int, seed: int, behaviour: Behaviour, options: Options
) -> np.ndarray:
    """The same for users side by side."""
    simulator = Simulator(scenario, n, options, autoreset=True)
    rng = np.random.default_rng([seed, options.first_user])
    tally, playing = recipe.tally(n), np.arange(n)
    observation = simulator.layout.split(simulator.reset(seed))
    for step in range(recipe.cut):
        if behaviour.act is None:
            slates = random_slates(observation, scenario, seed, options.first_user, step, n)
        else:
            slates = simulator.check_slates(behaviour.act(observation, rng))
        before = observation
        rows, results, answers = simulator.step(slates)
        observation = simulator.layout.split(rows)
        if results["repaired"][playing].any():
            raise DataError(
                f"the behaviour policy {behaviour.name} repeated or masked a position; its log cannot be fitted"
            )
        tally.add(step, recipe.lens.look(before, slates, answers), playing, playing, simulator.threads)
        playing = playing[~(results["terminated"] | results["truncated"])[playing]]
        if not len(playing):
            break
    return tally.rows()
