"""A user's luck depends on (seed, purpose, user, session, step, verb, n) and on nothing else.

States are compared, not only rewards. Each property is a function over worlds, and for each a bug is planted that it
must catch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsim_env.fields import Field
from recsim_env.parameters import param
from recsim_env.registration import find_world, registered
from recsim_env.scenario import Items, Responses, Rng, Scenario, Scratch, Slate, User
from recsim_env.simulator import Options, Simulator
from tests.made_up import write_movielens
from tests.movieharbor.made_up import write_harbour

SEED = 5


def data_for(name: str, folder: Path) -> dict[str, str]:
    """Parameters of worlds that need data, which are made up."""
    if name == "movieharbor":
        for library in ("lancedb", "tiktoken"):
            pytest.importorskip(library, reason=f"{library} is not installed: pip install 'recsim-env[movieharbor]'")
        return write_harbour(folder)
    return {"data": str(write_movielens(folder))} if name == "movielens" else {}


@pytest.fixture(scope="module", params=sorted(registered()))
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return find_world(request.param).make(**data_for(request.param, tmp_path_factory.mktemp("data")))


def slates_of(scenario: Scenario, n: int, steps: int, first_user: int = 0) -> np.ndarray:
    """(steps, n, S): random slates that depend on the user and the step alone."""
    drawn = [
        np.random.default_rng([user, 1]).random((steps, scenario.num_candidates))
        for user in range(first_user, first_user + n)
    ]
    return np.argsort(np.stack(drawn, axis=1), axis=2)[:, :, : scenario.slate_size]


def lives(scenario: Scenario, slates: np.ndarray, *, seed: int = SEED, **options: Any) -> list[dict[str, np.ndarray]]:
    """What n users go through: the whole state and what was given back, after the reset and after each step."""
    simulator = Simulator(scenario, slates.shape[1], Options(history=2, totals=True, **options), autoreset=True)
    rows = simulator.reset(seed)
    told = [{"rows": rows.copy(), **copied(simulator)}]
    for slate in slates:
        rows, results, answers = simulator.step(np.ascontiguousarray(slate))
        told.append({"rows": rows.copy(), "results": results.copy(), "answers": answers.copy(), **copied(simulator)})
    return told


def copied(simulator: Simulator) -> dict[str, np.ndarray]:
    names = ("users", "items", "responses", "slates", "memory", "lives")
    return {name: getattr(simulator.state, name).copy() for name in names}


def same(a: list[dict[str, np.ndarray]], b: list[dict[str, np.ndarray]], place: slice = slice(None)) -> bool:
    """Whether the users of `a` at `place` are those of `b`, bit for bit."""
    return all(
        np.ascontiguousarray(x[key][place]).tobytes() == y[key].tobytes()
        for x, y in zip(a, b, strict=True)
        for key in x
    )


def alone_as_in_a_batch(scenario: Scenario, jit: bool = True) -> bool:
    """User 617 alone lives the same life as among 1,000, over sessions."""
    n, user, steps = (1000, 617, 150) if jit else (6, 4, 8)
    batch = lives(scenario, slates_of(scenario, n, steps), jit=jit)
    alone = lives(scenario, slates_of(scenario, 1, steps, first_user=user), first_user=user, jit=jit)
    return same(batch, alone, slice(user, user + 1))


def threads_change_nothing(scenario: Scenario, jit: bool = True) -> bool:
    n = 600
    slates = slates_of(scenario, n, 60)
    return same(lives(scenario, slates, threads=1, jit=jit), lives(scenario, slates, threads=2, jit=jit))


def compiled_is_plain(scenario: Scenario) -> bool:
    """20 users by 100 steps."""
    slates = slates_of(scenario, 20, 100)
    return same(lives(scenario, slates), lives(scenario, slates, jit=False))


def agents_meet_the_same(scenario: Scenario, jit: bool = True) -> bool:
    """Under two policies: the same people on arrival, and the same candidates where the offer reads no user."""
    steps, n = (25, 40) if jit else (3, 3)
    slates = slates_of(scenario, n, steps)
    other = np.sort(scenario.num_candidates - 1 - slates, axis=2)
    a, b = lives(scenario, slates, jit=jit), lives(scenario, other, jit=jit)
    people = a[0]["users"].tobytes() == b[0]["users"].tobytes()
    if scenario.offer_reads_user:
        return people and a[0]["items"].tobytes() == b[0]["items"].tobytes()
    pairs = [(x, y, (x["lives"]["session"] == 0) & (y["lives"]["session"] == 0)) for x, y in zip(a, b, strict=True)]
    return people and all(x["items"][first].tobytes() == y["items"][first].tobytes() for x, y, first in pairs)


def test_one_user_alone_is_as_in_a_batch(scenario: Scenario) -> None:
    assert alone_as_in_a_batch(scenario)


def test_threads_change_nothing(scenario: Scenario) -> None:
    assert threads_change_nothing(scenario)


def test_compiled_is_plain_bit_for_bit(scenario: Scenario) -> None:
    assert compiled_is_plain(scenario)


def test_two_agents_meet_the_same_people_and_candidates(scenario: Scenario) -> None:
    assert agents_meet_the_same(scenario)


def test_seeds_and_purposes_differ(scenario: Scenario) -> None:
    slates = slates_of(scenario, 3, 3)
    base = lives(scenario, slates)
    assert same(base, lives(scenario, slates))
    assert not same(base, lives(scenario, slates, seed=SEED + 1))
    assert not same(base, lives(scenario, slates, purpose="test"))


# -- planted bugs: each property above must fail for the world that breaks it --------------------------------


@dataclass(frozen=True)
class Sound(Scenario):
    """A small world without a bug; the worlds below each break one promise."""

    slate_size: int = param(2, "items shown")

    def user_fields(self) -> list[Field]:
        return [Field("mood", low=-100, high=100, seen=True), Field("steps", integer=True)]

    def item_fields(self) -> list[Field]:
        return [Field("charm", low=0, high=1, seen=True)]

    def tables(self) -> dict[str, np.ndarray]:
        return {"shared": np.zeros(1)}

    def arrive(self, user: User, rng: Rng) -> None:
        user.mood = rng.normal(0.0, 1.0)

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].charm = rng.uniform()

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        for place in range(len(slate)):
            if rng.uniform() < items[slate[place]].charm:
                responses[place].clicked = 1.0

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.mood += responses[0].clicked + rng.normal(0.0, 0.1)
        user.steps += 1

    def left(self, user: User) -> bool:
        return user.steps >= 7


class ScratchLeaks(Sound):
    """A user finds in the scratch space what the user before left there."""

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.mood += responses[0].clicked
        user.steps += 1

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        user.mood += scratch[0]
        scratch[0] = user.mood
        responses[0].clicked = 1.0


class OfferFollowsMood(Sound):
    """The candidates depend on the user's state, and the world says that they do not."""

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].charm = rng.uniform() / (1.0 + abs(user.mood))


