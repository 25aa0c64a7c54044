"""What a verb reads may be defined anew, as in a notebook: the next environment plays what is there then."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from recsim_env import Field, Scenario, make_env
from recsim_env.errors import ScenarioError
from recsim_env.fingerprint import digest_here
from recsim_env.scenario import Item, Items, Responses, Rng, Scratch, Slate, User

GAIN = 1.0
HERE = sys.modules[__name__]
inner = types.ModuleType("inner")
inner.GAIN = inner.OTHER = 1.0  # type: ignore[attr-defined]
outer = types.ModuleType("outer")
outer.inner = inner  # type: ignore[attr-defined]


def growth() -> float:
    return 1.0


def twice_the_growth() -> float:
    return 2.0 * growth()


@dataclass(frozen=True)
class Stays(Scenario):
    """Leaves at 10."""

    def user_fields(self) -> Sequence[Field]:
        return [Field("n")]

    def item_fields(self) -> Sequence[Field]:
        return [Field("q", low=0, high=1, seen=True)]

    def arrive(self, user: User, rng: Rng) -> None:
        user.n = 0.0

    def offer(self, user: User, items: Items, rng: Rng) -> None:
        for k in range(len(items)):
            items[k].q = rng.uniform()

    def respond(self, user: User, items: Items, slate: Slate, responses: Responses, scratch: Scratch, rng: Rng) -> None:
        responses[0].clicked = rng.uniform() < 0.5

    def evolve(self, user: User, items: Items, slate: Slate, responses: Responses, rng: Rng) -> None:
        user.n += GAIN * twice_the_growth()

    def left(self, user: User) -> bool:
        return user.n >= 10.0

    def appeal(self, user: User, item: Item) -> float:
        return item.q


def steps(jit: bool) -> int:
    """Of a session."""
    env = make_env(Stays(), jit=jit)
    env.reset(seed=0)
    return next(n for n in range(1, 100) if env.step(0)[2])


def test_an_environment_plays_the_helpers_and_constants_that_are_there_when_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert steps(True) == steps(False) == 5
    monkeypatch.setattr(HERE, "GAIN", 5.0)
    assert steps(True) == steps(False) == 1
    monkeypatch.setattr(HERE, "GAIN", 1.0)
    assert steps(True) == 5
    monkeypatch.setattr(HERE, "growth", lambda: 2.5)  # a helper of a helper
    assert steps(True) == steps(False) == 2


def test_a_mistake_in_a_helper_that_is_defined_anew_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    steps(True)
    monkeypatch.setattr(HERE, "growth", lambda: 1.0 / 0.0)
    with pytest.raises(ScenarioError, match=r"Stays\.evolve"):
        make_env(Stays())


def reads_a_module() -> Any:
    return outer.inner.GAIN


def reads_it_again() -> Any:
    return reads_a_module() + outer.inner.OTHER


def with_a_default(x: float = 1.0) -> float:
    return x


@pytest.mark.parametrize(
    ("function", "owner", "name", "value"),
    [
        (twice_the_growth, HERE, "growth", with_a_default),
        (reads_a_module, inner, "GAIN", 2.0),
        (reads_it_again, inner, "OTHER", 2.0),
        (with_a_default, with_a_default, "__defaults__", (2.0,)),
        (growth, growth, "__code__", (lambda: 3.0).__code__),
    ],
)
def test_whatever_a_function_reads_is_in_its_digest(
    function: Any, owner: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest_here(function)
    monkeypatch.setattr(owner, name, value)
    assert digest_here(function) != before
    monkeypatch.undo()
    assert digest_here(function) == before


def test_what_has_no_digest_goes_by_its_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process could tell it, but this one can."""
    monkeypatch.setattr(HERE, "GAIN", object())
    before = digest_here(Stays.evolve)
    assert digest_here(Stays.evolve) == before
    monkeypatch.setattr(HERE, "GAIN", object())
    assert digest_here(Stays.evolve) != before