class SequentialOffer(Sound):
    """Plain Python only: candidates come from a generator that all users share."""

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for position in range(len(items)):
            items[position].charm = SHARED.random()


SHARED = np.random.default_rng(0)

CAUGHT: list[tuple[Callable[..., bool], type[Scenario], dict[str, bool]]] = [
    (alone_as_in_a_batch, ScratchLeaks, {}),
    (threads_change_nothing, ScratchLeaks, {}),
    (agents_meet_the_same, OfferFollowsMood, {}),
]


@pytest.mark.parametrize(("holds", "broken", "how"), CAUGHT, ids=[f"{f.__name__}-{c.__name__}" for f, c, _ in CAUGHT])
def test_a_planted_bug_is_caught(holds: Callable[..., bool], broken: type[Scenario], how: dict[str, bool]) -> None:
    assert holds(Sound(), **how)
    assert not holds(broken(), **how)


def test_a_compiled_verb_that_differs_from_plain_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits: a normal by another formula in one mode only."""
    from recsim_env import streams

    assert compiled_is_plain(Sound())
    monkeypatch.setattr(
        streams.Stream, "normal", lambda rng, mean, sd: mean + sd * streams.normal(rng, 0.0, 1.0) * (1 + 1e-15)
    )
    assert not compiled_is_plain(Sound())


def test_luck_shared_between_users_is_caught() -> None:
    assert alone_as_in_a_batch(Sound(), jit=False)
    assert not alone_as_in_a_batch(SequentialOffer(), jit=False)
    assert not agents_meet_the_same(SequentialOffer(), jit=False)
